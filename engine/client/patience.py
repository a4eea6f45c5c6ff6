"""How long a thread waits for a service that may have gone mute."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self, TypeVar

from engine.client.following import WatchProgress

T = TypeVar("T")


class SilenceTimeout:
    """Cancels a call at its end, or when it is waited for and stays silent for longer than its heartbeats promise."""

    def __init__(self, cancel: Callable[[], object], following: WatchProgress) -> None:
        self._cancel = cancel
        self._following = following
        self._waiting_since_s: float | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="patience", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        self._cancel()

    def wait_for(self, stream: Iterator[T]) -> T | None:
        """The next message, None at the end."""
        self._waiting_since_s = time.monotonic()
        try:
            return next(stream, None)
        finally:
            self._waiting_since_s = None

    def _watch(self) -> None:
        while not self._done.wait(0.5):
            since_s = self._waiting_since_s
            if since_s is not None and time.monotonic() - since_s > self._following.patience_s:
                self._cancel()
