"""What a signal lamp looks like in a decoded picture: the colour of its lens against the ring around it.

Straight from the planes of the picture, of the few pixels that a lens and its ring have: a lamp costs microseconds a
frame, and no full-size RGB picture exists. Works on any picture of three 8-bit components, Y'CbCr or
RGB, planar or interleaved: `Layout` says how they become red, green and blue.

`lamps_some` does each `step`-th lamp from `first` on: here all of them, in `kernels.cuda` those of one thread (see
`kernels.ground`).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.ground import ALL, Stride
from kernels.letterbox import Picture

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]

RED, GREEN, BLUE, VALUE, HOUSING, COVER, BURNT = range(7)
COLUMNS = 7
"""Columns of the answer: mean colour of the lens without its burnt pixels (nan where all are), mean value of the lens,
mean value of the ring, share of the lens brighter than the ring by `BRIGHTER`, share of the lens that is burnt. The
value of a pixel is the largest of red, green and blue: the luma of pure red is too small to tell it from grey."""

BRIGHTER = 24.0
"""A pixel that is brighter than the ring by more than this, of 255, is light and no noise."""
WHITE = 240.0
"""A pixel whose every component is above this is burnt: no colour can be told."""
RING_FROM, RING_TO = 1.3, 1.65
"""The ring, in radii of the lens: outside of the lens and its rim, within the housing."""
RING_LEAST_PX = 1.5
"""Width of the ring of a very small lens."""


class Layout(NamedTuple):
    """How a picture's samples lie, and the colours they stand for."""

    width_px: int
    height_px: int
    columns: int
    """Columns of the first plane to one column of the others."""
    rows: int
    """Rows of the first plane to one row of the others."""
    to_rgb: Floats
    """(3, 4) f8: R, G, B (0 to 255) = to_rgb . (first, second, third component, 1)."""


@njit(cache=True, nogil=True)
def _clipped(value: float) -> float:
    return min(255.0, max(0.0, value))


@njit(cache=True, nogil=True)
def _rgb(picture: Picture, layout: Layout, x: int, y: int) -> tuple[float, float, float]:
    """The colour of one pixel of the first plane; the others are not interpolated."""
    column, row, m = x // layout.columns, y // layout.rows, layout.to_rgb
    a = float(picture.luma.samples[y, x * picture.luma.step + picture.luma.offset])
    b = float(picture.cb.samples[row, column * picture.cb.step + picture.cb.offset])
    c = float(picture.cr.samples[row, column * picture.cr.step + picture.cr.offset])
    red = _clipped(m[0, 0] * a + m[0, 1] * b + m[0, 2] * c + m[0, 3])
    green = _clipped(m[1, 0] * a + m[1, 1] * b + m[1, 2] * c + m[1, 3])
    blue = _clipped(m[2, 0] * a + m[2, 1] * b + m[2, 2] * c + m[2, 3])
    return red, green, blue


@njit(cache=True, nogil=True)
def _span(centre: float, reach: float, size: int) -> tuple[int, int]:
    """The pixels of a line that a circle may touch."""
    return max(0, math.floor(centre - reach)), min(size, math.ceil(centre + reach) + 1)


@njit(cache=True, nogil=True)
def _ring(picture: Picture, layout: Layout, x_px: float, y_px: float, radius_px: float) -> float:
    """Mean value of the ring; nan where none of it is in the picture."""
    near = RING_FROM * radius_px
    far = max(RING_TO * radius_px, near + RING_LEAST_PX)
    left, right = _span(x_px, far, layout.width_px)
    top, bottom = _span(y_px, far, layout.height_px)
    total, count = 0.0, 0
    for y in range(top, bottom):
        for x in range(left, right):
            square = (x + 0.5 - x_px) ** 2 + (y + 0.5 - y_px) ** 2
            if near * near <= square <= far * far:
                red, green, blue = _rgb(picture, layout, x, y)
                total += max(red, green, blue)
                count += 1
    return total / count if count else np.nan


@njit(cache=True, nogil=True)
def _lens(
    picture: Picture, layout: Layout, x_px: float, y_px: float, radius_px: float, housing: float, out: Floats32
) -> None:
    """Fill a lamp's row of the answer, but for the ring."""
    left, right = _span(x_px, radius_px, layout.width_px)
    top, bottom = _span(y_px, radius_px, layout.height_px)
    count, burnt, bright = 0, 0, 0
    value, reds, greens, blues = 0.0, 0.0, 0.0, 0.0
    for y in range(top, bottom):
        for x in range(left, right):
            if (x + 0.5 - x_px) ** 2 + (y + 0.5 - y_px) ** 2 > radius_px * radius_px:
                continue
            red, green, blue = _rgb(picture, layout, x, y)
            count += 1
            value += max(red, green, blue)
            bright += 1 if max(red, green, blue) > housing + BRIGHTER else 0
            if min(red, green, blue) > WHITE:
                burnt += 1
            else:
                reds, greens, blues = reds + red, greens + green, blues + blue
    coloured = count - burnt
    out[RED] = reds / coloured if coloured else np.nan
    out[GREEN] = greens / coloured if coloured else np.nan
    out[BLUE] = blues / coloured if coloured else np.nan
    out[VALUE] = value / count if count else np.nan
    out[COVER] = bright / count if count else 0.0
    out[BURNT] = burnt / count if count else 0.0


@njit(cache=True, nogil=True)
def lamps_some(stride: Stride, picture: Picture, layout: Layout, circle_px: Floats, out: Floats32) -> None:
    """`lamps` of some lamps."""
    for lamp in range(stride[0], len(circle_px), stride[1]):
        x_px, y_px, radius_px = circle_px[lamp]
        out[lamp, HOUSING] = _ring(picture, layout, x_px, y_px, radius_px)
        _lens(picture, layout, x_px, y_px, radius_px, float(out[lamp, HOUSING]), out[lamp])


@njit(cache=True, nogil=True)
def lamps(picture: Picture, layout: Layout, circle_px: Floats, out: Floats32) -> None:
    """What every lamp of one picture looks like.

    circle_px  (L, 3) f8: x and y of the middle of the lens, its radius; pixels of the picture. A pixel belongs to the
               lens when its middle does.
    out        (L, COLUMNS) f4; nan where the circle or its ring holds no pixel of the picture
    """
    lamps_some(ALL, picture, layout, circle_px, out)
