"""The entries for watchers: read once, serialized once, shared by all.

Watchers that keep up are served from the tail, the newest entries in memory. A watcher that lags gets pages from the
ledger; watchers that lag alike share the pages.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import TypeVar

import structlog

from engine.errors import LedgerError
from engine.ledger import EVERYTHING, Filter, SerializedEntry, SqlLedger
from engine.metrics import Metrics
from engine.serve.archive import PAGE, Archive, EntryPage, read_page

log = structlog.get_logger()

T = TypeVar("T")

PAGES, PAGES_S = 16, 5.0
"""Number and age of the pages kept for all lagging watchers: those that lag alike ask within moments."""
TAIL, TAIL_S = 1024, 600.0
"""Number and age of the entries in the tail; the age is limited because retention removes old cases."""
FAR = 4096
"""For a watcher that lags by more entries, another process reads (`Archive`)."""
ASK_S = 0.5
RETRY_S = 1.0


class Feed:
    """Follows the ledger. Lives on one event loop; the disk is read on the threads of `readers`."""

    def __init__(self, ledger: SqlLedger, readers: Executor, metrics: Metrics) -> None:
        self.ended = False
        self.last = 0
        """Sequence of the newest known entry."""
        self.watchers = 0
        """Calls that watch now. The tail is kept only while there are any."""
        self._ledger = ledger
        self._archive = Archive(ledger.database.where)
        self._readers = readers
        self._metrics = metrics
        self._grown, self._over = asyncio.Event(), asyncio.Event()
        self._tail: deque[SerializedEntry] = deque(maxlen=TAIL)
        self._pages: dict[tuple[int, Filter], tuple[float, asyncio.Task[EntryPage]]] = {}
        """Each page with the time when its reading began."""

    async def follow(self) -> None:
        """Follow the ledger until `end`; retry where it cannot be read.

        No unexpected error ends it either: watchers would get heartbeats and no entries for ever.
        """
        while not self.ended:
            try:
                await self._advance(await self.read(self._ledger.wait, self.last, ASK_S))
                self._expire()
            except LedgerError as error:
                log.error("ledger cannot be read", error=str(error))
                await self.pause(RETRY_S)
            except Exception:
                log.exception("ledger could not be followed, going on")
                await self.pause(RETRY_S)

    async def page(self, after: int, wanted: Filter) -> EntryPage:
        """The entries after `after`. A page from the ledger starts the reading of the next. Raises LedgerError."""
        if self._tail and after >= self._tail[0].sequence - 1:
            return self._from_tail(after, wanted)
        page = await asyncio.shield(self._from_ledger(after, wanted))
        if not page.is_last:
            self._from_ledger(page.reached, wanted)
        return page

    async def wait(self, after: int, timeout_s: float) -> None:
        """Return when there is an entry after `after`, at the timeout, or after `end`."""
        if self.last > after or self.ended:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self.last <= after and not self.ended:
                    await self._grown.wait()

    async def read(self, function: Callable[..., T], /, *arguments: object) -> T:
        """Run a function that blocks on the disk, on a reader thread."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, partial(function, *arguments))

    async def pause(self, seconds: float) -> None:
        """Sleep, at most until `end`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._over.wait()

    def end(self) -> None:
        """End `follow` and every `wait` and `pause`."""
        self.ended = True
        self._archive.close()
        self._over.set()
        self._wake()

    async def _advance(self, last: int) -> None:
        if last == self.last:
            return
        await self._extend_tail(last)
        self.last = last
        self._metrics.ledger_sequence.set(last)
        self._wake()

    async def _extend_tail(self, last: int) -> None:
        """Bring the tail up to `last` if there are watchers; after a gap it begins anew."""
        newest = self._tail[-1].sequence if self._tail else 0
        after = max(newest, last - TAIL)
        if not self.watchers or after > newest:
            self._tail.clear()
        if self.watchers:
            self._tail.extend(await self.read(self._ledger.read_serialized, after, last - after))

    def _expire(self) -> None:
        """Drop old entries and pages."""
        while self._tail and self._tail[0].recorded_s < time.time() - TAIL_S:
            self._tail.popleft()
        for key, (begun_s, _) in list(self._pages.items()):
            if begun_s < time.monotonic() - PAGES_S:
                del self._pages[key]

    def _from_tail(self, after: int, wanted: Filter) -> EntryPage:
        skipped = bisect_right(self._tail, after, key=lambda entry: entry.sequence)
        entries = list(islice(self._tail, skipped, skipped + PAGE))
        reached = entries[-1].sequence if entries else after
        if is_last := reached >= self._tail[-1].sequence:
            reached = max(reached, self.last)
        found = entries if wanted == EVERYTHING else [entry for entry in entries if wanted.matches(entry)]
        return EntryPage([entry.message for entry in found], reached, is_last)

    def _from_ledger(self, after: int, wanted: Filter) -> asyncio.Task[EntryPage]:
        """The page, possibly one that another watcher asked for a moment ago."""
        key = (after, wanted)
        if (known := self._pages.get(key)) is not None:
            return known[1]
        task = asyncio.create_task(self._read_page(after, wanted))
        self._pages[key] = time.monotonic(), task
        task.add_done_callback(partial(self._drop_if_passing, key))
        if len(self._pages) > PAGES:
            del self._pages[next(iter(self._pages))]
        return task

    def _drop_if_passing(self, key: tuple[int, Filter], task: asyncio.Task[EntryPage]) -> None:
        """A failed page is read again; the last page of the ledger changes with the next append."""
        if task.cancelled() or task.exception() is not None or task.result().is_last:
            self._pages.pop(key, None)

    async def _read_page(self, after: int, wanted: Filter) -> EntryPage:
        if self.last - after > FAR:
            return await self._archive.read_page(after, wanted, self.last)
        return await self.read(read_page, self._ledger, after, wanted, self.last)

    def _wake(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()
