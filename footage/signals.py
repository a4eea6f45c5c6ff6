"""Positions of the lamps of a signal head."""

from __future__ import annotations

import math

from footage.scene import Lamp, Signal

LAMPS: tuple[Lamp, ...] = ("red", "amber", "green")
_SPACING_M = 0.34
LENS_M = 0.15
"""Radius of a lens."""
DEPTH_M = 0.13
"""Distance of the lenses in front of the axis of the post."""


def faces(signal: Signal, camera_m: tuple[float, float, float]) -> bool:
    """True if the camera sees the lenses from within 60 degrees of their axis."""
    facing, (x, y) = math.radians(signal.facing_deg), signal.position_m
    way = (camera_m[0] - x, camera_m[1] - y)
    return math.cos(facing) * way[0] + math.sin(facing) * way[1] > 0.5 * math.hypot(*way)


def lamp_centre_m(signal: Signal, lamp: Lamp) -> tuple[float, float, float]:
    """World position of the centre of a lens; red is on top."""
    facing = math.radians(signal.facing_deg)
    x, y = signal.position_m
    z = signal.height_m + _SPACING_M * (1 - LAMPS.index(lamp))
    return x + DEPTH_M * math.cos(facing), y + DEPTH_M * math.sin(facing), z
