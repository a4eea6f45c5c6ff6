"""`qyran deliver`: the deliverer alone, how its recipients stand, and a second chance for what they refused."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from rich.console import Console
from rich.table import Table

from engine.config import EngineConfig, load_config, split_address
from engine.deliver import open_deliverer
from engine.errors import ConfigError
from engine.ledger import DeliveryStatus, Outbox, SqlLedger
from engine.metrics import Metrics, expose
from engine.types import document

NEWEST = 20
"""Refusals that are shown of each recipient."""


def deliver(config_path: Path) -> None:
    """Deliver until interrupted (KeyboardInterrupt). Raises ConfigError or LedgerError."""
    config, metrics = _config(config_path), Metrics()
    host, port = split_address(config.metrics.listen, source="metrics.listen")
    with (
        expose(metrics, host, port),
        closing(SqlLedger(config.ledger_at)) as ledger,
        open_deliverer(config, ledger, metrics) as deliverer,
    ):
        deliverer.wait()


def show(config_path: Path, console: Console) -> None:
    """Print how every recipient stands and what it refused. Raises ConfigError or LedgerError."""
    config = _config(config_path)
    with closing(SqlLedger(config.ledger_at)) as ledger:
        outboxes = [Outbox(ledger.database, recipient.name) for recipient in config.recipients]
        console.print(_standings([(outbox.recipient, outbox.status()) for outbox in outboxes]))
        for outbox in outboxes:
            for dead in outbox.refused(NEWEST):
                console.print(f"refused by {outbox.recipient}: {dead.case_id}: {dead.detail}", markup=False)


def retry(config_path: Path, console: Console) -> None:
    """Make every refused case pending once more. Raises ConfigError or LedgerError."""
    config = _config(config_path)
    with closing(SqlLedger(config.ledger_at)) as ledger:
        for recipient in config.recipients:
            count = Outbox(ledger.database, recipient.name).retry_refused()
            console.print(f"{recipient.name}: {count} refused cases go again", markup=False)


def _config(path: Path) -> EngineConfig:
    config = load_config(path, opens_cameras=False)
    if not config.recipients:
        raise ConfigError(f"{path}: names no recipients to deliver to")
    return config


def _standings(standings: Sequence[tuple[str, DeliveryStatus]]) -> Table:
    table = Table("recipient", "pending", "oldest pending", "delivered", "refused")
    for name, standing in standings:
        oldest = f"{document.moment(standing.oldest_s):%Y-%m-%d %H:%M:%S} UTC" if standing.oldest_s else "-"
        table.add_row(name, str(standing.pending), oldest, str(standing.delivered), str(standing.refused))
    return table
