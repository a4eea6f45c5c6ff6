"""A pedestrian as a simple figure: head, coat, and limbs that move with the distance walked."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from footage.bodies import Body, Floats

Triple = tuple[float, float, float]

_STRIDE_M = 1.4
_SWING_RAD = 0.45
_HIP_M, _LEG_M = 0.86, 0.82


@dataclass(frozen=True)
class Part:
    """A rounded box: centre, size, forward lean and material."""

    centre: Triple
    size: Triple
    lean_rad: float
    material: str


def figure(walked_m: float) -> list[Part]:
    """The parts of a figure 1.76 m tall in its own axes, x forward, after `walked_m` metres."""
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


def body(walked_m: float) -> Body:
    """The surface of the figure after `walked_m` metres, for boxes and occlusion."""
    blocks = [_corners(part) for part in figure(walked_m)]
    triangles = np.concatenate([_TRIANGLES + 8 * k for k in range(len(blocks))])
    corners = np.concatenate(blocks)
    return Body(corners, corners, triangles, {})


def _corners(part: Part) -> Floats:
    box = np.array([(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)]) * part.size
    cos, sin = math.cos(part.lean_rad), math.sin(part.lean_rad)
    turned = np.stack([box[:, 0] * cos + box[:, 2] * sin, box[:, 1], box[:, 2] * cos - box[:, 0] * sin], axis=1)
    return turned + part.centre


_SIDES = ((0, 1, 3, 2), (4, 5, 7, 6), (0, 1, 5, 4), (2, 3, 7, 6), (0, 2, 6, 4), (1, 3, 7, 5))
_TRIANGLES = np.array([corner for a, b, c, d in _SIDES for corner in ((a, b, c), (a, c, d))])

REACH_M: Floats = np.array([(x, y, z) for x in (-0.45, 0.45) for y in (-0.36, 0.36) for z in (0.0, 1.80)])
"""Corners of a block that always contains the figure."""
