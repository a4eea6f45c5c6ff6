"""The section file: the ends of a section, its length, and the papers by which a speed on it may be stated.

A file holds `[[sections]]`. It states the standard uncertainties of the survey and of both clocks; they have no
default.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from engine.config import Fraction01, Name, Positive, Strict, tomlfile
from engine.rules.catalogue import Span, overlap
from engine.site import Aware, Certificate, ClassName, Limit, is_timezone
from engine.types import KMH, Clock

WIDEST_LENGTH_SHARE = 0.01
"""A length whose standard uncertainty is a larger share was not surveyed."""


class End(Strict, frozen=True):
    """Where a section begins or ends: a line on the road that a camera sees."""

    camera: Name
    """Name in the engine's configuration."""
    line: Name
    """Name in the camera's site; it distinguishes the carriageways of one picture."""


class ClockTrust(Strict, frozen=True):
    """Uncertainty of the UTC of either camera while its clock is in one state."""

    sigma_s: Positive
    """Standard uncertainty of UTC, the camera's delay included."""
    common_sigma_s: Annotated[float, Meta(ge=0)] = 0.0
    """The part of it that comes from one source of both cameras and therefore cancels (JCGM 100:2008, F.1.2.3)."""

    def __post_init__(self) -> None:
        _require_finite("clock", self.sigma_s, self.common_sigma_s)
        if self.common_sigma_s > self.sigma_s:
            raise ValueError(
                f"common_sigma_s {self.common_sigma_s:g} is a part of sigma_s {self.sigma_s:g}, yet larger"
            )


class Clocks(Strict, frozen=True):
    """Trust by the state of the clock. Nothing is measured in a state that is not stated, or with an unstable clock."""

    synchronised: ClockTrust | None = None
    arrival: ClockTrust | None = None
    declared: ClockTrust | None = None

    def of(self, clock: Clock) -> ClockTrust | None:
        """Trust in a state of the clock; None if it is not stated, and always for an unstable clock."""
        stated = {Clock.SYNCHRONISED: self.synchronised, Clock.ARRIVAL: self.arrival, Clock.DECLARED: self.declared}
        return stated.get(clock)


class Section(Strict, frozen=True):
    """One section, in one direction."""

    name: Name
    entry: End
    exit: End
    length_m: Positive
    """Surveyed length from line to line of the *shortest* possible path: the speed is a lower bound."""
    length_sigma_m: Positive
    """Standard uncertainty of the length."""
    straight_out_of_town: bool
    """The law requires it for fines; other sections give indications only."""
    timezone: str
    """IANA name; the hours of the limits are local."""
    clocks: Clocks
    limits: Annotated[tuple[Limit, ...], Meta(min_length=1)]
    """The first that fits class and hour is in force."""
    valid_from: Aware
    valid_to: Aware | None = None
    certificate: Certificate | None = None
    """Of the section: it certifies length and clocks; without it no speed is stated."""
    classes: tuple[ClassName, ...] = ()
    """Empty: every class that the catalogue names for the kind."""
    tolerance_kmh: Annotated[float, Meta(ge=0)] = 0.0
    """Subtracted from the measured speed besides the expanded uncertainty, in favour of the driver."""
    slowest_kmh: Positive = 30.0
    """A vehicle that took longer than at this speed is not matched."""
    fastest_kmh: Positive = 300.0
    """A faster drive is two vehicles with one plate."""
    least_confidence: Fraction01 = 0.9
    """Of the plate, at both ends."""
    widest_share: Annotated[float, Meta(gt=0, le=0.02)] = 0.01
    """No speed is stated with a standard uncertainty above this share of it."""

    @property
    def span(self) -> Span:
        """The dates between which the section is valid."""
        return self.valid_from, self.valid_to

    def __post_init__(self) -> None:
        for flaw in self._flaws():
            raise ValueError(f"section {self.name}: {flaw}")

    @property
    def longest_s(self) -> float:
        """The longest travel time that is matched."""
        return self.length_m / (self.slowest_kmh / KMH)

    @property
    def shortest_s(self) -> float:
        """The shortest travel time that one vehicle can have."""
        return self.length_m / (self.fastest_kmh / KMH)

    def _flaws(self) -> Iterator[str]:
        """Contradictions, one sentence each."""
        _require_finite(f"section {self.name}", self.length_m, self.length_sigma_m, self.tolerance_kmh)
        _require_finite(f"section {self.name}", self.slowest_kmh, self.fastest_kmh, *(x.kmh for x in self.limits))
        if self.entry.camera == self.exit.camera:
            yield f"entry and exit are the same camera, {self.entry.camera!r}"
        if self.length_sigma_m > WIDEST_LENGTH_SHARE * self.length_m:
            yield f"length_sigma_m {self.length_sigma_m:g} is above {WIDEST_LENGTH_SHARE:.0%} of the length: no survey"
        if self.clocks == Clocks():
            yield "clocks: no state of the clocks is stated, nothing could be measured"
        yield from self._date_flaws()
        yield from self._limit_flaws()

    def _date_flaws(self) -> Iterator[str]:
        if not is_timezone(self.timezone):
            yield f"there is no time zone {self.timezone!r}"
        if self.valid_to is not None and self.valid_to <= self.valid_from:
            yield "valid_to is not after valid_from"
        if self.certificate is not None and self.certificate.expires <= self.certificate.issued:
            yield f"certificate {self.certificate.number} expires before it is issued"

    def _limit_flaws(self) -> Iterator[str]:
        for limit in self.limits:
            if limit.zone:
                yield f"limit {limit.kmh:g}: a section has no zone {limit.zone!r}"
            if not self.slowest_kmh < limit.kmh < self.fastest_kmh:
                yield f"limit {limit.kmh:g} is not between slowest_kmh {self.slowest_kmh:g} and fastest_kmh"
        for first, second in combinations(self.limits, 2):
            if (set(first.classes), first.hours) == (set(second.classes), second.hours):
                yield f"limits {first.kmh:g} and {second.kmh:g} are for the same classes and hours"


class Sections(Strict, frozen=True):
    """The whole file."""

    sections: Annotated[tuple[Section, ...], Meta(min_length=1)]

    def __post_init__(self) -> None:
        for first, second in combinations(self.sections, 2):
            if first.name == second.name:
                raise ValueError(f"two sections are called {first.name!r}")
            if _share_an_end(first, second) and overlap(first.span, second.span):
                raise ValueError(
                    f"sections {first.name!r} and {second.name!r} share an entry or an exit at the same time: "
                    "one drive would be punished twice"
                )


def _share_an_end(first: Section, second: Section) -> bool:
    """True if both begin, or both end, at the same line; a section that begins where the other ends only follows it."""
    return first.entry == second.entry or first.exit == second.exit


def _require_finite(what: str, *values: float) -> None:
    """Raise ValueError for `nan` and `inf`, which TOML allows."""
    if not all(math.isfinite(value) for value in values):
        raise ValueError(f"{what}: a value is not a finite number")


def load_sections(path: Path) -> tuple[Section, ...]:
    """Read a section file; raises ConfigError that names the file and the place in it."""
    return tomlfile.load(path, Sections).sections
