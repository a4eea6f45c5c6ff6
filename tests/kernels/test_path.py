"""The path kernels equal their twins; simplification keeps a path's length and turns and drops its jitter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import path
from kernels.reference import path as twin
from tests.kernels.compare import compare


def simplify(position_m: np.ndarray, tolerance_m: float) -> list[int]:
    out = np.empty(len(position_m), np.int64)
    count = path.simplify(position_m, np.full(len(position_m), tolerance_m), out)
    return out[:count].tolist()


def test_the_path_of_a_standing_vehicle_that_jitters_is_one_point() -> None:
    jitter = np.random.default_rng(1).normal(0, 0.3, (200, 2))
    assert simplify(jitter, 2.5) == [0]


def test_the_polyline_is_as_long_as_the_path() -> None:
    line = np.stack([np.linspace(0, 40, 161), np.zeros(161)], axis=1)
    found = simplify(line, 2.0)
    assert len(found) == 21
    assert np.hypot(*np.diff(line[found], axis=0).T).sum() == pytest.approx(40.0)


def test_a_path_there_and_back_keeps_both_directions() -> None:
    along = np.concatenate([np.arange(0, 10, 0.5), np.arange(10, 0, -0.5)])
    found = simplify(np.stack([along, np.zeros_like(along)], axis=1), 2.0)
    assert along[found].tolist() == [0, 2, 4, 6, 8, 10, 8, 6, 4, 2]


def test_rows_without_a_position_are_skipped() -> None:
    assert simplify(np.full((3, 2), np.nan), 1.0) == []
    assert simplify(np.array([(np.nan, 0), (0, 0), (5, np.nan), (3, 0)]), 1.0) == [1, 3]
    assert simplify(np.empty((0, 2)), 1.0) == []


number = st.one_of(st.integers(-4, 4).map(float), st.floats(-5, 5), st.just(np.nan))


@settings(max_examples=100)
@given(st.lists(st.tuples(number, number, st.floats(0, 4)), max_size=30))
def test_simplify_equals_its_twin(rows: list) -> None:
    table = np.array(rows, np.float64).reshape(-1, 3)
    position_m = np.ascontiguousarray(table[:, :2])
    compare(path.simplify, twin.simplify, position_m, table[:, 2].copy(), np.zeros(len(table), np.int64))


def test_largest_drop_finds_the_rows_or_returns_minus_one() -> None:
    assert path.largest_drop(np.array([0.0, 5.0, 3.0, np.nan, 6.0, 1.0, 2.0])) == (4, 5)
    for rising in ([], [1.0], [1.0, 2.0, 2.0], [np.nan]):
        assert path.largest_drop(np.array(rising, np.float64)) == (-1, -1)


@settings(max_examples=100)
@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), max_size=20), st.integers(0, 4))
def test_running_median_equals_its_twin(values: list, half: int) -> None:
    array = np.array(values, np.float64).reshape(-1, 2)
    compare(path.running_median, twin.running_median, array, half, np.empty_like(array))


def test_the_running_median_keeps_a_uniform_motion_and_removes_an_outlier() -> None:
    even = np.arange(20.0).reshape(10, 2)
    wild, out = even.copy(), np.empty((10, 2))
    wild[5] = 1e6
    path.running_median(even, 2, out)
    np.testing.assert_array_equal(out, even)
    path.running_median(wild, 2, out)
    np.testing.assert_array_equal(out[:4], even[:4])
    assert out.max() < 20


@settings(max_examples=100)
@given(st.lists(number, max_size=30))
def test_largest_drop_equals_its_twin(values: list[float]) -> None:
    compare(path.largest_drop, twin.largest_drop, np.array(values, np.float64))
