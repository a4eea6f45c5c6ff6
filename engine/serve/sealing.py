"""Entries as they go out: serialised once, for however many watch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qyran.v1 import violation_service_pb2 as pb

from engine import wire
from engine.register import Filter, SqlRegister
from engine.types import Case, Entry


@dataclass(frozen=True, slots=True)
class Sealed:
    """An entry as it goes out: a serialised WatchViolationsResponse, and what filters ask about."""

    sequence: int
    recorded_s: float
    case: Case
    message: bytes


@dataclass(frozen=True, slots=True)
class Run:
    """What follows a sequence in the register."""

    messages: Sequence[bytes]
    last: int
    """Sequence of the last of them; 0 where there is none."""


def seal(entry: Entry) -> Sealed:
    """Serialise an entry."""
    message = pb.WatchViolationsResponse()
    wire.fill_entry(message.entry, entry)
    return Sealed(entry.sequence, entry.recorded_s, entry.case, message.SerializeToString())


def read_run(register: SqlRegister, after: int, limit: int, wanted: Filter) -> Run:
    """At most `limit` entries that follow `after`. Raises RegisterError."""
    entries = register.read(after, limit, wanted)
    return Run([seal(entry).message for entry in entries], entries[-1].sequence if entries else 0)
