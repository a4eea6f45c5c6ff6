"""The way kernel equals its NumPy twin on wild input, and keeps a way's length and turns whatever the jitter."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import path
from kernels.reference import path as twin


def anchors(position_m: np.ndarray, apart_m: float) -> list[int]:
    out = np.empty(len(position_m), np.int64)
    count = path.anchors(position_m, np.full(len(position_m), apart_m), out)
    return out[:count].tolist()


def test_a_standing_vehicle_that_jitters_has_one_anchor() -> None:
    jitter = np.random.default_rng(1).normal(0, 0.3, (200, 2))
    assert anchors(jitter, 2.5) == [0]


def test_the_polyline_is_as_long_as_the_way() -> None:
    way = np.stack([np.linspace(0, 40, 161), np.zeros(161)], axis=1)
    found = anchors(way, 2.0)
    assert len(found) == 21
    assert np.hypot(*np.diff(way[found], axis=0).T).sum() == 40.0


def test_there_and_back_is_both_ways() -> None:
    along = np.concatenate([np.arange(0, 10, 0.5), np.arange(10, 0, -0.5)])
    found = anchors(np.stack([along, np.zeros_like(along)], axis=1), 2.0)
    assert along[found].tolist() == [0, 2, 4, 6, 8, 10, 8, 6, 4, 2]


def test_what_has_no_place_is_passed_over() -> None:
    assert anchors(np.full((3, 2), np.nan), 1.0) == []
    assert anchors(np.array([(np.nan, 0), (0, 0), (5, np.nan), (3, 0)]), 1.0) == [1, 3]
    assert anchors(np.empty((0, 2)), 1.0) == []


number = st.one_of(st.integers(-4, 4).map(float), st.floats(-5, 5), st.just(np.nan))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(number, number, st.floats(0, 4)), max_size=30))
def test_anchors_equal_their_twin(rows: list) -> None:
    table = np.array(rows, np.float64).reshape(-1, 3)
    position_m, apart_m = np.ascontiguousarray(table[:, :2]), table[:, 2].copy()
    ours, theirs = np.zeros((2, len(table)), np.int64)
    assert path.anchors(position_m, apart_m, ours) == twin.anchors(position_m, apart_m, theirs)
    assert ours.tolist() == theirs.tolist()
