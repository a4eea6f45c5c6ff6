"""The demo's clips through the whole engine: planted offences are found, innocents are not accused."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from benchmarks.world import Score, filmed_cameras, play
from engine.tools.demo.city import FOOTAGE, city_config

CARD = "ssd_mobilenet_v3_large"

JUDGED = {"avenue": 4, "crossing": 1, "junction": 4, "kerbside": 4, "plates": 3}
"""Planted offences of the kinds that rules exist for."""
MEASURED = {"avenue": 6, "crossing": 2, "junction": 5, "kerbside": 5, "plates": 8}
"""At least this many vehicles must get a speed."""


@pytest.fixture(scope="module", params=sorted(JUDGED))
def clip(request: pytest.FixtureRequest) -> tuple[str, Score]:
    (camera,) = [camera for camera in filmed_cameras() if camera.name == request.param]
    return request.param, play(camera, CARD)


def test_every_planted_offence_is_found_once_and_no_innocent_is_accused(clip: tuple[str, Score]) -> None:
    name, score = clip
    assert JUDGED[name] == score.offences
    assert (score.found, score.wrong) == (JUDGED[name], 0)


def test_speeds_are_near_the_truth(clip: tuple[str, Score]) -> None:
    name, score = clip
    assert len(score.errors) >= MEASURED[name]
    assert max(abs(error) for error, _ in score.errors) < 2.5


def test_owners_are_named_where_plates_can_be_read_and_no_other_owner_is(clip: tuple[str, Score]) -> None:
    name, score = clip
    assert score.misnamed == 0
    assert name != "plates" or score.named == JUDGED[name]


def test_the_second_camera_of_the_kerb_finds_the_stop_and_nothing_else() -> None:
    (stops,) = [camera for camera in city_config("", Path()).cameras if camera.name == "kerbside-stops"]
    clip = FOOTAGE / "codecs" / "kerbside-hevc.mp4"
    score = play(msgspec.structs.replace(stops, name="kerbside", url=str(clip)), CARD)
    assert (score.found, score.wrong) == (1, 0)
