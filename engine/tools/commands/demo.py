"""`qyran demo`: a simulated city."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.app import logs
from engine.tools.shared import interruptible, table_console

app = typer.Typer()


@app.command()
def demo(
    seconds: Annotated[float, typer.Option(min=0, help="Duration; 0 runs until interrupted.")] = 90.0,
    state: Annotated[Path, typer.Option(help="Folder for the ledger and the evidence.")] = Path("var/demo"),
    cameras: Annotated[int, typer.Option(min=0, help="Cameras to watch; 0: as many as this machine can.")] = 0,
) -> None:
    """Simulate a city of RTSP cameras on this machine and watch it with the real engine."""
    from engine.tools.demo.city import show_city

    logs.configure(level="error")
    show_city(state, seconds, cameras, table_console(), interruptible)
