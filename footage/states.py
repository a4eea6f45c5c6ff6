"""The movers of a scene at an instant. The clip loops: a mover that is on the road at its end is there at its start."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from footage.motion import Mover, Pose
from footage.scene import Lamp, Scene, Signal

_MAX_LAPS = 8


@dataclass(frozen=True)
class State:
    """One mover at one instant of the clip."""

    name: str
    lap: int
    """0: it started in this repetition of the clip; k: it started k repetitions ago; negative: in a later one."""
    pose: Pose
    along_m: float
    """Position along its route."""


def states(scene: Scene, movers: dict[str, Mover], time_s: float) -> list[State]:
    """Every vehicle and person on its route `time_s` after the start of the clip."""
    return [
        State(name, lap, pose, mover.along_m(time_s + lap * scene.duration_s))
        for name, mover in movers.items()
        for lap, pose in laps(mover, time_s, scene.duration_s)
    ]


def laps(mover: Mover, time_s: float, duration_s: float) -> Iterator[tuple[int, Pose]]:
    """The poses of one mover that share an instant of the looping clip."""
    for lap in range(-_MAX_LAPS, _MAX_LAPS + 1):
        pose = mover.pose(time_s + lap * duration_s)
        if pose is not None:
            yield lap, pose


def lamp_at(signal: Signal, time_s: float) -> Lamp:
    """The lamp that is lit."""
    cycle = sum(phase.lasts_s for phase in signal.phases)
    left = math.fmod(time_s, cycle)
    for phase in signal.phases:
        left -= phase.lasts_s
        if left < -1e-9:
            return phase.lamp
    return signal.phases[0].lamp
