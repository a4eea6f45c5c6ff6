"""The tracker's kernel equals its twin on random traffic of several cameras."""

from __future__ import annotations

import dataclasses
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.track import TrackerParameters
from kernels import track as kernel
from kernels.assign import FREE
from kernels.reference import track as twin
from kernels.track import TENTATIVE, TRACK, Associations, Batch, KernelParameters, TrackTable

PARAMETERS = KernelParameters(**{k: float(v) for k, v in dataclasses.asdict(TrackerParameters()).items()})
CAPACITY = 64


def new_table(cameras: int, capacity: int = CAPACITY) -> TrackTable:
    live, issued = np.zeros((2, cameras), np.int64)
    return TrackTable(np.zeros((cameras, capacity), TRACK), live, issued, np.full(cameras, -np.inf))


def traffic(rng: np.random.Generator, cameras: int, frames: int, vehicles: int, began_s: float) -> Batch:
    """Vehicles on straight paths with noise, gaps and false alarms, at an uneven rate, cameras interleaved."""
    camera = np.tile(np.arange(cameras, dtype=np.int32), frames)
    captured_s = began_s + np.sort(rng.random(frames)).repeat(cameras) * frames / 8
    start, speed = rng.random((cameras, vehicles, 2)) * 400, rng.normal(0, 40, (cameras, vehicles, 2))
    boxes, scores, counts = [], [], []
    for one, now_s in zip(camera, captured_s, strict=True):
        seen = rng.random(vehicles) < 0.85
        centre = (start[one] + speed[one] * now_s)[seen] + rng.normal(0, 1, (seen.sum(), 2))
        alarms = rng.random((rng.integers(0, 3), 2)) * 500
        counts.append(len(centre) + len(alarms))
        boxes.append(np.concatenate([centre, alarms]))
        scores.append(rng.random(counts[-1]))
    centres = np.concatenate(boxes) if boxes else np.empty((0, 2))
    rows = len(centres)
    return Batch(
        camera,
        captured_s,
        np.full((len(camera), 2), 500, np.int32),
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        np.concatenate([centres, rng.uniform(25, 60, (rows, 2))], axis=1),
        np.concatenate([*scores, np.empty(0)]).astype(np.float32),
        rng.integers(0, 5, rows).astype(np.int32),
    )


def run(module: ModuleType, batch: Batch, table: TrackTable) -> tuple[int, Associations]:
    """The frame reached, and the result."""
    rows, capacity = len(batch.score), table.tracks.shape[1]
    out = Associations(
        np.full(rows, TENTATIVE, np.int64),
        np.zeros(rows, np.int32),
        np.full(rows, FREE, np.int64),
        np.empty(int(table.live.sum()) + rows, np.int64),
        np.zeros(1, np.int64),
    )
    table.tracks["row"] = FREE
    work = kernel.workspace(rows, int(np.diff(batch.first).max(initial=0)), capacity)
    return module.track_batch(0, batch, PARAMETERS, table, work, out), out


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32 - 1),
    cameras=st.integers(1, 4),
    frames=st.integers(0, 12),
    vehicles=st.integers(0, 6),
    jump_s=st.sampled_from([2.0, 0.0, -5.0, 100.0]),
)
def test_track_batch_equals_its_twin(seed: int, cameras: int, frames: int, vehicles: int, jump_s: float) -> None:
    rng = np.random.default_rng(seed)
    mine, other = new_table(cameras), new_table(cameras)
    for began_s in (0.0, jump_s):
        batch = traffic(rng, cameras, frames, vehicles, began_s)
        (done, out), (twin_done, expected) = run(kernel, batch, mine), run(twin, batch, other)
        assert done == twin_done == len(batch.camera)
        assert np.array_equal(out.identity, expected.identity)
        reported = out.identity != TENTATIVE
        assert np.array_equal(out.class_id[reported], expected.class_id[reported])
        assert np.array_equal(out.ended[: out.ended_count[0]], expected.ended[: expected.ended_count[0]])
        assert np.array_equal(mine.live, other.live)


@pytest.mark.parametrize("module", [kernel, twin])
def test_track_batch_stops_before_a_camera_without_room(module: ModuleType) -> None:
    batch = traffic(np.random.default_rng(1), 1, 4, 5, 0.0)
    stopped, _ = run(module, batch, new_table(1, capacity=3))
    assert stopped == int(np.argmax(np.diff(batch.first) > 3)) < len(batch.camera)


@settings(max_examples=200)
@given(
    values=st.lists(st.floats(-100, 100), min_size=4, max_size=4),
    sizes=st.lists(st.floats(1, 100), min_size=4, max_size=4),
    buffer=st.floats(0, 1),
)
def test_buffered_iou_equals_its_twin(values: list[float], sizes: list[float], buffer: float) -> None:
    mean = np.array([*values[:2], *sizes[:2], 0, 0, 0, 0])
    boxes = np.array([[*values[2:], *sizes[2:]]])
    expected = twin.buffered_iou(mean, boxes, 0, buffer)
    assert kernel.buffered_iou(mean, boxes, 0, buffer) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("module", [kernel, twin])
def test_buffered_iou_of_known_boxes(module: ModuleType) -> None:
    box = np.array([[15.0, 10.0, 10.0, 10.0]])
    assert module.buffered_iou(np.array([10.0, 10.0, 10.0, 10.0]), box, 0, 0.0) == pytest.approx(50 / 150)
    assert module.buffered_iou(np.array([10.0, 10.0, 10.0, 10.0]), box, 0, 0.5) == pytest.approx(300 / 500)
    assert module.buffered_iou(np.array([15.0, 10.0, 2.0, 2.0]), box, 0, 0.0) == pytest.approx(4 / 100)
    assert module.buffered_iou(np.array([40.0, 10.0, 10.0, 10.0]), box, 0, 0.0) == 0
    assert module.buffered_iou(np.array([np.nan, 10.0, 10.0, 10.0]), box, 0, 0.0) == 0
