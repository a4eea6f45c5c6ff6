"""The entries as watchers get them: read once, serialised once, shared by all.

Those that keep up are served from the tail, the newest entries in memory. One that lags reads pages of its own from the
register; watchers that lag alike share them while they are being read.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TypeVar

import structlog

from engine.errors import LedgerError
from engine.ledger import EVERYTHING, Filter, SqlLedger
from engine.metrics import Metrics
from engine.serve.archive import Archive
from engine.serve.serialized import SerializedEntry, read_run, seal

log = structlog.get_logger()

T = TypeVar("T")

PAGE = 256
"""Entries that a lagging watcher holds in memory."""
PAGES = 16
PAGES_S = 5.0
"""Pages that are kept for all lagging watchers together, so many and for so long: those who lag alike come soon."""
TAIL = 1024
TAIL_S = 600.0
"""Newest entries that are kept for those that keep up, so many and of this time: retention removes older ones."""
FAR = 4096
"""Who lags by more is read for in a process beside (`archive`)."""
ASK_S = 0.5
RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class EntryPage:
    """What follows a sequence."""

    messages: Sequence[bytes]
    """Serialised WatchViolationsResponses."""
    reached: int
    """Every wanted entry up to this sequence is in this page or an earlier one."""
    whole: bool
    """There was nothing more to be had when it was read."""


class Feed:
    """The register, followed. Lives on one event loop; the disk is read on `readers`."""

    def __init__(self, ledger: SqlLedger, readers: Executor, metrics: Metrics) -> None:
        self.ended = False
        self.last = 0
        """Sequence of the newest entry known."""
        self._ledger = ledger
        self._archive = Archive(ledger.database.where)
        self._readers = readers
        self._metrics = metrics
        self._changed, self._over = asyncio.Event(), asyncio.Event()
        self._tail: deque[SerializedEntry] = deque(maxlen=TAIL)
        self._pages: dict[tuple[int, Filter], tuple[float, asyncio.Task[EntryPage]]] = {}
        """Each with when its reading began."""
        self.watchers = 0

    async def follow(self) -> None:
        """Ask the register until `end`; one that cannot be read is asked again.

        Nothing unforeseen ends it either: those who watch would get heartbeats and no news for ever.
        """
        while not self.ended:
            try:
                await self._take(await self.read(self._ledger.wait, self.last, ASK_S))
                self._shorten()
            except LedgerError as error:
                log.error("ledger cannot be read", error=str(error))
                await self.pause(RETRY_S)
            except Exception:
                log.exception("the register could not be followed, going on")
                await self.pause(RETRY_S)

    async def page(self, after: int, wanted: Filter) -> EntryPage:
        """What follows `after`; of one that is read from the register, the next is read ahead. Raises LedgerError."""
        if self._tail and after >= self._tail[0].notice.sequence - 1:
            return self._from_tail(after, wanted)
        page = await asyncio.shield(self._reading(after, wanted))
        if not page.whole:
            self._reading(page.reached, wanted)
        return page

    async def wait(self, after: int, timeout_s: float) -> None:
        """Return when the register has grown beyond, when time is up, or after `end`."""
        if self.last > after or self.ended:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self.last <= after and not self.ended:
                    await self._changed.wait()

    async def read(self, function: Callable[..., T], /, *arguments: object) -> T:
        """Run what reads the disk beside the loop."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, partial(function, *arguments))

    async def pause(self, seconds: float) -> None:
        """Let time pass, not beyond `end`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._over.wait()

    def end(self) -> None:
        """No more: whoever waits returns."""
        self.ended = True
        self._archive.close()
        self._over.set()
        self._wake()

    async def _take(self, last: int) -> None:
        if last == self.last:
            return
        await self._lengthen(last)
        self.last = last
        self._metrics.ledger_sequence.set(last)
        self._wake()

    async def _lengthen(self, last: int) -> None:
        """Bring the tail up to `last`, where somebody watches; a gap makes it begin anew."""
        newest = self._tail[-1].notice.sequence if self._tail else 0
        after = max(newest, last - TAIL)
        if not self.watchers or after > newest:
            self._tail.clear()
        if self.watchers:
            self._tail.extend(await self.read(self._newest, after, last - after))

    def _shorten(self) -> None:
        """What is old is read from the register again, should anybody want it."""
        while self._tail and self._tail[0].notice.recorded_s < time.time() - TAIL_S:
            self._tail.popleft()
        for key, (begun_s, _) in list(self._pages.items()):
            if begun_s < time.monotonic() - PAGES_S:
                del self._pages[key]

    def _from_tail(self, after: int, wanted: Filter) -> EntryPage:
        skipped = bisect_right(self._tail, after, key=lambda entry: entry.notice.sequence)
        looked_at = list(islice(self._tail, skipped, skipped + PAGE))
        reached = looked_at[-1].notice.sequence if looked_at else after
        if whole := reached >= self._tail[-1].notice.sequence:
            reached = max(reached, self.last)
        found = looked_at if wanted == EVERYTHING else [entry for entry in looked_at if wanted.matches(entry.notice)]
        return EntryPage([entry.message for entry in found], reached, whole)

    def _reading(self, after: int, wanted: Filter) -> asyncio.Task[EntryPage]:
        """A page that is being read, or was read a moment ago: those who lag alike share it."""
        key = (after, wanted)
        if (known := self._pages.get(key)) is not None:
            return known[1]
        task = asyncio.create_task(self._from_ledger(after, wanted))
        self._pages[key] = time.monotonic(), task
        task.add_done_callback(partial(self._keep_if_lasting, key))
        if len(self._pages) > PAGES:
            del self._pages[next(iter(self._pages))]
        return task

    def _keep_if_lasting(self, key: tuple[int, Filter], task: asyncio.Task[EntryPage]) -> None:
        """What follows the end of the register will be another page soon."""
        if task.cancelled() or task.exception() is not None or task.result().whole:
            self._pages.pop(key, None)

    async def _from_ledger(self, after: int, wanted: Filter) -> EntryPage:
        last = self.last
        if last - after > FAR:
            run = await self._archive.read_run(after, PAGE, wanted)
        else:
            run = await self.read(read_run, self._ledger, after, PAGE, wanted)
        whole = len(run.messages) < PAGE
        return EntryPage(run.messages, max(after, last, run.last) if whole else run.last, whole)

    def _newest(self, after: int, limit: int) -> Sequence[SerializedEntry]:
        return [seal(notice) for notice in self._ledger.notices(after, limit)]

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
