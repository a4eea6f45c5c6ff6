"""Entries as they go out: serialised once, for however many watch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine import wire
from engine.register import Filter, Notice, SqlRegister


@dataclass(frozen=True, slots=True)
class Sealed:
    """An entry as it goes out, and what filters ask about."""

    notice: Notice
    message: bytes
    """A serialised WatchViolationsResponse."""


@dataclass(frozen=True, slots=True)
class Run:
    """What follows a sequence in the register."""

    messages: Sequence[bytes]
    last: int
    """Sequence of the last of them; 0 where there is none."""


def seal(notice: Notice) -> Sealed:
    """Serialise an entry."""
    return Sealed(notice, wire.watched(notice.sequence, notice.recorded_s, notice.summary, notice.document))


def read_run(register: SqlRegister, after: int, limit: int, wanted: Filter) -> Run:
    """At most `limit` entries that follow `after`. Raises RegisterError."""
    notices = register.notices(after, limit, wanted)
    return Run([seal(notice).message for notice in notices], notices[-1].sequence if notices else 0)
