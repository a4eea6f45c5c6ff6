"""Where the lamps of a signal head are."""

from __future__ import annotations

import math

from footage.scene import Lamp, Signal

LAMPS: tuple[Lamp, ...] = ("red", "amber", "green")
_SPACING_M = 0.34
DEPTH_M = 0.13
"""Of the lenses before the axis of the post."""


def lamp_centre_m(signal: Signal, lamp: Lamp) -> tuple[float, float, float]:
    """The middle of a lens in the world; red on top."""
    facing = math.radians(signal.facing_deg)
    x, y = signal.position_m
    z = signal.height_m + _SPACING_M * (1 - LAMPS.index(lamp))
    return x + DEPTH_M * math.cos(facing), y + DEPTH_M * math.sin(facing), z
