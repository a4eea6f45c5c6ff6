"""Names the vehicle of every violation: the plate is read in the kept recording, in full resolution."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import structlog

from engine.inquiry.owner import Identification, with_owner
from engine.inquiry.views import Look, views
from engine.metrics import Metrics
from engine.site import Site
from engine.stages import PlateReader
from engine.types import PlateSighting, Segment, VehicleView, Violation

log = structlog.get_logger()

Kept = Callable[[int, float, float], Sequence[Segment]]
"""The kept segments of a camera with a frame between two instants. From any thread."""
REMEMBERED = 1024
"""Vehicles whose plate is known still: the same vehicle may break a second rule."""
UNREAD = "No plate could be read"
NO_READER = "No plate reader is installed"


@dataclass(frozen=True, slots=True)
class Looks:
    """What an inquiry sees with."""

    kept: Kept
    look: Look
    reader: PlateReader | None
    """None: no plate is read on this machine, and an officer identifies every vehicle."""
    frames: int = 4
    """In which a plate is looked for, at the most."""


class SecondLookInvestigator:
    """`stages.Investigator` over the sites of all cameras. What breaks in a look costs the plate, not the violation."""

    def __init__(
        self,
        site_of: Callable[[int], Site],
        names: Mapping[int, str],
        looks: Looks,
        rules: Identification,
        metrics: Metrics,
    ) -> None:
        """`site_of` and `names` by camera index; cameras may come and go."""
        self._site_of = site_of
        self._names = names
        self._looks = looks
        self._rules = rules
        self._metrics = metrics
        self._known: OrderedDict[int, PlateSighting] = OrderedDict()
        """By track, surely read plates only."""

    def investigate(self, violations: Sequence[Violation]) -> Sequence[Violation]:
        """The violations with their plates, in their order; those of exempt vehicles are dropped, and counted."""
        return [found for violation in violations for found in self._inquire(violation)]

    def _inquire(self, violation: Violation) -> Iterator[Violation]:
        sighting = self._known.get(violation.track) or self._identify(violation)
        if self._is_exempt(violation, sighting):
            self._drop(violation, "exempt_plate")
            return
        unread = UNREAD if self._looks.reader else NO_READER
        yield with_owner(violation, sighting, self._rules, unread)

    def _identify(self, violation: Violation) -> PlateSighting | None:
        """The plate of the vehicle, read now; counted by what came of it."""
        if self._looks.reader is None:
            self._count(violation, "no_reader")
            return None
        try:
            sighting = self._looks.reader.read(self._views(violation))
        except Exception as error:  # noqa: BLE001 - whatever a decoder or model raises, the violation goes on
            log.error("plate not read", camera=self._names[violation.camera], kind=violation.kind, error=str(error))
            self._count(violation, "failed")
            return None
        self._count(violation, self._result(sighting))
        self._remember(violation.track, sighting)
        return sighting

    def _views(self, violation: Violation) -> Sequence[VehicleView]:
        first_s, last_s = violation.sightings[0].captured_s, violation.sightings[-1].captured_s
        segments = self._looks.kept(violation.camera, first_s, last_s)
        return views(violation, segments, self._looks.look, self._looks.frames)

    def _result(self, sighting: PlateSighting | None) -> str:
        if sighting is None:
            return "none"
        return "read" if sighting.plate.confidence >= self._rules.least_confidence else "doubtful"

    def _remember(self, track: int, sighting: PlateSighting | None) -> None:
        if sighting is None or sighting.plate.confidence < self._rules.least_confidence:
            return
        self._known[track] = sighting
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def _is_exempt(self, violation: Violation, sighting: PlateSighting | None) -> bool:
        """Does the site's rule not hold for the vehicle, surely? A doubtful plate exempts nobody."""
        rules = self._site_of(violation.camera).rules
        exempt = [plate for rule in rules if rule.name == violation.rule for plate in rule.exempt_plates]
        surely = sighting is not None and sighting.plate.confidence >= self._rules.least_confidence
        return surely and sighting is not None and sighting.plate.text in exempt

    def _drop(self, violation: Violation, reason: str) -> None:
        camera = self._names[violation.camera]
        self._metrics.dropped_violations.labels(camera, violation.kind, reason).inc()
        log.info("violation dropped", camera=camera, kind=violation.kind, reason=reason, at_s=violation.decisive_s)

    def _count(self, violation: Violation, result: str) -> None:
        self._metrics.plates.labels(self._names[violation.camera], result).inc()
