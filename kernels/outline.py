"""Whether the box of a vehicle holds more than the vehicle: compared with the narrowest that the same track was.

Seen at an angle theta to its direction of travel, a vehicle of width w and length l is w |cos theta| + l |sin theta|
wide across the line of sight. Divided by |cos theta| + SLENDER |sin theta|, that is nearly the same all along the road,
whatever the vehicle. A box that suddenly is much wider has taken in a neighbour or its shadow, and its foot point is no
longer the vehicle's.
"""

from __future__ import annotations

from math import atan2, cos, sin

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.line import part

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

SLENDER = 2.0
"""Length over width: 2.4 of a car and more of anything else, less what the far end is nearer to the horizon."""
NARROW = 0.25
"""The quantile of a track's widths that stands for the vehicle alone."""
FEWEST = 5
"""Of fewer usable sightings nothing is said."""


@njit(cache=True, nogil=True)
def _end_on(width_m: float, angle_rad: float) -> float:
    """The width that would be seen along the direction of travel."""
    return float(width_m / (abs(cos(angle_rad)) + SLENDER * abs(sin(angle_rad))))


@njit(cache=True, nogil=True)
def _mark(span: tuple[int, int], end_on_m: Floats, usable: Flags, widest: float, scratch: Floats, out: Flags) -> None:
    """Mark what is too wide in one track."""
    count = 0
    for i in range(span[0], span[1]):
        if usable[i]:
            scratch[count] = end_on_m[i]
            count += 1
    if count < FEWEST:
        return
    place = int(NARROW * count)
    part(scratch[:count], place)
    for i in range(span[0], span[1]):
        out[i] = usable[i] and end_on_m[i] > widest * scratch[place]


@njit(cache=True, nogil=True)
def swollen(
    offset: Ints,
    position_m: Floats,
    bearing_rad: Floats,
    width_m: Floats,
    usable: Flags,
    widest: float,
    out: Flags,
) -> None:
    """Which usable sightings have a box more than `widest` times as wide as the narrow quarter of their track's.

    offset       (N + 1,) i8: track n has the sightings offset[n] to offset[n + 1], ascending in time
    position_m   (P, 2) f8: on the ground
    bearing_rad  (P,) f8: direction from the camera to the position on the ground; nan: nothing is said of the track
    width_m      (P,) f8: width of the box at its foot, on the ground
    usable       (P,) bool: the others are not looked at and may hold nan
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
            end_on_m[i] = _end_on(width_m[i], heading_rad - bearing_rad[i])
        _mark((offset[n], offset[n + 1]), end_on_m, usable, widest, scratch, out)
