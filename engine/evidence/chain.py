"""The seal of a case: its signed place in the engine's chain; and `chain.db`, the engine's record of the chain.

Every evidence root has one chain with a unique name. A case's `seal.json` has the SHA-256 of its manifest, which has
the SHA-256 of every other file, and the SHA-256 of the previous seal: a case that is changed, removed or inserted is
detected, no matter where the folders are kept.

The seal is beside the manifest and not in it, because a case must not depend on the cases before it: the same offence
built twice has the same document, manifest and files. Only its number could differ, and while `chain.db` exists it does
not: a case that was sealed gets the same seal again.

The seal is committed here before the case's folder is moved to its place (`folder`): after a crash between the two, the
next start moves the committed case. So the engine leaves no hole in the chain, and no case in its place without a link.
SQLite runs in its rollback mode with `synchronous=EXTRA`: what `commit` has written survives a power cut
(https://sqlite.org/pragma.html#pragma_synchronous).
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from engine.errors import EvidenceError
from engine.evidence.keys import PublicKey, SigningKey

CHAIN = "chain.db"
NO_SEAL = "0" * 64
"""`previous_sha256` of the first seal of a chain."""
_TABLES = """
CREATE TABLE IF NOT EXISTS chain (name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS links (
    number INTEGER PRIMARY KEY,
    case_id TEXT NOT NULL,
    manifest_sha256 TEXT NOT NULL,
    seal BLOB NOT NULL,
    signature BLOB NOT NULL,
    UNIQUE (case_id, manifest_sha256)
);
"""

Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Seal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`seal.json`: the place of a case in its engine's chain."""

    schema: Literal[1]
    chain: str
    number: Annotated[int, Meta(ge=1)]
    """1, 2, 3 ... in the order of sealing, without gaps."""
    case: str
    manifest_sha256: Sha256
    previous_sha256: Sha256
    """SHA-256 of the previous `seal.json`; zeros in the first."""
    public_key: Sha256 | None
    """Public half of the key that signed this file (32 bytes, hexadecimal); None if it is not signed."""

    @property
    def key(self) -> PublicKey | None:
        """`public_key` as a key; None if the file is not signed."""
        return PublicKey(self.public_key) if self.public_key else None


@dataclass(frozen=True, slots=True)
class SealedCase:
    """A seal as it is on the disk."""

    content: bytes
    """`seal.json`."""
    signature: bytes
    """`seal.sig`: 64 bytes; empty if it is not signed."""

    def read(self) -> Seal:
        """Decode the content. Raises EvidenceError if it is not a seal."""
        try:
            return msgspec.json.decode(self.content, type=Seal)
        except (msgspec.DecodeError, ValueError) as error:
            raise EvidenceError(f"seal: {error}") from error

    @property
    def sha256(self) -> str:
        """Of `seal.json`, lower-case hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


class Chain:
    """The engine's record of its seals, in the file `path`. Every method raises EvidenceError if the file refuses.

    One engine writes. Every call opens a connection: calls are few, and nothing has to be closed.
    """

    def __init__(self, path: Path, owner: str, key: SigningKey | None) -> None:
        """Open the chain; a new one is named `owner-` and eight random digits."""
        self._path = path
        self._key = key
        with self._open() as connection:
            connection.executescript(_TABLES)
            if connection.execute("SELECT 1 FROM chain").fetchone() is None:
                name = f"{owner or 'engine'}-{secrets.token_hex(4)}"
                connection.execute("INSERT INTO chain VALUES (?)", (name,))

    def next(self, case: str, manifest_sha256: str) -> SealedCase:
        """The seal of the case if it was committed, else the next one of the chain, which is not committed yet."""
        with self._open() as connection:
            known = connection.execute(
                "SELECT seal, signature FROM links WHERE case_id = ? AND manifest_sha256 = ?", (case, manifest_sha256)
            ).fetchone()
            return SealedCase(*known) if known else self._make(connection, case, manifest_sha256)

    def commit(self, sealed: SealedCase) -> None:
        """Make the seal durable; does nothing if it is committed already."""
        seal = sealed.read()
        row = (seal.number, seal.case, seal.manifest_sha256, sealed.content, sealed.signature)
        with self._open() as connection:
            if not _holds(connection, sealed):
                connection.execute("INSERT INTO links VALUES (?, ?, ?, ?, ?)", row)

    def holds(self, sealed: SealedCase) -> bool:
        """True if exactly this seal was committed."""
        with self._open() as connection:
            return _holds(connection, sealed)

    def _make(self, connection: sqlite3.Connection, case: str, manifest_sha256: str) -> SealedCase:
        (name,) = connection.execute("SELECT name FROM chain").fetchone()
        last = connection.execute("SELECT number, seal FROM links ORDER BY number DESC LIMIT 1").fetchone()
        seal = Seal(
            schema=1,
            chain=name,
            number=last[0] + 1 if last else 1,
            case=case,
            manifest_sha256=manifest_sha256,
            previous_sha256=hashlib.sha256(last[1]).hexdigest() if last else NO_SEAL,
            public_key=self._key.public.hex if self._key else None,
        )
        content = msgspec.json.format(msgspec.json.encode(seal), indent=1) + b"\n"
        return SealedCase(content, self._key.sign(content) if self._key else b"")

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
                connection.execute("PRAGMA synchronous=EXTRA")
                yield connection
        except sqlite3.Error as error:
            raise EvidenceError(f"{self._path}: {error}") from error


def committed_seals(path: Path) -> Sequence[SealedCase]:
    """Every seal in `chain.db`, in ascending order; empty if there is no file. Raises EvidenceError."""
    with _reading(path) as connection:
        query = "SELECT seal, signature FROM links ORDER BY number"
        return [SealedCase(*row) for row in connection.execute(query)] if connection else []


def is_committed(path: Path, sealed: SealedCase) -> bool:
    """True if exactly this seal is in `chain.db`. Raises EvidenceError."""
    with _reading(path) as connection:
        return connection is not None and _holds(connection, sealed)


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection | None]:
    """A read-only connection; None if there is no file."""
    if not path.exists():
        yield None
        return
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise EvidenceError(f"{path}: {error}") from error


def _holds(connection: sqlite3.Connection, sealed: SealedCase) -> bool:
    query = "SELECT 1 FROM links WHERE number = ? AND seal = ? AND signature = ?"
    return connection.execute(query, (sealed.read().number, sealed.content, sealed.signature)).fetchone() is not None
