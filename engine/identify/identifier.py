"""Names the vehicle of every violation, and looks whether suspicions hold: in the kept recording, whole frames."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

import structlog

from engine.identify.budget import Budget
from engine.identify.confirmation import Confirmation, Seen, Verdict
from engine.identify.owner import Identification, with_owner
from engine.identify.views import views
from engine.ingest.recordings import Recordings
from engine.metrics import Metrics
from engine.rules.second_look import LookRule
from engine.section import SectionControl
from engine.site import Rule, Site
from engine.stages import FrameFetcher, PlateReader
from engine.types import Findings, PlateSighting, RuleFinding, SectionCrossing, Suspicion, VehicleView, Violation

log = structlog.get_logger()

REMEMBERED = 1024
"""Vehicles whose plate is known still: the same vehicle may break a second rule."""
UNREAD = "No plate could be read"
NO_READER = "No plate reader is installed"


@dataclass(frozen=True, slots=True)
class Looks:
    """How the identifier looks at a vehicle again."""

    recordings: Recordings
    fetch_frames: FrameFetcher
    reader: PlateReader | None
    """None: no plate is read on this machine, and an officer identifies every vehicle."""
    frames: int = 4
    """A plate is looked for in at most this many frames."""


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
        """`site_of` and `names` by camera index; cameras may come and go. `confirm` by kind of violation."""
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
        """By track, surely read plates only."""

    def add_camera(self, index: int, camera: object = None) -> None:
        """Accept the violations of one more camera; nothing is kept of it before its first suspicion."""

    def remove_camera(self, index: int) -> None:
        """Forget a camera; between two batches."""
        self._budgets.pop(index, None)

    def identify(self, findings: Findings) -> Sequence[Violation]:
        """The violations with their plates, in their order; suspicions that are not confirmed are dropped and
        counted."""
        found = [violation for finding in findings.found for violation in self._look_at(finding)]
        drives = self._sections.settle() if self._sections else []
        return [*found, *(with_owner(drive, drive.plate, self._rules) for drive in drives)]

    def _look_at(self, finding: RuleFinding) -> Iterator[Violation]:
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
        except Exception as error:  # noqa: BLE001 - as in `_identify`: a drive less is measured
            log.error("crossing not taken", camera=self._names[crossing.camera], error=str(error))
            self._drop(crossing, "failed")

    def _may_look(self, violation: Violation) -> bool:
        """Does the rule's budget allow one more look?"""
        rule = self._rule(violation)
        if not isinstance(rule, LookRule):
            return True
        budget = self._budgets.setdefault(violation.camera, {}).setdefault(rule.name, Budget(rule.a_minute))
        allowed = budget.grants(violation.decisive_s)
        if not allowed:
            self._drop(violation, "budget")
        return allowed

    def _confirmed(self, violation: Violation, sighting: PlateSighting | None) -> Violation | None:
        """The suspicion as a violation, or None where the look does not bear it out."""
        confirm = self._confirm.get(violation.kind)
        try:
            seen = Seen(violation, sighting, partial(self._views, violation))
            verdict = confirm(seen) if confirm else Verdict(False, "no_means")
        except Exception as error:  # noqa: BLE001 - whatever a decoder or model raises, nobody is accused
            log.error("suspicion not looked at", kind=violation.kind, error=str(error))
            verdict = Verdict(False, "failed")
        if not verdict.holds:
            self._drop(violation, verdict.says)
            return None
        self._metrics.violations.labels(self._names[violation.camera], violation.kind, violation.outcome).inc()
        return replace(violation, reasons=(*violation.reasons, verdict.says))

    def _rule(self, violation: Violation) -> Rule | None:
        """The site's rule that was broken; None where the site has changed since."""
        rules = self._site_of(violation.camera).rules
        return next((rule for rule in rules if rule.name == violation.rule), None)

    def _identify(self, violation: Violation) -> PlateSighting | None:
        """The plate of the vehicle, read now; counted by what came of it."""
        if self._looks.reader is None:
            self._count(violation, "no_reader")
            return None
        try:
            sighting = self._looks.reader.read(self._views(violation, self._looks.frames))
        except Exception as error:  # noqa: BLE001 - whatever a decoder or model raises, the violation goes on
            log.error("plate not read", camera=self._names[violation.camera], kind=violation.kind, error=str(error))
            self._count(violation, "failed")
            return None
        self._count(violation, self._result(sighting))
        self._remember(violation.track, sighting)
        return sighting

    def _views(self, violation: Violation, most: int) -> Sequence[VehicleView]:
        first_s, last_s = violation.sightings[0].captured_s, violation.sightings[-1].captured_s
        segments = self._looks.recordings.between(violation.camera, first_s, last_s)
        return views(violation, segments, self._looks.fetch_frames, most)

    def _result(self, sighting: PlateSighting | None) -> str:
        if sighting is None:
            return "none"
        return "read" if sighting.plate.confidence >= self._rules.least_confidence else "doubtful"

    def _remembered(self, violation: Violation) -> PlateSighting | None:
        """The vehicle's plate, if it was surely read in a frame of this offence: its still belongs to the case."""
        known = self._known.get(violation.track)
        seen = violation.sightings
        return known if known and seen[0].captured_s <= known.captured_s <= seen[-1].captured_s else None

    def _remember(self, track: int, sighting: PlateSighting | None) -> None:
        if sighting is None or sighting.plate.confidence < self._rules.least_confidence:
            return
        self._known[track] = sighting
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def _is_exempt(self, violation: Violation, sighting: PlateSighting | None) -> bool:
        """Does the site's rule not hold for the vehicle, surely? A doubtful plate exempts nobody."""
        rule = self._rule(violation)
        surely = sighting is not None and sighting.plate.confidence >= self._rules.least_confidence
        return rule is not None and sighting is not None and surely and sighting.plate.text in rule.exempt_plates

    def _drop(self, violation: Violation, reason: str) -> None:
        camera = self._names[violation.camera]
        self._metrics.dropped_violations.labels(camera, violation.kind, reason).inc()
        log.info("violation dropped", camera=camera, kind=violation.kind, reason=reason, at_s=violation.decisive_s)

    def _count(self, violation: Violation, result: str) -> None:
        self._metrics.plates.labels(self._names[violation.camera], result).inc()
