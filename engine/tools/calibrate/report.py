"""Reports of a calibration: the area in which its error is within a bound, a picture with a grid, a text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, UnidentifiedImageError
from scipy.spatial import ConvexHull

from engine.errors import CalibrationError, ConfigError
from engine.tools.calibrate.camera import RoadCamera
from engine.tools.calibrate.solve import Calibrated, gradient
from engine.types import Floats

STRETCH_M = 20.0
"""Typical length of road over which a speed is measured."""
SAMPLES = 48
"""Number of columns at which the picture is sampled; rows in proportion."""
FARTHEST_M = 400.0


def length_sigma(calibrated: Calibrated, point_px: Floats, stretch_m: float = STRETCH_M) -> Floats:
    """(P,) relative standard uncertainty of a length along the road, centred on the ground point of each image point.

    It is also the calibration's part of the uncertainty of a speed measured there. Infinite at and above the horizon,
    beyond 400 m, and where an end of the stretch has no image point.
    """
    camera = calibrated.camera
    middle = camera.to_ground(point_px)
    reach = np.hypot(*(middle - camera.position_m[:2]).T)
    visible = np.isfinite(reach) & (reach < FARTHEST_M)
    half = np.array([0.0, stretch_m / 2])
    ends_px = np.stack([camera.to_image(middle + half), camera.to_image(middle - half)], axis=1)
    visible &= np.isfinite(ends_px).all(axis=(1, 2))
    ends_px[~visible] = camera.centre_px

    def lengths(view: RoadCamera) -> Floats:
        ends = view.to_ground(ends_px.reshape(-1, 2)).reshape(-1, 2, 2)
        return np.asarray(np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1))

    slope = gradient(camera, lengths) / stretch_m
    variance = np.einsum("pi,ij,pj->p", slope, calibrated.covariance, slope)
    return np.where(visible & np.isfinite(variance), np.sqrt(np.maximum(variance, 0.0)), np.inf)


def area_px(
    calibrated: Calibrated, image_size_px: tuple[int, int], *, widest_sigma: float, stretch_m: float = STRETCH_M
) -> Floats:
    """(K, 2) corners of the convex hull of the image points whose `length_sigma` is at most `widest_sigma`.

    Raises CalibrationError if there is no such point.
    """
    width, height = image_size_px
    columns, rows = np.linspace(0, width, SAMPLES), np.linspace(0, height, max(2, SAMPLES * height // width))
    point_px = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)
    good = point_px[length_sigma(calibrated, point_px, stretch_m) <= widest_sigma]
    if len(good) < 3 or np.linalg.matrix_rank(good - good[0]) < 2:
        raise CalibrationError(f"nowhere in the picture is the scale known to {100 * widest_sigma:g} %")
    return np.asarray(good[ConvexHull(good).vertices])


def open_still(path: Path | None, size_px: tuple[int, int]) -> Image.Image:
    """The picture at `path`, or a grey one if None. Raises ConfigError if it cannot be read or has another size."""
    if path is None:
        return Image.new("RGB", size_px, (128, 128, 128))
    try:
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
    except (OSError, UnidentifiedImageError) as error:
        raise ConfigError(f"{path}: {error}") from error
    if picture.size != tuple(size_px):
        raise ConfigError(f"{path}: is {picture.width}x{picture.height}, the survey is of {size_px[0]}x{size_px[1]}")
    return picture


def grid_picture(
    calibrated: Calibrated, picture: Image.Image, *, spacing_m: float = 5.0, area: Floats | None = None
) -> Image.Image:
    """Draw the ground's grid on a copy of the picture: every tenth line yellow, the area in red."""
    drawn = picture.convert("RGB")
    pen = ImageDraw.Draw(drawn)
    corners = np.array([[0, picture.height], [picture.width, picture.height], [picture.width / 2, picture.height / 2]])
    near = calibrated.camera.to_ground(corners.astype(np.float64))
    middle = np.round(np.nanmean(near, axis=0) / spacing_m)
    for axis in range(2):
        for k in range(-20, 21):
            line = int(middle[axis]) + k
            colour = (255, 210, 0) if line % 10 == 0 else (0, 200, 255)
            _draw(pen, calibrated.camera, _grid_line(middle, axis, line, spacing_m), colour)
    if area is not None:
        outline = [(float(x), float(y)) for x, y in (*area, area[0])]
        pen.line(outline, fill=(255, 60, 60), width=3)
    return drawn


def _grid_line(middle: Floats, axis: int, line: int, spacing_m: float) -> Floats:
    """(S, 2) points of one grid line, dense enough to follow lens distortion."""
    along = (middle[1 - axis] + np.linspace(-20, 20, 161)) * spacing_m
    points = np.full((len(along), 2), line * spacing_m)
    points[:, 1 - axis] = along
    return points


def _draw(pen: ImageDraw.ImageDraw, camera: RoadCamera, ground_m: Floats, colour: tuple[int, int, int]) -> None:
    """Draw a line of the ground where it is in front of the camera and near the picture."""
    point_px = camera.to_image(ground_m)
    near = np.asarray((np.abs(np.nan_to_num(point_px, nan=np.inf)) < 1e4).all(axis=1))
    for k in np.flatnonzero(near[:-1] & near[1:]):
        pen.line([*map(float, point_px[k]), *map(float, point_px[k + 1])], fill=colour, width=1)


def describe(calibrated: Calibrated) -> str:
    """Lines of text: the camera, the residual of every mark, and the marks that were left out."""
    camera = calibrated.camera
    sigma = np.sqrt(np.diag(calibrated.covariance))
    x, y, height = camera.position_m
    lines = [
        f"focal length  {camera.focal_px:8.0f} px  +- {100 * sigma[0]:.2f} %",
        f"height        {height:8.2f} m   +- {100 * sigma[4]:.2f} %",
        f"tilt          {np.rad2deg(camera.parameters[1]):8.2f} deg +- {np.rad2deg(sigma[1]):.2f}",
        f"roll          {np.rad2deg(camera.parameters[2]):8.2f} deg +- {np.rad2deg(sigma[2]):.2f}",
        f"place         {x:.2f}, {y:.2f} m",
        f"agreement     {calibrated.agreement:8.2f}     (1: as the marks' noise predicts)",
    ]
    for mark in calibrated.residuals:
        share = "" if mark.share is None else f"  {100 * mark.share:+.2f} %"
        lines.append(f"  {mark.name:24} {mark.residual:+9.4f} {mark.unit:3} (expected {mark.sigma:.4f}){share}")
    lines += [f"  {name:24} WRONG: contradicts the others, left out" for name in calibrated.wrong]
    return "\n".join(lines)
