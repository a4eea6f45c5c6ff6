"""`qyran retention`: what is no longer to be kept, and what is held."""

from __future__ import annotations

import getpass
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from engine.app.housekeeping import open_housekeeper
from engine.config import EngineConfig, load_config
from engine.errors import ConfigError
from engine.ledger import Retention, SqlLedger
from engine.types import document


@dataclass(frozen=True, slots=True)
class RetentionRequest:
    """What the operator asked for."""

    apply: bool = False
    hold: str = ""
    """Id of a case to be kept."""
    release: str = ""
    """Id of a case whose holds end."""
    why: str = ""


def retention(config_path: Path, order: RetentionRequest, console: Console) -> None:
    """Hold, release, remove, or say what would be removed. Raises ConfigError, LedgerError or EvidenceError."""
    if order.hold and not order.why:
        raise ConfigError("--hold needs --why: the reason is kept with the hold")
    config = load_config(config_path, opens_cameras=False)
    with closing(SqlLedger(config.ledger_at)) as ledger:
        keeper = Retention(ledger.database, config.retention)
        if order.hold:
            keeper.hold(order.hold, order.why, getpass.getuser())
        if order.release:
            count = keeper.release(order.release, getpass.getuser())
            console.print(f"{order.release}: {count} hold(s) ended", markup=False)
        if not (order.hold or order.release):
            _remove(config, ledger, order.apply, console)
        for hold in keeper.holds():
            since = f"{document.moment(hold.placed_s):%Y-%m-%d}"
            console.print(f"held since {since} by {hold.placed_by}: {hold.case_id}: {hold.why}", markup=False)


def _remove(config: EngineConfig, ledger: SqlLedger, apply: bool, console: Console) -> None:
    housekeeper = open_housekeeper(config, ledger)
    due = Counter((case.why, case.kind) for case in housekeeper.due())
    for (why, kind), count in sorted(due.items()):
        console.print(f"{count} of {kind}: over by the rule: {why}", markup=False)
    if apply:
        console.print(f"{housekeeper.remove()} case(s) removed")
    else:
        console.print(f"{due.total()} case(s) are due" + (": --apply removes them" if due else ""))
