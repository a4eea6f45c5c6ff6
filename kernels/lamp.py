"""The appearance of a signal lamp in a decoded image: the colour of its lens against the ring around it.

The kernel reads only the pixels of the lens and its ring, directly from the planes of the image: a lamp costs
microseconds per frame, and no full-size RGB image is made. It works on any image of three 8-bit components, Y'CbCr or
RGB, planar or interleaved; `Layout` converts them to red, green and blue.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from kernels import Floats, Floats32
from kernels.ground import ALL, Stride
from kernels.letterbox import Picture

RED, GREEN, BLUE, VALUE, HOUSING, LIT, SATURATED = range(7)
COLUMNS = 7
"""Columns of the result: mean colour of the lens without its saturated pixels (nan if all are saturated), mean value of
the lens, mean value of the ring, share of the lens brighter than the ring by `LIT_MARGIN`, saturated share of the lens.
The value of a pixel is the largest of red, green and blue: the luma of pure red is too small to tell it from grey."""

LIT_MARGIN = 24.0
"""A pixel of the lens that exceeds the ring by more than this, of 255, is lit."""
SATURATION = 240.0
"""A pixel with every component above this is saturated: it has no reliable colour."""
RING_INNER, RING_OUTER = 1.3, 1.65
"""Radii of the ring in radii of the lens: outside the lens and its rim, within the housing."""
RING_MIN_WIDTH_PX = 1.5
"""Width of the ring of a very small lens."""


class Layout(NamedTuple):
    """The arrangement of an image's samples, and their conversion to colours."""

    width_px: int
    height_px: int
    columns: int
    """Columns of the first plane per column of the others."""
    rows: int
    """Rows of the first plane per row of the others."""
    to_rgb: Floats
    """(3, 4) f8: R, G, B (0 to 255) = to_rgb . (first, second, third component, 1)."""


@njit(cache=True, nogil=True)
def _clipped(value: float) -> float:
    return min(255.0, max(0.0, value))


@njit(cache=True, nogil=True)
def _rgb(picture: Picture, layout: Layout, x: int, y: int) -> tuple[float, float, float]:
    """The colour of one pixel of the first plane, 0 to 255; the other planes are not interpolated."""
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
    """First and last + 1 pixel of a row or column that a circle may touch."""
    return max(0, math.floor(centre - reach)), min(size, math.ceil(centre + reach) + 1)


@njit(cache=True, nogil=True)
def _ring(picture: Picture, layout: Layout, x_px: float, y_px: float, radius_px: float) -> float:
    """Mean value of the ring; nan if it is outside the image."""
    near = RING_INNER * radius_px
    far = max(RING_OUTER * radius_px, near + RING_MIN_WIDTH_PX)
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
    """Write all columns of a lamp except that of the ring."""
    left, right = _span(x_px, radius_px, layout.width_px)
    top, bottom = _span(y_px, radius_px, layout.height_px)
    count, saturated, lit = 0, 0, 0
    value, reds, greens, blues = 0.0, 0.0, 0.0, 0.0
    for y in range(top, bottom):
        for x in range(left, right):
            if (x + 0.5 - x_px) ** 2 + (y + 0.5 - y_px) ** 2 > radius_px * radius_px:
                continue
            red, green, blue = _rgb(picture, layout, x, y)
            count += 1
            value += max(red, green, blue)
            lit += 1 if max(red, green, blue) > housing + LIT_MARGIN else 0
            if min(red, green, blue) > SATURATION:
                saturated += 1
            else:
                reds, greens, blues = reds + red, greens + green, blues + blue
    coloured = count - saturated
    out[RED] = reds / coloured if coloured else np.nan
    out[GREEN] = greens / coloured if coloured else np.nan
    out[BLUE] = blues / coloured if coloured else np.nan
    out[VALUE] = value / count if count else np.nan
    out[LIT] = lit / count if count else 0.0
    out[SATURATED] = saturated / count if count else 0.0


@njit(cache=True, nogil=True)
def measure_lamps(picture: Picture, layout: Layout, circle_px: Floats, out: Floats32, stride: Stride = ALL) -> None:
    """Measure the lamps of one image.

    circle_px  (L, 3) f8: x and y of the centre of the lens, its radius; image pixels. A pixel belongs to the lens if
               its centre does.
    out        (L, COLUMNS) f4, out: components 0 to 255, shares 0 to 1; nan if the circle or its ring has no pixel in
               the image
    """
    for lamp in range(stride[0], len(circle_px), stride[1]):
        x_px, y_px, radius_px = circle_px[lamp]
        out[lamp, HOUSING] = _ring(picture, layout, x_px, y_px, radius_px)
        _lens(picture, layout, x_px, y_px, radius_px, float(out[lamp, HOUSING]), out[lamp])
