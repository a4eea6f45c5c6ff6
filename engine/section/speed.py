"""The measurement: v = L / dt, its combined standard uncertainty (JCGM 100:2008), and every reason not to state it."""

from __future__ import annotations

import datetime as dt
import enum
import math
from dataclasses import dataclass

from engine.rules.catalogue import in_force
from engine.section.crossing import Crossing
from engine.section.file import Section

MAPPING_SIGMA_S = 0.25 / math.sqrt(3.0)
"""Of the engine's mapping of a stream's timestamps to UTC, at either end: a clock counts as stable while the two differ
by at most 0.25 s either way (rectangular, JCGM 100:2008, 4.3.7)."""


class Measured(enum.StrEnum):
    """Whether a mean speed may be stated, or why not."""

    MEASURED = "measured"
    NO_MATCH = "no_match"
    """The plate was not read at the other end within the longest travel time."""
    AMBIGUOUS = "ambiguous"
    """More than one crossing may be the vehicle's: the result could belong to another vehicle (OIML R 91)."""
    PLATE_DIFFERS = "plate_differs"
    """The only candidate's plate differs by one character."""
    PLATE_DOUBTFUL = "plate_doubtful"
    """The plate was read with too little confidence."""
    CLASS_DIFFERS = "class_differs"
    """Another class of vehicle left than entered."""
    NOT_IN_FORCE = "not_in_force"
    """The section is not valid, or was not for the whole drive."""
    NOT_CERTIFIED = "not_certified"
    """There is no verification certificate, or it was not in force for the whole drive."""
    CLOCK_UNTRUSTED = "clock_untrusted"
    """A clock was unstable, or in a state without a stated uncertainty."""
    TOO_FAST = "too_fast"
    """The travel time is too short for one vehicle."""
    UNCERTAIN = "uncertain"
    """The uncertainty is above the section's bound."""
    LATE = "late"
    """The crossing came after its time was settled: it counts as a candidate, but is not matched."""
    OVERFLOW = "overflow"
    """There were more crossings than are held: a candidate may be missing."""


@dataclass(frozen=True, slots=True)
class SectionSpeed:
    """The result for a crossing, or for two that are one drive."""

    section: Section
    finding: Measured
    entry: Crossing | None
    exit: Crossing | None
    """At least one of the two; both if they were matched."""
    speed_mps: float = math.nan
    """Mean speed; nan unless measured."""
    sigma_mps: float = math.nan
    """Combined standard uncertainty (k = 1); nan unless measured."""


def section_speed(section: Section, entry: Crossing, exit_: Crossing) -> SectionSpeed:
    """Measure a drive whose two crossings are each other's only candidate."""
    finding = _obstacle(section, entry, exit_)
    if finding is not None:
        return SectionSpeed(section, finding, entry, exit_)
    lasting_s = exit_.captured_s - entry.captured_s
    speed_mps = section.length_m / lasting_s
    share = math.hypot(section.length_sigma_m / section.length_m, lasting_sigma_s(section, entry, exit_) / lasting_s)
    if share > section.widest_share:
        return SectionSpeed(section, Measured.UNCERTAIN, entry, exit_)
    return SectionSpeed(section, Measured.MEASURED, entry, exit_, speed_mps, share * speed_mps)


def lasting_sigma_s(section: Section, entry: Crossing, exit_: Crossing) -> float:
    """Standard uncertainty of the travel time; inf if a clock is not trusted.

    u2(dt) = u2(entry) + u2(exit) - 2 u(entry, exit) (JCGM 100:2008, 5.2.2). Two clocks in the same state owe the
    common part of their uncertainty to one source: its square is their covariance (F.1.2.3).
    """
    first, last = section.clocks.of(entry.clock), section.clocks.of(exit_.clock)
    if first is None or last is None:
        return math.inf
    variance = sum(
        crossing.sigma_s**2 + MAPPING_SIGMA_S**2 + trust.sigma_s**2
        for crossing, trust in ((entry, first), (exit_, last))
    )
    common = first.common_sigma_s if entry.clock == exit_.clock else 0.0
    return math.sqrt(variance - 2.0 * common**2)


def _obstacle(section: Section, entry: Crossing, exit_: Crossing) -> Measured | None:
    """The first reason not to measure."""
    reasons = {
        Measured.PLATE_DIFFERS: entry.plate != exit_.plate,
        Measured.PLATE_DOUBTFUL: min(entry.plate_confidence, exit_.plate_confidence) < section.least_confidence,
        Measured.CLASS_DIFFERS: entry.class_id != exit_.class_id,
        Measured.NOT_IN_FORCE: not _throughout(section.valid_from, section.valid_to, entry, exit_),
        Measured.NOT_CERTIFIED: not _certified(section, entry, exit_),
        Measured.CLOCK_UNTRUSTED: math.isinf(lasting_sigma_s(section, entry, exit_)),
        Measured.TOO_FAST: exit_.captured_s - entry.captured_s < section.shortest_s,
    }
    return next((finding for finding, holds in reasons.items() if holds), None)


def _certified(section: Section, entry: Crossing, exit_: Crossing) -> bool:
    paper = section.certificate
    return paper is not None and _throughout(paper.issued, paper.expires, entry, exit_)


def _throughout(begin: dt.datetime, end: dt.datetime | None, entry: Crossing, exit_: Crossing) -> bool:
    """True if it was in force at both ends of the drive, and so all the time between."""
    return all(in_force(begin, end, crossing.captured_s) for crossing in (entry, exit_))
