"""`qyran calibrate`: from a survey file to the calibration of a site file."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated

import typer

from engine.tools.shared import plain_console

app = typer.Typer()


@app.command()
def calibrate(
    survey: Annotated[Path, typer.Argument(metavar="SURVEY", help="Measurements on the road (TOML).")],
    name: Annotated[str, typer.Option("--id", help="Name of the calibration, for the site file and every case.")],
    days: Annotated[int, typer.Option(min=1, help="Days until the calibration expires.")] = 365,
    error: Annotated[float, typer.Option(help="Largest relative error of lengths in the area (k = 1).")] = 0.01,
    readout_s: Annotated[float, typer.Option(help="Rolling shutter: seconds from the first row to the last.")] = 0.0,
    still: Annotated[Path | None, typer.Option(help="Still of the calibration; it is named in the table.")] = None,
    grid: Annotated[Path | None, typer.Option(help="Picture to write: the still with the ground's grid.")] = None,
) -> None:
    """Calibrate a camera from SURVEY: print the camera, then the calibration table for the site file."""
    import msgspec
    import numpy as np

    from engine.tools.calibrate.files import load_survey, site_calibration, site_section
    from engine.tools.calibrate.report import describe, grid_picture, open_still

    marks = load_survey(survey)
    calibrated, size_px = marks.solve(), marks.image_size_px
    now, lifetime = dt.datetime.now(dt.UTC).replace(microsecond=0), dt.timedelta(days=days)
    section = site_calibration(calibrated, size_px, name, now, lifetime, widest_sigma=error, readout_s=readout_s)
    console = plain_console()
    console.print(describe(calibrated), markup=False)
    console.print()
    console.print(site_section(msgspec.structs.replace(section, still=still)), markup=False)
    if grid:
        grid_picture(calibrated, open_still(still, size_px), area=np.array(section.area_px)).save(grid)
