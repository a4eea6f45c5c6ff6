"""Reads the plate of every violation's vehicle and checks suspicions, in whole frames of the recording."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

import structlog

from engine.identify.confirmation import Confirmation, Suspect, Verdict
from engine.identify.owner import UNREAD, Identification, with_owner
from engine.ingest.recordings import Recordings
from engine.metrics import Metrics
from engine.rules.second_look import LookRule
from engine.section import SectionControl
from engine.site import Rule, Site
from engine.stages import FrameFetcher, PlateReader
from engine.types import (
    Findings,
    PlateSighting,
    Reason,
    RuleFinding,
    SectionCrossing,
    Segment,
    Sighting,
    Suspicion,
    VehicleView,
    Violation,
)

log = structlog.get_logger()

REMEMBERED = 1024
"""Plates of this many vehicles are remembered: the same vehicle may break a second rule."""
NO_READER = Reason("plate_reader_absent")
LEAST_APART_S = 0.1
"""Two frames are at least this far apart: closer ones lead to the same reading errors."""
BORDER_PX = 2.0
"""A box that is closer than this to the border of the picture is cut off by it."""


@dataclass(frozen=True, slots=True)
class Looks:
    """What the identifier needs to read a vehicle's plate."""

    recordings: Recordings
    fetch_frames: FrameFetcher
    reader: PlateReader | None
    """None if no plate is read on this machine: an officer identifies every vehicle."""
    frames: int = 4
    """A plate is searched in at most this many frames."""


class Budget:
    """Limits the number of vehicles that are looked at: a mean rate, with a burst of one minute.

    It fills in capture time, so the speed of a replay does not change the result.
    """

    def __init__(self, a_minute: float) -> None:
        self._most = max(1.0, a_minute)
        self._a_second = a_minute / 60.0
        self._left = self._most
        self._at_s = -math.inf

    def take(self, at_s: float) -> bool:
        """Take one look at a capture time; False if no look is left. A clock that goes back fills nothing."""
        if at_s > self._at_s:
            gained = 0.0 if math.isinf(self._at_s) else (at_s - self._at_s) * self._a_second
            self._left, self._at_s = min(self._most, self._left + gained), at_s
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class VehicleIdentifier:
    """`stages.Identifier` over the sites of all cameras. An error in a look costs the plate, not the violation."""

    def __init__(
        self,
        site_of: Callable[[int], Site],
        names: Mapping[int, str],
        looks: Looks,
        rules: Identification,
        metrics: Metrics,
        confirm: Mapping[str, Confirmation] = MappingProxyType({}),
        sections: SectionControl | None = None,
    ) -> None:
        """`site_of` and `names` by camera index, looked up at every call; `confirm` by kind of violation."""
        self._site_of = site_of
        self._names = names
        self._looks = looks
        self._rules = rules
        self._metrics = metrics
        self._confirm = confirm
        self._sections = sections
        self._budgets: dict[int, dict[str, Budget]] = {}
        """By camera and rule."""
        self._known: OrderedDict[int, PlateSighting] = OrderedDict()
        """By track; surely read plates only."""

    def add_camera(self, index: int, camera: object = None) -> None:
        """Accept the violations of one more camera; nothing is kept of it before its first suspicion."""

    def remove_camera(self, index: int) -> None:
        """Forget a camera; between two batches."""
        self._budgets.pop(index, None)

    def identify(self, findings: Findings) -> Sequence[Violation]:
        """The violations with their plates, in their order, then those of sections. Drops and counts suspicions that
        are not confirmed."""
        found = [violation for finding in findings.found for violation in self._examine(finding)]
        drives = self._sections.settle() if self._sections else []
        return [*found, *(with_owner(drive, drive.plate, self._rules) for drive in drives)]

    def _examine(self, finding: RuleFinding) -> Iterator[Violation]:
        """The violation with its plate; empty if it is dropped or passed to the section control."""
        violation = finding if isinstance(finding, Violation) else finding.violation
        if violation is not finding and not self._may_look(violation):
            return
        sighting = self._remembered(violation) or self._identify(violation)
        if self._is_exempt(violation, sighting):
            self._drop(violation, "exempt_plate")
            return
        if isinstance(finding, SectionCrossing):
            self._hand_over(finding, sighting)
            return
        confirmed = self._confirmed(violation, sighting) if isinstance(finding, Suspicion) else violation
        if confirmed is not None:
            unread = UNREAD if self._looks.reader else NO_READER
            yield with_owner(confirmed, sighting, self._rules, unread)

    def _hand_over(self, found: SectionCrossing, sighting: PlateSighting | None) -> None:
        """Pass the crossing to the section control, which knows the other end."""
        crossing = found.violation
        if sighting is None or self._sections is None:
            self._drop(crossing, "plate_unread" if sighting is None else "no_means")
            return
        try:
            self._sections.take(found, sighting)
        except Exception as error:  # noqa: BLE001 - as in `_identify`: only this drive is not measured
            log.error("the sections did not take a crossing", camera=self._names[crossing.camera], error=str(error))
            self._drop(crossing, "failed")

    def _may_look(self, violation: Violation) -> bool:
        """True if the rule's budget allows one more look; drops the violation if not."""
        rule = self._rule(violation)
        if not isinstance(rule, LookRule):
            return True
        budget = self._budgets.setdefault(violation.camera, {}).setdefault(rule.name, Budget(rule.a_minute))
        allowed = budget.take(violation.decisive_s)
        if not allowed:
            self._drop(violation, "budget")
        return allowed

    def _confirmed(self, violation: Violation, sighting: PlateSighting | None) -> Violation | None:
        """The suspicion as a violation; None if it is not confirmed."""
        confirm = self._confirm.get(violation.kind)
        try:
            suspect = Suspect(violation, sighting, partial(self._views, violation))
            verdict = confirm(suspect) if confirm else Verdict(None, "no_means")
        except Exception as error:  # noqa: BLE001 - a decoder or model may raise anything; the suspicion is dropped
            log.error("a suspicion could not be checked", kind=violation.kind, error=str(error))
            verdict = Verdict(None, "failed")
        if verdict.confirmed is None:
            self._drop(violation, verdict.dropped)
            return None
        self._metrics.violations.labels(self._names[violation.camera], violation.kind, violation.outcome).inc()
        return replace(violation, reasons=(*violation.reasons, verdict.confirmed))

    def _rule(self, violation: Violation) -> Rule | None:
        """The site's rule that was broken; None if the site has changed since."""
        rules = self._site_of(violation.camera).rules
        return next((rule for rule in rules if rule.name == violation.rule), None)

    def _identify(self, violation: Violation) -> PlateSighting | None:
        """Read the vehicle's plate and count the result; None if it was not read."""
        if self._looks.reader is None:
            self._count(violation, "no_reader")
            return None
        try:
            sighting = self._looks.reader.read(self._views(violation, self._looks.frames))
        except Exception as error:  # noqa: BLE001 - a decoder or model may raise anything; the violation stays
            log.error(
                "a plate could not be read", camera=self._names[violation.camera], kind=violation.kind, error=str(error)
            )
            self._count(violation, "failed")
            return None
        is_sure = sighting is not None and self._rules.is_sure(sighting.plate)
        self._count(violation, "none" if sighting is None else "read" if is_sure else "doubtful")
        if sighting is not None and is_sure:
            self._known[violation.track] = sighting
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return sighting

    def _views(self, violation: Violation, most: int) -> Sequence[VehicleView]:
        first_s, last_s = violation.sightings[0].captured_s, violation.sightings[-1].captured_s
        segments = self._looks.recordings.between(violation.camera, first_s, last_s)
        return views(violation, segments, self._looks.fetch_frames, most)

    def _remembered(self, violation: Violation) -> PlateSighting | None:
        """The vehicle's plate if it was surely read before, in a frame of this offence; None if not.

        The frame must belong to the offence because its still goes into the case.
        """
        known = self._known.get(violation.track)
        seen = violation.sightings
        return known if known and seen[0].captured_s <= known.captured_s <= seen[-1].captured_s else None

    def _is_exempt(self, violation: Violation, sighting: PlateSighting | None) -> bool:
        """True if the rule exempts the vehicle. A plate that is not surely read is never exempt."""
        rule, plate = self._rule(violation), sighting.plate if sighting else None
        return (
            rule is not None and plate is not None and self._rules.is_sure(plate) and plate.text in rule.exempt_plates
        )

    def _drop(self, violation: Violation, reason: str) -> None:
        camera = self._names[violation.camera]
        self._metrics.dropped_violations.labels(camera, violation.kind, reason).inc()
        log.info("violation dropped", camera=camera, kind=violation.kind, reason=reason, at_s=violation.decisive_s)

    def _count(self, violation: Violation, result: str) -> None:
        self._metrics.plates.labels(self._names[violation.camera], result).inc()


def views(violation: Violation, segments: Sequence[Segment], fetch: FrameFetcher, most: int) -> list[VehicleView]:
    """The vehicle in at most `most` kept frames, the largest first. Raises what `fetch` raises."""
    if not segments:
        return []
    best = largest(violation.sightings, (segments[0].width_px, segments[0].height_px), most)
    stills = fetch(segments, [sighting.captured_s for sighting in best]) if best else []
    return [
        VehicleView(still.captured_s, still.rgb, sighting.xyxy_px)
        for still, sighting in zip(stills, best, strict=True)
        if still.shows(sighting.captured_s)
    ]


def largest(sightings: Sequence[Sighting], size_px: tuple[int, int], most: int) -> list[Sighting]:
    """At most `most` sightings, not of one moment: those with the whole vehicle first, then by area."""
    chosen: list[Sighting] = []
    for sighting in sorted(sightings, key=lambda seen: (_is_cut(seen, size_px), -_area(seen))):
        if all(abs(sighting.captured_s - other.captured_s) >= LEAST_APART_S for other in chosen):
            chosen.append(sighting)
    return chosen[:most]


def _is_cut(sighting: Sighting, size_px: tuple[int, int]) -> bool:
    left, top, right, bottom = sighting.xyxy_px
    return min(left, top, size_px[0] - right, size_px[1] - bottom) < BORDER_PX


def _area(sighting: Sighting) -> float:
    left, top, right, bottom = sighting.xyxy_px
    return (right - left) * (bottom - top)
