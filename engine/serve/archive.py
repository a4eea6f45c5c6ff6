"""The register for those who lag far behind: read in a process of its own.

SQLite's module lets the interpreter's lock go at every row and has to win it back each time: a thread that reads for
a client which catches up a million entries would hand it to and fro with the one that sends them.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from engine.errors import LedgerError
from engine.ledger import Filter, SqlLedger
from engine.serve.serialized import EntryRun, read_run


class Archive:
    """The register at `where`, read by a process that is started when the first asks, and ends with this one."""

    def __init__(self, where: Path | str) -> None:
        self._where = where
        self._asking = ThreadPoolExecutor(1, thread_name_prefix="service archive")
        self._pipe: Connection[Any, Any] | None = None

    async def read_run(self, after: int, limit: int, wanted: Filter) -> EntryRun:
        """`sealing.read_run`. Raises LedgerError, also where the process died; the next call starts another."""
        return await asyncio.get_running_loop().run_in_executor(self._asking, self._ask, after, limit, wanted)

    def close(self) -> None:
        """End the process once it has answered."""
        self._asking.submit(self._hang_up)

    def _ask(self, *question: object) -> EntryRun:
        """A pipe of our own, not a process pool: a pool waits for ever for a process that dies while it answers."""
        self._pipe = self._pipe or self._started()
        try:
            self._pipe.send(question)
            answer: EntryRun | LedgerError = self._pipe.recv()
        except (OSError, EOFError) as error:
            self._hang_up()
            raise LedgerError("the process that reads for those who lag has died") from error
        if isinstance(answer, LedgerError):
            raise answer
        return answer

    def _started(self) -> Connection[Any, Any]:
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        context.Process(target=_answer, args=(self._where, theirs), daemon=True).start()
        theirs.close()
        return ours

    def _hang_up(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None


def _answer(where: Path | str, pipe: Connection[Any, Any]) -> None:
    """In the process: answer until the pipe is closed, which the end of the parent does as well."""
    ledger = SqlLedger(where)
    while True:
        try:
            question = pipe.recv()
            try:
                answer: EntryRun | LedgerError = read_run(ledger, *question)
            except LedgerError as error:
                answer = error
            pipe.send(answer)
        except (OSError, EOFError):
            return
