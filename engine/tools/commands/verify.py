"""`qyran verify`: the evidence is complete and unchanged."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer()


@app.command()
def verify(
    case: Annotated[list[Path] | None, typer.Argument(metavar="CASE", help="Folders of cases.")] = None,
    root: Annotated[Path | None, typer.Option(help="Evidence folder: verify every case and their chain.")] = None,
    key: Annotated[list[Path] | None, typer.Option(help="Public key that must have signed. Repeatable.")] = None,
    ledger: Annotated[
        Path | None, typer.Option("--ledger", "--register", help="With --root: find missing cases.")
    ] = None,
) -> None:
    """Check that every byte of the cases is unchanged and that no case is missing. Exits with status 1 if not."""
    from engine.tools.verify import verify_evidence

    console = Console(highlight=False, soft_wrap=True, markup=False)
    if not verify_evidence(case or (), root, key or (), ledger, console):
        raise typer.Exit(1)
