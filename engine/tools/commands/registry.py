"""`qyran registry`: the vehicle registry's snapshot on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.tools.shared import plain_console

app = typer.Typer(
    name="registry", help="Import the vehicle registry's data (inspection, insurance, permits).", no_args_is_help=True
)


@app.command("import")
def import_registry(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="CSV: plate and last valid day of each document.")],
    into: Annotated[Path, typer.Option(help="Snapshot file; the same path as registry.snapshot in CONFIG.")],
    as_of: Annotated[str, typer.Option(help="Time of the data, ISO 8601. Default: FILE's modification time.")] = "",
) -> None:
    """Make a snapshot of FILE. A running engine loads it without a restart."""
    from engine.identify.papers import import_csv
    from engine.identify.papers.snapshot import moment_of

    at = moment_of(source, as_of)
    count = import_csv(source, into, at)
    plain_console().print(f"{into}: {count} vehicles as of {at:%Y-%m-%d %H:%M} UTC")
