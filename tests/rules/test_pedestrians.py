"""Pedestrians: positions without identity; people in vehicles are not pedestrians."""

from __future__ import annotations

import numpy as np
import pytest

from engine.rules.pedestrians import KEPT_S, PERSON, Pedestrians, covered_share, pedestrians_of
from engine.types import Frames, Motion, Persons, Speeds, Tracks

WALKER = (100.0, 100.0, 120.0, 150.0)
RIDER = (300.0, 90.0, 330.0, 170.0)
MOTORCYCLE = (290.0, 80.0, 340.0, 200.0)


def batch(*boxes: tuple[float, ...], vehicle: tuple[float, ...] = MOTORCYCLE) -> Motion:
    """One frame with people and one vehicle."""
    frames = Frames(np.zeros(1, np.int32), np.array([50.0]), np.array([[640, 360]], np.int32), np.ones(1, np.uint8))
    tracks = Tracks(
        frames,
        np.zeros(1, np.int32),
        np.ones(1, np.int64),
        np.array([vehicle], np.float32),
        np.ones(1, np.float32),
        np.zeros(1, np.int32),
        np.empty(0, np.int64),
        Persons(np.zeros(len(boxes), np.int32), np.array(boxes, np.float32).reshape(-1, 4)),
    )
    nothing = Speeds(*[np.empty(0, kind) for kind in ("i8", "f8", "f8", "u1", "f8", "f8", "f8", "f8")])
    ground = np.zeros((1, 2)), np.zeros((1, 2)), np.zeros(1)
    return Motion(tracks, *ground, nothing, np.zeros((len(boxes), 2)))


def at(*times_s: float) -> np.ndarray:
    rows = np.zeros(len(times_s), PERSON)
    rows["captured_s"] = times_s
    return rows


def test_a_rider_is_not_on_foot_and_a_walker_beside_the_vehicle_is() -> None:
    ((camera, found),) = pedestrians_of(batch(WALKER, RIDER))
    assert camera == 0
    assert found["foot_px"].tolist() == [[110.0, 150.0]]


def test_without_persons_there_are_no_pedestrians() -> None:
    assert list(pedestrians_of(batch())) == []
    assert list(pedestrians_of(batch(RIDER))) == []


def test_people_are_remembered_for_as_long_as_a_rule_looks_back() -> None:
    pedestrians = Pedestrians()
    pedestrians.add(at(10.0, 11.0))
    pedestrians.add(at(12.0))
    assert len(pedestrians.between(10.5, 12.0)) == 2
    pedestrians.forget(11.5 + KEPT_S)
    assert len(pedestrians.between(0.0, 20.0)) == 1


def test_a_clock_that_goes_back_makes_the_past_useless() -> None:
    pedestrians = Pedestrians()
    pedestrians.add(at(10.0, 11.0))
    pedestrians.add(at(4.0))
    assert pedestrians.between(0.0, 20.0)["captured_s"].tolist() == [4.0]


@pytest.mark.parametrize(("other", "share"), [((0, 0, 10, 5), 0.5), ((0, 0, 10, 10), 1.0), ((20, 0, 30, 10), 0.0)])
def test_the_share_of_a_box_that_another_covers(other: tuple[float, ...], share: float) -> None:
    assert covered_share(np.array([0.0, 0.0, 10.0, 10.0]), np.array([other], np.float64)) == pytest.approx(share)
    assert covered_share(np.array([0.0, 0.0, 10.0, 10.0]), np.empty((0, 4))) == 0.0
