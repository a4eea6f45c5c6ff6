from __future__ import annotations

import numpy as np
import pytest

from engine.identify.plates.locate import bounds, grown, lines, size_px, stacks


def box(left: float, top: float, width: float, height: float) -> np.ndarray:
    return np.array([(left, top), (left + width, top), (left + width, top + height), (left, top + height)], np.float64)


def turned(quad: np.ndarray, degrees: float) -> np.ndarray:
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return (quad - quad.mean(axis=0)) @ turn + quad.mean(axis=0)


def test_the_size_is_along_the_quads_own_edges():
    assert size_px(turned(box(10, 10, 100, 20), 12)) == pytest.approx((100, 20))


def test_neighbours_on_one_line_are_also_joined():
    found = lines([box(0, 0, 30, 20), box(45, 1, 80, 20)])
    assert bounds(found[0]) == (0, 0, 125, 21)
    assert len(found) == 3


@pytest.mark.parametrize("other", [box(120, 0, 80, 20), box(45, 15, 80, 20), box(45, 0, 80, 40)])
def test_a_piece_that_is_far_or_lower_or_of_another_size_is_not_joined(other: np.ndarray):
    assert len(lines([box(0, 0, 30, 20), other])) == 2


def test_a_quad_that_is_too_low_or_upright_is_not_text():
    assert lines([box(0, 0, 40, 4), box(0, 0, 10, 40)]) == []
    assert lines([]) == []


def test_a_line_right_below_another_makes_a_plate_of_two():
    pieces = [box(5, 30, 60, 22), box(0, 0, 70, 22)]
    assert list(stacks(pieces)) == [(1, 0)]


def test_a_line_far_below_or_beside_makes_no_plate():
    assert list(stacks([box(0, 0, 70, 22), box(0, 60, 70, 22)])) == []
    assert list(stacks([box(0, 0, 70, 22), box(65, 25, 70, 22)])) == []


def test_a_quad_grows_along_its_own_direction():
    quad = turned(box(100, 100, 100, 20), 10)
    wide = grown(quad, 0.5, 0.1)
    assert size_px(wide) == pytest.approx((120, 24))
    assert wide.mean(axis=0) == pytest.approx(quad.mean(axis=0))
