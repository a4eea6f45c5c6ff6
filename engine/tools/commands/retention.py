"""`qyran retention`: cases whose retention period is over, and cases on hold."""

from __future__ import annotations

import getpass
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from engine.app import logs
from engine.errors import ConfigError
from engine.tools.shared import Config, open_ledger, table_console

if TYPE_CHECKING:
    from engine.app.housekeeping import Housekeeper

app = typer.Typer()


@app.command()
def retention(
    config: Config,
    apply: Annotated[
        bool, typer.Option("--apply", help="Remove the cases that are due, do not only list them.")
    ] = False,
    hold: Annotated[
        str, typer.Option(metavar="CASE", help="Keep this case whatever the policy says; needs --why.")
    ] = "",
    release: Annotated[str, typer.Option(metavar="CASE", help="End all holds of this case.")] = "",
    why: Annotated[str, typer.Option(help="Reason of the hold; it is recorded.")] = "",
) -> None:
    """List the cases that the policy of CONFIG no longer keeps, and the holds. `qyran run` removes cases every hour."""
    logs.configure(level="warning")
    if hold and not why:
        raise ConfigError("--hold needs --why: the reason is recorded with the hold")
    from engine.app.housekeeping import open_housekeeper
    from engine.ledger import Retention
    from engine.types import document

    console = table_console()
    with open_ledger(config) as (loaded, ledger):
        records = Retention(ledger.database, loaded.retention)
        if hold:
            records.hold(hold, why, getpass.getuser())
        if release:
            console.print(f"{release}: {records.release(release, getpass.getuser())} hold(s) ended", markup=False)
        if not (hold or release):
            _remove(open_housekeeper(loaded, ledger), apply, console)
        for one in records.holds():
            since = f"{document.moment(one.placed_s):%Y-%m-%d}"
            console.print(f"held since {since} by {one.placed_by}: {one.case_id}: {one.why}", markup=False)


def _remove(housekeeper: Housekeeper, apply: bool, console: Console) -> None:
    due = Counter((case.why, case.kind) for case in housekeeper.due())
    for (why, kind), count in sorted(due.items()):
        console.print(f"{count} of {kind}: no longer kept by the rule: {why}", markup=False)
    if apply:
        console.print(f"{housekeeper.remove()} case(s) removed")
    else:
        console.print(f"{due.total()} case(s) are due" + (": --apply removes them" if due else ""))
