"""The command `qyran`: it finds the commands in `engine.tools.commands` and turns errors into exit statuses."""

from __future__ import annotations

import sys
from importlib import import_module
from pkgutil import iter_modules

import typer
from rich.markup import escape

from engine.errors import QyranError
from engine.tools import commands
from engine.tools.shared import plain_console

app = typer.Typer(
    help="Turns traffic-camera streams into violation records and hands them to registers over gRPC.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for _module in iter_modules(commands.__path__):
    app.add_typer(import_module(f"{commands.__name__}.{_module.name}").app)


def main() -> None:
    """Entry point. Prints a QyranError as one line on standard error and exits with the status of that error."""
    try:
        app()
    except QyranError as error:
        plain_console(stderr=True).print(f"[red]qyran:[/] {escape(str(error))}")
        sys.exit(error.exit_status)
