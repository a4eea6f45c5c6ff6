"""A rule that needs of a vehicle nothing but its way: one judge is the watch of every vehicle."""

from __future__ import annotations

from typing import Generic, TypeVar

from engine.rules.kind import Law, Offence, Scene
from engine.rules.trail import Rows, Trail
from engine.rules.way import Ground, Way, latest_way
from engine.site import Rule

R = TypeVar("R", bound=Rule)


class ByTrail(Generic[R]):
    """Judges the latest way of a vehicle whenever it was seen again. Raises ConfigError without a calibration."""

    def __init__(self, scene: Scene, rule: R) -> None:
        self.rule = rule
        self.law = Law.of(scene, rule)
        self.scene = scene
        self.ground = Ground(scene, rule)

    def watch(self) -> ByTrail[R]:
        """The rule itself: everything it needs of a vehicle is in the trail."""
        return self

    def look(self, trail: Trail, fresh: Rows) -> Offence | None:
        """Judge the way as it is now."""
        return self._once(trail, ended=False)

    def end(self, trail: Trail) -> Offence | None:
        """Judge the way for the last time; a track that another one goes on with has not ended."""
        return None if trail.succeeded else self._once(trail, ended=True)

    def _once(self, trail: Trail, *, ended: bool) -> Offence | None:
        return None if self.law.name in trail.told else self.judge(trail, latest_way(trail), ended)

    def judge(self, trail: Trail, way: Way, ended: bool) -> Offence | None:
        """The offence that the way proves. `ended`: nothing more will be seen of the vehicle."""
        raise NotImplementedError
