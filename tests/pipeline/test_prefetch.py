from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from engine.pipeline.prefetch import prefetch


def test_all_items_arrive_in_order() -> None:
    assert list(prefetch(iter(range(100)), depth=2, name="t")) == list(range(100))


def test_an_error_of_the_producer_arrives_after_the_items_before_it() -> None:
    def broken() -> Iterator[int]:
        yield 1
        yield 2
        raise OSError("disk")

    seen = []
    with pytest.raises(OSError, match="disk"):
        for item in prefetch(broken(), depth=4, name="t"):
            seen.append(item)  # noqa: PERF402
    assert seen == [1, 2]


def test_the_producer_works_at_most_depth_ahead() -> None:
    made: list[int] = []

    def count() -> Iterator[int]:
        for i in range(50):
            made.append(i)
            yield i

    items = prefetch(count(), depth=2, name="t")
    assert next(items) == 0
    time.sleep(0.3)
    assert len(made) <= 5
    items.close()  # type: ignore[attr-defined]


def test_an_early_end_of_the_consumer_ends_the_thread() -> None:
    items = prefetch(iter(range(10**9)), depth=1, name="early-end")
    assert next(items) == 0
    items.close()  # type: ignore[attr-defined]
    assert not [t for t in threading.enumerate() if t.name == "early-end"]
