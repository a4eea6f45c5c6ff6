"""The looped camera of the benchmark is one that an engine could have: its time goes on, its clips are whole."""

from __future__ import annotations

import itertools

import numpy as np

from benchmarks.sustained import LoopedCamera, delays
from engine.config import CameraConfig
from engine.demo.city import FOOTAGE
from engine.ingest import FileSource
from engine.metrics import Metrics
from engine.types import Entry, Segment
from tests.examples import EPOCH_S, make_case


def clip() -> list[Segment]:
    path = FOOTAGE / "avenue.mp4"
    camera = CameraConfig(name="avenue", url=str(path), site=path)
    return list(FileSource(0, camera, Metrics(), start_s=0.0, realtime=False).read())


def test_a_looped_camera_goes_on_in_time_and_says_where_it_began_anew() -> None:
    film = clip()
    looped = LoopedCamera(3, film, first=1, began_s=1000.0)
    segments = list(itertools.islice(looped.read(), 2 * len(film)))
    assert {segment.camera for segment in segments} == {3}
    assert [segment.sequence for segment in segments] == list(range(2 * len(film)))
    times_s = np.concatenate([np.sort(segment.captured_s) for segment in segments])
    np.testing.assert_allclose(np.diff(times_s), 1 / 15, atol=1e-3)
    assert times_s[0] == 1000.0
    anew = [segment.sequence for segment in segments if not segment.continues]
    assert anew == [0, len(film) - 1, 2 * len(film) - 1]
    looped.close()


def test_delays_are_those_of_the_cases() -> None:
    entries = [Entry(i + 1, EPOCH_S + i + 5.0, make_case(i)) for i in range(10)]
    assert delays(entries) == {"p50": 5.0, "p95": 5.0, "p99": 5.0}
    assert delays([]) == {}
