"""The speed of vehicles from their positions on the ground: a robust straight line over time, for many tracks at once.

A track's positions are projected on its direction of travel and a line is fitted by iteratively re-weighted least
squares with Tukey's biweight (Holland and Welsch 1977; tuning constant 4.685, 95 % efficient on Gaussian noise) and the
residuals' median absolute deviation as scale. The slope is a weighted sum of the positions, v = sum_i gain_i s_i, so
every uncertainty of the positions passes to it exactly.

Residuals of neighbouring frames are alike: the outline of a vehicle errs in the same way for a while. Their correlation
is modelled as exponential in time, AR(1) for equal steps, estimated at lag one with the small-sample bias of a fitted
trend taken out (Kendall 1954; Marriott and Pope 1954), and the variance of the slope sums over all pairs of points.

A track depends on nothing but its own points: alone or among thousands, the result is the same to the last bit.
`fit_speed_at` fits one track and `momentary_velocity_some` does some tracks: here all, in `kernels.cuda` those of one
thread (see `kernels.ground`).
"""

from __future__ import annotations

from math import exp, log, sqrt
from typing import NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from kernels.ground import ALL, Stride

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

TUKEY = 4.685
ITERATIONS = 25
SETTLED = 1e-7
MAD_TO_SIGMA = 1.4826
SMALLEST_SCALE = 1e-3
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
def _part(values: Floats, place: int) -> None:
    """Reorder so that no value before `place` is larger than the one there, and none behind it smaller.

    Hoare's FIND (1961, Algorithm 65): no memory of its own, in linear time on average.
    """
    low, high = 0, len(values) - 1
    while low < high:
        pivot, i, j = values[place], low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while pivot < values[j]:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i, j = i + 1, j - 1
        low = i if j < place else low
        high = j if place < i else high


@njit(cache=True, nogil=True)
def _median(scratch: Floats) -> float:
    """Median of an array that may be put in another order."""
    half = len(scratch) // 2
    _part(scratch, half)
    below = scratch[half]
    if len(scratch) % 2 == 0:
        below = scratch[0]
        for i in range(1, half):
            below = max(below, scratch[i])
    return float(0.5 * (below + scratch[half]))


@njit(cache=True, nogil=True)
def _pair_slope(t: Floats, z: Floats, scratch: Floats) -> float:
    """Median slope of the pairs that lie half the track apart: a start that a third of wild points cannot move."""
    half = len(t) // 2
    for i in range(len(t) - half):
        scratch[i] = (z[i + half] - z[i]) / (t[i + half] - t[i])
    return _median(scratch[: len(t) - half])


@njit(cache=True, nogil=True)
def _line(t: Floats, z: Floats, weight: Floats) -> tuple[float, float, float, float]:
    """Weighted least squares: mean time, mean z, slope, and the sum of weight (t - mean)^2."""
    total, t_sum, z_sum = 0.0, 0.0, 0.0
    for i in range(len(t)):
        total += weight[i]
        t_sum += weight[i] * t[i]
        z_sum += weight[i] * z[i]
    t_mean, z_mean = t_sum / total, z_sum / total
    spread, shared = 0.0, 0.0
    for i in range(len(t)):
        spread += weight[i] * (t[i] - t_mean) ** 2
        shared += weight[i] * (t[i] - t_mean) * (z[i] - z_mean)
    return t_mean, z_mean, shared / spread, spread


@njit(cache=True, nogil=True)
def _biweight(t: Floats, s: Floats, sigma: Floats, weight: Floats, scratch: Floats) -> tuple[float, float]:
    """Robust line through (t, s): slope and scale; leaves the final weights (biweight over sigma squared)."""
    slope = _pair_slope(t, s, scratch)
    for i in range(len(t)):
        scratch[i] = s[i] - slope * t[i]
    level = _median(scratch[: len(t)])
    scale = 0.0
    for _ in range(ITERATIONS):
        for i in range(len(t)):
            scratch[i] = abs(s[i] - level - slope * t[i]) / sigma[i]
        scale = max(MAD_TO_SIGMA * _median(scratch[: len(t)]), SMALLEST_SCALE)
        for i in range(len(t)):
            ratio = (s[i] - level - slope * t[i]) / (TUKEY * scale * sigma[i])
            weight[i] = max(0.0, 1.0 - ratio * ratio) ** 2 / (sigma[i] * sigma[i])
        before = slope
        t_mean, s_mean, slope, _spread = _line(t, s, weight)
        level = s_mean - slope * t_mean
        if abs(slope - before) <= SETTLED * abs(slope):
            break
    return slope, scale


@njit(cache=True, nogil=True)
def _memory(t: Floats, residual: Floats, weight: Floats) -> float:
    """Correlation time of the residuals, from their correlation at lag one; 0 where they are not alike."""
    shared, power, step, n = 0.0, 0.0, 0.0, 0
    for i in range(len(t) - 1):
        if weight[i] > 0.0 and weight[i + 1] > 0.0:
            shared += residual[i] * residual[i + 1]
            power += 0.5 * (residual[i] ** 2 + residual[i + 1] ** 2)
            step += t[i + 1] - t[i]
            n += 1
    if n < 2 or not power > 0.0:
        return 0.0
    alike = shared / power
    alike = min(alike + (2.0 + 4.0 * alike) / n, 0.98)
    return -(step / n) / log(alike) if alike > 0.01 else 0.0


@njit(cache=True, nogil=True)
def _variance(t: Floats, gain: Floats, sigma: Floats, memory_s: float) -> float:
    """Variance of sum gain_i z_i for z of standard deviations sigma and correlation exp(-|dt| / memory)."""
    total, tail = 0.0, 0.0
    for i in range(len(t) - 1, -1, -1):
        own = gain[i] * sigma[i]
        total += own * (own + 2.0 * tail)
        if i > 0:
            tail = (tail + own) * exp(-(t[i] - t[i - 1]) / memory_s) if memory_s > 0.0 else 0.0
    return max(total, 0.0)


@njit(cache=True, nogil=True)
def _bend(t: Floats, weight: Floats, gain: Floats) -> float:
    """Turn `gain` from the weights of the slope into those of the half quadratic coefficient (acceleration).

    The quadratic is made orthogonal to the line under the weights, so the residuals of the line give it. Returns the
    weighted power of that quadratic, 0 where the points cannot tell one.
    """
    t_mean, _z, _slope, spread = _line(t, t, weight)
    total, second, third = 0.0, 0.0, 0.0
    for i in range(len(t)):
        dt = t[i] - t_mean
        total += weight[i]
        second += weight[i] * dt * dt
        third += weight[i] * dt * dt * dt
    power = 0.0
    for i in range(len(t)):
        dt = t[i] - t_mean
        gain[i] = 0.5 * (dt * dt - second / total - dt * third / spread)
        power += weight[i] * gain[i] * gain[i]
    for i in range(len(t)):
        gain[i] = gain[i] * weight[i] / power if power > 0.0 else 0.0
    return power


@njit(cache=True, nogil=True)
def _start_heading(t: Floats, x: Floats, y: Floats, scratch: Floats) -> tuple[float, float]:
    """Cosine and sine of the direction of travel; (1, 0) for a vehicle that does not move."""
    vx, vy = _pair_slope(t, x, scratch), _pair_slope(t, y, scratch)
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
    t_mean, s_mean, slope, spread = _line(t, s, weight)
    for i in range(len(t)):
        s[i] -= s_mean + slope * (t[i] - t_mean)
    memory_s = _memory(t, s, weight)
    power = _bend(t, weight, gain)
    bend = 0.0
    for i in range(len(t)):
        bend += gain[i] * s[i]
    lasting_s = row[ENDED] - row[BEGAN]
    if power > 0.0 and slope != 0.0:
        row[DRIFT] = bend * lasting_s / slope
        row[DRIFT_SIGMA] = scale * sqrt(_variance(t, gain, sigma, memory_s)) * lasting_s / abs(slope)
    for i in range(len(t)):
        gain[i] = weight[i] * (t[i] - t_mean) / spread
    row[SIGMA] = scale * sqrt(_variance(t, gain, sigma, memory_s))
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
def _deviation(jacobian: Floats, along: tuple[float, float], noise_px: float, wobble_m: float) -> float:
    """Expected standard deviation of a position along a direction."""
    u = along[0] * jacobian[0, 0] + along[1] * jacobian[1, 0]
    v = along[0] * jacobian[0, 1] + along[1] * jacobian[1, 1]
    return float(sqrt((u * u + v * v) * noise_px**2 + wobble_m**2))


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
            work[3, n] = _deviation(jacobian[i], along, noise[0], noise[1])
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
    t_mean, y_mean, side, _spread = _line(t, y, weight)
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
    slope, scale = _biweight(t, x, sigma, weight, scratch)
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


@njit(cache=True, nogil=True)
def momentary_velocity(
    offset: Ints,
    t_s: Floats,
    position_m: Floats,
    jacobian: Floats,
    wanted: Flags,
    setting: tuple[float, float, float],
    velocity_mps: Floats,
    sigma_mps: Floats,
) -> None:
    """Least-squares velocity of the last moments before each wanted point.

    offset, t_s, position_m, jacobian   as in `fit_speed`; points with a nan position are passed over
    wanted        (P,) bool: points to be answered
    setting       length of the window in seconds, then the noise in pixels and metres as in `fit_speed`
    velocity_mps  (P, 2) f8, out: velocity; nan with fewer than three points or without an answer wanted
    sigma_mps     (P,) f8, out: standard error of the speed if the points erred independently; nan likewise
    """
    momentary_velocity_some(ALL, offset, Points(t_s, position_m, jacobian, wanted), setting, velocity_mps, sigma_mps)


@njit(cache=True, nogil=True)
def momentary_velocity_some(
    stride: Stride,
    offset: Ints,
    points: Points,
    setting: tuple[float, float, float],
    velocity_mps: Floats,
    sigma_mps: Floats,
) -> None:
    """`momentary_velocity` at the chosen points of some tracks."""
    t_s, position_m, jacobian, wanted = points
    for n in range(stride[0], len(offset) - 1, stride[1]):
        for i in range(offset[n], offset[n + 1]):
            velocity_mps[i] = np.nan
            sigma_mps[i] = np.nan
            if wanted[i]:
                _velocity_at(i, offset[n], t_s, position_m, jacobian, setting, velocity_mps[i], sigma_mps[i : i + 1])


@njit(cache=True, nogil=True)
def _window(first: int, last: int, t_s: Floats, position_m: Floats, window_s: float) -> tuple[int, int, float]:
    """Where the window that ends at `last` begins, how many points stand in it, and their mean time."""
    begin, count, total = last, 0, 0.0
    for i in range(last, first - 1, -1):
        if t_s[last] - t_s[i] > window_s:
            break
        begin = i
        if not np.isnan(position_m[i, 0]):
            count += 1
            total += t_s[i] - t_s[last]
    return begin, count, t_s[last] + total / max(count, 1)


@njit(cache=True, nogil=True)
def _velocity_at(
    last: int,
    first: int,
    t_s: Floats,
    position_m: Floats,
    jacobian: Floats,
    setting: tuple[float, float, float],
    velocity: Floats,
    sigma: Floats,
) -> None:
    begin, count, t_mean = _window(first, last, t_s, position_m, setting[0])
    spread, vx, vy = 0.0, 0.0, 0.0
    for i in range(begin, last + 1):
        if not np.isnan(position_m[i, 0]):
            spread += (t_s[i] - t_mean) ** 2
            vx += (t_s[i] - t_mean) * position_m[i, 0]
            vy += (t_s[i] - t_mean) * position_m[i, 1]
    if count < 3 or not spread > 0.0:
        return
    velocity[0], velocity[1] = vx / spread, vy / spread
    speed = np.hypot(velocity[0], velocity[1])
    along = (velocity[0] / speed, velocity[1] / speed) if speed > 0.0 else (1.0, 0.0)
    power = 0.0
    for i in range(begin, last + 1):
        if not np.isnan(position_m[i, 0]):
            power += ((t_s[i] - t_mean) * _deviation(jacobian[i], along, setting[1], setting[2])) ** 2
    sigma[0] = sqrt(power) / spread
