"""Bearer tokens: a caller's name, role and scope.

A token is `qyran_ID_SECRET`. The secret has 256 random bits and is never stored, only its BLAKE2b digest, keyed by the
ID so that a digest copied to another row does not match. The hash is fast, because 256 random bits cannot be guessed,
and a slow one (argon2, scrypt) would let any caller keep the service busy.
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
from engine.ledger.database import Database, record
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
    """The record of a token, without its secret."""

    id: str
    name: str
    """Name of the caller, in the audit log and for cursors."""
    role: Role
    scope: Scope
    digest: bytes
    created_s: float
    expires_s: float | None
    revoked_s: float | None

    def is_valid(self, now_s: float) -> bool:
        """True if the token is neither revoked nor expired at `now_s`, Unix seconds."""
        return self.revoked_s is None and (self.expires_s is None or now_s < self.expires_s)

    @property
    def is_certificate(self) -> bool:
        """True for a record without a secret: it gives the client certificate of its name a role and a scope."""
        return not self.digest

    def fits(self, secret: str) -> bool:
        """True if this is the secret of the token; compared in constant time."""
        return hmac.compare_digest(self.digest, _digest(self.id, secret))

    def __repr__(self) -> str:
        return f"Token(id={self.id!r}, name={self.name!r}, role={self.role.value!r})"


class Tokens:
    """The tokens in the ledger's database. Safe from any thread; every method raises LedgerError."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def new(self, name: str, role: Role, scope: Scope, expires_s: float | None = None) -> str:
        """Make a token and return it; it cannot be read again. Raises ConfigError for an empty or too long name."""
        token_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        self._add(token_id, name, role, scope, _digest(token_id, secret), expires_s)
        return f"{PREFIX}_{token_id}_{secret}"

    def new_certificate(self, name: str, role: Role, scope: Scope, expires_s: float | None = None) -> str:
        """Give the client certificate with this common name a role. Returns the ID that revokes it. Raises as `new`."""
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
        """Every token ever made, the oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(_tokens).order_by(_tokens.c.created_s)).all()
        return [record(Token, row, scope=msgspec.json.decode(row.scope)) for row in rows]

    def revoke(self, token_id: str) -> None:
        """End a token; the service knows within a second. Raises LedgerError for an unknown ID."""
        with self._database.writing("revoke a token") as connection:
            known = connection.execute(sa.select(_tokens.c.revoked_s).where(_tokens.c.id == token_id)).first()
            if known is None:
                raise LedgerError(f"there is no token {token_id!r}")
            current = (_tokens.c.id == token_id) & _tokens.c.revoked_s.is_(None)
            connection.execute(sa.update(_tokens).where(current).values(revoked_s=self._clock()))


def split(token: str) -> tuple[str, str] | None:
    """ID and secret of a token; None for a text of another form."""
    prefix, _, rest = token.partition("_")
    token_id, _, secret = rest.partition("_")
    return (token_id, secret) if prefix == PREFIX and token_id and secret else None


def _digest(token_id: str, secret: str) -> bytes:
    return hashlib.blake2b(secret.encode(), key=token_id.encode(), digest_size=32).digest()
