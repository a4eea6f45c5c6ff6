"""Projection of image points to the road plane, and the effect of pixel noise, calibration and vehicle shape on it.

The plane-induced homography (Hartley and Zisserman, "Multiple View Geometry", 2nd ed., 2.3) takes the homogeneous
image point q = (u, v, 1) to (X, Y, W) = H q and to the ground point (X, Y) / W. H is scaled so that W > 0 on the
visible road. A pixel with W <= 0 is at or above the horizon and has no ground point (nan).

A kernel is one loop over points or tracks; its last argument `stride` has the first index and the step, by default all.
In `kernels.cuda` every thread runs the same loop from its own number on, in steps of the number of threads (a
grid-stride loop), so CPU and GPU share one source.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from numba import njit

from kernels import Floats, Ints, Ints32

UNDISTORT_ITERATIONS = 10
Stride = tuple[int, int]
"""First index and step of a loop."""
ALL: Stride = (0, 1)


@njit(cache=True, nogil=True)
def project(h: Floats, u: float, v: float) -> tuple[float, float, float]:
    """Ground x, y and the homogeneous weight W of one image point; x and y are nan at and above the horizon."""
    w = h[2, 0] * u + h[2, 1] * v + h[2, 2]
    if not w > 0.0:
        return np.nan, np.nan, w
    return (h[0, 0] * u + h[0, 1] * v + h[0, 2]) / w, (h[1, 0] * u + h[1, 1] * v + h[1, 2]) / w, w


@njit(cache=True, nogil=True)
def undistort(lens: Floats, geometry: Ints32, point_px: Floats, stride: Stride = ALL) -> None:
    """Move image points to where a lens without radial distortion would show them, in place.

    lens      (C, 5) f8: focal length, centre u and v in pixels, k1, k2 (Brown 1966); no distortion if k1 = k2 = 0
    geometry  (P,) i4: lens of a point; negative: no lens, the point stays unchanged
    point_px  (P, 2) f8, in place: image points

    The inverse of the polynomial is a fixed-point iteration, as in OpenCV's `undistortPoints`. It converges for the
    few per cent of distortion of a traffic camera.
    """
    for i in range(stride[0], len(geometry), stride[1]):
        if geometry[i] < 0:
            continue
        focal, u, v, k1, k2 = lens[geometry[i]]
        if k1 == 0.0 and k2 == 0.0:
            continue
        x_distorted, y_distorted = (point_px[i, 0] - u) / focal, (point_px[i, 1] - v) / focal
        x, y = x_distorted, y_distorted
        for _ in range(UNDISTORT_ITERATIONS):
            square = x * x + y * y
            stretch = 1.0 + square * (k1 + square * k2)
            x, y = x_distorted / stretch, y_distorted / stretch
        point_px[i, 0], point_px[i, 1] = x * focal + u, y * focal + v


@njit(cache=True, nogil=True)
def to_ground(
    image_to_ground: Floats,
    geometry: Ints32,
    point_px: Floats,
    position_m: Floats,
    jacobian: Floats,
    stride: Stride = ALL,
) -> None:
    """Project image points to the ground.

    image_to_ground  (C, 3, 3) f8: homographies, W > 0 on the road
    geometry         (P,) i4: homography of a point; negative: no homography
    point_px         (P, 2) f8: image points
    position_m       (P, 2) f8, out: ground points; nan without a homography and at or above the horizon
    jacobian         (P, 2, 2) f8, out: d position / d point, m/px; nan like `position_m`
    """
    for i in range(stride[0], len(geometry), stride[1]):
        position_m[i] = np.nan
        jacobian[i] = np.nan
        if geometry[i] < 0:
            continue
        h = image_to_ground[geometry[i]]
        x, y, w = project(h, point_px[i, 0], point_px[i, 1])
        position_m[i, 0], position_m[i, 1] = x, y
        for k in range(2):
            jacobian[i, 0, k] = (h[0, k] - x * h[2, k]) / w
            jacobian[i, 1, k] = (h[1, k] - y * h[2, k]) / w


@njit(cache=True, nogil=True)
def deviation(jacobian: Floats, along: tuple[float, float], noise_px: float, wobble_m: float) -> float:
    """Expected standard deviation in metres of a position along a direction.

    jacobian (2, 2) f8, m/px; `along` a unit vector; `noise_px` of the image point; `wobble_m` of the vehicle's outline
    """
    u = along[0] * jacobian[0, 0] + along[1] * jacobian[1, 0]
    v = along[0] * jacobian[0, 1] + along[1] * jacobian[1, 1]
    return float(sqrt((u * u + v * v) * noise_px**2 + wobble_m**2))


@njit(cache=True, nogil=True)
def _is_known(row: Floats) -> bool:
    known = True
    for k in range(len(row)):
        known = known and not np.isnan(row[k])
    return known


@njit(cache=True, nogil=True)
def onto_road(foot: Floats, geometry: Ints32, position_m: Floats, by_clearance: Floats, stride: Stride = ALL) -> None:
    """Move the lowest visible point of a vehicle to the end of the vehicle that faces the camera, in place.

    The lower edge of a vehicle's outline is the edge of its bumper at the clearance z above the road, or the tyre
    behind it, whichever is lower in the image. The line of sight below a bumper at the distance R from the camera's
    foot meets the road at r = R H / (H - z), H being the camera's height; the tyre stands on the road an overhang
    behind the bumper. So the visible point is min(r z / H, overhang) too far from the camera: a share of the distance
    nearby, a constant far away. As this changes along the road, it would bias the speed.

    foot          (C, 5) f8: x, y, height of the camera above the road, clearance, overhang, all in metres; a row with a
                  nan leaves its points unchanged
    geometry      (P,) i4: row of `foot` of a point; negative: no row, the point stays unchanged
    position_m    (P, 2) f8, in place: ground points
    by_clearance  (P, 2) f8, out: d position / d clearance; zero if the tyre is visible or the point is unchanged
    """
    for i in range(stride[0], len(geometry), stride[1]):
        by_clearance[i] = 0.0
        if geometry[i] < 0 or not _is_known(foot[geometry[i]]):
            continue
        x, y, height, clearance, overhang = foot[geometry[i]]
        dx, dy = position_m[i, 0] - x, position_m[i, 1] - y
        distance = np.hypot(dx, dy)
        if not distance > 0.0:
            continue
        bumper = distance * clearance / height
        share = min(bumper, overhang) / distance
        position_m[i, 0] -= share * dx
        position_m[i, 1] -= share * dy
        if bumper < overhang:
            by_clearance[i, 0], by_clearance[i, 1] = -dx / height, -dy / height


@njit(cache=True, nogil=True)
def speed_by_homography(
    image_to_ground: Floats,
    offset: Ints,
    geometry: Ints32,
    point_px: Floats,
    gain: Floats,
    heading_rad: Floats,
    out: Floats,
    stride: Stride = ALL,
) -> None:
    """Derivative of a speed by the elements of its homography, for a speed that is a weighted sum of ground positions.

    v = sum_i gain_i (direction . position_i); d position / d H follows from the quotient of the projection.

    image_to_ground  (C, 3, 3) f8: homographies
    offset           (N + 1,) i8: track n has the points offset[n] to offset[n + 1] - 1
    geometry         (N,) i4: homography of a track; negative: no homography
    point_px         (P, 2) f8: image points
    gain             (P,) f8: weight of each point, 1/s
    heading_rad      (N,) f8: direction of travel on the ground
    out              (N, 9) f8, out: d speed / d H in row-major order, m/s; nan without a homography
    """
    for n in range(stride[0], len(geometry), stride[1]):
        out[n] = np.nan
        if geometry[n] < 0:
            continue
        out[n] = 0.0
        h = image_to_ground[geometry[n]]
        cosine, sine = np.cos(heading_rad[n]), np.sin(heading_rad[n])
        for i in range(offset[n], offset[n + 1]):
            if gain[i] == 0.0:
                continue
            u, v = point_px[i, 0], point_px[i, 1]
            x, y, w = project(h, u, v)
            share = gain[i] / w
            along = -share * (cosine * x + sine * y)
            for row, factor in ((0, share * cosine), (3, share * sine), (6, along)):
                out[n, row] += factor * u
                out[n, row + 1] += factor * v
                out[n, row + 2] += factor
