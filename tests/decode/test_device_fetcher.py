"""Full-resolution frames from the device, and from the CPU if the device refuses."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np
import pytest

from engine.decode.formats import DALI_CPU_CODECS, PictureFormats
from engine.decode.frame_fetcher import fetch_frames
from engine.errors import DecodeError, DeviceLost
from engine.metrics import Metrics
from engine.types import Bytes8, Segment
from rig.videos import BEGAN_S, SIZE_PX

pytest.importorskip("nvidia.dali", reason="nvidia-dali-cuda130 is not installed: the device's fetcher is not tested")
pytest.importorskip("torch", reason="torch is not installed: the device's fetcher is not tested")

from engine.decode.dali import DaliStillGraph, Sample
from engine.decode.device_fetcher import DeviceFrameFetcher
from tests.support.dali import CAMERAS, fallbacks


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def device_fetcher(metrics: Metrics) -> Iterator[DeviceFrameFetcher]:
    made = DeviceFrameFetcher(CAMERAS, PictureFormats(DALI_CPU_CODECS), lambda: DaliStillGraph(None, 1), metrics)
    yield made
    made.close()


@pytest.mark.parametrize("name", ["vp9", "mjpeg"])
def test_the_device_fetches_the_same_frames_as_the_cpu(
    name: str, streams: Mapping[str, Segment], device_fetcher: DeviceFrameFetcher, metrics: Metrics
) -> None:
    instants = [BEGAN_S + 0.5, BEGAN_S, BEGAN_S + 0.9, BEGAN_S + 0.5]
    ours, theirs = device_fetcher([streams[name]], instants), fetch_frames([streams[name]], instants)
    assert [still.captured_s for still in ours] == [still.captured_s for still in theirs]
    assert {still.rgb.shape for still in ours} == {(SIZE_PX[1], SIZE_PX[0], 3)}
    for one, other in zip(ours, theirs, strict=True):
        assert np.abs(one.rgb.astype(int) - other.rgb.astype(int)).mean() < 1
    assert fallbacks(metrics) == {}


def test_the_cpu_fetches_what_the_device_refuses(
    streams: Mapping[str, Segment], device_fetcher: DeviceFrameFetcher, metrics: Metrics
) -> None:
    instants = [BEGAN_S + 0.3]
    [ours], [theirs] = device_fetcher([streams["h264"]], instants), fetch_frames([streams["h264"]], instants)
    np.testing.assert_array_equal(ours.rgb, theirs.rgb)
    assert fallbacks(metrics) == {("north", "codec"): 1}


def test_a_frame_that_does_not_decode_is_an_error_with_the_instant(
    streams: Mapping[str, Segment], device_fetcher: DeviceFrameFetcher
) -> None:
    spoilt = dataclasses.replace(streams["mjpeg"], payload=bytes(len(streams["mjpeg"].payload)))
    with pytest.raises(DecodeError, match=rf"camera 0, instant {BEGAN_S:.3f}"):
        device_fetcher([spoilt], [BEGAN_S])


class Failing:
    """A device that is lost at its first call."""

    lost = True

    def __init__(self) -> None:
        self._graph = DaliStillGraph(None, 1)

    def run(self, sample: Sample) -> list[Bytes8]:
        if Failing.lost:
            raise DeviceLost("CUDA_ERROR_LAUNCH_FAILED")
        return self._graph.run(sample)

    def close(self) -> None:
        self._graph.close()


def test_stills_are_fetched_even_if_the_device_is_lost(
    streams: Mapping[str, Segment], metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = DeviceFrameFetcher(CAMERAS, PictureFormats(DALI_CPU_CODECS), Failing, metrics)
    [ours], [theirs] = failing([streams["mjpeg"]], [BEGAN_S]), fetch_frames([streams["mjpeg"]], [BEGAN_S])
    np.testing.assert_array_equal(ours.rgb, theirs.rgb)
    assert fallbacks(metrics) == {("north", "device"): 1}
    monkeypatch.setattr(Failing, "lost", False)
    failing([streams["mjpeg"]], [BEGAN_S])
    assert fallbacks(metrics) == {("north", "device"): 1}
    failing.close()


def test_frames_are_fetched_from_a_single_key_frame(
    streams: Mapping[str, Segment], device_fetcher: DeviceFrameFetcher
) -> None:
    """The drift monitor fetches such frames."""
    from engine.measure.drift import key_frame

    [still] = device_fetcher([key_frame(streams["vp9"])], [BEGAN_S])
    assert still.captured_s == BEGAN_S


def test_no_instants_give_no_stills(streams: Mapping[str, Segment], device_fetcher: DeviceFrameFetcher) -> None:
    assert device_fetcher([streams["vp9"]], []) == []
