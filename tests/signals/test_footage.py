"""The lamps of the rendered junction, frame by frame through the decoder: correct or unknown, never wrong."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from engine.config import CameraConfig
from engine.decode.cpu import CpuDecoder
from engine.decode.settings import DecodeSettings, ModelInput
from engine.ingest import FileSource
from engine.metrics import Metrics
from engine.rules import load_site
from engine.signals import SignalBook
from engine.site import Site
from engine.tools.demo.city import FOOTAGE, SITES
from engine.types import FrameBatch, Phase

CLIP = FOOTAGE / "junction.mp4"
TRUTH = json.loads((FOOTAGE / "junction.truth.json").read_text())
START_S = 1_780_000_000.0
SEEN = ("main", "main-far")


def batches(size_px: tuple[int, int]) -> Iterator[FrameBatch]:
    """All frames of the clip, with lamps defined for a picture of this size."""
    site = load_site(SITES / "junction.toml")
    view = DecodeSettings("junction", 25.0, ((0.0, 0.0, 0.1, 0.1),), site.lamps, size_px)
    model = ModelInput(name="x", width_px=8, height_px=8, resize="stretch")
    camera = CameraConfig(name="junction", url=str(CLIP), site=SITES / "junction.toml")
    with closing(CpuDecoder({0: view}, model, Metrics(), 2)) as decoder:
        for segment in FileSource(0, camera, Metrics(), start_s=START_S, realtime=False).read():
            yield decoder.decode([segment])


@pytest.fixture(scope="module")
def junction() -> Site:
    return load_site(SITES / "junction.toml")


@pytest.fixture(scope="module")
def watched(junction: Site) -> SignalBook:
    book = SignalBook({0: junction}, {0: "junction"}, Metrics())
    for batch in batches(junction.image_size_px):
        book.observe(batch, frozenset())
    return book


@pytest.mark.parametrize("signal", SEEN)
def test_no_frame_gives_a_wrong_phase(watched: SignalBook, signal: str) -> None:
    found: Counter[bool] = Counter()
    for number, frame in enumerate(TRUTH["frames"]):
        phase = watched.at(0, signal, START_S + number / TRUTH["fps"])
        assert phase in (Phase.UNKNOWN, Phase[frame["signals"][signal].upper()]), number
        found[phase is Phase.UNKNOWN] += 1
    assert found[True] <= 10, "two ends of the clip and three changes, two frames each"


def test_a_change_lies_between_its_two_frames(watched: SignalBook) -> None:
    red_s = watched.since_s(0, ("main",), {Phase.RED}, START_S + 11.3, START_S + 15)
    assert red_s == pytest.approx(START_S + 11.0, abs=0.08 + 0.06)


def test_lamps_in_a_picture_of_another_size_are_not_read() -> None:
    batch = next(batches((1920, 1080)))
    assert len(batch.lamps) == len(batch.frames) * 6
    assert np.isnan(batch.lamps.appearance).all()
