"""`qyran keys`: the keys that sign cases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.tools.shared import plain_console

app = typer.Typer(name="keys", help="Make and show the key that signs the cases.", no_args_is_help=True)


@app.command("new")
def new_keys(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Private key; the public key goes to FILE.pub.")],
) -> None:
    """Make a key pair. Set evidence.signing_key in CONFIG to FILE; give FILE.pub to those who verify cases."""
    from engine.evidence import new_key

    plain_console().print(f"{path}: key {new_key(path).id}; the public key is in {path}.pub")


@app.command("show")
def show_key(path: Annotated[Path, typer.Argument(metavar="FILE", help="File of a private key.")]) -> None:
    """Print the public key that belongs to a private key (PEM)."""
    from engine.evidence import load_signing_key, public_pem

    public = load_signing_key(path).public
    typer.echo(f"# Qyran signing key {public.id}", err=True)
    typer.echo(public_pem(public).decode(), nl=False)
