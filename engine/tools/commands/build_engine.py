"""`qyran build-engine`: the detector's TensorRT plans, built in advance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.app import logs
from engine.tools.shared import table_console

app = typer.Typer()


@app.command(name="build-engine")
def build_engine(
    config: Annotated[Path | None, typer.Argument(metavar="CONFIG", help="Use the detector of this file.")] = None,
    card: Annotated[str, typer.Option(help="Model card: name of a shipped one, or a file.")] = "",
    precision: Annotated[str, typer.Option(help="fp32, fp16 or int8. Default: as configured.")] = "",
    batch: Annotated[int, typer.Option(min=0, help="Largest batch, in pictures; 0 keeps the configured size.")] = 0,
    sm: Annotated[list[int] | None, typer.Option(help="Compute capability; 89 means 8.9. Repeatable.")] = None,
    plans: Annotated[Path | None, typer.Option(help="Folder of the plans.")] = None,
    footage: Annotated[
        list[Path] | None, typer.Option(help="Video that tests and calibrates the plan. Repeatable.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Build even if the plan exists.")] = False,
) -> None:
    """Build the detector's TensorRT plan for this machine's GPU; with --sm for other GPUs, without a GPU here."""
    from engine.tools.plans import PlanRequest, build_plans, detector_config

    logs.configure(level="warning")
    detector = detector_config(config, card, precision, batch, plans, tuple(footage or ()))
    build_plans(PlanRequest(detector, tuple(sm or ()), force), table_console())
