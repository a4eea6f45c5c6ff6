"""A rule that needs of a vehicle nothing but its way: one judge is the watch of every vehicle."""

from __future__ import annotations

from typing import Generic, TypeVar

from engine.rules.evaluator import CameraContext, Offence, RuleContext
from engine.rules.path import Path, RoadPlane, latest_way
from engine.rules.track_history import Rows, TrackHistory
from engine.site import Rule

R = TypeVar("R", bound=Rule)


class PathRule(Generic[R]):
    """Judges the latest way of a vehicle whenever it was seen again. Raises ConfigError without a calibration."""

    def __init__(self, scene: CameraContext, rule: R) -> None:
        self.rule = rule
        self.law = RuleContext.of(scene, rule)
        self.scene = scene
        self.ground = RoadPlane(scene, rule)

    def watch(self) -> PathRule[R]:
        """The rule itself: everything it needs of a vehicle is in the trail."""
        return self

    def look(self, trail: TrackHistory, fresh: Rows) -> Offence | None:
        """Judge the way as it is now."""
        return self._once(trail, ended=False)

    def end(self, trail: TrackHistory) -> Offence | None:
        """Judge the way for the last time; a track that another one goes on with has not ended."""
        return None if trail.succeeded else self._once(trail, ended=True)

    def _once(self, trail: TrackHistory, *, ended: bool) -> Offence | None:
        return None if self.law.name in trail.told else self.judge(trail, latest_way(trail), ended)

    def judge(self, trail: TrackHistory, way: Path, ended: bool) -> Offence | None:
        """The offence that the way proves. `ended`: nothing more will be seen of the vehicle."""
        raise NotImplementedError
