"""`qyran check`: the files and the cameras of a configuration."""

from __future__ import annotations

from typing import Annotated

import typer

from engine.app import logs
from engine.tools.shared import Config, table_console

app = typer.Typer()


@app.command()
def check(
    config: Config,
    offline: Annotated[bool, typer.Option("--offline", help="Read the files only; do not connect to cameras.")] = False,
) -> None:
    """Validate CONFIG and every file it names, connect to every camera, and print the findings.

    Exits with status 1 if a camera fails.
    """
    from engine.tools.check import check_engine

    logs.configure(level="error")
    if not check_engine(config, table_console(), offline=offline):
        raise typer.Exit(1)
