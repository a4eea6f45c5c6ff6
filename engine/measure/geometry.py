"""Geometry of a camera for the speedometer: the homography of its road, its validity and its uncertainty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.errors import CalibrationError
from engine.site import Site
from engine.types import Floats, Ints32
from kernels.zones import Polygons


@dataclass(frozen=True, slots=True)
class FootModel:
    """Position of the lowest visible point of a vehicle relative to the vehicle (see `kernels.ground.onto_road`)."""

    camera_m: tuple[float, float, float]
    """Position of the camera: ground x and y, and height above the road."""
    clearance_m: float = 0.2
    """Height of the lower edge of the bumper above the road."""
    overhang_m: float = 0.5
    """Distance from the bumper back to the contact point of the tyre."""
    clearance_sigma_m: float = 0.05
    """Standard uncertainty of the clearance over vehicles."""


@dataclass(frozen=True, slots=True)
class Lens:
    """Radial distortion (Brown 1966): distorted = straight (1 + k1 r^2 + k2 r^4), r in focal lengths from the
    centre."""

    focal_px: float
    centre_px: tuple[float, float]
    k1: float
    k2: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class CameraGeometry:
    """Calibration of one camera."""

    image_to_ground: Floats
    """(3, 3) f8: homography from image pixels (undistorted if `lens` is given) to metres on the road; any scale and
    sign."""
    image_size_px: tuple[int, int]
    """Width and height of the calibrated picture. In pictures of another size nothing is measured."""
    area_px: Floats
    """(K, 2) f8: corners of the calibrated area in the image, below the horizon. Outside nothing is measured."""
    valid_from_s: float
    """Start of the validity, Unix seconds UTC."""
    valid_to_s: float
    """End of the validity, exclusive, Unix seconds UTC."""
    covariance: Floats | None = None
    """(9, 9) f8: covariance of the homography's elements in row-major order; None if only `relative_sigma` is known."""
    relative_sigma: float = 0.005
    """Standard uncertainty of lengths, as a share of the length, in addition to the covariance."""
    foot: FootModel | None = None
    """None if the foot point lies on the road."""
    lens: Lens | None = None
    """None for a lens without distortion."""
    readout_s: float = 0.0
    """Time between the read-out of the first and the last row of a rolling shutter; 0 for a global shutter. The capture
    time of a frame is that of its first row. An approaching vehicle moves down the picture, so without this correction
    its speed is too high by readout x speed x (share of the picture's height) / stretch: 1 % at 13 ms, 80 km/h, 20
    m."""

    def __post_init__(self) -> None:
        """Scale the homography to W > 0 in the area. Raises CalibrationError if the area reaches the horizon."""
        h = np.asarray(self.image_to_ground, np.float64)
        corners = np.asarray(self.area_px, np.float64)
        if h.shape != (3, 3) or not np.isfinite(h).all() or np.linalg.matrix_rank(h) < 3:
            raise CalibrationError("image_to_ground is not an invertible 3 x 3 matrix of finite numbers")
        if corners.ndim != 2 or corners.shape[1:] != (2,) or len(corners) < 3 or not np.isfinite(corners).all():
            raise CalibrationError("area_px is not a polygon of at least three finite image points")
        if self.covariance is not None and np.shape(self.covariance) != (9, 9):
            raise CalibrationError("the covariance of image_to_ground is not 9 x 9")
        weight = corners @ h[2, :2] + h[2, 2]
        if not (np.all(weight > 0) or np.all(weight < 0)):
            raise CalibrationError("the calibrated area reaches the horizon of image_to_ground")
        # The dataclass is frozen. A homography and its negative are equal, but the kernels require W > 0.
        object.__setattr__(self, "image_to_ground", h * np.sign(weight[0]))
        object.__setattr__(self, "area_px", corners)


def geometries(sites: Mapping[int, Site]) -> dict[int, CameraGeometry]:
    """The geometry of every site that has a calibration, by camera index. Raises CalibrationError."""
    return {index: geometry(site) for index, site in sites.items() if site.calibration is not None}


def geometry(site: Site) -> CameraGeometry:
    """The geometry that the calibration of a site states; the site must have one. Raises CalibrationError."""
    calibration = site.calibration
    assert calibration is not None
    return CameraGeometry(
        image_to_ground=np.array(calibration.image_to_ground),
        image_size_px=site.image_size_px,
        area_px=np.array(calibration.area_px),
        valid_from_s=calibration.made.timestamp(),
        valid_to_s=calibration.expires.timestamp(),
        covariance=None if calibration.covariance is None else np.reshape(calibration.covariance, (9, 9)),
        relative_sigma=calibration.relative_sigma,
        foot=FootModel(calibration.camera_m) if calibration.camera_m else None,
        lens=Lens(lens.focal_px, lens.centre_px, lens.k1, lens.k2) if (lens := calibration.lens) else None,
        readout_s=calibration.readout_s,
    )


class GeometryTable:
    """The geometries as tables for the kernels. Row c belongs to the camera `index[c]`."""

    def __init__(self, geometry: Mapping[int, CameraGeometry]) -> None:
        known = list(geometry.values())
        self.index = np.array(list(geometry), np.int64)
        self.image_to_ground = _stack([g.image_to_ground for g in known], (3, 3))
        self.covariance = _stack([np.zeros((9, 9)) if g.covariance is None else g.covariance for g in known], (9, 9))
        self.relative_sigma = np.array([g.relative_sigma for g in known])
        self.image_size_px = _stack([g.image_size_px for g in known], (2,))
        self.valid_s = _stack([(g.valid_from_s, g.valid_to_s) for g in known], (2,))
        self.foot = _stack([_foot_row(g.foot) for g in known], (5,))
        self.lens = _stack([_lens_row(g.lens) for g in known], (5,))
        self.readout_s = np.array([g.readout_s for g in known])
        self.clearance_sigma_m = np.array([g.foot.clearance_sigma_m if g.foot else 0.0 for g in known])
        self.areas = _areas(known)

    def row_of(self, camera: Ints32) -> Ints32:
        """(T,) i4: row of each camera index (T,); -1 for a camera without geometry."""
        if len(self.index) == 0:
            return np.full(len(camera), -1, np.int32)
        order = np.argsort(self.index)
        at = order[np.searchsorted(self.index, camera, sorter=order).clip(max=len(order) - 1)]
        return np.where(self.index[at] == camera, at, -1).astype(np.int32)


def _areas(known: list[CameraGeometry]) -> Polygons:
    """The calibrated areas: one group with one polygon per geometry, and a last group without polygons."""
    corners = np.cumsum([0, *(len(g.area_px) for g in known)], dtype=np.int32)
    first = np.minimum(np.arange(len(known) + 2), len(known)).astype(np.int32)
    return Polygons(np.concatenate([np.empty((0, 2)), *(g.area_px for g in known)]), corners, first)


def _stack(rows: list[Any], shape: tuple[int, ...]) -> Floats:
    return np.array(rows, np.float64).reshape(len(rows), *shape)


def _foot_row(foot: FootModel | None) -> tuple[float, ...]:
    return (*foot.camera_m, foot.clearance_m, foot.overhang_m) if foot else (np.nan,) * 5


def _lens_row(lens: Lens | None) -> tuple[float, ...]:
    return (lens.focal_px, *lens.centre_px, lens.k1, lens.k2) if lens else (1.0, 0.0, 0.0, 0.0, 0.0)
