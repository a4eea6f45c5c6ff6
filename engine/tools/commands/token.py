"""`qyran token`: credentials of the callers of the service."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from engine.access import Role, Scope
from engine.errors import ConfigError
from engine.tools.shared import Config, open_ledger, table_console

if TYPE_CHECKING:
    from engine.ledger import Token

DAY_S = 86400.0
app = typer.Typer(name="token", help="Make, list and revoke tokens for callers of the service.", no_args_is_help=True)


@app.command("new")
def new_token(
    config: Config,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the caller, or common name of its certificate.")],
    role: Annotated[str, typer.Option(help="viewer, register, officer, controller or admin.")],
    kind: Annotated[list[str] | None, typer.Option(help="Allow only this kind. Repeatable.")] = None,
    camera: Annotated[list[str] | None, typer.Option(help="Allow only this camera. Repeatable.")] = None,
    area: Annotated[list[str] | None, typer.Option(help="Allow only this area. Repeatable.")] = None,
    days: Annotated[int, typer.Option(min=0, help="Days until it expires; 0: it does not expire.")] = 365,
    certificate: Annotated[bool, typer.Option("--certificate", help="For a client certificate, not a token.")] = False,
) -> None:
    """Make a token and print it; it cannot be printed again. A running engine accepts it within a second."""
    from engine.ledger import Tokens

    expires_s = time.time() + days * DAY_S if days else None
    scope = Scope(tuple(kind or ()), tuple(camera or ()), tuple(area or ()))
    with open_ledger(config) as (_, ledger):
        tokens = Tokens(ledger.database)
        make = tokens.new_certificate if certificate else tokens.new
        typer.echo(make(name, _parse_role(role), scope, expires_s))


@app.command("list")
def list_tokens(config: Config) -> None:
    """Print every token, also expired and revoked ones, without its secret."""
    from engine.ledger import Tokens

    table = Table("id", "name", "role", "sees", "kind", "made", "expires", "state")
    with open_ledger(config) as (_, ledger):
        for token in Tokens(ledger.database).all():
            table.add_row(*_cells(token))
    table_console().print(table)


@app.command("revoke")
def revoke_token(
    config: Config, token_id: Annotated[str, typer.Argument(metavar="ID", help="Id in `qyran token list`.")]
) -> None:
    """Revoke a token: new calls are refused within a second, open streams end at their next heartbeat."""
    from engine.ledger import Tokens

    with open_ledger(config) as (_, ledger):
        Tokens(ledger.database).revoke(token_id)


def _parse_role(name: str) -> Role:
    try:
        return Role(name)
    except ValueError:
        raise ConfigError(f"--role {name}: must be one of {', '.join(role.value for role in Role)}") from None


def _cells(token: Token) -> tuple[str, ...]:
    return (
        token.id,
        token.name,
        token.role.value,
        _describe_scope(token.scope),
        "certificate" if token.is_certificate else "token",
        _day(token.created_s),
        "never" if token.expires_s is None else _day(token.expires_s),
        "valid" if token.is_valid(time.time()) else "revoked" if token.revoked_s is not None else "expired",
    )


def _describe_scope(scope: Scope) -> str:
    parts = {"kinds": scope.kinds, "cameras": scope.cameras, "areas": scope.areas}
    return "; ".join(f"{name} {', '.join(values)}" for name, values in parts.items() if values) or "everything"


def _day(time_s: float) -> str:
    return f"{dt.datetime.fromtimestamp(time_s, dt.UTC):%Y-%m-%d}"
