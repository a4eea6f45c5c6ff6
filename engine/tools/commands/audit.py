"""`qyran audit`: the log of calls to the service."""

from __future__ import annotations

import typer

from engine.access import audit
from engine.config import load_config
from engine.tools.shared import Config, table_console

app = typer.Typer(name="audit", help="Check the log of calls that read evidence or changed data.", no_args_is_help=True)


@app.command("check")
def check_audit(config: Config) -> None:
    """Check that the audit log is unchanged. Exits with status 1 if its chain is broken."""
    console, folder = table_console(), load_config(config, opens_cameras=False).audit_folder
    lines, problems = audit.check(folder)
    for problem in problems:
        console.print(f"[red]{problem}[/]", highlight=False)
    console.print(f"{folder}: {lines} lines, {'whole' if not problems else f'{len(problems)} breaks'}", highlight=False)
    if problems:
        raise typer.Exit(1)
