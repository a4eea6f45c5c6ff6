"""Bearer tokens: who may call, in which role, and what of the cases they may see.

A token is `qyran_ID_SECRET`. The secret has 256 random bits and is never stored, only its BLAKE2b digest, keyed by the
ID so that a digest moved to another row fits nothing. A slow hash (argon2, scrypt) protects secrets that people choose,
by making each guess dear; of 2^256 nobody guesses one, and a hash that costs 50 ms a call would hand everybody a way to
keep the service busy.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import sqlalchemy as sa

from engine.access import Role, Scope
from engine.errors import ConfigError, LedgerError
from engine.ledger.database import Database
from engine.ledger.tables import metadata

PREFIX = "qyran"
NAME_LENGTH = 63
_tokens = sa.Table(
    "tokens",
    metadata,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("name", sa.String(63), nullable=False),
    sa.Column("role", sa.String(15), nullable=False),
    sa.Column("scope", sa.LargeBinary, nullable=False, comment="JSON object of kinds, cameras, areas"),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("created_s", sa.Double, nullable=False),
    sa.Column("expires_s", sa.Double),
    sa.Column("revoked_s", sa.Double),
)


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token; never the token itself."""

    id: str
    name: str
    """Who it was made for: what audit and cursors call the caller."""
    role: Role
    scope: Scope
    digest: bytes
    created_s: float
    expires_s: float | None
    revoked_s: float | None

    def is_valid(self, now_s: float) -> bool:
        return self.revoked_s is None and (self.expires_s is None or now_s < self.expires_s)

    @property
    def is_certificate(self) -> bool:
        """It has no secret: it says what the client certificate of its name stands for."""
        return not self.digest

    def fits(self, secret: str) -> bool:
        """Is this its secret? In constant time."""
        return hmac.compare_digest(self.digest, _digest(self.id, secret))

    def __repr__(self) -> str:
        return f"Token(id={self.id!r}, name={self.name!r}, role={self.role.value!r})"


class Tokens:
    """The tokens in the register's database. Safe from any thread; every method raises LedgerError."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def new(self, name: str, role: Role, scope: Scope, expires_s: float | None = None) -> str:
        """Make a token and return it, the only time that it can be seen. Raises ConfigError for too long a name."""
        token_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        self._add(token_id, name, role, scope, _digest(token_id, secret), expires_s)
        return f"{PREFIX}_{token_id}_{secret}"

    def new_certificate(self, name: str, role: Role, scope: Scope, expires_s: float | None = None) -> str:
        """Say what the client certificate with this common name stands for; returns the ID to revoke it by."""
        token_id = secrets.token_hex(6)
        self._add(token_id, name, role, scope, b"", expires_s)
        return token_id

    def _add(self, token_id: str, name: str, role: Role, scope: Scope, digest: bytes, expires_s: float | None) -> None:
        if not 0 < len(name) <= NAME_LENGTH:
            raise ConfigError(f"a token's name has 1 to {NAME_LENGTH} characters, not {len(name)}")
        row = {
            "id": token_id,
            "name": name,
            "role": role.value,
            "scope": msgspec.json.encode(scope),
            "digest": digest,
            "created_s": self._clock(),
            "expires_s": expires_s,
        }
        with self._database.writing("make a token") as connection:
            connection.execute(sa.insert(_tokens).values(row))

    def all(self) -> Sequence[Token]:
        """Every token there ever was, the oldest first."""
        with self._database.reading() as connection:
            return [_token(row) for row in connection.execute(sa.select(_tokens).order_by(_tokens.c.created_s))]

    def revoke(self, token_id: str) -> None:
        """Let a token open nothing any more, from within a second on. Raises LedgerError where there is none."""
        with self._database.writing("revoke a token") as connection:
            known = connection.execute(sa.select(_tokens.c.revoked_s).where(_tokens.c.id == token_id)).first()
            if known is None:
                raise LedgerError(f"there is no token {token_id!r}")
            standing = (_tokens.c.id == token_id) & _tokens.c.revoked_s.is_(None)
            connection.execute(sa.update(_tokens).where(standing).values(revoked_s=self._clock()))


def split(token: str) -> tuple[str, str] | None:
    """ID and secret of what says it is a token; None where it has not the form of one."""
    prefix, _, rest = token.partition("_")
    token_id, _, secret = rest.partition("_")
    return (token_id, secret) if prefix == PREFIX and token_id and secret else None


def _digest(token_id: str, secret: str) -> bytes:
    return hashlib.blake2b(secret.encode(), key=token_id.encode(), digest_size=32).digest()


def _token(row: sa.Row[object]) -> Token:
    scope = msgspec.json.decode(row.scope, type=Scope)
    role, times = Role(row.role), (row.created_s, row.expires_s, row.revoked_s)
    return Token(row.id, row.name, role, scope, row.digest, *times)
