"""The rulebook: motion of all cameras in, findings out. It applies the rules and knows no kind in particular."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from engine.rules.batch import Batches, Unjudged, latest, readings
from engine.rules.catalogue import Catalogue
from engine.rules.check import evaluators
from engine.rules.evaluator import CameraContext, NoSignals, Offence, Phases, RuleEvaluator, TrackState
from engine.rules.pedestrians import pedestrians_of
from engine.rules.relinking import predecessor
from engine.rules.track_history import Rows, TrackHistory, choose_sightings
from engine.site import Site, WatchedCamera
from engine.types import Clock, Findings, Motion, Outcome, Reason, RuleFinding, Violation

log = structlog.get_logger()


@dataclass(slots=True)
class _CameraRules:
    """A camera with rules."""

    context: CameraContext
    evaluators: list[RuleEvaluator[Any]]
    logged: set[str] = field(default_factory=set)
    """Logged reasons for not judging its frames."""


@dataclass(slots=True)
class _Vehicle:
    """A vehicle, and the states that its camera's rules keep of it."""

    camera: _CameraRules
    history: TrackHistory
    states: list[tuple[RuleEvaluator[Any], TrackState]]


class SiteRulebook:
    """`stages.Rulebook` with one site per camera.

    The findings of a camera depend on that camera alone. A kind is reported once per vehicle; standing, once per stay.
    A frame is judged while the site is valid, in the picture size that the site was drawn on.
    """

    def __init__(
        self,
        sites: Mapping[int, Site],
        names: Mapping[int, str],
        catalogue: Catalogue,
        *,
        signals: Phases | None = None,
        unjudged: Unjudged | None = None,
    ) -> None:
        """Raises ConfigError for a rule that can never be evaluated.

        sites, names   by camera index
        signals        phases of the signals; without it no phase is known
        unjudged       is called for frames that are not judged
        """
        self._catalogue = catalogue
        self._names = names
        self._count = unjudged
        self._signals = signals or NoSignals()
        with_rules = {camera: site for camera, site in sorted(sites.items()) if site.rules}
        self._cameras = {camera: self._open(camera, site) for camera, site in with_rules.items()}
        self._batches = Batches(with_rules)
        self._vehicles: dict[int, _Vehicle] = {}

    def add_camera(self, index: int, camera: WatchedCamera) -> None:
        """Judge one more camera, its index above all others; between two batches. Raises ConfigError."""
        if camera.site.rules:
            self._cameras[index] = self._open(index, camera.site)
            self._rebuild_tables()

    def remove_camera(self, index: int) -> None:
        """Forget a camera whose tracks have all ended; between two batches."""
        if self._cameras.pop(index, None):
            self._rebuild_tables()

    def _rebuild_tables(self) -> None:
        self._batches = Batches({camera: rules.context.site for camera, rules in self._cameras.items()})
        for vehicle in self._vehicles.values():
            vehicle.history.refit(self._batches.dtype)

    def _open(self, camera: int, site: Site) -> _CameraRules:
        context = CameraContext(camera, site, self._catalogue, self._signals)
        return _CameraRules(context, evaluators(context))

    def judge(self, motion: Motion) -> Findings:
        """The findings that this batch completes, by camera, instant and track. Each is returned once."""
        found: list[RuleFinding] = []
        for camera, people in pedestrians_of(motion):
            if camera in self._cameras:
                self._cameras[camera].context.pedestrians.add(people)
        for vehicle, fresh in list(self._follow(motion)):
            found += self._update(vehicle, fresh)
        for track in motion.tracks.ended.tolist():
            found += self._end(track)
        for camera, now_s in latest(motion.tracks.frames).items():
            if camera in self._cameras:
                self._cameras[camera].context.forget(now_s)
        return Findings(tuple(sorted(found, key=_order)))

    def _follow(self, motion: Motion) -> Iterator[tuple[_Vehicle, Rows]]:
        """Extend the histories by the batch; every vehicle with those of its new sightings whose times can be
        trusted."""
        measured = readings(motion.speeds)
        for camera, track, run in self._batches.runs(motion, self._unjudged):
            vehicle = self._vehicles.get(track) or self._appear(camera, track, run)
            vehicle.history.reading = measured.get(track, vehicle.history.reading)
            yield vehicle, vehicle.history.extend(run)

    def _appear(self, camera: int, track: int, run: Rows) -> _Vehicle:
        """A new track with a state for every rule; it may continue a vehicle that was lost from sight a moment ago."""
        rules, history = self._cameras[camera], TrackHistory(track, self._batches.dtype)
        before = predecessor(run[0], rules.context.others(history))
        if before is not None:
            history.succeed(before)
        rules.context.histories[track] = history
        self._vehicles[track] = _Vehicle(rules, history, [(one, one.new_state()) for one in rules.evaluators])
        return self._vehicles[track]

    def _update(self, vehicle: _Vehicle, fresh: Rows) -> Iterator[RuleFinding]:
        """Update every rule's state; the histories of the other vehicles reach as far as this one."""
        for evaluator, state in vehicle.states:
            if (offence := state.update(vehicle.history, fresh)) is not None:
                yield self._report(vehicle, evaluator, offence)

    def _end(self, track: int) -> Iterator[RuleFinding]:
        """End every rule's state of a track; the track is forgotten."""
        vehicle = self._vehicles.pop(track, None)
        if vehicle is None:
            return
        for evaluator, state in vehicle.states:
            if (offence := state.end(vehicle.history)) is not None:
                yield self._report(vehicle, evaluator, offence)
        context = vehicle.camera.context
        context.departed.append(context.histories.pop(track))

    def _report(self, vehicle: _Vehicle, evaluator: RuleEvaluator[Any], offence: Offence) -> RuleFinding:
        """Write the offence down, and mark its kind as reported."""
        history = vehicle.history
        history.reported.add(offence.kind.kind)
        instants = (offence.began_s, offence.ended_s, *offence.instants.values())
        rows = history.around(min(instants), max(instants))
        return evaluator.as_finding(
            Violation(
                kind=offence.kind.kind,
                rule=evaluator.rule.name,
                camera=vehicle.camera.context.camera,
                track=history.track,
                class_id=history.class_id,
                began_s=offence.began_s,
                ended_s=offence.ended_s,
                decisive_s=offence.decisive_s,
                sightings=choose_sightings(rows, instants, offence.earlier),
                instants=dict(offence.instants),
                measurement=offence.measurement,
                article=offence.part.article,
                outcome=offence.outcome,
                reasons=(*offence.reasons, *_review(offence)),
                clock=Clock(int(rows["clock"].max())),
                catalogue_version=self._catalogue.version,
            )
        )

    def _unjudged(self, camera: int, reason: str, frames: int) -> None:
        """Count frames that are not judged; log each reason once per camera."""
        if self._count is not None:
            self._count(camera, reason, frames)
        rules = self._cameras[camera]
        if reason not in rules.logged:
            rules.logged.add(reason)
            log.warning("frames not judged", camera=self._names.get(camera, camera), reason=reason)


def _order(finding: RuleFinding) -> tuple[int, float, int]:
    violation = finding if isinstance(finding, Violation) else finding.violation
    return violation.camera, violation.decisive_s, violation.track


def _review(offence: Offence) -> tuple[Reason, ...]:
    """Why an officer decides every case of the kind; empty if no officer does."""
    reason = offence.kind.review_reason
    return (reason,) if reason and offence.outcome is Outcome.OFFICER else ()
