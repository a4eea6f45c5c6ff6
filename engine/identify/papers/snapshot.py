"""A registry's extract on this machine: a CSV file, imported into SQLite, which a running engine reads.

The CSV has a header and the columns `plate`, `inspection_until`, `insurance_until`, `permit_until`: the last day on
which the paper is valid (YYYY-MM-DD), `none` if the registry knows that there is no paper, empty if it does not know.
"""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog

from engine.errors import ConfigError
from engine.identify.papers.paper import PAPERS, PaperRecord, Until
from engine.types import RegistryAnswer, Validity

log = structlog.get_logger()

COLUMNS = {"no_inspection": "inspection_until", "no_insurance": "insurance_until", "permit_expired": "permit_until"}
"""By kind of violation."""
HEADER = ("plate", *COLUMNS.values())
TABLE = "CREATE TABLE vehicles (plate TEXT PRIMARY KEY, inspection_until TEXT, insurance_until TEXT, permit_until TEXT)"


def import_csv(source: Path, target: Path, as_of: dt.datetime) -> int:
    """Make a snapshot of a CSV file that was true at `as_of`; returns the number of vehicles.

    Replaces the old snapshot as a whole, or leaves it unchanged and raises ConfigError that names the line.
    """
    fresh = target.with_name(f"{target.name}.new")
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh.unlink(missing_ok=True)
    try:
        with source.open(encoding="utf-8-sig", newline="") as lines:
            count = _fill(fresh, _rows(lines, source), as_of)
        fresh.replace(target)
    except (OSError, UnicodeDecodeError, csv.Error, sqlite3.Error) as error:
        raise ConfigError(f"{source}: {error}") from error
    finally:
        fresh.unlink(missing_ok=True)
    return count


def moment_of(source: Path, as_of: str = "") -> dt.datetime:
    """UTC time at which a file was true: `as_of`, or else its last change. Raises ConfigError."""
    try:
        if not as_of:
            return dt.datetime.fromtimestamp(source.stat().st_mtime, dt.UTC)
        at = dt.datetime.fromisoformat(as_of)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{source}: --as-of: {error}") from error
    if at.tzinfo is None:
        raise ConfigError(f"{source}: --as-of {as_of}: needs an offset, e.g. +05:00")
    return at.astimezone(dt.UTC)


def _fill(path: Path, rows: Iterator[tuple[str, ...]], as_of: dt.datetime) -> int:
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE snapshot (as_of TEXT)")
        database.execute("INSERT INTO snapshot VALUES (?)", (as_of.isoformat(),))
        database.execute(TABLE)
        database.executemany("INSERT INTO vehicles VALUES (?, ?, ?, ?)", rows)
        return int(database.execute("SELECT COUNT(*) FROM vehicles").fetchone()[0])


def _rows(lines: Iterator[str], source: Path) -> Iterator[tuple[str, ...]]:
    reader = csv.DictReader(lines)
    if reader.fieldnames is None or set(reader.fieldnames) != set(HEADER):
        raise ConfigError(f"{source}: the first line must name the columns {', '.join(HEADER)}")
    seen: set[str] = set()
    for row in reader:
        where = f"{source}: line {reader.line_num}"
        plate = "".join((row["plate"] or "").split()).upper()
        if not plate or None in row.values() or None in row:
            raise ConfigError(f"{where}: expected a plate and {len(COLUMNS)} more cells")
        if plate in seen:
            raise ConfigError(f"{where}: plate {plate} appears twice")
        seen.add(plate)
        yield plate, *(_day(row[column], f"{where}: {column}") for column in COLUMNS.values())


def _day(cell: str, where: str) -> str:
    """The cell without spaces. Raises ConfigError that names `where`."""
    cell = cell.strip()
    if cell not in ("", "none"):
        try:
            dt.date.fromisoformat(cell)
        except ValueError:
            raise ConfigError(f"{where}: {cell!r} is neither a day (YYYY-MM-DD) nor `none` nor empty") from None
    return cell


class SnapshotRegistry:
    """`stages.VehicleRegistry` on a snapshot; reads a newer one at the same path without a restart."""

    def __init__(self, path: Path, longest_age_s: float, zone: ZoneInfo) -> None:
        """Papers end with a day of `zone`. Raises ConfigError if the snapshot cannot be read."""
        self._path = path
        self._longest_age_s = longest_age_s
        self._zone = zone
        self._database: sqlite3.Connection | None = None
        self._stamp: tuple[int, int] | None = None
        try:
            self._open()
        except (OSError, sqlite3.Error, ValueError, TypeError) as error:
            raise ConfigError(f"{path}: no snapshot of a registry (qyran registry import): {error}") from error

    def ask(self, plate: str, kind: str, at_s: float) -> RegistryAnswer:
        """UNKNOWN if the vehicle is not in the snapshot, or the snapshot is too old for the instant."""
        if kind not in PAPERS:
            return RegistryAnswer(Validity.UNKNOWN, detail=f"the registry has no papers for {kind}")
        try:
            self._renew()
            until = self._until(plate, COLUMNS[kind])
        except (OSError, sqlite3.Error, ValueError, TypeError) as error:
            log.error("the registry's snapshot cannot be read", path=str(self._path), error=str(error))
            return RegistryAnswer(Validity.UNKNOWN, detail="the registry's snapshot cannot be read")
        if at_s - self._as_of.timestamp() > self._longest_age_s:
            detail = f"the registry's snapshot of {self._as_of:%Y-%m-%d %H:%M} UTC is too old"
            return RegistryAnswer(Validity.UNKNOWN, detail=detail)
        return PaperRecord(until, self._as_of, "snapshot").judge(kind, dt.datetime.fromtimestamp(at_s, self._zone))

    def close(self) -> None:
        """Close the snapshot's file."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def _until(self, plate: str, column: str) -> Until:
        assert self._database is not None
        row = self._database.execute(f"SELECT {column} FROM vehicles WHERE plate = ?", (plate,)).fetchone()
        if row is None or row[0] == "":
            return None
        return "none" if row[0] == "none" else dt.date.fromisoformat(row[0])

    def _renew(self) -> None:
        status = self._path.stat()
        if (status.st_ino, status.st_mtime_ns) != self._stamp:
            self._open()

    def _open(self) -> None:
        # Read-only, and from any thread: the engine asks from one thread at a time, which need not be this one.
        status = self._path.stat()
        database = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)
        try:
            (as_of,) = database.execute("SELECT as_of FROM snapshot").fetchone()
            self._as_of = dt.datetime.fromisoformat(as_of).astimezone(dt.UTC)
        except BaseException:
            database.close()
            raise
        self.close()
        self._database, self._stamp = database, (status.st_ino, status.st_mtime_ns)
