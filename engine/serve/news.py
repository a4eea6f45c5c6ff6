"""How watchers hear that the register has grown: one reader asks, every coroutine that waits is woken."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

import structlog

from engine.errors import RegisterError
from engine.metrics import Metrics
from engine.register import SqlRegister

log = structlog.get_logger()

ASK_S = 0.5
RETRY_S = 1.0


class News:
    """The register's last sequence, followed. Lives on one event loop."""

    def __init__(self, register: SqlRegister, readers: Executor, metrics: Metrics) -> None:
        self.ended = False
        self.last = 0
        self._register = register
        self._readers = readers
        self._metrics = metrics
        self._changed = asyncio.Event()

    async def follow(self) -> None:
        """Ask until `end`; a register that cannot be read is asked again."""
        loop = asyncio.get_running_loop()
        while not self.ended:
            try:
                self._tell(await loop.run_in_executor(self._readers, self._register.wait, self.last, ASK_S))
            except RegisterError as error:
                log.error("register cannot be read", error=str(error))
                await asyncio.sleep(RETRY_S)

    async def wait(self, after_sequence: int, timeout_s: float) -> None:
        """Return when the register has grown beyond, when time is up, or after `end`."""
        if self.last > after_sequence or self.ended:
            return
        try:
            async with asyncio.timeout(timeout_s):
                while self.last <= after_sequence and not self.ended:
                    await self._changed.wait()
        except TimeoutError:
            pass

    @contextmanager
    def watcher(self) -> Iterator[None]:
        """Count one more who watches."""
        self._metrics.watchers.inc()
        try:
            yield
        finally:
            self._metrics.watchers.dec()

    def end(self) -> None:
        """No more news: whoever waits returns."""
        self.ended = True
        self._wake()

    def _tell(self, last: int) -> None:
        if last == self.last:
            return
        self.last = last
        self._metrics.register_sequence.set(last)
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
