"""Entries as they go out: serialised once, for however many watch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine import wire
from engine.ledger import EntrySummary, Filter, SqlLedger


@dataclass(frozen=True, slots=True)
class SerializedEntry:
    """An entry as it goes out, and what filters ask about."""

    notice: EntrySummary
    message: bytes
    """A serialised WatchViolationsResponse."""


@dataclass(frozen=True, slots=True)
class EntryRun:
    """What follows a sequence in the register."""

    messages: Sequence[bytes]
    last: int
    """Sequence of the last of them; 0 where there is none."""


def seal(notice: EntrySummary) -> SerializedEntry:
    """Serialise an entry."""
    return SerializedEntry(notice, wire.watched(notice.sequence, notice.recorded_s, notice.summary, notice.document))


def read_run(ledger: SqlLedger, after: int, limit: int, wanted: Filter) -> EntryRun:
    """At most `limit` entries that follow `after`. Raises LedgerError."""
    notices = ledger.notices(after, limit, wanted)
    return EntryRun([seal(notice).message for notice in notices], notices[-1].sequence if notices else 0)
