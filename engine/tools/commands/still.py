"""`qyran still`: the reference still of a camera."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.config import load_config
from engine.tools.shared import Config

app = typer.Typer()


@app.command()
def still(
    config: Config,
    camera: Annotated[str, typer.Argument(metavar="CAMERA", help="Name of a camera in CONFIG.")],
    out: Annotated[Path, typer.Option(help="Picture file to write (PNG).")],
    seconds: Annotated[float, typer.Option(min=5, help="Time to watch: the median shows no traffic.")] = 30.0,
) -> None:
    """Write a picture of CAMERA's empty road: the still of its calibration."""
    from engine.tools.still import save_still

    save_still(load_config(config), camera, out, seconds)
