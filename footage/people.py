"""A pedestrian as a simple figure: head, coat, legs that stride with the distance walked."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from footage.bodies import Body

Triple = tuple[float, float, float]

_STRIDE_M = 1.4
_SWING_RAD = 0.45
_HIP_M, _LEG_M = 0.86, 0.82


@dataclass(frozen=True)
class Part:
    """A rounded box: where, how large, how far it leans forward, of what material."""

    centre: Triple
    size: Triple
    lean_rad: float
    material: str


def figure(walked_m: float) -> list[Part]:
    """The parts of a figure 1.76 m tall in its own axes, x forward, after that many metres."""
    swing = _SWING_RAD * math.sin(2 * math.pi * walked_m / _STRIDE_M)
    limbs = [_limb(side * 0.10, _HIP_M, _LEG_M, side * swing, 0.16, "ink") for side in (1, -1)]
    limbs += [_limb(side * 0.27, 1.40, 0.62, -side * swing, 0.11, "cloth") for side in (1, -1)]
    body = Part((0.0, 0.0, 1.14), (0.26, 0.46, 0.66), 0.0, "cloth")
    head = Part((0.02, 0.0, 1.64), (0.20, 0.17, 0.24), 0.0, "skin")
    return [body, head, *limbs]


def _limb(y: float, top: float, length: float, swing: float, thickness: float, material: str) -> Part:
    """A limb that hangs from (0, y, top) and swings forward by an angle."""
    centre = (math.sin(swing) * length / 2, y, top - math.cos(swing) * length / 2)
    return Part(centre, (thickness, thickness, length), -swing, material)


def _standing() -> Body:
    """The block that a standing figure fills, for boxes and occlusion."""
    corners = np.array([(x, y, z) for x in (-0.18, 0.18) for y in (-0.32, 0.32) for z in (0.0, 1.76)])
    sides = [(0, 1, 3, 2), (4, 5, 7, 6), (0, 1, 5, 4), (2, 3, 7, 6), (0, 2, 6, 4), (1, 3, 7, 5)]
    triangles = [(a, b, c) for a, b, c, _ in sides] + [(a, c, d) for a, _, c, d in sides]
    return Body(corners, corners, np.array(triangles), {})


FIGURE = _standing()
