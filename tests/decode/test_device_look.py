"""Full-size frames by the device, and by the CPU where it refuses."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np
import pytest

from engine.decode.formats import ON_DALI_CPU, PictureFormats
from engine.decode.second_look import look
from engine.errors import DecodeError, DeviceLost
from engine.metrics import Metrics
from engine.types import Bytes8, Segment
from rig.videos import BEGAN_S, SIZE_PX, make_segment

pytest.importorskip("nvidia.dali", reason="nvidia-dali-cuda130 is not installed: the device's look is not tested")
pytest.importorskip("torch", reason="torch is not installed: the device's look is not tested")

from engine.decode.dali import DaliStillGraph, Sample
from engine.decode.device_look import DeviceFrameFetcher
from tests.support.dali import CAMERAS, fallbacks


@pytest.fixture(scope="module")
def streams() -> Mapping[str, Segment]:
    return {
        "vp9": make_segment("libvpx-vp9", options={"deadline": "realtime", "cpu-used": "8"}),
        "mjpeg": make_segment("mjpeg", pix_fmt="yuvj420p"),
        "h264": make_segment(options={"tune": "zerolatency"}),
    }


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def device_look(metrics: Metrics) -> Iterator[DeviceFrameFetcher]:
    made = DeviceFrameFetcher(CAMERAS, PictureFormats(ON_DALI_CPU), lambda: DaliStillGraph(None, 1), metrics)
    yield made
    made.close()


@pytest.mark.parametrize("name", ["vp9", "mjpeg"])
def test_the_device_shows_the_frames_that_the_cpu_shows(
    name: str, streams: Mapping[str, Segment], device_look: DeviceFrameFetcher, metrics: Metrics
) -> None:
    instants = [BEGAN_S + 0.5, BEGAN_S, BEGAN_S + 0.9, BEGAN_S + 0.5]
    ours, theirs = device_look([streams[name]], instants), look([streams[name]], instants)
    assert [still.captured_s for still in ours] == [still.captured_s for still in theirs]
    assert {still.rgb.shape for still in ours} == {(SIZE_PX[1], SIZE_PX[0], 3)}
    for one, other in zip(ours, theirs, strict=True):
        assert np.abs(one.rgb.astype(int) - other.rgb.astype(int)).mean() < 1
    assert fallbacks(metrics) == {}


def test_what_the_device_does_not_take_the_cpu_shows_exactly(
    streams: Mapping[str, Segment], device_look: DeviceFrameFetcher, metrics: Metrics
) -> None:
    instants = [BEGAN_S + 0.3]
    [ours], [theirs] = device_look([streams["h264"]], instants), look([streams["h264"]], instants)
    np.testing.assert_array_equal(ours.rgb, theirs.rgb)
    assert fallbacks(metrics) == {("north", "codec"): 1}


def test_what_nobody_decodes_is_an_error_that_names_the_instant(
    streams: Mapping[str, Segment], device_look: DeviceFrameFetcher
) -> None:
    spoilt = dataclasses.replace(streams["mjpeg"], payload=bytes(len(streams["mjpeg"].payload)))
    with pytest.raises(DecodeError, match=rf"camera 0, instant {BEGAN_S:.3f}"):
        device_look([spoilt], [BEGAN_S])


class Failing:
    """A device that is lost when it is first asked."""

    lost = True

    def __init__(self) -> None:
        self._graph = DaliStillGraph(None, 1)

    def run(self, sample: Sample) -> list[Bytes8]:
        if Failing.lost:
            raise DeviceLost("CUDA_ERROR_LAUNCH_FAILED")
        return self._graph.run(sample)

    def close(self) -> None:
        self._graph.close()


def test_a_case_gets_its_stills_even_where_the_device_is_lost(
    streams: Mapping[str, Segment], metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = DeviceFrameFetcher(CAMERAS, PictureFormats(ON_DALI_CPU), Failing, metrics)
    [ours], [theirs] = failing([streams["mjpeg"]], [BEGAN_S]), look([streams["mjpeg"]], [BEGAN_S])
    np.testing.assert_array_equal(ours.rgb, theirs.rgb)
    assert fallbacks(metrics) == {("north", "device"): 1}
    monkeypatch.setattr(Failing, "lost", False)
    failing([streams["mjpeg"]], [BEGAN_S])
    assert fallbacks(metrics) == {("north", "device"): 1}
    failing.close()


def test_one_key_frame_alone_is_a_recording_too(
    streams: Mapping[str, Segment], device_look: DeviceFrameFetcher
) -> None:
    """The guard of the view looks at such."""
    from engine.measure.drift import key_frame

    [still] = device_look([key_frame(streams["vp9"])], [BEGAN_S])
    assert still.captured_s == BEGAN_S


def test_no_instants_no_stills(streams: Mapping[str, Segment], device_look: DeviceFrameFetcher) -> None:
    assert device_look([streams["vp9"]], []) == []
