"""The zone kernels equal their twins on random input and give known answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import zones
from kernels.reference import zones as twin
from tests.kernels.compare import compare

SQUARE = [(0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0)]


def polygons(*groups: list[list[tuple[float, float]]]) -> zones.Polygons:
    flat = [polygon for group in groups for polygon in group]
    corners = np.array([corner for polygon in flat for corner in polygon], np.float64).reshape(-1, 2)
    return zones.Polygons(
        corners,
        np.cumsum([0] + [len(polygon) for polygon in flat]).astype(np.int32),
        np.cumsum([0] + [len(group) for group in groups]).astype(np.int32),
    )


def segments(*groups: list[tuple[float, float, float, float]]) -> zones.Segments:
    flat = [line for group in groups for line in group]
    return zones.Segments(
        np.array(flat, np.float64).reshape(-1, 4), np.cumsum([0] + [len(group) for group in groups]).astype(np.int32)
    )


def inside(points: list[tuple[float, float]], group: list[int], table: zones.Polygons, width: int) -> np.ndarray:
    out = np.ones((len(points), width), np.bool_)
    zones.inside(np.array(points, np.float64).reshape(-1, 2), np.array(group, np.int32), table, out)
    return out


def crossings(steps: list[tuple[float, float, float, float]], table: zones.Segments) -> tuple[np.ndarray, np.ndarray]:
    step = np.array(steps, np.float64).reshape(-1, 4)
    fraction, direction = np.zeros((len(step), 1)), np.zeros((len(step), 1), np.int8)
    group = np.zeros(len(step), np.int32)
    zones.find_crossings(step[:, :2].copy(), step[:, 2:].copy(), group, table, fraction, direction)
    return fraction, direction


def follow(time_s: np.ndarray, position_m: np.ndarray, radius_m: float = 0.5) -> np.void:
    stops = np.zeros(2, zones.STOP)
    zones.dwell(time_s, position_m, np.ones(len(time_s), np.bool_), radius_m, stops)
    return stops[0]


def test_a_point_is_in_the_polygons_of_its_own_group_only() -> None:
    table = polygons([SQUARE, [(20.0, 0.0), (30.0, 0.0), (25.0, 9.0)]], [], [SQUARE])
    answer = inside([(5, 5), (25, 3), (5, 5), (5, 5), (11, 5)], [0, 0, 1, 2, 2], table, 2)
    assert answer.tolist() == [[True, False], [False, True], [False, False], [True, False], [False, False]]


def test_a_point_on_a_shared_border_is_in_exactly_one_polygon() -> None:
    right = [(10.0, 0.0), (20.0, 0.0), (20.0, 10.0), (10.0, 10.0)]
    answer = inside([(10.0, y / 2) for y in range(1, 20)], [0] * 19, polygons([SQUARE, right]), 2)
    assert (answer.sum(axis=1) == 1).all()


def test_the_notch_of_a_concave_polygon_is_outside() -> None:
    notched = [(0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (5.0, 2.0), (0.0, 10.0)]
    assert inside([(5, 6), (5, 1), (1, 6)], [0] * 3, polygons([notched]), 1)[:, 0].tolist() == [False, True, True]


def test_a_point_with_a_nan_is_in_no_polygon() -> None:
    assert not inside([(np.nan, 5), (5, np.nan)], [0, 0], polygons([SQUARE]), 1).any()


def test_a_crossing_has_a_time_between_the_frames_and_a_direction() -> None:
    down = segments([(0.0, 10.0, 0.0, -10.0)])
    fraction, direction = crossings([(-3, 0, 1, 0), (1, 0, -3, 0), (-3, 20, 1, 20), (-3, 0, -1, 0)], down)
    assert fraction[:2, 0].tolist() == [0.75, 0.25]
    assert np.isnan(fraction[2:, 0]).all()
    assert direction[:, 0].tolist() == [1, -1, 0, 0]


def test_right_of_a_line_is_right_in_an_image_whose_y_points_down() -> None:
    """Looking along +x in the image, right is down."""
    assert crossings([(5, -1, 5, 1)], segments([(0.0, 0.0, 10.0, 0.0)]))[1][0, 0] == 1


def test_a_vehicle_that_halts_on_the_line_crosses_it_once() -> None:
    _, direction = crossings([(-1, 0, 0, 0), (0, 0, 1, 0)], segments([(0.0, 10.0, 0.0, -10.0)]))
    assert direction[:, 0].tolist() == [1, 0]


def test_a_standing_vehicle_that_jitters_stands_from_its_first_sighting() -> None:
    rng = np.random.default_rng(1)
    time_s = np.arange(0, 60, 0.125)
    stop = follow(time_s, rng.normal(0, 0.4, (len(time_s), 2)))
    assert stop["since_s"] < 1.0
    assert stop["seen_s"] == time_s[-1]


def test_a_stop_begins_when_the_vehicle_halts_and_ends_when_it_drives_on() -> None:
    time_s = np.arange(0, 40, 0.125)
    y = np.where(time_s < 10, 10 * (time_s - 10), 0.0)
    halted = follow(time_s, np.stack([np.zeros_like(y), y], axis=1))
    assert halted["since_s"] == pytest.approx(10.0, abs=1.0)
    y = np.where(time_s > 30, 3 * (time_s - 30), y)
    assert follow(time_s, np.stack([np.zeros_like(y), y], axis=1))["since_s"] > 38


def test_false_boxes_do_not_end_a_stop_before_the_time_limit() -> None:
    time_s = np.arange(0, 30, 0.125)
    position = np.zeros((len(time_s), 2))
    position[(time_s >= 12) & (time_s < 12 + zones.RELOCATE_AFTER_S - 0.5)] = (9.0, 0.0)
    assert follow(time_s, position)["since_s"] == 0.0
    position[time_s >= 12] = (9.0, 0.0)
    assert follow(time_s, position)["since_s"] == 12.0


def test_a_vehicle_that_creeps_does_not_stand() -> None:
    time_s = np.arange(0, 120, 0.125)
    stop = follow(time_s, np.stack([0.1 * time_s, np.zeros_like(time_s)], axis=1))
    assert stop["seen_s"] - stop["since_s"] < 15


def test_a_stop_lasts_through_a_short_gap_and_not_through_a_long_one() -> None:
    for gap_s, since_s in ((20.0, 0.0), (zones.MAX_GAP_S + 1, zones.MAX_GAP_S + 2)):
        time_s = np.array([0.0, 0.5, 1.0, 1.0 + gap_s, 1.5 + gap_s])
        assert follow(time_s, np.zeros((5, 2)))["since_s"] == since_s


number = st.one_of(st.integers(-4, 4).map(float), st.floats(-5, 5), st.just(np.nan))
point = st.tuples(number, number)
solid = st.tuples(st.integers(-4, 4).map(float), st.floats(-5, 5))
grouping = st.lists(st.integers(0, 2), max_size=12)


@settings(max_examples=100)
@given(
    st.lists(st.lists(st.lists(solid, min_size=3, max_size=6), max_size=3), min_size=3, max_size=3), grouping, st.data()
)
def test_inside_equals_its_twin(groups: list, group: list[int], data: st.DataObject) -> None:
    table = polygons(*groups)
    points = np.array([data.draw(point) for _ in group], np.float64).reshape(-1, 2)
    out = np.ones((len(group), 3), np.bool_)
    compare(zones.inside, twin.inside, points, np.array(group, np.int32), table, out)


@settings(max_examples=100)
@given(st.lists(st.lists(st.tuples(solid, solid), max_size=3), min_size=3, max_size=3), grouping, st.data())
def test_find_crossings_equals_its_twin(groups: list, group: list[int], data: st.DataObject) -> None:
    table = segments(*[[(*a, *b) for a, b in lines] for lines in groups])
    start, end = (np.array([data.draw(point) for _ in group], np.float64).reshape(-1, 2) for _ in range(2))
    out = (np.zeros((len(group), 3)), np.ones((len(group), 3), np.int8))
    compare(zones.find_crossings, twin.find_crossings, start, end, np.array(group, np.int32), table, *out)


@settings(max_examples=100)
@given(st.lists(st.tuples(st.floats(0, 40), number, number, st.booleans()), max_size=40), st.floats(0.1, 3))
def test_dwell_equals_its_twin(rows: list, radius_m: float) -> None:
    time_s = np.cumsum([row[0] for row in rows]).astype(np.float64)
    position = np.array([row[1:3] for row in rows], np.float64).reshape(-1, 2)
    counts = np.array([row[3] for row in rows], np.bool_)
    mine, expected = np.zeros((2, 2), zones.STOP)
    zones.dwell(time_s, position, counts, radius_m, mine)
    twin.dwell(time_s, position, counts, radius_m, expected)
    for field in zones.STOP.names:
        np.testing.assert_allclose(mine[field], expected[field], rtol=1e-12, atol=1e-12)


@settings(max_examples=30)
@given(st.lists(st.tuples(number, number), min_size=1, max_size=30), st.integers(1, 29))
def test_dwell_does_not_depend_on_how_the_sightings_are_divided_into_batches(rows: list, cut: int) -> None:
    time_s, position = np.arange(len(rows)) * 0.7, np.array(rows, np.float64)
    counts = np.ones(len(rows), np.bool_)
    whole, parts = np.zeros(2, zones.STOP), np.zeros(2, zones.STOP)
    zones.dwell(time_s, position, counts, 0.5, whole)
    for part in (slice(0, cut), slice(cut, None)):
        zones.dwell(time_s[part], position[part], counts[part], 0.5, parts)
    assert whole.tobytes() == parts.tobytes()
