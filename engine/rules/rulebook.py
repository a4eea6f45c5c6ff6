"""The rulebook: motion of all cameras in, violations out. It knows the order of things, and no kind in particular."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from engine.rules.batch import Batches, Unjudged, latest, readings
from engine.rules.catalogue import Catalogue
from engine.rules.check import require
from engine.rules.evaluator import CameraContext, NoSignals, Offence, Phases, RuleEvaluator, TrackState
from engine.rules.kinds import judge_of
from engine.rules.pedestrians import people
from engine.rules.relinking import predecessor
from engine.rules.sightings import MOST_SIGHTINGS, chosen
from engine.rules.track_history import Rows, TrackHistory
from engine.site import Site
from engine.types import Clock, Motion, Violation

__all__ = ["MOST_SIGHTINGS", "SiteRulebook"]

log = structlog.get_logger()


@dataclass(slots=True)
class _CameraRules:
    """A camera with rules."""

    scene: CameraContext
    judges: list[RuleEvaluator]
    logged: set[str] = field(default_factory=set)
    """Reasons for not judging its frames that were logged already."""


@dataclass(slots=True)
class _Vehicle:
    """A vehicle, and the watches that its camera's rules keep on it."""

    camera: _CameraRules
    trail: TrackHistory
    watches: list[tuple[RuleEvaluator, TrackState]]


class SiteRulebook:
    """`stages.Rulebook` over one site a camera.

    What it says of a camera depends on that camera alone. A kind is told of a vehicle once; of standing, once a stay.
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
        """`sites` and `names` by camera index; `signals` tells phases (without, no signal is known), `unjudged` counts
        the frames that are not judged.

        Raises ConfigError for a rule that can never be judged (`check.require`).
        """
        self._catalogue = catalogue
        self._names = names
        self._count = unjudged
        self._signals = signals or NoSignals()
        with_rules = {camera: site for camera, site in sorted(sites.items()) if site.rules}
        self._cameras = {camera: self._open(camera, site) for camera, site in with_rules.items()}
        self._batches = Batches(with_rules)
        self._vehicles: dict[int, _Vehicle] = {}

    def admit(self, camera: int, site: Site) -> None:
        """Take on one more camera, its index above all others'; between two batches. Raises ConfigError."""
        if site.rules:
            self._cameras[camera] = self._open(camera, site)
            self._retable()

    def release(self, camera: int) -> None:
        """Forget a camera whose tracks have all ended; between two batches."""
        if self._cameras.pop(camera, None):
            self._retable()

    def _retable(self) -> None:
        self._batches = Batches({camera: home.scene.site for camera, home in self._cameras.items()})
        for vehicle in self._vehicles.values():
            vehicle.trail.refit(self._batches.dtype)

    def _open(self, camera: int, site: Site) -> _CameraRules:
        require(site, self._catalogue)
        scene = CameraContext(camera, site, self._catalogue, self._signals)
        return _CameraRules(scene, [judge_of(scene, rule) for rule in site.rules])

    def judge(self, motion: Motion) -> Sequence[Violation]:
        """The offences that this batch completes, by camera and instant. One offence is told once."""
        found: list[Violation] = []
        self._meet(motion)
        for vehicle, fresh in list(self._follow(motion)):
            found += self._look(vehicle, fresh)
        for track in motion.tracks.ended.tolist():
            found += self._end(track)
        for camera, now_s in latest(motion.tracks.frames).items():
            if camera in self._cameras:
                self._cameras[camera].scene.forget(now_s)
        return sorted(found, key=lambda violation: (violation.camera, violation.decisive_s, violation.track))

    def _meet(self, motion: Motion) -> None:
        """Let every scene know where people are."""
        for camera, some in people(motion):
            if camera in self._cameras:
                self._cameras[camera].scene.crowd.meet(some)

    def _follow(self, motion: Motion) -> Iterator[tuple[_Vehicle, Rows]]:
        """Lengthen the trails by the batch's sightings; the vehicles, each with what may be judged by its time."""
        said = readings(motion.speeds)
        for camera, track, run in self._batches.runs(motion, self._unjudged):
            vehicle = self._vehicles.get(track) or self._appear(camera, track, run)
            vehicle.trail.reading = said.get(track, vehicle.trail.reading)
            yield vehicle, vehicle.trail.extend(run)

    def _appear(self, camera: int, track: int, run: Rows) -> _Vehicle:
        """A vehicle with a watch of every rule; it may be one that was lost from sight a moment ago."""
        home, trail = self._cameras[camera], TrackHistory(track, self._batches.dtype)
        scene = home.scene
        before = predecessor(run[0], (*scene.trails.values(), *scene.departed))
        if before is not None:
            trail.succeed(before)
        scene.trails[track] = trail
        self._vehicles[track] = _Vehicle(home, trail, [(judge, judge.watch()) for judge in home.judges])
        return self._vehicles[track]

    def _look(self, vehicle: _Vehicle, fresh: Rows) -> Iterator[Violation]:
        """Let every rule look at a vehicle; the others' trails reach as far as its own."""
        for judge, watch in vehicle.watches:
            if (offence := watch.look(vehicle.trail, fresh)) is not None:
                yield self._tell(vehicle, judge, offence)

    def _end(self, track: int) -> Iterator[Violation]:
        """Ask every rule for a last word; the vehicle is forgotten."""
        vehicle = self._vehicles.pop(track, None)
        if vehicle is None:
            return
        for judge, watch in vehicle.watches:
            if (offence := watch.end(vehicle.trail)) is not None:
                yield self._tell(vehicle, judge, offence)
        scene = vehicle.camera.scene
        scene.departed.append(scene.trails.pop(track))

    def _tell(self, vehicle: _Vehicle, judge: RuleEvaluator, offence: Offence) -> Violation:
        """Write the offence down, and that it was told."""
        trail = vehicle.trail
        trail.told.add(offence.kind.kind)
        instants = (offence.began_s, offence.ended_s, *offence.instants.values())
        rows = trail.around(min(instants), max(instants))
        return Violation(
            kind=offence.kind.kind,
            rule=judge.rule.name,
            camera=vehicle.camera.scene.camera,
            track=trail.track,
            class_id=trail.class_id,
            began_s=offence.began_s,
            ended_s=offence.ended_s,
            decisive_s=offence.decisive_s,
            sightings=chosen(rows, instants, offence.earlier),
            instants=dict(offence.instants),
            measurement=offence.measurement,
            article=offence.part.article,
            outcome=offence.outcome,
            reasons=(*offence.reasons, *_review(offence)),
            clock=Clock(int(rows["clock"].max())),
            catalogue_version=self._catalogue.version,
            confirm=offence.confirm,
        )

    def _unjudged(self, camera: int, reason: str, frames: int) -> None:
        """Count frames that are not judged; log the reason once a camera."""
        if self._count is not None:
            self._count(camera, reason, frames)
        home = self._cameras[camera]
        if reason not in home.logged:
            home.logged.add(reason)
            log.warning("frames not judged", camera=self._names.get(camera, camera), reason=reason)


def _review(offence: Offence) -> tuple[str, ...]:
    """Why an officer decides, where that is so of every case of the kind."""
    reason = offence.kind.review_reason
    return (reason,) if reason and offence.outcome == "officer" else ()
