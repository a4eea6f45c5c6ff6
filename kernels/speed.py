"""The speed of vehicles from their positions on the ground: over a whole track, and over its last moments.

`fit_speed` projects a track's positions on its direction of travel and fits a robust line over time (`kernels.line`).
The slope is a weighted sum of the positions, v = sum_i gain_i s_i, so every uncertainty of the positions passes to it
exactly.

Residuals of neighbouring frames are correlated: the outline of a vehicle has the same error for a while. The variance
of the slope therefore sums over all pairs of points (`kernels.line.correlation_time`, `variance_of_sum`).

`momentary_velocity` is the ordinary least-squares line over the last moments before a point.

A track depends on its own points only: alone or among thousands, its result is the same to the last bit
on one machine.
`fit_speed_at` fits one track; a GPU thread of `kernels.cuda` calls it for one track after the other.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import numpy as np
from numba import njit, prange

from kernels import Flags, Floats, Ints
from kernels.ground import ALL, Stride, deviation
from kernels.line import biweight, correlation_time, curvature, theil_slope, variance_of_sum, weighted_line

MIN_POINTS = 5
"""A fit needs at least this many points."""
PARALLEL_FROM = 512
"""From this many tracks on, several threads are faster than one."""


class Fits(NamedTuple):
    """One row per track, in the order of the columns of the kernel's table; nan if no line could be fitted."""

    speed_mps: Floats
    sigma_mps: Floats
    """Standard error of the speed from the scatter of the positions alone."""
    heading_rad: Floats
    """Direction of travel, from the x axis towards the y axis."""
    speed_change: Floats
    """Change of speed from `began_s` to `ended_s` as a share of the speed, from the quadratic term."""
    speed_change_sigma: Floats
    """Standard error of `speed_change`."""
    scatter: Floats
    """Robust standard deviation of the residuals divided by their expected standard deviation."""
    inliers: Floats
    """Share of the usable points with a weight above zero."""
    correlation_time_s: Floats
    """Correlation time of the residuals."""
    lateral_rms_m: Floats
    """Weighted root mean square distance of the points from the line, across the direction of travel."""
    began_s: Floats
    """Time of the first point with a weight above zero."""
    ended_s: Floats
    """Time of the last such point."""
    length_m: Floats
    """Distance between these two along the direction of travel."""
    gap_s: Floats
    """Longest time between two neighbouring points with a weight above zero."""
    gain: Floats
    """(P,) 1/s: the weight of every point in its track's speed; zero for points that were not used."""


class Points(NamedTuple):
    """The P points of all tracks, one track after the other."""

    t_s: Floats
    """(P,) f8"""
    position_m: Floats
    """(P, 2) f8: on the ground."""
    jacobian: Floats
    """(P, 2, 2) f8: d position / d pixel, m/px."""
    chosen: Flags
    """(P,) bool: points to use in a fit, or points whose velocity is wanted."""


WORK_ROWS = 7
"""Scratch numbers that a fit needs per point."""
COLUMNS = len(Fits._fields) - 1
SPEED, SIGMA, HEADING, SPEED_CHANGE, SPEED_CHANGE_SIGMA, SCATTER, INLIERS = range(7)
CORRELATION_TIME, LATERAL_RMS, BEGAN, ENDED, LENGTH, GAP = range(7, COLUMNS)


@njit(cache=True, nogil=True)
def _initial_direction(t: Floats, x: Floats, y: Floats, scratch: Floats) -> tuple[float, float]:
    """Cosine and sine of the direction of travel; (1, 0) if the vehicle does not move."""
    vx, vy = theil_slope(t, x, scratch), theil_slope(t, y, scratch)
    speed = np.hypot(vx, vy)
    return (vx / speed, vy / speed) if speed > 0.0 else (1.0, 0.0)


@njit(cache=True, nogil=True)
def _write_extent(row: Floats, t: Floats, s: Floats, weight: Floats) -> None:
    """Write the columns that describe the points with a weight above zero."""
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
def _write_uncertainty(
    row: Floats, t: Floats, s: Floats, sigma: Floats, weight: Floats, gain: Floats, scale: float
) -> None:
    """Write correlation time, standard error and change of speed; leaves the weights of the slope in `gain`."""
    t_mean, s_mean, slope, t_squares = weighted_line(t, s, weight)
    for i in range(len(t)):
        s[i] -= s_mean + slope * (t[i] - t_mean)
    correlation_time_s = correlation_time(t, s, weight)
    power = curvature(t, weight, gain)
    acceleration = 0.0
    for i in range(len(t)):
        acceleration += gain[i] * s[i]
    duration_s = row[ENDED] - row[BEGAN]
    if power > 0.0 and slope != 0.0:
        row[SPEED_CHANGE] = acceleration * duration_s / slope
        sigma_of_acceleration = scale * sqrt(variance_of_sum(t, gain, sigma, correlation_time_s))
        row[SPEED_CHANGE_SIGMA] = sigma_of_acceleration * duration_s / abs(slope)
    for i in range(len(t)):
        gain[i] = weight[i] * (t[i] - t_mean) / t_squares
    row[SIGMA] = scale * sqrt(variance_of_sum(t, gain, sigma, correlation_time_s))
    row[CORRELATION_TIME] = correlation_time_s


@njit(cache=True, nogil=True)
def _pack(span: tuple[int, int], t_s: Floats, position_m: Floats, usable: Flags, work: Floats) -> int:
    """Copy the usable times and positions side by side; returns their number, or 0 if the times do not ascend."""
    n = span[0]
    for i in range(span[0], span[1]):
        if usable[i]:
            if n > span[0] and not t_s[i] > work[0, n - 1]:
                return 0
            work[0, n], work[1, n], work[2, n] = t_s[i], position_m[i, 0], position_m[i, 1]
            n += 1
    return n - span[0]


@njit(cache=True, nogil=True)
def _write_deviations(
    span: tuple[int, int],
    jacobian: Floats,
    usable: Flags,
    along: tuple[float, float],
    noise: tuple[float, float],
    work: Floats,
) -> None:
    """Write the expected standard deviation of every usable position along the direction of travel."""
    n = span[0]
    for i in range(span[0], span[1]):
        if usable[i]:
            work[3, n] = deviation(jacobian[i], along, noise[0], noise[1])
            n += 1


@njit(cache=True, nogil=True)
def _rotate(x: Floats, y: Floats, along: tuple[float, float]) -> None:
    """Turn ground x and y into distances from the first point along and across the direction of travel, in place."""
    x_first, y_first = x[0], y[0]
    for i in range(len(x)):
        dx, dy = x[i] - x_first, y[i] - y_first
        x[i] = along[0] * dx + along[1] * dy
        y[i] = along[0] * dy - along[1] * dx


@njit(cache=True, nogil=True)
def _fit_lateral(t: Floats, y: Floats, weight: Floats) -> tuple[float, float]:
    """Speed across the initial direction of travel, and the root mean square distance from that line."""
    t_mean, y_mean, slope, _ = weighted_line(t, y, weight)
    power, total = 0.0, 0.0
    for i in range(len(t)):
        power += weight[i] * (y[i] - y_mean - slope * (t[i] - t_mean)) ** 2
        total += weight[i]
    return slope, sqrt(power / total)


@njit(cache=True, nogil=True)
def _unpack(span: tuple[int, int], usable: Flags, packed: Floats, gain: Floats) -> None:
    """Copy the gains of the usable points back to the rows of these points; zero elsewhere."""
    n = span[0]
    for i in range(span[0], span[1]):
        gain[i] = 0.0
        if usable[i]:
            gain[i] = packed[n]
            n += 1


@njit(cache=True, nogil=True)
def _fit_track(span: tuple[int, int], points: Points, noise: tuple[float, float], work: Floats, row: Floats) -> None:
    """Fit one track: fills `row`, and leaves the gain of its usable points in work[6]."""
    row[:] = np.nan
    t_s, position_m, jacobian, usable = points
    size = _pack(span, t_s, position_m, usable, work)
    if size < MIN_POINTS:
        work[6, span[0] : span[1]] = 0.0
        return
    rows = work[:, span[0] : span[0] + size]
    t, x, y, sigma, weight, scratch, gain = rows[0], rows[1], rows[2], rows[3], rows[4], rows[5], rows[6]
    along = _initial_direction(t, x, y, scratch)
    _write_deviations(span, jacobian, usable, along, noise, work)
    _rotate(x, y, along)
    slope, scale = biweight(t, x, sigma, weight, scratch)
    lateral, row[LATERAL_RMS] = _fit_lateral(t, y, weight)
    row[SPEED] = np.hypot(slope, lateral)
    row[HEADING] = np.arctan2(along[1] * slope + along[0] * lateral, along[0] * slope - along[1] * lateral)
    row[SCATTER] = scale
    _write_extent(row, t, x, weight)
    _write_uncertainty(row, t, x, sigma, weight, gain, scale)


@njit(cache=True, nogil=True)
def fit_speed_at(
    n: int, offset: Ints, points: Points, noise: tuple[float, float], work: Floats, table: Floats, gain: Floats
) -> None:
    """`fit_speed` of track n.

    work   (WORK_ROWS, P) f8: scratch memory; a track writes between its offsets only
    table  (N, COLUMNS) f8, out; gain (P,) f8, out: as in `Fits`
    """
    span = (offset[n], offset[n + 1])
    _fit_track(span, points, noise, work, table[n])
    _unpack(span, points.chosen, work[6], gain)


def _fit_tracks(offset: Ints, points: Points, noise: tuple[float, float], table: Floats, gain: Floats) -> None:
    work = np.empty((WORK_ROWS, len(points.t_s)))
    for n in prange(len(offset) - 1):
        fit_speed_at(n, offset, points, noise, work, table, gain)


_fit_serial = njit(cache=True, nogil=True)(_fit_tracks)
_fit_parallel = njit(cache=True, nogil=True, parallel=True)(_fit_tracks)


def fit_speed(
    offset: Ints, t_s: Floats, position_m: Floats, jacobian: Floats, usable: Flags, noise: tuple[float, float]
) -> Fits:
    """Fit a speed to every track of a ragged batch.

    offset      (N + 1,) i8: track n has the points offset[n] to offset[n + 1] - 1
    t_s         (P,) f8: times, strictly ascending within the usable points of a track (otherwise it gets nan); count
                them from a nearby instant, so that no digits are lost
    position_m  (P, 2) f8: ground positions
    jacobian    (P, 2, 2) f8: d position / d pixel, m/px
    usable      (P,) bool: points to use; the others may hold nan
    noise       expected error of a position: pixels of the foot point, and metres of the outline against the vehicle.
                Only how they change over a track affects the fit.
    """
    table = np.empty((len(offset) - 1, COLUMNS))
    gain = np.empty(len(t_s))
    run = _fit_parallel if len(offset) > PARALLEL_FROM else _fit_serial
    run(offset, Points(t_s, position_m, jacobian, usable), noise, table, gain)
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
    stride: Stride = ALL,
) -> None:
    """Least-squares velocity over the last moments before each wanted point.

    offset, t_s, position_m, jacobian   as in `fit_speed`; points with a nan position are skipped
    wanted        (P,) bool: points whose velocity is wanted
    setting       length of the window in seconds, then the noise in pixels and metres as in `fit_speed`
    velocity_mps  (P, 2) f8, out: velocity; nan if not wanted or with fewer than three points
    sigma_mps     (P,) f8, out: standard error of the speed if the errors of the points are independent; nan likewise
    """
    points = Points(t_s, position_m, jacobian, wanted)
    for n in range(stride[0], len(offset) - 1, stride[1]):
        for i in range(offset[n], offset[n + 1]):
            velocity_mps[i] = np.nan
            sigma_mps[i] = np.nan
            if points.chosen[i]:
                _velocity_at(i, offset[n], points, setting, velocity_mps[i], sigma_mps[i : i + 1])


@njit(cache=True, nogil=True)
def _window(first: int, last: int, t_s: Floats, position_m: Floats, window_s: float) -> tuple[int, int, float]:
    """First point of the window that ends at `last`, the number of points with a position in it, their mean time."""
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
    last: int, first: int, points: Points, setting: tuple[float, float, float], velocity: Floats, sigma: Floats
) -> None:
    """Write velocity and sigma of point `last` of the track that begins at `first`; leaves them if points lack."""
    t_s, position_m, jacobian, _ = points
    begin, count, t_mean = _window(first, last, t_s, position_m, setting[0])
    t_squares, vx, vy = 0.0, 0.0, 0.0
    for i in range(begin, last + 1):
        if not np.isnan(position_m[i, 0]):
            t_squares += (t_s[i] - t_mean) ** 2
            vx += (t_s[i] - t_mean) * position_m[i, 0]
            vy += (t_s[i] - t_mean) * position_m[i, 1]
    if count < 3 or not t_squares > 0.0:
        return
    velocity[0], velocity[1] = vx / t_squares, vy / t_squares
    speed = np.hypot(velocity[0], velocity[1])
    along = (velocity[0] / speed, velocity[1] / speed) if speed > 0.0 else (1.0, 0.0)
    power = 0.0
    for i in range(begin, last + 1):
        if not np.isnan(position_m[i, 0]):
            power += ((t_s[i] - t_mean) * deviation(jacobian[i], along, setting[1], setting[2])) ** 2
    sigma[0] = sqrt(power) / t_squares
