"""Pages of the ledger for watchers that lag, and a process that reads them for watchers that lag far.

SQLite's module releases the interpreter lock at every row and has to win it back. A thread that reads a million entries
for one watcher would take the lock from the thread that sends them: so another process reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from engine.errors import LedgerError
from engine.ledger import Filter, SqlLedger

PAGE = 256
"""Entries of a page: what a lagging watcher holds in memory."""


@dataclass(frozen=True, slots=True)
class EntryPage:
    """The wanted entries after a sequence."""

    messages: Sequence[bytes]
    """Serialized WatchViolationsResponses."""
    reached: int
    """Every wanted entry up to this sequence is in this page or an earlier one."""
    is_last: bool
    """True if no more entries were there when the page was read."""


def read_page(ledger: SqlLedger, after: int, wanted: Filter, last: int) -> EntryPage:
    """Read the page after a sequence; `last` is a sequence that the ledger has reached. Raises LedgerError."""
    entries = ledger.read_serialized(after, PAGE, wanted)
    reached, is_last = entries[-1].sequence if entries else after, len(entries) < PAGE
    return EntryPage([entry.message for entry in entries], max(reached, last) if is_last else reached, is_last)


class Archive:
    """The ledger at `where`, read by a process. The first call starts the process; it ends with its parent."""

    def __init__(self, where: Path | str) -> None:
        self._where = where
        self._asking = ThreadPoolExecutor(1, thread_name_prefix="service archive")
        self._pipe: Connection[Any, Any] | None = None

    async def read_page(self, after: int, wanted: Filter, last: int) -> EntryPage:
        """`read_page`. Raises LedgerError also if the process died; the next call starts another process."""
        return await asyncio.get_running_loop().run_in_executor(self._asking, self._ask, after, wanted, last)

    def close(self) -> None:
        """End the process once it has answered."""
        self._asking.submit(self._hang_up)

    def _ask(self, *question: object) -> EntryPage:
        """Ask over a pipe, not a process pool: a pool waits for ever for a process that dies while it answers."""
        self._pipe = self._pipe or self._start()
        try:
            self._pipe.send(question)
            answer: EntryPage | LedgerError = self._pipe.recv()
        except (OSError, EOFError) as error:
            self._hang_up()
            raise LedgerError("the process that reads for lagging watchers has died") from error
        if isinstance(answer, LedgerError):
            raise answer
        return answer

    def _start(self) -> Connection[Any, Any]:
        context = get_context("spawn")
        own_end, other_end = context.Pipe()
        context.Process(target=_answer, args=(self._where, other_end), daemon=True).start()
        other_end.close()
        return own_end

    def _hang_up(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None


def _answer(where: Path | str, pipe: Connection[Any, Any]) -> None:
    """Answer questions until the pipe is closed; it also closes when the parent ends. Runs in the process."""
    ledger = SqlLedger(where)
    while True:
        try:
            question = pipe.recv()
            try:
                answer: EntryPage | LedgerError = read_page(ledger, *question)
            except LedgerError as error:
                answer = error
            pipe.send(answer)
        except (OSError, EOFError):
            return
