"""Detection of boxes that hold more than their vehicle, by comparison with the narrow boxes of the same track.

Seen at an angle theta to its direction of travel, a vehicle of width w and length l is w |cos theta| + l |sin theta|
wide across the line of sight. Divided by |cos theta| + LENGTH_TO_WIDTH |sin theta|, that is nearly constant along the
road for any vehicle. A box that is suddenly much wider also holds a neighbour or a shadow, and its foot point is no
longer the vehicle's.
"""

from __future__ import annotations

from math import atan2, cos, sin

import numpy as np
from numba import njit

from kernels import Flags, Floats, Ints
from kernels.line import partition

LENGTH_TO_WIDTH = 2.0
"""Assumed length over width: 2.4 for a car and more for other vehicles, reduced because the far end is less visible."""
NARROW_QUANTILE = 0.25
"""The quantile of a track's widths that represents the vehicle alone."""
MIN_SIGHTINGS = 5
"""A track with fewer usable sightings gets no marks."""


@njit(cache=True, nogil=True)
def _end_on_width(width_m: float, angle_rad: float) -> float:
    """The width that would be seen along the direction of travel."""
    return float(width_m / (abs(cos(angle_rad)) + LENGTH_TO_WIDTH * abs(sin(angle_rad))))


@njit(cache=True, nogil=True)
def _mark(span: tuple[int, int], end_on_m: Floats, usable: Flags, factor: float, scratch: Floats, out: Flags) -> None:
    """Mark the oversized boxes of one track."""
    count = 0
    for i in range(span[0], span[1]):
        if usable[i]:
            scratch[count] = end_on_m[i]
            count += 1
    if count < MIN_SIGHTINGS:
        return
    place = int(NARROW_QUANTILE * count)
    partition(scratch[:count], place)
    for i in range(span[0], span[1]):
        out[i] = usable[i] and end_on_m[i] > factor * scratch[place]


@njit(cache=True, nogil=True)
def oversized(
    offset: Ints, position_m: Floats, bearing_rad: Floats, width_m: Floats, usable: Flags, factor: float, out: Flags
) -> None:
    """Mark usable sightings whose box is more than `factor` times as wide as the narrow quarter of their track's.

    offset       (N + 1,) i8: track n has the sightings offset[n] to offset[n + 1] - 1, ascending in time
    position_m   (P, 2) f8: on the ground
    bearing_rad  (P,) f8: direction from the camera to the position on the ground; nan: the track gets no marks
    width_m      (P,) f8: width of the box at its foot, on the ground
    usable       (P,) bool: the others are ignored and may hold nan
    out          (P,) bool, out
    """
    out[:] = False
    end_on_m, scratch = np.empty(len(width_m)), np.empty(len(width_m))
    for n in range(len(offset) - 1):
        first, last = -1, -1
        for i in range(offset[n], offset[n + 1]):
            if usable[i]:
                first = i if first < 0 else first
                last = i
        if first < 0 or np.isnan(bearing_rad[first]):
            continue
        dx, dy = position_m[last, 0] - position_m[first, 0], position_m[last, 1] - position_m[first, 1]
        heading_rad = atan2(dy, dx)
        for i in range(offset[n], offset[n + 1]):
            end_on_m[i] = _end_on_width(width_m[i], heading_rad - bearing_rad[i])
        _mark((offset[n], offset[n + 1]), end_on_m, usable, factor, scratch, out)
