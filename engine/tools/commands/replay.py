"""`qyran replay`: a video file through the whole engine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.app import logs
from engine.tools.shared import table_console

app = typer.Typer()


@app.command()
def replay(
    video: Annotated[Path, typer.Argument(metavar="VIDEO", help="Video file.")],
    site: Annotated[Path | None, typer.Option(help="Site file. Without it nothing is measured or judged.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for ledger and evidence. Default: keep nothing.")] = None,
    draw: Annotated[Path | None, typer.Option(help="Folder for pictures with boxes, speeds and phases.")] = None,
    detect_fps: Annotated[float, typer.Option(help="Frames per second that the detector analyses.")] = 8.0,
    region: Annotated[
        list[str] | None, typer.Option(help="Region as fractions LEFT,TOP,RIGHT,BOTTOM. Repeatable.")
    ] = None,
    start: Annotated[str, typer.Option(help="Capture time of the first frame, ISO 8601. Default: now.")] = "",
    card: Annotated[str, typer.Option(help="Model card: name of a shipped one, or a file.")] = "ssd_mobilenet_v3_large",
    phases: Annotated[Path | None, typer.Option(help="Signal phases, .jsonl or .csv (see docs/signals.md).")] = None,
) -> None:
    """Play VIDEO through the engine at full speed and print its tracks and cases."""
    from engine.tools.replay import ReplayRequest, play

    logs.configure(level="warning")
    request = ReplayRequest(video, site, out, draw, detect_fps, tuple(region or ()), start, card, phases)
    play(request, table_console())
