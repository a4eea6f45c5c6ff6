"""Selects and joins the boxes of a text detector that may be a plate.

A quad is (4, 2) f8, image pixels: top left, top right, bottom right, bottom left of a line of text in reading
direction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations

import numpy as np

from engine.types import Floats

LEAST_HEIGHT_PX = 5.0
"""Text of smaller height cannot be read."""
SLIMMEST, BROADEST = 1.0, 14.0
"""Width over height of a line of two characters, and of the longest plate."""
SAME_HEIGHT = 0.6
"""Two pieces of one plate have similar heights: the smaller is at least this share of the larger."""
NEXT_GAP = 1.6
"""Largest gap between two pieces of one line, in heights: there may be a seal or a flag between the groups."""
NEXT_DRIFT = 0.4
"""Largest offset of their middles across the line, in heights."""
BELOW_GAP = 0.9
"""Largest gap between the two lines of one plate, in heights."""
BELOW_OVERLAP = 0.6
"""Least horizontal overlap of the two lines, as a share of the narrower one."""


def size_px(quad: Floats) -> tuple[float, float]:
    """Width and height of a quad along its own edges."""
    across = (quad[1] - quad[0] + quad[2] - quad[3]) / 2
    down = (quad[3] - quad[0] + quad[2] - quad[1]) / 2
    return float(np.hypot(*across)), float(np.hypot(*down))


def lines(quads: Sequence[Floats]) -> list[Floats]:
    """Every piece that may be text of a plate, and every two neighbours on one line joined; the largest first."""
    pieces = [quad for quad in quads if _may_be_text(quad)]
    joined = [np.array([a[0], b[1], b[2], a[3]]) for a, b in permutations(pieces, 2) if _follows(a, b)]
    return sorted(pieces + joined, key=lambda quad: -size_px(quad)[1] * size_px(quad)[0])


def stacks(pieces: Sequence[Floats]) -> Iterator[tuple[int, int]]:
    """Index pairs (upper, lower) of lines that are directly below each other: a plate of two lines."""
    for upper, lower in permutations(range(len(pieces)), 2):
        if _below(pieces[upper], pieces[lower]):
            yield upper, lower


def grown(quad: Floats, across: float, down: float) -> Floats:
    """The quad as a rectangle of its mean direction, enlarged on every side by shares of its height."""
    along = (quad[1] - quad[0] + quad[2] - quad[3]) / 2
    width, height = size_px(quad)
    along /= width
    upright = np.array([-along[1], along[0]])
    side = along * (width / 2 + across * height)
    rise = upright * (height / 2 + down * height)
    middle = quad.mean(axis=0)
    return np.array([middle - side - rise, middle + side - rise, middle + side + rise, middle - side + rise])


def bounds(*quads: Floats) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of a box around the quads."""
    points = np.concatenate(quads)
    left, top = points.min(axis=0).tolist()
    right, bottom = points.max(axis=0).tolist()
    return left, top, right, bottom


def _may_be_text(quad: Floats) -> bool:
    width, height = size_px(quad)
    return height >= LEAST_HEIGHT_PX and SLIMMEST <= width / height <= BROADEST


def _alike(a: Floats, b: Floats) -> bool:
    low, high = sorted((size_px(a)[1], size_px(b)[1]))
    return low >= SAME_HEIGHT * high


def _follows(a: Floats, b: Floats) -> bool:
    """True if `b` continues the line of `a` to the right."""
    if not _alike(a, b):
        return False
    height = max(size_px(a)[1], size_px(b)[1])
    along = (a[1] - a[0] + a[2] - a[3]) / 2
    along /= np.hypot(*along)
    gap = float(((b[0] + b[3]) / 2 - (a[1] + a[2]) / 2) @ along)
    drift = float((b.mean(axis=0) - a.mean(axis=0)) @ np.array([-along[1], along[0]]))
    return -0.5 * height <= gap <= NEXT_GAP * height and abs(drift) <= NEXT_DRIFT * height


def _below(upper: Floats, lower: Floats) -> bool:
    if not _alike(upper, lower):
        return False
    (left_a, _, right_a, bottom_a), (left_b, top_b, right_b, _) = bounds(upper), bounds(lower)
    height = max(size_px(upper)[1], size_px(lower)[1])
    overlap = min(right_a, right_b) - max(left_a, left_b)
    is_next = -0.4 * height <= top_b - bottom_a <= BELOW_GAP * height
    return is_next and overlap >= BELOW_OVERLAP * min(right_a - left_a, right_b - left_b)
