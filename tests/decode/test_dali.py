"""Compares the DALI decoder with the CPU's, on DALI's CPU backend, which supports only VP9 and MJPEG."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest

from engine.decode.settings import ModelInput
from engine.errors import OutOfDeviceMemory
from engine.tools.demo.city import FOOTAGE
from engine.types import Segment
from rig.videos import FPS, cut, encode, number_of

pytest.importorskip("nvidia.dali", reason="nvidia-dali-cuda130 is not installed: the DALI graph is not tested")
pytest.importorskip("torch", reason="torch is not installed: the DALI graph is not tested")

from engine.decode.dali import DaliGraph
from engine.decode.device import REFUSALS
from tests.support.dali import LAMPS, Open, assert_same, decoders, fallbacks, first_segment, of

CODECS = FOOTAGE / "codecs"


@pytest.mark.parametrize("name", ["avenue-vp9.webm", "avenue-mjpeg.avi"])
@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
def test_real_footage_differs_from_the_cpu_only_by_the_filter(name: str, resize: str) -> None:
    """In grey levels of 255. DALI scales with a Gaussian, the kernel with means, and DALI rounds after its own
    conversion."""
    model = ModelInput(name="x", width_px=320, height_px=320, resize=resize, align="centre")  # type: ignore[arg-type]
    segment = of(first_segment(CODECS / name), 2)
    with decoders(model) as (dali, cpu, metrics):
        assert_same(dali.decode([segment]), cpu.decode([segment]), mean=1.2, p99=9.0)
        assert fallbacks(metrics) == {}


def test_unscaled_pictures_differ_from_the_cpu_by_at_most_two_grey_levels(streams: Mapping[str, Segment]) -> None:
    model = ModelInput(name="x", width_px=192, height_px=128)
    batch = [of(streams["vp9"], 1), of(streams["mjpeg"], 0)]
    with decoders(model) as (dali, cpu, _):
        assert_same(dali.decode(batch), cpu.decode(batch), mean=1.0, p99=4.0)


def test_each_frame_has_its_own_capture_time(streams: Mapping[str, Segment]) -> None:
    with decoders() as (dali, _, _):
        for name in ("vp9", "mjpeg"):
            batch = dali.decode([of(streams[name], 1)])
            numbers = [number_of(float(row[:, 2:20, 5:90].mean())) for row in batch.pixels]
            assert numbers == list(range(FPS))


def test_frames_are_sampled_by_capture_time_at_any_frame_rate(streams: Mapping[str, Segment]) -> None:
    gaps = np.cumsum(np.random.default_rng(1).uniform(0.01, 0.3, FPS))
    uneven = dataclasses.replace(of(streams["vp9"], 0), captured_s=1.78e9 + gaps)
    with decoders() as (dali, cpu, _):
        assert_same(dali.decode([uneven]), cpu.decode([uneven]), mean=1.2, p99=9.0)


def test_codecs_sizes_regions_and_frame_counts_mix_in_a_batch(streams: Mapping[str, Segment]) -> None:
    batch = [of(streams["vp9"], 0), of(encode("mjpeg", (64, 48)), 1), of(streams["mjpeg"], 2)]
    with decoders() as (dali, cpu, metrics):
        assert_same(dali.decode(batch), cpu.decode(batch), mean=1.5, p99=12.0)
        assert fallbacks(metrics) == {}
        assert metrics.registry.get_sample_value("qyran_decode_batch_segments_sum") == 2 + 1


def test_layout_colours_and_values_are_those_of_the_card(streams: Mapping[str, Segment]) -> None:
    card = {"name": "x", "width_px": 96, "height_px": 64, "colour": "bgr", "mean": (10.0, 20.0, 30.0)}
    for changes in (
        {"layout": "nhwc", "std": (2.0, 4.0, 5.0)},
        {"layout": "nchw", "dtype": "uint8", "mean": (0, 0, 0)},
    ):
        model = ModelInput(**(card | changes))
        with decoders(model) as (dali, cpu, _):
            found, wanted = dali.decode([of(streams["mjpeg"], 0)]), cpu.decode([of(streams["mjpeg"], 0)])
            assert_same(found, wanted, mean=1.5, p99=14.0)
            assert np.asarray(found.pixels).dtype == wanted.pixels.dtype
            assert found.pixels.permute(0, 2, 3, 1).is_contiguous() == (model.layout == "nhwc")


def patches() -> Segment:
    """Saturated colours in 720 rows, which are BT.709 by default."""
    colours = np.array([[200, 40, 40], [40, 200, 40], [40, 40, 200], [200, 200, 40], [200, 40, 200], [40, 200, 200]])
    rgb = np.repeat(np.repeat(colours.reshape(2, 3, 3), 360, axis=0), 432, axis=1)[:, :1280].astype(np.uint8)
    context = av.CodecContext.create("libvpx-vp9", "w")
    context.width, context.height, context.pix_fmt, context.time_base = 1280, 720, "yuv420p", Fraction(1, FPS)
    context.options = {"deadline": "realtime", "cpu-used": "8", "b": "4M"}
    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")
    frame.pts = 0
    return cut([*context.encode(frame), *context.encode(None)], "vp9", (1280, 720))


def test_colours_follow_the_stream_although_dali_assumes_bt601() -> None:
    model = ModelInput(name="x", width_px=96, height_px=64, resize="stretch")
    with decoders(model) as (dali, cpu, _):
        found, wanted = (np.asarray(d.decode([patches()]).pixels).astype(float) for d in (dali, cpu))
    middles = (..., slice(8, 24), slice(8, 24))
    assert np.ptp(wanted[middles], axis=1).min() > 100
    assert np.abs(found - wanted)[middles].max() < 3


def test_lamps_have_the_same_appearance_as_on_the_cpu(streams: Mapping[str, Segment]) -> None:
    """A bar passes behind them. The CPU's decoder reads them from the planes, without interpolation of the colours."""
    batch = [of(streams["vp9"], 3), of(streams["h264"], 3), of(streams["mjpeg"], 4), of(streams["mjpeg"], 0)]
    with decoders() as (dali, cpu, _):
        found, wanted = dali.decode(batch).lamps, cpu.decode(batch).lamps
    np.testing.assert_array_equal(found.frame, wanted.frame)
    np.testing.assert_array_equal(found.lamp, wanted.lamp)
    np.testing.assert_array_equal(np.isnan(found.value), np.isnan(wanted.value))
    assert np.isnan(found.value).sum() == 8 * len(LAMPS)
    np.testing.assert_allclose(found.appearance[:, :5], wanted.appearance[:, :5], atol=3)
    np.testing.assert_allclose(found.appearance[:, 5:], wanted.appearance[:, 5:], atol=0.1)
    assert np.ptp(found.value[found.lamp == 1][:8]) > 50


def test_the_cpu_decodes_what_the_device_refuses_and_no_segment_is_lost(streams: Mapping[str, Segment]) -> None:
    batch = [of(streams["h264"], 0), of(streams["vp9"], 1), of(streams["mjpeg 4:2:2"], 2), of(streams["vp9"], 5)]
    with decoders() as (dali, cpu, metrics):
        assert_same(dali.decode(batch), cpu.decode(batch), mean=1.2, p99=9.0)
        reasons = {("north", "codec"): 1, ("east", "pixel_format"): 1, ("over UDP", "lossy"): 1}
        assert fallbacks(metrics) == reasons


def test_a_camera_that_alternates_between_device_and_cpu_keeps_its_order(streams: Mapping[str, Segment]) -> None:
    later = dataclasses.replace(streams["vp9"], captured_s=streams["vp9"].captured_s + 1)
    batch = [of(streams["h264"], 1), of(later, 1)]
    with decoders() as (dali, _, _):
        assert (np.diff(dali.decode(batch).frames.captured_s) > 0).all()


def spoilt(segment: Segment) -> Segment:
    """The key frame is intact; the rest is garbage."""
    first = int(segment.size_bytes[0])
    noise = np.random.default_rng(0).bytes(len(segment.payload) - first)
    return dataclasses.replace(segment, payload=segment.payload[:first] + noise)


def test_only_a_corrupt_segment_itself_is_lost(streams: Mapping[str, Segment]) -> None:
    sound = [of(streams["vp9"], 0), of(streams["mjpeg"], 2)]
    batch = [sound[0], spoilt(of(streams["mjpeg"], 1)), sound[1], sound[1]]
    with decoders() as (dali, cpu, metrics):
        assert_same(dali.decode(batch[:3]), cpu.decode(sound), mean=1.5, p99=12.0)
        assert fallbacks(metrics) == {("south", "device"): 1}
        assert metrics.registry.get_sample_value("qyran_segments_corrupt_total", {"camera": "south"}) == 1


def test_irregular_packets_never_reach_the_device(streams: Mapping[str, Segment]) -> None:
    twice = dataclasses.replace(of(streams["vp9"], 0), pts=np.zeros(FPS, np.int64))
    with decoders() as (dali, _, metrics):
        assert len(dali.decode([twice]).frames) == 0
        assert fallbacks(metrics) == {("north", "packets"): 1}


def test_a_camera_that_the_device_refuses_repeatedly_is_left_to_the_cpu(streams: Mapping[str, Segment]) -> None:
    tried: list[int] = []

    def counted(open_graph: Open) -> Open:
        def opened(most: int) -> Any:
            tried.append(most)
            return open_graph(most)

        return opened

    bad = spoilt(of(streams["mjpeg"], 1))
    with decoders(wrap=counted) as (dali, _, metrics):
        for _ in range(REFUSALS + 2):
            dali.decode([bad])
        assert fallbacks(metrics) == {("south", "device"): REFUSALS + 2}
        assert len(tried) == REFUSALS  # once at the start, then after every refusal but the last
        assert len(dali.decode([of(streams["vp9"], 1)]).frames) == FPS


class Cramped:
    """The real graph on a device with memory for a limited number of samples."""

    def __init__(self, graph: DaliGraph, holds: int) -> None:
        self._graph, self._holds = graph, holds

    def run(self, samples: Sequence[Any]) -> Any:
        if len(samples) > self._holds:
            raise OutOfDeviceMemory("cudaErrorMemoryAllocation (2): out of memory")
        return self._graph.run(samples)

    def close(self) -> None:
        self._graph.close()


@pytest.mark.parametrize(("holds", "limit"), [(2, 2), (1, 1), (0, 1)])
def test_out_of_memory_halves_the_batch_instead_of_losing_it(holds: int, limit: int) -> None:
    batch = [of(encode("mjpeg", (64, 48)), camera) for camera in (0, 1, 2)] * 2

    def cramped(open_graph: Open) -> Open:
        return lambda most: Cramped(open_graph(most), holds)

    with decoders(wrap=cramped) as (dali, cpu, metrics):
        found, wanted = dali.decode(batch), cpu.decode(batch)
        np.testing.assert_array_equal(found.frames.captured_s, wanted.frames.captured_s)
        assert len(found.pixels) == len(wanted.pixels)
        assert metrics.registry.get_sample_value("qyran_decode_batch_limit") == limit
        assert sum(fallbacks(metrics).values()) == (0 if holds else len(batch))


def test_the_budget_limits_the_size_of_a_run(streams: Mapping[str, Segment]) -> None:
    batch = [of(streams["mjpeg"], 0)] * 5
    one = 3 * 192 * 128 * (8 + 20)
    with decoders(budget_bytes=2 * one) as (dali, _, metrics):
        assert len(dali.decode(batch).frames) > 0
        assert metrics.registry.get_sample_value("qyran_decode_batch_segments_count") >= 2


def test_no_segments_or_no_sampled_frames_make_an_empty_batch(streams: Mapping[str, Segment]) -> None:
    with decoders() as (dali, _, _):
        assert dali.decode([]).pixels.shape == (0, 3, 96, 96)
        dali.decode([of(streams["vp9"], 0)])
        assert len(dali.decode([of(streams["vp9"], 0)]).frames) in (0, 8)
