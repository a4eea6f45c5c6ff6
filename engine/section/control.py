"""Where the plates of both ends come together: crossings in, proved drives out."""

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
from engine.section.verdict import violation as judged
from engine.types import PlateSighting, SectionProof, Sighting, Violation

log = structlog.get_logger()

FOOT_SIGMA_M = 0.5
"""Standard uncertainty of the foot point along the road: a third of a car's overhang."""
SPAN_S = 1.0
"""The speed over the line is that of the sightings so near to it."""
LAG_S = 45.0
"""A vehicle is told so long after its crossing at the latest: mailbox, tracks that end, and the reading of plates."""
SILENT_S = 60.0
"""A camera that is so far behind the others has nothing to tell, and holds nobody back."""
MOST_BYTES = 256 * 1024 * 1024
"""Stills kept of vehicles that are under way; of the oldest beyond this only the measurement is left."""

Shoot = Callable[[Violation], Mapping[str, bytes]]
"""Stills of a crossing, by name: `overview.jpg`, `vehicle.jpg`, `plate.jpg`, as far as they can be had."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is kept of a crossing until its drive is settled."""

    sighting: PlateSighting
    files: Mapping[str, bytes]


class SectionControl:
    """All sections. `take` and `settle` are called from one thread."""

    def __init__(
        self,
        sections: Sequence[Section],
        names: Mapping[int, str],
        catalogue: Catalogue,
        line_of: Callable[[Violation], str],
        reached_s: Callable[[int], float],
        shoot: Shoot,
        metrics: Metrics,
        *,
        lag_s: float = LAG_S,
    ) -> None:
        """`names` by camera index; `line_of` names the line that was crossed; `reached_s` is the capture time that a
        camera's recording has come to. Raises ConfigError where a section names a camera that is not among them."""
        self._meter = PassageMatcher(sections, names)
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
        self._passages: list[Crossing] = []
        self._kept: dict[Crossing, _Kept] = {}

    def take(self, crossing: Violation, sighting: PlateSighting) -> None:
        """A vehicle crossed a line, and its plate was read. Raises LookupError for a camera that joined later."""
        if crossing.camera not in self._names:
            raise LookupError("the camera joined after the start: its sections are measured from the next start on")
        passage = passage_of(crossing, sighting, self._line_of(crossing))
        if passage is None:
            log.info("crossing not timed", camera=self._names[crossing.camera], at_s=crossing.decisive_s)
            return
        self._passages.append(passage)
        self._kept[passage] = _Kept(sighting, self._shoot(replace(crossing, plate=sighting, confirm="")))
        self._bound()

    def settle(self) -> Sequence[Violation]:
        """The offences of the drives of which everything is known by now."""
        if not self._cameras:
            return []
        now_s = self._now_s()
        rows = self._meter.measure(self._passages, now_s)
        self._passages.clear()
        found = [told for row in rows if (told := self._told(row)) is not None]
        self._forget(now_s)
        return found

    def _now_s(self) -> float:
        """Every crossing before this instant has been taken, at every camera that is not silent."""
        reached = [self._reached_s(camera) for camera in self._cameras]
        return max(min(reached), max(reached) - SILENT_S) - self._lag_s

    def _told(self, row: SectionSpeed) -> Violation | None:
        self._metrics.section_drives.labels(row.section.name, row.finding.value).inc()
        offence = judged(row, self._catalogue)
        if offence is None or row.entry is None or row.exit is None:
            return None
        files = {f"entry-{name}": content for name, content in self._files(row.entry).items()} | self._files(row.exit)
        kept = self._kept.get(row.exit)
        return replace(offence, plate=kept.sighting if kept else None, section=proof(row.section, files))

    def _files(self, passage: Crossing) -> dict[str, bytes]:
        kept = self._kept.get(passage)
        return dict(kept.files) if kept else {}

    def _forget(self, now_s: float) -> None:
        """Let go of what can be no part of a drive any more."""
        if math.isfinite(now_s):
            oldest_s = now_s - 2 * self._longest_s
            self._kept = {passage: kept for passage, kept in self._kept.items() if passage.captured_s >= oldest_s}

    def _bound(self) -> None:
        """Keep no more stills than there is room for."""
        held = sum(_size(kept) for kept in self._kept.values())
        for passage in list(self._kept):
            if held <= MOST_BYTES:
                return
            held -= _size(self._kept[passage])
            self._kept[passage] = _Kept(self._kept[passage].sighting, {})


def _size(kept: _Kept) -> int:
    return sum(map(len, kept.files.values()))


def passage_of(crossing: Violation, sighting: PlateSighting, line: str) -> Crossing | None:
    """The crossing as the meter takes it; None where nobody can say how surely it was timed."""
    at_s = crossing.decisive_s
    around = [seen for seen in crossing.sightings if abs(seen.captured_s - at_s) <= SPAN_S]
    speed_mps, interval_s = _speed_mps(around), _interval_s(crossing.sightings, at_s)
    if speed_mps is None or interval_s is None:
        return None
    return Crossing(
        camera=crossing.camera,
        line=line,
        track=crossing.track,
        plate=sighting.plate.text,
        plate_confidence=sighting.plate.confidence,
        captured_s=at_s,
        sigma_s=crossing_sigma_s(interval_s, FOOT_SIGMA_M, speed_mps),
        clock=crossing.clock,
        class_id=crossing.class_id,
        sightings=tuple(around),
    )


def _speed_mps(around: Sequence[Sighting]) -> float | None:
    """Mean speed from the first to the last of the sightings that stand on the ground."""
    placed = [(seen.captured_s, seen.position_m) for seen in around if seen.position_m is not None]
    if len(placed) < 2:
        return None
    (first_s, first), (last_s, last) = placed[0], placed[-1]
    way_m = math.dist(first, last)
    return way_m / (last_s - first_s) if way_m > 0 else None


def _interval_s(sightings: Sequence[Sighting], at_s: float) -> float | None:
    """Between the sightings on both sides of an instant; None where it does not lie between two."""
    before = [seen.captured_s for seen in sightings if seen.captured_s <= at_s]
    after = [seen.captured_s for seen in sightings if seen.captured_s > at_s]
    return after[0] - before[-1] if before and after else None


def proof(section: Section, files: Mapping[str, bytes]) -> SectionProof:
    """What a case says of the section; a drive is only measured with a certificate."""
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
