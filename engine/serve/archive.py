"""The register for those who lag far behind: read in a process of its own.

SQLite's module lets the interpreter's lock go at every row and has to win it back each time: a thread that reads for
a client which catches up a million entries would hand it to and fro with the one that sends them.
"""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from multiprocessing import connection, get_context, parent_process
from pathlib import Path

from engine.errors import LedgerError
from engine.ledger import Filter, SqlLedger
from engine.serve.serialized import EntryRun, read_run

_opened: list[SqlLedger] = []
"""In the process: the register."""


class Archive:
    """The register at `where`, read by a process that is started when the first asks, and ends with this one."""

    def __init__(self, where: Path | str) -> None:
        self._where = where
        self._pool: ProcessPoolExecutor | None = None

    async def read_run(self, after: int, limit: int, wanted: Filter) -> EntryRun:
        """`sealing.read_run`. Raises LedgerError, also where the process died; the next call starts another."""
        self._pool = self._pool or ProcessPoolExecutor(
            1, mp_context=get_context("spawn"), initializer=_open, initargs=(self._where,)
        )
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, _read_run, after, limit, wanted)
        except BrokenExecutor as error:
            self.close()
            raise LedgerError("the process that reads for those who lag has died") from error

    def close(self) -> None:
        """End the process."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None


def _open(where: Path | str) -> None:
    _opened.append(SqlLedger(where))
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that is killed closes nothing: without this its child would wait for orders for ever."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(0)


def _read_run(after: int, limit: int, wanted: Filter) -> EntryRun:
    return read_run(_opened[0], after, limit, wanted)
