"""Puts a thread between two stages: bounded, in order, and errors reach the consumer."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from contextlib import suppress
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class _End(NamedTuple):
    """The last item of the queue, with the error that ended the producer, if any."""

    error: BaseException | None


def prefetch(items: Iterable[T], depth: int, name: str) -> Generator[T, None, None]:
    """Yield `items` in order while a thread with this `name` produces up to `depth` of them ahead.

    Raises the producer's error after the items before it. If the consumer stops early, the producer ends at its next
    item; `close` of this generator waits for it.
    """
    handed: queue.Queue[T | _End] = queue.Queue(maxsize=depth)
    stopped = threading.Event()
    thread = threading.Thread(target=_produce, args=(items, handed, stopped), name=name, daemon=True)
    thread.start()
    try:
        while not isinstance(item := handed.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stopped.set()
        with suppress(queue.Empty):
            while True:
                handed.get_nowait()
        thread.join()


def _produce(items: Iterable[T], handed: queue.Queue[T | _End], stopped: threading.Event) -> None:
    error: BaseException | None = None
    try:
        for item in items:
            _hand(item, handed, stopped)
            if stopped.is_set():
                return
    except BaseException as caught:  # noqa: BLE001  the root of a thread: raised again by the consumer
        error = caught
    _hand(_End(error), handed, stopped)


def _hand(item: T | _End, handed: queue.Queue[T | _End], stopped: threading.Event) -> None:
    while not stopped.is_set():
        try:
            return handed.put(item, timeout=0.1)
        except queue.Full:
            continue
    return None
