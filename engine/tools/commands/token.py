"""`qyran token`: who may call the service."""

from __future__ import annotations

import datetime as dt
import time
from contextlib import closing
from pathlib import Path

from rich.console import Console
from rich.table import Table

from engine.access import Role, Scope
from engine.config import load_config
from engine.errors import ConfigError
from engine.ledger import SqlLedger, Token, Tokens

DAY_S = 86400.0


def new_token(path: Path, name: str, role: str, scope: Scope, days: int, *, certificate: bool) -> str:
    """Make a token of the engine configured at `path`; what is returned is shown this once."""
    config = load_config(path, opens_cameras=False)
    expires_s = time.time() + days * DAY_S if days else None
    with closing(SqlLedger(config.ledger_at)) as ledger:
        tokens = Tokens(ledger.database)
        if not certificate:
            return tokens.new(name, _role(role), scope, expires_s)
        return tokens.new_certificate(name, _role(role), scope, expires_s)


def list_tokens(path: Path, console: Console) -> None:
    """Print every token there ever was, but for its secret."""
    with closing(SqlLedger(load_config(path, opens_cameras=False).ledger_at)) as ledger:
        known = Tokens(ledger.database).all()
    table = Table()
    for column in ("id", "name", "role", "sees", "kind", "made", "expires", "state"):
        table.add_column(column)
    for token in known:
        table.add_row(*_cells(token))
    console.print(table)


def revoke_token(path: Path, token_id: str) -> None:
    """Let a token open nothing any more. Raises LedgerError where there is none."""
    with closing(SqlLedger(load_config(path, opens_cameras=False).ledger_at)) as ledger:
        Tokens(ledger.database).revoke(token_id)


def _role(name: str) -> Role:
    try:
        return Role(name)
    except ValueError:
        raise ConfigError(f"--role {name}: is none of {', '.join(role.value for role in Role)}") from None


def _cells(token: Token) -> tuple[str, ...]:
    state = "valid" if token.is_valid(time.time()) else "revoked" if token.revoked_s is not None else "expired"
    return (
        token.id,
        token.name,
        token.role.value,
        _sees(token.scope),
        "certificate" if token.is_certificate else "token",
        _day(token.created_s),
        "never" if token.expires_s is None else _day(token.expires_s),
        state,
    )


def _sees(scope: Scope) -> str:
    parts = {"kinds": scope.kinds, "cameras": scope.cameras, "areas": scope.areas}
    return "; ".join(f"{name} {', '.join(values)}" for name, values in parts.items() if values) or "everything"


def _day(time_s: float) -> str:
    return dt.datetime.fromtimestamp(time_s, dt.UTC).strftime("%Y-%m-%d")
