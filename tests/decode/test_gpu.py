"""Compares the decoder on a real GPU with the CPU's: `pytest -m gpu`; QYRAN_REQUIRE_GPU=1 prevents a skip.

The graph is that of `test_dali`, with NVDEC and CUDA instead of DALI's CPU backend.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from engine.decode.frame_fetcher import fetch_frames
from engine.decode.settings import ModelInput
from engine.metrics import Metrics
from engine.types import Segment
from rig.videos import BEGAN_S, FPS, encode, make_segment, number_of

pytest.importorskip("torch", reason="torch is not installed: the decoder on a GPU is not tested")
pytest.importorskip("nvidia.dali", reason="nvidia-dali-cuda130 is not installed: the decoder on a GPU is not tested")

import torch

from engine.decode.dali import DaliStillGraph
from engine.decode.device_fetcher import DeviceFrameFetcher
from engine.decode.formats import GPU_CODECS, PictureFormats
from tests.support.dali import CAMERAS, assert_same, decoders, fallbacks, of, on_host

pytestmark = pytest.mark.gpu

SIZE_PX = (320, 240)
"""Above the minimum size of all NVDECs and codecs."""
STREAMS = ("h264", "h264 with B-frames", "hevc", "mjpeg", "vp9")


@pytest.fixture(scope="module")
def gpu() -> int:
    """Index of the GPU; skips the test without a GPU."""
    if not torch.cuda.is_available():
        pytest.skip("torch finds no GPU")
    return 0


@pytest.fixture(scope="module")
def streams() -> dict[str, Segment]:
    return {name: encode(name, SIZE_PX) for name in STREAMS}


@pytest.mark.parametrize("name", STREAMS)
def test_each_frame_has_its_own_capture_time(name: str, streams: dict[str, Segment], gpu: int) -> None:
    with decoders(device=gpu) as (dali, _, metrics):
        batch = dali.decode([of(streams[name], 1)])
        assert [number_of(float(row[:, 2:20, 5:90].mean())) for row in on_host(batch.pixels)] == list(range(FPS))
        assert fallbacks(metrics) == {}


@pytest.mark.parametrize("name", STREAMS)
def test_the_cpu_decodes_the_same(name: str, streams: dict[str, Segment], gpu: int) -> None:
    """In grey levels. The graph scales with a Gaussian, the CPU with means."""
    batch = [of(streams[name], camera) for camera in (0, 2)]
    with decoders(device=gpu) as (dali, cpu, _):
        assert_same(dali.decode(batch), cpu.decode(batch), mean=1.5, p99=14.0)


def test_all_codecs_mix_in_a_batch_and_uneven_times_choose_the_same_frames(
    streams: dict[str, Segment], gpu: int
) -> None:
    times_s = BEGAN_S + np.cumsum(np.random.default_rng(1).uniform(0.01, 0.3, FPS))
    uneven = [
        dataclasses.replace(segment, camera=camera % 3, captured_s=times_s[np.argsort(np.argsort(segment.pts))])
        for camera, segment in enumerate(streams.values())
    ]
    with decoders(device=gpu) as (dali, cpu, metrics):
        assert_same(dali.decode(uneven[:3]), cpu.decode(uneven[:3]), mean=1.5, p99=14.0)
        assert fallbacks(metrics) == {}


def test_the_pixels_stay_on_the_gpu_in_the_cards_layout(streams: dict[str, Segment], gpu: int) -> None:
    model = ModelInput(name="x", width_px=96, height_px=64, layout="nhwc")
    with decoders(model, device=gpu) as (dali, _, _):
        pixels = dali.decode([of(streams["h264"], 1)]).pixels
    assert pixels.is_cuda
    assert pixels.shape == (FPS, 3, 64, 96)
    assert pixels.permute(0, 2, 3, 1).is_contiguous()


def test_the_cpu_decodes_what_nvdec_refuses_and_no_segment_is_lost(streams: dict[str, Segment], gpu: int) -> None:
    wide = make_segment(pix_fmt="yuv422p", size_px=SIZE_PX)
    small = encode("hevc", (64, 64))
    batch = [of(streams["h264"], 0), of(wide, 1), of(small, 2)]
    with decoders(device=gpu) as (dali, cpu, metrics):
        assert_same(dali.decode(batch), cpu.decode(batch), mean=1.5, p99=14.0)
        assert fallbacks(metrics) == {("south", "pixel_format"): 1, ("east", "device"): 1}


def test_damage_does_not_reach_the_neighbours(streams: dict[str, Segment], gpu: int) -> None:
    """NVDEC conceals or refuses damage. In both cases the other segments do not change."""
    segment = streams["h264"]
    first = int(segment.size_bytes[0])
    noise = np.random.default_rng(0).bytes(len(segment.payload) - first)
    damaged = dataclasses.replace(segment, camera=1, payload=segment.payload[:first] + noise)
    sound = [of(streams["hevc"], 0), of(streams["vp9"], 2)]
    with decoders(device=gpu) as (dali, _, _):
        batch = dali.decode([sound[0], damaged, sound[1]])
    with decoders(device=gpu) as (dali, _, _):
        alone = dali.decode(sound)
    kept = np.isin(batch.frames.camera, (0, 2))
    np.testing.assert_array_equal(batch.frames.captured_s[kept], alone.frames.captured_s)
    rows = np.isin(batch.frames.camera[batch.frame], (0, 2))
    np.testing.assert_array_equal(on_host(batch.pixels)[rows], on_host(alone.pixels))


def test_the_fetcher_returns_what_the_cpu_returns(streams: dict[str, Segment], gpu: int) -> None:
    metrics = Metrics()
    device_fetcher = DeviceFrameFetcher(CAMERAS, PictureFormats(GPU_CODECS), lambda: DaliStillGraph(gpu, 1), metrics)
    for name in ("h264 with B-frames", "hevc", "mjpeg"):
        recording = [of(streams[name], 0)]
        instants = [BEGAN_S + 0.5, BEGAN_S]
        for one, other in zip(device_fetcher(recording, instants), fetch_frames(recording, instants), strict=True):
            assert one.captured_s == other.captured_s
            assert np.abs(one.rgb.astype(int) - other.rgb.astype(int)).mean() < 1.5
    device_fetcher.close()
    assert fallbacks(metrics) == {}


def test_a_batch_does_not_change_while_others_are_decoded(streams: dict[str, Segment], gpu: int) -> None:
    """Note [Frame lifetime across streams]: a slow reader on its own stream without synchronisation,
    and a decoder that continues."""
    stream = torch.cuda.Stream(gpu)
    batches = [[of(streams[name], 1)] for name in ("h264", "vp9", "hevc", "mjpeg")] * 3
    with decoders(device=gpu) as (dali, _, _):
        plain = [dali.decode(segments).pixels.double().sum().item() for segments in batches]
    with decoders(device=gpu) as (dali, _, _):
        read = []
        for segments in batches:
            pixels = dali.decode(segments).pixels
            with torch.cuda.stream(stream):
                torch.cuda._sleep(20_000_000)
                read.append((pixels, pixels.double().sum()))
        stream.synchronize()
    assert [total.item() for _, total in read] == plain
