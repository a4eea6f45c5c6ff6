"""Image points to the road plane, with what a pixel's noise, the calibration's and the vehicle's shape do to them.

The plane-induced homography (Hartley and Zisserman, "Multiple View Geometry", 2nd ed., 2.3) takes the homogeneous
image point q = (u, v, 1) to (X, Y, W) = H q and to the ground point (X, Y) / W. H is scaled so that W > 0 on the
visible road; where W <= 0 the pixel looks at or above the horizon and has no ground point (nan).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Ints32 = NDArray[np.int32]
Flags = NDArray[np.bool_]


@njit(cache=True, nogil=True)
def project(h: Floats, u: float, v: float) -> tuple[float, float, float]:
    """Ground x, y and the homogeneous weight W of one image point; x and y are nan at and above the horizon."""
    w = h[2, 0] * u + h[2, 1] * v + h[2, 2]
    if not w > 0.0:
        return np.nan, np.nan, w
    return (h[0, 0] * u + h[0, 1] * v + h[0, 2]) / w, (h[1, 0] * u + h[1, 1] * v + h[1, 2]) / w, w


@njit(cache=True, nogil=True)
def to_ground(
    image_to_ground: Floats, geometry: Ints32, point_px: Floats, position_m: Floats, jacobian: Floats
) -> None:
    """Put image points on the ground.

    image_to_ground  (C, 3, 3) f8: homographies, W > 0 on the road
    geometry         (P,) i4: which of them a point belongs to; negative: none
    point_px         (P, 2) f8: image points
    position_m       (P, 2) f8, out: ground points; nan without a homography and above the horizon
    jacobian         (P, 2, 2) f8, out: d position / d point, metres per pixel; nan like `position_m`
    """
    for i in range(len(geometry)):
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
def onto_road(foot: Floats, geometry: Ints32, position_m: Floats, by_clearance: Floats) -> None:
    """Take the lowest visible point of a vehicle back to the end of the vehicle that faces the camera, in place.

    The lower edge of a vehicle's outline is the edge of its bumper, which floats at the clearance z above the road, or
    the tyre behind it, whichever lies lower in the picture. The line of sight past the bumper meets the road at a
    distance from the camera's foot of r = R H / (H - z) for a bumper at R; the tyre stands on the road an overhang
    behind the bumper. So the point seen lies min(r z / H, overhang) too far from the camera: a share of the distance
    nearby, a constant far away, and the apparent speed of a vehicle that nears is too high by what that changes.

    foot          (C, 5) f8: x, y, height of the camera above the road, clearance, overhang, all metres; a row with a
                  nan leaves its points as they are
    geometry      (P,) i4: row of `foot` of a point; negative: none
    position_m    (P, 2) f8, in place: ground points
    by_clearance  (P, 2) f8, out: d position / d clearance, zero where the tyre is seen or nothing is known
    """
    for i in range(len(geometry)):
        by_clearance[i] = 0.0
        if geometry[i] < 0 or np.isnan(foot[geometry[i]]).any():
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
) -> None:
    """How a speed that is a weighted sum of ground positions turns with the elements of its homography.

    v = sum_i gain_i (direction . position_i), and d position / d H follows from the quotient of the projection.

    image_to_ground  (C, 3, 3) f8
    offset           (N + 1,) i8: track n has the points offset[n] to offset[n + 1]
    geometry         (N,) i4: homography of a track; negative: none
    point_px         (P, 2) f8
    gain             (P,) f8: weight of each point, 1/s
    heading_rad      (N,) f8: direction of travel on the ground
    out              (N, 9) f8, out: d speed / d H in row-major order; nan without a homography
    """
    for n in range(len(geometry)):
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


@njit(cache=True, nogil=True)
def inside(corner_offset: Ints, corner_px: Floats, geometry: Ints32, point_px: Floats, out: Flags) -> None:
    """Which points lie inside the polygon of their geometry (even-odd rule; Franklin's crossing test).

    corner_offset  (C + 1,) i8: polygon c has the corners corner_offset[c] to corner_offset[c + 1]
    corner_px      (K, 2) f8
    geometry       (P,) i4: polygon of a point; negative: none, so not inside
    point_px       (P, 2) f8
    out            (P,) bool, out
    """
    for i in range(len(geometry)):
        out[i] = False
        if geometry[i] < 0:
            continue
        first, last = corner_offset[geometry[i]], corner_offset[geometry[i] + 1]
        x, y = point_px[i, 0], point_px[i, 1]
        k = last - 1
        for j in range(first, last):
            if (corner_px[j, 1] > y) != (corner_px[k, 1] > y):
                slope = (corner_px[k, 0] - corner_px[j, 0]) / (corner_px[k, 1] - corner_px[j, 1])
                if x < corner_px[j, 0] + slope * (y - corner_px[j, 1]):
                    out[i] = not out[i]
            k = j


@njit(cache=True, nogil=True)
def hidden_share(frame: Ints32, xyxy_px: Floats, out: Floats) -> None:
    """How much of every box another box covers that stands nearer: whose lower edge is lower in the picture.

    frame    (T,) i4: frame of a box, ascending; only boxes of the same frame cover each other
    xyxy_px  (T, 4) f8: left, top, right, bottom
    out      (T,) f8, out: the largest share of the box's area that one nearer box covers, 0 to 1
    """
    first = 0
    for i in range(len(frame)):
        if frame[i] != frame[first]:
            first = i
        out[i] = 0.0
        for j in range(first, i):
            wide = min(xyxy_px[i, 2], xyxy_px[j, 2]) - max(xyxy_px[i, 0], xyxy_px[j, 0])
            high = min(xyxy_px[i, 3], xyxy_px[j, 3]) - max(xyxy_px[i, 1], xyxy_px[j, 1])
            if not (wide > 0.0 and high > 0.0):
                continue
            behind = i if xyxy_px[i, 3] < xyxy_px[j, 3] else j
            area = (xyxy_px[behind, 2] - xyxy_px[behind, 0]) * (xyxy_px[behind, 3] - xyxy_px[behind, 1])
            out[behind] = max(out[behind], wide * high / area)
