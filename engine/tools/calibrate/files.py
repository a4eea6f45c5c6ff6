"""The survey file (input of a calibration) and the section of the site file (its output)."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from math import radians
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from engine.config import Count, Positive, Strict, tomlfile
from engine.site import Calibration, LensBend, PointPx, Row3
from engine.tools.calibrate.marks import CameraHeight, Direction, Distance, GroundPoint, Mark, VanishingPoint
from engine.tools.calibrate.report import area_px
from engine.tools.calibrate.solve import Calibrated, calibrate
from engine.types import Floats

WGS84_RADIUS_M = 6378137.0
WGS84_ECCENTRICITY_SQUARED = 6.69437999014e-3
AngleDeg = Annotated[float, Meta(ge=-180, le=180)]


class PointEntry(Strict, frozen=True):
    """A pixel whose place was surveyed, either in metres or in degrees (latitude, longitude)."""

    name: str
    px: PointPx
    metres: PointPx | None = None
    degrees: PointPx | None = None
    sigma_m: Positive = 0.02

    def __post_init__(self) -> None:
        if (self.metres is None) == (self.degrees is None):
            raise ValueError(f"point {self.name}: give either metres or degrees")


class DistanceEntry(Strict, frozen=True):
    """A length measured on the road between two pixels."""

    name: str
    from_px: PointPx
    to_px: PointPx
    metres: Positive
    sigma_m: Positive = 0.01


class DirectionEntry(Strict, frozen=True):
    """A straight line on the road; 0 degrees is along the road, 90 degrees across it."""

    name: str
    from_px: PointPx
    to_px: PointPx
    degrees: AngleDeg = 0.0
    sigma_deg: Positive = 0.1


class VanishingEntry(Strict, frozen=True):
    """The point of the picture in which road lines of one direction meet."""

    name: str
    px: PointPx
    degrees: AngleDeg = 0.0
    sigma_deg: Positive = 0.3


class Survey(Strict, frozen=True):
    """The whole file. It needs at least four measured values, to determine focal length, tilt, roll and scale."""

    image_size_px: tuple[Count, Count]
    centre_px: PointPx | None = None
    radial_terms: Annotated[int, Meta(ge=0, le=2)] = 0
    click_px: Positive = 1.0
    camera_height_m: Positive | None = None
    camera_height_sigma_m: Positive = 0.05
    points: tuple[PointEntry, ...] = ()
    distances: tuple[DistanceEntry, ...] = ()
    directions: tuple[DirectionEntry, ...] = ()
    vanishing_points: tuple[VanishingEntry, ...] = ()

    def __post_init__(self) -> None:
        names = [mark.name for mark in self.marks()]
        if repeated := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"two marks have the name {repeated[0]!r}")

    def marks(self) -> list[Mark]:
        """Every mark of the file."""
        height, sigma_m = self.camera_height_m, self.camera_height_sigma_m
        return [
            *self._points(),
            *(Distance(d.name, (d.from_px, d.to_px), d.metres, d.sigma_m) for d in self.distances),
            *(
                Direction(d.name, (d.from_px, d.to_px), radians(d.degrees), radians(d.sigma_deg))
                for d in self.directions
            ),
            *(VanishingPoint(v.name, v.px, radians(v.degrees), radians(v.sigma_deg)) for v in self.vanishing_points),
            *([CameraHeight(height, sigma_m)] if height is not None else []),
        ]

    def _points(self) -> list[GroundPoint]:
        """Points in metres; points in degrees are relative to the first of them."""
        origin = next((point.degrees for point in self.points if point.degrees), (0.0, 0.0))
        return [
            GroundPoint(p.name, p.px, p.metres or _metres(p.degrees or origin, origin), p.sigma_m) for p in self.points
        ]

    def solve(self) -> Calibrated:
        """Fit the camera to the marks. Raises CalibrationError as `calibrate` does."""
        return calibrate(
            self.marks(),
            self.image_size_px,
            centre_px=self.centre_px,
            radial_terms=self.radial_terms,
            click_px=self.click_px,
        )


def _metres(degrees: PointPx, origin: PointPx) -> PointPx:
    east, north = metres_from_degrees(np.array(degrees[0]), np.array(degrees[1]), origin)
    return float(east), float(north)


def load_survey(path: Path) -> Survey:
    """Read a survey file. Raises ConfigError, which names the file and the place in it."""
    return tomlfile.load(path, Survey)


def metres_from_degrees(latitude_deg: Floats, longitude_deg: Floats, origin_deg: tuple[float, float]) -> Floats:
    """(P, 2) metres east and north of an origin, on the tangent plane of the WGS 84 ellipsoid there.

    Uses the radii of curvature at the origin (Torge, "Geodesy", 3rd ed., 4.1); within a kilometre of it the error is
    below a centimetre.
    """
    latitude = np.deg2rad(origin_deg[0])
    root = 1.0 - WGS84_ECCENTRICITY_SQUARED * np.sin(latitude) ** 2
    north_m = WGS84_RADIUS_M * (1.0 - WGS84_ECCENTRICITY_SQUARED) / root**1.5
    east_m = WGS84_RADIUS_M / np.sqrt(root) * np.cos(latitude)
    east = np.deg2rad(np.asarray(longitude_deg) - origin_deg[1]) * east_m
    return np.stack([east, np.deg2rad(np.asarray(latitude_deg) - origin_deg[0]) * north_m], axis=-1)


def site_calibration(
    calibrated: Calibrated,
    image_size_px: tuple[int, int],
    name: str,
    made: dt.datetime,
    lasts: dt.timedelta,
    *,
    widest_sigma: float = 0.01,
    readout_s: float = 0.0,
) -> Calibration:
    """The calibration section of a site; its area is where lengths are known to `widest_sigma` (relative, k = 1).

    Numbers are rounded to 9 significant digits, pixels to 0.1, places to 0.1 mm: far below the uncertainty. The fit
    itself differs by about 1e-7 between processors, whose linear algebra sums in another order.
    Raises CalibrationError if there is no such area.
    """
    camera = calibrated.camera
    k1, k2 = camera.distortion
    corners = area_px(calibrated, image_size_px, widest_sigma=widest_sigma)
    rows: list[Row3] = [(_digits(a), _digits(b), _digits(c)) for a, b, c in calibrated.camera.image_to_ground()]
    x, y, height = (round(value, 4) for value in camera.position_m)
    return Calibration(
        id=name,
        made=made,
        expires=made + lasts,
        image_to_ground=(rows[0], rows[1], rows[2]),
        residual_m=round(float(np.nan_to_num(calibrated.residual_m)), 4),
        area_px=tuple((round(float(u), 1), round(float(v), 1)) for u, v in corners),
        covariance=tuple(map(_digits, calibrated.homography_covariance.ravel())),
        camera_m=(x, y, height),
        lens=LensBend(_digits(camera.focal_px), camera.centre_px, _digits(k1), _digits(k2)) if k1 or k2 else None,
        readout_s=readout_s,
    )


def _digits(value: float) -> float:
    return float(f"{value:.9g}")


def site_section(calibration: Calibration) -> str:
    """The `[calibration]` table of a site file as text; `engine.site` reads the same values back."""
    table = msgspec.to_builtins(calibration, builtin_types=(dt.datetime,), enc_hook=str)
    lens = table.pop("lens")
    return _toml("calibration", table) + (_toml("calibration.lens", lens) if lens else "")


def _toml(name: str, table: Mapping[str, Any]) -> str:
    lines = (
        f"{key} = {value.isoformat() if isinstance(value, dt.datetime) else json.dumps(value, ensure_ascii=False)}\n"
        for key, value in table.items()
        if value is not None
    )
    return f"[{name}]\n" + "".join(lines)
