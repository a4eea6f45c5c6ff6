"""The speed of vehicles from their positions on the ground: a robust straight line over time, for many tracks at once.

A track's positions are projected on its direction of travel and a line is fitted by iteratively re-weighted least
squares with Tukey's biweight (Holland and Welsch 1977; tuning constant 4.685, 95 % efficient on Gaussian noise) and the
residuals' median absolute deviation as scale. The slope is a weighted sum of the positions, v = sum_i gain_i s_i, so
every uncertainty of the positions passes to it exactly.

Residuals of neighbouring frames are alike: the outline of a vehicle errs in the same way for a while. Their correlation
is modelled as exponential in time, AR(1) for equal steps, estimated at lag one with the small-sample bias of a fitted
trend taken out (Kendall 1954; Marriott and Pope 1954), and the variance of the slope sums over all pairs of points.

A track depends on nothing but its own points: alone or among thousands, the result is the same to the last bit.
`fit_speed_at` fits one track; a thread of `kernels.cuda` calls it for one after the other.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from kernels.ground import deviation
from kernels.line import bend, biweight, memory, pair_slope, variance, weighted_line

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

FEWEST = 5
"""A fit needs at least this many points."""
WORTH_THREADS = 512
"""From so many tracks on, several threads are faster than one."""


class Fits(NamedTuple):
    """One row a track, in the order of the columns of the kernel's table; nan where no line could be fitted."""

    speed_mps: Floats
    sigma_mps: Floats
    """Standard error of the speed from the scatter of the positions alone."""
    heading_rad: Floats
    """Direction of travel, from the x axis towards the y axis."""
    drift: Floats
    """Change of speed over the stretch as a share of the speed, from the quadratic term."""
    drift_sigma: Floats
    scatter: Floats
    """Robust standard deviation of the residuals over the standard deviation that was expected of them."""
    inliers: Floats
    """Share of the usable points that carry weight."""
    memory_s: Floats
    """Correlation time of the residuals."""
    sway_m: Floats
    """Weighted root mean square distance of the points from the line sideways."""
    began_s: Floats
    ended_s: Floats
    """Times of the first and the last point that carry weight."""
    length_m: Floats
    """Way along the direction of travel between them."""
    gap_s: Floats
    """Longest time between two neighbouring points that carry weight."""
    gain: Floats
    """(P,) 1/s: the weight of every point in its track's speed; zero for points that were not used."""


class Points(NamedTuple):
    """The points of all tracks, one track after the other."""

    t_s: Floats
    """(P,) f8"""
    position_m: Floats
    """(P, 2) f8"""
    jacobian: Floats
    """(P, 2, 2) f8"""
    chosen: Flags
    """(P,) bool: those that may be used in a fit, or whose velocity is asked for."""


WORK_ROWS = 7
"""Scratch numbers that a fit needs of every point."""
COLUMNS = len(Fits._fields) - 1
SPEED, SIGMA, HEADING, DRIFT, DRIFT_SIGMA, SCATTER, INLIERS, MEMORY, SWAY, BEGAN, ENDED, LENGTH, GAP = range(COLUMNS)


@njit(cache=True, nogil=True)
def _start_heading(t: Floats, x: Floats, y: Floats, scratch: Floats) -> tuple[float, float]:
    """Cosine and sine of the direction of travel; (1, 0) for a vehicle that does not move."""
    vx, vy = pair_slope(t, x, scratch), pair_slope(t, y, scratch)
    speed = np.hypot(vx, vy)
    return (vx / speed, vy / speed) if speed > 0.0 else (1.0, 0.0)


@njit(cache=True, nogil=True)
def _extent(row: Floats, t: Floats, s: Floats, weight: Floats) -> None:
    """First and last point that carry weight: times, way between them; their number and the longest gap."""
    first, last, count, gap_s = -1, -1, 0, 0.0
    for i in range(len(t)):
        if weight[i] > 0.0:
            gap_s = max(gap_s, t[i] - t[last]) if count > 0 else 0.0
            first = i if count == 0 else first
            last = i
            count += 1
    row[BEGAN], row[ENDED], row[LENGTH], row[GAP] = t[first], t[last], s[last] - s[first], gap_s
    row[INLIERS] = count / len(t)


@njit(cache=True, nogil=True)
def _uncertainty(row: Floats, t: Floats, s: Floats, sigma: Floats, weight: Floats, gain: Floats, scale: float) -> None:
    """Correlation of the residuals, standard error of the slope, and drift; `gain` ends as the weights of the slope."""
    t_mean, s_mean, slope, spread = weighted_line(t, s, weight)
    for i in range(len(t)):
        s[i] -= s_mean + slope * (t[i] - t_mean)
    memory_s = memory(t, s, weight)
    power = bend(t, weight, gain)
    curve = 0.0
    for i in range(len(t)):
        curve += gain[i] * s[i]
    lasting_s = row[ENDED] - row[BEGAN]
    if power > 0.0 and slope != 0.0:
        row[DRIFT] = curve * lasting_s / slope
        row[DRIFT_SIGMA] = scale * sqrt(variance(t, gain, sigma, memory_s)) * lasting_s / abs(slope)
    for i in range(len(t)):
        gain[i] = weight[i] * (t[i] - t_mean) / spread
    row[SIGMA] = scale * sqrt(variance(t, gain, sigma, memory_s))
    row[MEMORY] = memory_s


@njit(cache=True, nogil=True)
def _gather(span: tuple[int, int], t_s: Floats, position_m: Floats, usable: Flags, work: Floats) -> int:
    """Put the usable times and positions side by side; how many, or 0 where the times do not ascend."""
    n = span[0]
    for i in range(span[0], span[1]):
        if usable[i]:
            if n > span[0] and not t_s[i] > work[0, n - 1]:
                return 0
            work[0, n], work[1, n], work[2, n] = t_s[i], position_m[i, 0], position_m[i, 1]
            n += 1
    return n - span[0]


@njit(cache=True, nogil=True)
def _expect(
    span: tuple[int, int],
    jacobian: Floats,
    usable: Flags,
    along: tuple[float, float],
    noise: tuple[float, float],
    work: Floats,
) -> None:
    """Expected standard deviation of every usable position along the direction of travel."""
    n = span[0]
    for i in range(span[0], span[1]):
        if usable[i]:
            work[3, n] = deviation(jacobian[i], along, noise[0], noise[1])
            n += 1


@njit(cache=True, nogil=True)
def _turn(x: Floats, y: Floats, along: tuple[float, float]) -> None:
    """From ground x and y to along and across the direction of travel, from the first point, in place."""
    x_first, y_first = x[0], y[0]
    for i in range(len(x)):
        dx, dy = x[i] - x_first, y[i] - y_first
        x[i] = along[0] * dx + along[1] * dy
        y[i] = along[0] * dy - along[1] * dx


@njit(cache=True, nogil=True)
def _across(t: Floats, y: Floats, weight: Floats) -> tuple[float, float]:
    """Speed across the direction of travel and the root mean square distance from that line."""
    t_mean, y_mean, side, _spread = weighted_line(t, y, weight)
    power, total = 0.0, 0.0
    for i in range(len(t)):
        power += weight[i] * (y[i] - y_mean - side * (t[i] - t_mean)) ** 2
        total += weight[i]
    return side, sqrt(power / total)


@njit(cache=True, nogil=True)
def _spread_out(span: tuple[int, int], usable: Flags, packed: Floats, gain: Floats) -> None:
    """Put the gains of the usable points back to the places of those points; zero elsewhere."""
    n = span[0]
    for i in range(span[0], span[1]):
        gain[i] = 0.0
        if usable[i]:
            gain[i] = packed[n]
            n += 1


@njit(cache=True, nogil=True)
def _fit_track(
    span: tuple[int, int],
    t_s: Floats,
    position_m: Floats,
    jacobian: Floats,
    usable: Flags,
    noise: tuple[float, float],
    work: Floats,
    row: Floats,
) -> None:
    """Fit one track: fills `row`, and leaves the gain of its usable points in work[6]."""
    row[:] = np.nan
    size = _gather(span, t_s, position_m, usable, work)
    if size < FEWEST:
        work[6, span[0] : span[1]] = 0.0
        return
    rows = work[:, span[0] : span[0] + size]
    t, x, y, sigma, weight, scratch, gain = rows[0], rows[1], rows[2], rows[3], rows[4], rows[5], rows[6]
    along = _start_heading(t, x, y, scratch)
    _expect(span, jacobian, usable, along, noise, work)
    _turn(x, y, along)
    slope, scale = biweight(t, x, sigma, weight, scratch)
    side, row[SWAY] = _across(t, y, weight)
    row[SPEED] = np.hypot(slope, side)
    row[HEADING] = np.arctan2(along[1] * slope + along[0] * side, along[0] * slope - along[1] * side)
    row[SCATTER] = scale
    _extent(row, t, x, weight)
    _uncertainty(row, t, x, sigma, weight, gain, scale)


@njit(cache=True, nogil=True)
def fit_speed_at(
    n: int, offset: Ints, points: Points, noise: tuple[float, float], work: Floats, table: Floats, gain: Floats
) -> None:
    """`fit_speed` of track n.

    work   (WORK_ROWS, P) f8: scratch memory; a track writes between its offsets only
    table  (N, COLUMNS) f8, out; gain (P,) f8, out: as in `Fits`
    """
    span = (offset[n], offset[n + 1])
    _fit_track(span, points.t_s, points.position_m, points.jacobian, points.chosen, noise, work, table[n])
    _spread_out(span, points.chosen, work[6], gain)


def _fit_tracks(
    offset: Ints,
    t_s: Floats,
    position_m: Floats,
    jacobian: Floats,
    usable: Flags,
    noise: tuple[float, float],
    table: Floats,
    gain: Floats,
) -> None:
    work = np.empty((WORK_ROWS, len(t_s)))
    for n in prange(len(offset) - 1):
        fit_speed_at(n, offset, Points(t_s, position_m, jacobian, usable), noise, work, table, gain)


_fit_serial = njit(cache=True, nogil=True)(_fit_tracks)
_fit_parallel = njit(cache=True, nogil=True, parallel=True)(_fit_tracks)


def fit_speed(
    offset: Ints, t_s: Floats, position_m: Floats, jacobian: Floats, usable: Flags, noise: tuple[float, float]
) -> Fits:
    """Fit a speed to every track of a ragged batch.

    offset      (N + 1,) i8: track n has the points offset[n] to offset[n + 1]
    t_s         (P,) f8: times, strictly ascending within the usable points of a track (else it gets nan); best counted
                from an instant nearby, so that no digits are lost
    position_m  (P, 2) f8: ground positions
    jacobian    (P, 2, 2) f8: d position / d pixel
    usable      (P,) bool: points that may be used; the others may hold nan
    noise       what a position is expected to err by: pixels of the foot point, and metres of the vehicle's outline
                against the vehicle; to the fit only their course over a track matters
    """
    table = np.empty((len(offset) - 1, COLUMNS))
    gain = np.empty(len(t_s))
    run = _fit_parallel if len(offset) > WORTH_THREADS else _fit_serial
    run(offset, t_s, position_m, jacobian, usable, noise, table, gain)
    return Fits(*(table[:, column] for column in range(COLUMNS)), gain)  # type: ignore[call-arg]
