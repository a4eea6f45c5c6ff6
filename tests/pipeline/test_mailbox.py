from __future__ import annotations

import dataclasses
import threading
import time
from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.metrics import Metrics
from engine.pipeline.mailbox import Mailbox
from engine.types import Segment
from rig.videos import make_segment

SEGMENT = make_segment("mjpeg", range(1), pix_fmt="yuvj420p", size_px=(8, 8))


def segment(camera: int, sequence: int = 0) -> Segment:
    return dataclasses.replace(SEGMENT, camera=camera, sequence=sequence)


def mailbox(capacity: int = 100, per_camera: int = 100) -> tuple[Mailbox, Metrics]:
    metrics = Metrics()
    return Mailbox(capacity, per_camera, metrics, lambda camera: f"cam{camera}"), metrics


def dropped(metrics: Metrics, camera: int, reason: str) -> float:
    labels = {"camera": f"cam{camera}", "reason": reason}
    return metrics.registry.get_sample_value("qyran_segments_dropped_total", labels) or 0.0


def waiting(metrics: Metrics, camera: int) -> float | None:
    return metrics.registry.get_sample_value("qyran_mailbox_segments", {"camera": f"cam{camera}"})


def names(taken: list[Segment]) -> list[tuple[int, int]]:
    return [(one.camera, one.sequence) for one in taken]


def test_cameras_take_turns_even_if_one_of_them_sends_much_more() -> None:
    box, _ = mailbox()
    for sequence in range(5):
        box.put(segment(0, sequence))
    box.put(segment(1, 0))
    box.put(segment(2, 0))
    assert names(box.take(4, 0)) == [(0, 0), (1, 0), (2, 0), (0, 1)]
    box.put(segment(1, 1))
    assert names(box.take(9, 0)) == [(0, 2), (1, 1), (0, 3), (0, 4)]


def test_a_camera_over_its_limit_loses_its_oldest_segment() -> None:
    box, metrics = mailbox(per_camera=2)
    for sequence in range(5):
        box.put(segment(0, sequence))
    box.put(segment(1, 0))
    assert waiting(metrics, 0) == 2
    assert names(box.take(9, 0)) == [(0, 3), (1, 0), (0, 4)]
    assert dropped(metrics, 0, "camera_full") == 3
    assert dropped(metrics, 1, "camera_full") == 0
    assert waiting(metrics, 0) == waiting(metrics, 1) == 0


def test_a_full_mailbox_drops_from_the_camera_with_the_most_segments() -> None:
    box, metrics = mailbox(capacity=4)
    for sequence in range(3):
        box.put(segment(0, sequence))
    box.put(segment(1, 0))
    box.put(segment(2, 0))
    assert names(box.take(9, 0)) == [(0, 1), (1, 0), (2, 0), (0, 2)]
    assert dropped(metrics, 0, "mailbox_full") == 1


def test_take_waits_for_the_first_segment_and_at_most_for_the_timeout() -> None:
    box, _ = mailbox()
    began_s = time.monotonic()
    assert box.take(1, 0.1) == []
    assert 0.09 < time.monotonic() - began_s < 0.5
    threading.Timer(0.05, lambda: box.put(segment(0))).start()
    assert names(box.take(4, 5)) == [(0, 0)]
    assert time.monotonic() - began_s < 2


def test_close_wakes_the_taker_keeps_waiting_segments_and_refuses_more() -> None:
    box, metrics = mailbox()
    threading.Timer(0.05, box.close).start()
    assert box.take(1, 10) == []
    assert box.closed
    box.put(segment(0))
    assert dropped(metrics, 0, "stopped") == 1 and len(box) == 0

    kept, _ = mailbox()
    kept.put(segment(0))
    kept.close()
    assert names(kept.take(2, 10)) == [(0, 0)]
    assert kept.take(2, 10) == []


def test_a_mailbox_without_capacity_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        mailbox(capacity=0)


@given(
    st.integers(1, 12),
    st.integers(1, 6),
    st.lists(st.one_of(st.integers(0, 4), st.integers(-6, -1)), max_size=80),
)
def test_every_loss_is_counted_and_the_order_is_kept(capacity: int, per_camera: int, steps: list[int]) -> None:
    """A number from 0 is a put by that camera, a negative one a take of that many."""
    box, metrics = mailbox(capacity, per_camera)
    put: Counter[int] = Counter()
    taken: list[Segment] = []
    for step in steps:
        if step < 0:
            batch = box.take(-step, 0)
            fewest = min(Counter(one.camera for one in batch).values(), default=0)
            assert len(batch) <= -step and fewest <= len(batch)
            taken += batch
        else:
            box.put(segment(step, put[step]))
            put[step] += 1
        assert len(box) <= capacity
    taken += box.take(capacity, 0)
    assert len(box) == 0
    by_camera = defaultdict(list)
    for one in taken:
        by_camera[one.camera].append(one.sequence)
    for camera, count in put.items():
        lost = dropped(metrics, camera, "camera_full") + dropped(metrics, camera, "mailbox_full")
        assert len(by_camera[camera]) + lost == count
        assert by_camera[camera] == sorted(by_camera[camera])
        assert waiting(metrics, camera) == 0


def test_many_threads_may_put_while_one_takes() -> None:
    box, metrics = mailbox(capacity=50, per_camera=10)
    cameras, each, taken = 8, 300, list[Segment]()

    def film(camera: int) -> None:
        for sequence in range(each):
            box.put(segment(camera, sequence))

    threads = [threading.Thread(target=film, args=(camera,)) for camera in range(cameras)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads) or len(box):
        taken += box.take(16, 0.01)
    lost = sum(dropped(metrics, camera, why) for camera in range(cameras) for why in ("camera_full", "mailbox_full"))
    assert len(taken) + lost == cameras * each
    for camera in range(cameras):
        sequences = [one.sequence for one in taken if one.camera == camera]
        assert sequences == sorted(set(sequences)) and sequences[-1] == each - 1
