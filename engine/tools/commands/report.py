"""`qyran report`: the report page of a case."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def report(
    case: Annotated[Path, typer.Argument(metavar="CASE", help="Folder of a case.")],
    lang: Annotated[str, typer.Option(help="Language: ru, kk or en.")] = "ru",
    out: Annotated[Path | None, typer.Option(help="File to write. Default: standard output.")] = None,
    embed: Annotated[bool, typer.Option("--embed", help="Put the pictures into the page: one file to send.")] = False,
) -> None:
    """Make the report of a case again from its case.json. The same version of Qyran makes the same bytes."""
    from engine.errors import EvidenceError
    from engine.evidence import embed_pictures, write_report

    try:
        document = (case / "case.json").read_bytes()
    except OSError as error:
        raise EvidenceError(f"{case}: {error}") from error
    page = write_report(document, lang)
    page = embed_pictures(page, case) if embed else page
    if out is None:
        typer.echo(page, nl=False)
    else:
        out.write_bytes(page)
