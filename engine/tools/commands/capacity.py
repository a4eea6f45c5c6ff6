"""`qyran capacity`: how many cameras this machine can watch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.app import logs
from engine.tools.shared import table_console

app = typer.Typer()


@app.command()
def capacity(
    config: Annotated[Path | None, typer.Argument(metavar="CONFIG", help="Use its decoder and detector.")] = None,
    size: Annotated[str, typer.Option(help="Picture size of the cameras: WIDTHxHEIGHT.")] = "1920x1080",
    fps: Annotated[float, typer.Option(min=0.1, help="Frames per second of the cameras.")] = 25.0,
    codec: Annotated[str, typer.Option(help="Codec of the cameras: h264, hevc, vp9 or mjpeg.")] = "h264",
    detect_fps: Annotated[float, typer.Option(min=0.1, help="Frames per second that the detector analyses.")] = 8.0,
    regions: Annotated[int, typer.Option(min=1, help="Number of regions of interest.")] = 1,
    seconds: Annotated[float, typer.Option(min=0.01, help="Duration of each measurement.")] = 3.0,
) -> None:
    """Measure this machine; print how many cameras it can watch and which stage is the limit."""
    from engine.tools.capacity.report import answer, parse_camera_kind

    logs.configure(level="error")
    kind = parse_camera_kind(size, fps, codec, detect_fps, regions)
    answer(config, kind, seconds, table_console())
