"""The seal of a case: its place in the engine's chain, signed; and the engine's memory of that chain.

Every engine has one chain for every evidence root, born with it under a name that no other has. A case's `seal.json`
names the SHA-256 of its manifest, which names the SHA-256 of every other file, and the SHA-256 of the seal before it:
so a case that is changed, taken away or slipped in shows, whoever holds the folders.

The seal lies beside the manifest and not in it, because what a case *is* must not depend on what was proved before it:
the same offence proved twice has the same document, manifest and files. Only its number would differ, and even that
does not where this memory is kept: a case that was sealed is given the seal that it has.

The seal is committed here before its case gets its place on the disk (`folder`): a crash between the two leaves a
committed case among the incoming ones, and the next start puts it into its place. So the chain has no hole that the
engine made, and no case has a place without a link. SQLite in its rollback mode with `synchronous=EXTRA`: what `commit`
returned from survives a power cut (https://sqlite.org/pragma.html#pragma_synchronous).
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
NOTHING = "0" * 64
"""What the first seal of a chain names as the one before it."""
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
    """1, 2, 3 ... in the order of sealing, without holes."""
    case: str
    manifest_sha256: Sha256
    previous_sha256: Sha256
    """Of the seal with the number before, the whole file; zeros in the first."""
    public_key: Sha256 | None
    """Of the key that signed this very file (32 bytes, hexadecimal); None: nobody did."""

    @property
    def key(self) -> PublicKey | None:
        return PublicKey(self.public_key) if self.public_key else None


@dataclass(frozen=True, slots=True)
class SealedCase:
    """A seal as it lies on the disk."""

    content: bytes
    """`seal.json`."""
    signature: bytes
    """`seal.sig`: 64 bytes; empty where nobody signed."""

    def read(self) -> Seal:
        """Raises EvidenceError where the content is no seal."""
        try:
            return msgspec.json.decode(self.content, type=Seal)
        except (msgspec.DecodeError, ValueError) as error:
            raise EvidenceError(f"seal: {error}") from error

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


class Chain:
    """What an engine remembers of its seals, in the file `path`. Raises EvidenceError where the file refuses.

    One engine writes. A connection is opened for every call: they are few, and nothing is left to be closed.
    """

    def __init__(self, path: Path, owner: str, key: SigningKey | None) -> None:
        """A chain that is not there yet is born as `owner-` and eight random digits."""
        self._path = path
        self._key = key
        with self._open() as connection:
            connection.executescript(_TABLES)
            if connection.execute("SELECT 1 FROM chain").fetchone() is None:
                name = f"{owner or 'engine'}-{secrets.token_hex(4)}"
                connection.execute("INSERT INTO chain VALUES (?)", (name,))

    def next(self, case: str, manifest_sha256: str) -> SealedCase:
        """The seal that the case has, else the next one of the chain, which is not committed yet."""
        with self._open() as connection:
            known = connection.execute(
                "SELECT seal, signature FROM links WHERE case_id = ? AND manifest_sha256 = ?", (case, manifest_sha256)
            ).fetchone()
            return SealedCase(*known) if known else self._forge(connection, case, manifest_sha256)

    def commit(self, sealed: SealedCase) -> None:
        """Make the seal durable; one that is there already is left alone."""
        seal = sealed.read()
        row = (seal.number, seal.case, seal.manifest_sha256, sealed.content, sealed.signature)
        with self._open() as connection:
            if not _holds(connection, sealed):
                connection.execute("INSERT INTO links VALUES (?, ?, ?, ?, ?)", row)

    def holds(self, sealed: SealedCase) -> bool:
        """Was this very seal committed?"""
        with self._open() as connection:
            return _holds(connection, sealed)

    def _forge(self, connection: sqlite3.Connection, case: str, manifest_sha256: str) -> SealedCase:
        (name,) = connection.execute("SELECT name FROM chain").fetchone()
        last = connection.execute("SELECT number, seal FROM links ORDER BY number DESC LIMIT 1").fetchone()
        seal = Seal(
            schema=1,
            chain=name,
            number=last[0] + 1 if last else 1,
            case=case,
            manifest_sha256=manifest_sha256,
            previous_sha256=hashlib.sha256(last[1]).hexdigest() if last else NOTHING,
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


def remembered(path: Path) -> Sequence[SealedCase]:
    """Every seal that the engine remembers, ascending; none where there is no file. Raises EvidenceError."""
    with _reading(path) as connection:
        query = "SELECT seal, signature FROM links ORDER BY number"
        return [SealedCase(*row) for row in connection.execute(query)] if connection else []


def is_remembered(path: Path, sealed: SealedCase) -> bool:
    """Was this very seal committed to the chain of that file? Raises EvidenceError."""
    with _reading(path) as connection:
        return connection is not None and _holds(connection, sealed)


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection | None]:
    """A connection that changes nothing; None where there is no file."""
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
