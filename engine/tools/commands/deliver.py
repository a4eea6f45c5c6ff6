"""`qyran deliver`: delivery of the cases to the registers that want to be called."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from engine.app import logs
from engine.config import EngineConfig, load_config, split_address
from engine.errors import ConfigError
from engine.tools.shared import Config, LogLevel, interruptible, raise_interrupt, table_console

if TYPE_CHECKING:
    from engine.ledger import Outbox, SqlLedger

NEWEST = 20
"""Number of refusals that are shown for each recipient."""
app = typer.Typer()


@app.command()
def deliver(
    config: Config,
    status: Annotated[bool, typer.Option("--status", help="Print the state of every recipient and exit.")] = False,
    retry_dead: Annotated[bool, typer.Option("--retry-dead", help="Queue all refused cases again and exit.")] = False,
    log_level: LogLevel = "info",
) -> None:
    """Deliver the ledger's cases to the recipients of CONFIG until interrupted. `qyran run` delivers them too."""
    from engine.ledger import Outbox, SqlLedger

    logs.configure(level=log_level)
    loaded = load_config(config, opens_cameras=False)
    if not loaded.recipients:
        raise ConfigError(f"{config}: names no recipients to deliver to")
    until = nullcontext() if status or retry_dead else interruptible(raise_interrupt)
    with until, closing(SqlLedger(loaded.ledger_at)) as ledger:
        outboxes = [Outbox(ledger.database, recipient.name) for recipient in loaded.recipients]
        if retry_dead:
            for outbox in outboxes:
                typer.echo(f"{outbox.recipient}: {outbox.retry_refused()} refused cases go again")
        elif status:
            _show_status(outboxes)
        else:
            _deliver(loaded, ledger)


def _deliver(config: EngineConfig, ledger: SqlLedger) -> None:
    from engine.deliver import open_deliverer
    from engine.metrics import Metrics, expose

    metrics, (host, port) = Metrics(), split_address(config.metrics.listen, source="metrics.listen")
    with expose(metrics, host, port), open_deliverer(config, ledger, metrics) as deliverer:
        deliverer.wait()


def _show_status(outboxes: Sequence[Outbox]) -> None:
    from engine.types import document

    console, table = table_console(), Table("recipient", "pending", "oldest pending", "delivered", "refused")
    for outbox in outboxes:
        status = outbox.status()
        oldest = f"{document.moment(status.oldest_s):%Y-%m-%d %H:%M:%S} UTC" if status.oldest_s else "-"
        table.add_row(outbox.recipient, str(status.pending), oldest, str(status.delivered), str(status.refused))
    console.print(table)
    for outbox in outboxes:
        for dead in outbox.refused(NEWEST):
            console.print(f"refused by {outbox.recipient}: {dead.case_id}: {dead.detail}", markup=False)
