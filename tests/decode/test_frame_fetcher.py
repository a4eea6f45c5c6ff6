"""Full-resolution frames for evidence."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from engine.decode.frame_fetcher import fetch_frames
from engine.errors import DecodeError
from engine.types import Segment
from rig.videos import BEGAN_S, FPS, SIZE_PX, make_segment, number_of


@pytest.fixture(scope="module")
def recording() -> list[Segment]:
    """Two seconds in two segments, B-frames in the second."""
    return [
        make_segment(numbers=range(FPS), camera=7, options={"tune": "zerolatency"}),
        make_segment(numbers=range(FPS, 2 * FPS), camera=7, options={"bf": "3"}),
    ]


def numbers(stills: list) -> list[int]:
    return [number_of(still.rgb[5:50].mean()) for still in stills]


def test_the_nearest_frames_are_in_the_order_of_the_instants(recording: list[Segment]) -> None:
    stills = fetch_frames(recording, [BEGAN_S + 1.21, BEGAN_S + 0.5, BEGAN_S + 1.21, BEGAN_S - 9])
    assert numbers(stills) == [30, 12, 30, 0]
    np.testing.assert_allclose([still.captured_s - BEGAN_S for still in stills], [1.2, 0.48, 1.2, 0])
    assert {still.rgb.shape for still in stills} == {(SIZE_PX[1], SIZE_PX[0], 3)}


def test_an_instant_between_segments_gives_the_nearer_frame(recording: list[Segment]) -> None:
    assert numbers(fetch_frames(recording, [BEGAN_S + 0.97, BEGAN_S + 0.99])) == [24, 25]


def test_only_the_needed_segments_are_decoded(recording: list[Segment]) -> None:
    spoilt = dataclasses.replace(recording[0], payload=bytes(len(recording[0].payload)))
    assert numbers(fetch_frames([spoilt, recording[1]], [BEGAN_S + 1.5])) == [37]


def test_the_decode_error_names_camera_and_instant(recording: list[Segment]) -> None:
    spoilt = dataclasses.replace(recording[0], payload=bytes(len(recording[0].payload)))
    with pytest.raises(DecodeError, match=rf"camera 7, instant {BEGAN_S + 0.5:.3f}"):
        fetch_frames([spoilt, recording[1]], [BEGAN_S + 1.5, BEGAN_S + 0.5])


def test_the_error_without_segments_names_the_instant() -> None:
    with pytest.raises(DecodeError, match=r"instant 12\.500 s"):
        fetch_frames([], [12.5])


def test_no_instants_give_no_stills(recording: list[Segment]) -> None:
    assert fetch_frames(recording, []) == []
