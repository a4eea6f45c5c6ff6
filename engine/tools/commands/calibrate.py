"""`qyran calibrate`: from a survey file to the table of a site file, and a picture to check it by."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from PIL import Image, UnidentifiedImageError
from rich.console import Console

from engine.errors import ConfigError
from engine.tools.calibrate import Calibrated, describe, grid_picture
from engine.tools.calibrate.files import load_survey, site_calibration, site_section
from engine.types import Floats


@dataclass(frozen=True, slots=True)
class CalibrationRequest:
    """What is asked for on the command line."""

    name: str
    days: int
    error: float
    readout_s: float
    still: Path | None
    grid: Path | None


def solve(path: Path, wish: CalibrationRequest, console: Console) -> None:
    """Print the camera that agrees with the survey, and the site's table. Raises ConfigError, CalibrationError."""
    survey = load_survey(path)
    found = survey.solve()
    made = site_calibration(
        found,
        survey.image_size_px,
        wish.name,
        dt.datetime.now(dt.UTC).replace(microsecond=0),
        dt.timedelta(days=wish.days),
        widest_sigma=wish.error,
        readout_s=wish.readout_s,
    )
    console.print(describe(found), markup=False)
    console.print()
    console.print(site_section(msgspec.structs.replace(made, still=wish.still)), markup=False)
    if wish.grid:
        _picture(found, survey.image_size_px, wish.still, np.array(made.area_px)).save(wish.grid)


def _picture(found: Calibrated, size_px: tuple[int, int], still: Path | None, area_px: Floats) -> Image.Image:
    """The grid over the still, or over plain grey where there is none."""
    if still is None:
        return grid_picture(found, Image.new("RGB", size_px, (128, 128, 128)), area=area_px)
    try:
        with Image.open(still) as opened:
            picture = opened.convert("RGB")
    except (OSError, UnidentifiedImageError) as error:
        raise ConfigError(f"{still}: {error}") from error
    if picture.size != tuple(size_px):
        raise ConfigError(f"{still}: is {picture.width}x{picture.height}, the survey is of {size_px[0]}x{size_px[1]}")
    return grid_picture(found, picture, area=area_px)
