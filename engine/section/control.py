"""Matches the crossings of both ends of the sections: crossings in, violations out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from engine.metrics import Metrics
from engine.rules.catalogue import Catalogue
from engine.section.crossing import Crossing, crossing_sigma_s
from engine.section.file import Section
from engine.section.matcher import PassageMatcher
from engine.section.speed import SectionSpeed
from engine.section.verdict import violation
from engine.types import PlateSighting, SectionCrossing, SectionProof, Sighting, Violation

log = structlog.get_logger()

FOOT_SIGMA_M = 0.5
"""Standard uncertainty of the foot point along the road: a third of a car's overhang."""
SPAN_S = 1.0
"""The speed over the line is that of the sightings at most this far from the crossing."""
LAG_S = 45.0
"""Latest arrival of a crossing here after it happened: mailbox, end of the track, reading of the plate."""
SILENT_S = 60.0
"""A camera that is farther behind the others is not waited for."""
MOST_BYTES = 256 * 1024 * 1024
"""Stills kept of vehicles between two ends; beyond this the oldest are dropped."""

Shoot = Callable[[Violation], Mapping[str, bytes]]
"""Makes the stills of a crossing, content by name: `overview.jpg`, `vehicle.jpg`, `plate.jpg`, if available."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """Plate and stills of a crossing, until its drive is settled."""

    sighting: PlateSighting
    files: Mapping[str, bytes]


class SectionControl:
    """All sections. `take` and `settle` are called from one thread."""

    def __init__(
        self,
        sections: Sequence[Section],
        names: Mapping[int, str],
        catalogue: Catalogue,
        line_of: Callable[[SectionCrossing], str],
        reached_s: Callable[[int], float],
        shoot: Shoot,
        metrics: Metrics,
        *,
        lag_s: float = LAG_S,
    ) -> None:
        """Raises ConfigError if a section names an unknown camera.

        names       by camera index
        line_of     name of the line that was crossed
        reached_s   capture time that a camera's recording has reached
        """
        self._matcher = PassageMatcher(sections, names)
        self._names = dict(names)
        ends = {end.camera for section in sections for end in (section.entry, section.exit)}
        self._cameras = [camera for camera, name in names.items() if name in ends]
        self._catalogue = catalogue
        self._line_of = line_of
        self._reached_s = reached_s
        self._shoot = shoot
        self._metrics = metrics
        self._lag_s = lag_s
        self._longest_s = max(section.longest_s for section in sections)
        self._crossings: list[Crossing] = []
        self._kept: dict[Crossing, _Kept] = {}

    def take(self, found: SectionCrossing, sighting: PlateSighting) -> None:
        """Add a crossing whose plate was read. Raises LookupError for a camera that was added after the start."""
        crossed = found.violation
        if crossed.camera not in self._names:
            raise LookupError("the camera joined after the start: its sections are measured from the next start on")
        crossing = crossing_of(found, sighting, self._line_of(found))
        if crossing is None:
            log.info("crossing not timed", camera=self._names[crossed.camera], at_s=crossed.decisive_s)
            return
        self._crossings.append(crossing)
        self._kept[crossing] = _Kept(sighting, self._shoot(replace(crossed, plate=sighting)))
        self._bound()

    def settle(self) -> Sequence[Violation]:
        """The violations of the drives whose crossings are all known by now."""
        if not self._cameras:
            return []
        now_s = self._now_s()
        rows = self._matcher.measure(self._crossings, now_s)
        self._crossings.clear()
        found = [offence for row in rows if (offence := self._violation(row)) is not None]
        self._forget(now_s)
        return found

    def _now_s(self) -> float:
        """Every crossing before this instant has been taken, at every camera that is not too far behind."""
        reached = [self._reached_s(camera) for camera in self._cameras]
        return max(min(reached), max(reached) - SILENT_S) - self._lag_s

    def _violation(self, row: SectionSpeed) -> Violation | None:
        self._metrics.section_drives.labels(row.section.name, row.finding.value).inc()
        offence = violation(row, self._catalogue)
        if offence is None or row.entry is None or row.exit is None:
            return None
        files = {f"entry-{name}": content for name, content in self._files(row.entry).items()} | self._files(row.exit)
        kept = self._kept.get(row.exit)
        return replace(offence, plate=kept.sighting if kept else None, section=proof(row.section, files))

    def _files(self, crossing: Crossing) -> dict[str, bytes]:
        kept = self._kept.get(crossing)
        return dict(kept.files) if kept else {}

    def _forget(self, now_s: float) -> None:
        """Drop what can no longer belong to a drive."""
        if math.isfinite(now_s):
            oldest_s = now_s - 2 * self._longest_s
            self._kept = {crossing: kept for crossing, kept in self._kept.items() if crossing.captured_s >= oldest_s}

    def _bound(self) -> None:
        """Drop the oldest stills beyond `MOST_BYTES`."""
        held = sum(_size(kept) for kept in self._kept.values())
        for crossing in list(self._kept):
            if held <= MOST_BYTES:
                return
            held -= _size(self._kept[crossing])
            self._kept[crossing] = _Kept(self._kept[crossing].sighting, {})


def _size(kept: _Kept) -> int:
    return sum(map(len, kept.files.values()))


def crossing_of(found: SectionCrossing, sighting: PlateSighting, line: str) -> Crossing | None:
    """The crossing as the matcher takes it; None if the uncertainty of its time cannot be stated."""
    crossed = found.violation
    at_s = crossed.decisive_s
    around = [one for one in crossed.sightings if abs(one.captured_s - at_s) <= SPAN_S]
    speed_mps, interval_s = _speed_mps(around), _interval_s(crossed.sightings, at_s)
    if speed_mps is None or interval_s is None:
        return None
    return Crossing(
        camera=crossed.camera,
        line=line,
        track=crossed.track,
        plate=sighting.plate.text,
        plate_confidence=sighting.plate.confidence,
        captured_s=at_s,
        sigma_s=crossing_sigma_s(interval_s, FOOT_SIGMA_M, speed_mps),
        clock=crossed.clock,
        class_id=crossed.class_id,
        sightings=tuple(around),
    )


def _speed_mps(around: Sequence[Sighting]) -> float | None:
    """Mean speed from the first to the last sighting with a position; None if it cannot be stated."""
    placed = [(one.captured_s, one.position_m) for one in around if one.position_m is not None]
    if len(placed) < 2:
        return None
    (first_s, first), (last_s, last) = placed[0], placed[-1]
    moved_m = math.dist(first, last)
    return moved_m / (last_s - first_s) if moved_m > 0 else None


def _interval_s(sightings: Sequence[Sighting], at_s: float) -> float | None:
    """Time between the sightings on both sides of an instant; None if it does not lie between two."""
    before = [one.captured_s for one in sightings if one.captured_s <= at_s]
    after = [one.captured_s for one in sightings if one.captured_s > at_s]
    return after[0] - before[-1] if before and after else None


def proof(section: Section, files: Mapping[str, bytes]) -> SectionProof:
    """The section as a case states it. The section has a certificate: no drive is measured without one."""
    paper = section.certificate
    assert paper is not None
    return SectionProof(
        section=section.name,
        entry=(section.entry.camera, section.entry.line),
        exit=(section.exit.camera, section.exit.line),
        length_m=section.length_m,
        length_sigma_m=section.length_sigma_m,
        certificate=(paper.number, paper.issued.timestamp(), paper.expires.timestamp()),
        files=files,
    )
