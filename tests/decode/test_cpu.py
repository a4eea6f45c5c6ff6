"""The CPU decoder on real streams of all codecs, intact and damaged."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from contextlib import closing

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from engine.decode.codec import decode_frames
from engine.decode.cpu import CpuDecoder
from engine.decode.frame_fetcher import to_rgb
from engine.decode.picture import picture_planes as planes_of
from engine.decode.regions import fit_region, region_px
from engine.decode.settings import DecodeSettings, ModelInput
from engine.errors import DecodeError
from engine.metrics import Metrics
from engine.site.signals import Lamp
from engine.types import FrameBatch, Segment
from rig.videos import BEGAN_S, ENCODINGS, FPS, SIZE_PX, make_segment, number_of

MODEL = ModelInput(name="x", width_px=96, height_px=96, dtype="float32")
CAMERAS = {
    0: DecodeSettings("north", 8.0),
    1: DecodeSettings("south", 100.0),
    2: DecodeSettings("east", 5.0, ((0.0, 0.0, 1.0, 1.0), (0.5, 0.0, 1.0, 0.5))),
}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def decoder(metrics: Metrics) -> Iterator[CpuDecoder]:
    decoder = CpuDecoder(CAMERAS, MODEL, metrics, 2)
    yield decoder
    decoder.close()


def of(segment: Segment, camera: int) -> Segment:
    return dataclasses.replace(segment, camera=camera)


def numbers(batch: FrameBatch) -> list[int]:
    """The pictures' numbers, read from the pixels."""
    return [number_of(float(row[:, 2:20, 5:90].mean())) for row in batch.pixels]


def corrupt_count(metrics: Metrics, camera: str) -> float:
    value = metrics.registry.get_sample_value("qyran_segments_corrupt_total", {"camera": camera})
    return value or 0.0


@pytest.mark.parametrize("name", ENCODINGS)
def test_each_frame_has_its_own_capture_time(name: str, streams: Mapping[str, Segment], decoder: CpuDecoder) -> None:
    batch = decoder.decode([of(streams[name], 1)])
    assert numbers(batch) == list(range(FPS))
    np.testing.assert_allclose(batch.frames.captured_s, BEGAN_S + np.arange(FPS) / FPS)
    assert (batch.frames.size_px == SIZE_PX).all()


@pytest.mark.parametrize("name", ENCODINGS)
def test_skipped_frames_do_not_change_the_sampled_frames(
    name: str, streams: Mapping[str, Segment], decoder: CpuDecoder
) -> None:
    every = decoder.decode([of(streams[name], 1)])
    some = decoder.decode([of(streams[name], 0)])
    assert numbers(some) == [0, 3, 6, 9, 12, 15, 18, 22]
    np.testing.assert_array_equal(some.pixels, every.pixels[numbers(some)])


def test_an_intra_only_codec_decodes_only_the_sampled_packets(streams: Mapping[str, Segment]) -> None:
    segment = streams["mjpeg"]
    payload = bytearray(len(segment.payload))
    ends = np.cumsum(segment.size_bytes)
    payload[ends[3] : ends[4]] = segment.payload[ends[3] : ends[4]]
    rows = [row for row, _ in decode_frames(dataclasses.replace(segment, payload=bytes(payload)), np.array([4]))]
    assert rows == [4]


def test_cameras_codecs_and_sizes_mix_in_a_batch(streams: Mapping[str, Segment], decoder: CpuDecoder) -> None:
    small = make_segment("libx264", camera=1, size_px=(64, 64))
    batch = decoder.decode([of(streams["h264"], 0), small, of(streams["mjpeg"], 2)])
    assert batch.frames.camera.tolist() == [0] * 8 + [1] * 25 + [2] * 6
    assert batch.frame.tolist() == [*range(33), *np.repeat(range(33, 39), 2).tolist()]
    assert set(map(tuple, batch.frames.size_px[8:33].tolist())) == {(64, 64)}
    alone = decoder.decode([small])
    np.testing.assert_array_equal(batch.pixels[8:33], alone.pixels)


def test_each_region_has_its_own_row_that_maps_back_to_the_picture(
    streams: Mapping[str, Segment], decoder: CpuDecoder
) -> None:
    batch = decoder.decode([of(streams["h264"], 2)])
    assert batch.region_xyxy_px[:2].tolist() == [[0, 0, 192, 128], [96, 0, 192, 64]]
    assert batch.model_to_image[:2].tolist() == [[2, 2, 0, 0], [1, 1, 96, 0]]
    frame = next(f for row, f in decode_frames(streams["h264"], np.array([0])))
    full = to_rgb(frame).astype(float)
    np.testing.assert_allclose(batch.pixels[1][:, :64, :96], full[:64, 96:].transpose(2, 0, 1), atol=1)


def test_padding_has_the_grey_level_of_the_card(streams: Mapping[str, Segment], decoder: CpuDecoder) -> None:
    batch = decoder.decode([of(streams["h264"], 0)])
    assert (batch.pixels[:, :, 64:] == 114).all()


def test_size_layout_and_colours_are_those_of_the_card(streams: Mapping[str, Segment], metrics: Metrics) -> None:
    rgb_nchw = ModelInput(name="x", width_px=96, height_px=64, resize="stretch")
    bgr_nhwc = ModelInput(
        name="x", width_px=96, height_px=64, resize="stretch", layout="nhwc", colour="bgr",
        mean=(10.0, 20.0, 30.0), std=(2.0, 4.0, 5.0),
    )  # fmt: skip
    first, second = (
        CpuDecoder(CAMERAS, model, metrics, 1).decode([of(streams["h264"], 0)]).pixels for model in (rgb_nchw, bgr_nhwc)
    )
    assert first.shape == second.shape == (8, 3, 64, 96)
    assert second.transpose(0, 2, 3, 1).flags.c_contiguous
    for channel, (mean, std) in enumerate([(10, 2), (20, 4), (30, 5)]):
        np.testing.assert_allclose(second[:, channel], (first[:, 2 - channel] - mean) / std, atol=1e-3)


def test_no_segments_make_an_empty_batch(decoder: CpuDecoder) -> None:
    batch = decoder.decode([])
    assert batch.pixels.shape == (0, 3, 96, 96)
    assert len(batch.frames) == len(batch.frame) == 0


def test_a_segment_without_a_sampled_frame_is_not_an_error(metrics: Metrics) -> None:
    decoder = CpuDecoder({0: DecodeSettings("slow", 0.1)}, MODEL, metrics, 1)
    first, second = make_segment(), make_segment(numbers=range(FPS, 2 * FPS))
    assert len(decoder.decode([first]).frames) == 1
    assert len(decoder.decode([second]).frames) == 0
    assert corrupt_count(metrics, "slow") == 0


def test_a_size_change_inside_a_segment_is_supported(decoder: CpuDecoder) -> None:
    big = make_segment(options={"tune": "zerolatency"})
    small = make_segment(numbers=range(FPS, 2 * FPS), size_px=(96, 64), options={"tune": "zerolatency"})
    names = ("size_bytes", "pts", "dts", "key", "captured_s")
    columns = {name: np.concatenate([getattr(big, name), getattr(small, name)]) for name in names}
    both = dataclasses.replace(big, camera=1, payload=big.payload + small.payload, **columns)
    batch = decoder.decode([both])
    assert numbers(batch) == list(range(2 * FPS))
    assert batch.frames.size_px.tolist() == [[192, 128]] * FPS + [[96, 64]] * FPS
    assert batch.model_to_image[[0, -1], 0].tolist() == [2, 1]


def truncated(segment: Segment) -> Segment:
    """The second half of packet 5 is missing."""
    begin, end = (int(np.cumsum(segment.size_bytes)[row]) for row in (4, 5))
    middle = (begin + end) // 2
    sizes = segment.size_bytes.copy()
    sizes[5] -= end - middle
    return dataclasses.replace(segment, payload=segment.payload[:middle] + segment.payload[end:], size_bytes=sizes)


def with_payload(segment: Segment, payload: bytes) -> Segment:
    return dataclasses.replace(segment, payload=payload)


def without_packet(segment: Segment, row: int) -> Segment:
    begin = int(segment.size_bytes[:row].sum())
    sizes = segment.size_bytes.copy()
    sizes[row], length = 0, int(sizes[row])
    payload = segment.payload[:begin] + segment.payload[begin + length :]
    return dataclasses.replace(segment, size_bytes=sizes, payload=payload)


BROKEN = {
    "random bytes": lambda s: with_payload(s, np.random.default_rng(0).bytes(len(s.payload))),
    "zeros": lambda s: with_payload(s, bytes(len(s.payload))),
    "truncated packet": truncated,
    "empty packet": lambda s: without_packet(s, 7),
    "no key frame": lambda s: cut_first(s),
    "another codec": lambda s: dataclasses.replace(s, codec="hevc"),
    "unknown codec": lambda s: dataclasses.replace(s, codec="betamax"),
    "an audio codec": lambda s: dataclasses.replace(s, codec="aac"),
    "extradata of garbage": lambda s: dataclasses.replace(s, extradata=b"\x01garbage", payload=bytes(len(s.payload))),
}


def cut_first(segment: Segment) -> Segment:
    """Begins with a frame that is marked as a key frame but is not one."""
    first = int(segment.size_bytes[0])
    columns = {n: getattr(segment, n)[1:] for n in ("size_bytes", "pts", "dts", "captured_s")}
    key = segment.key[1:].copy()
    key[0] = True
    return dataclasses.replace(segment, payload=segment.payload[first:], key=key, **columns)


def test_lamps_stay_with_their_frames_when_a_segment_is_omitted(
    streams: Mapping[str, Segment], metrics: Metrics
) -> None:
    places = {"red": (40.0, 11.0), "green": (60.0, 11.0)}
    lamps = tuple(Lamp(colour=colour, centre_px=at, radius_px=4.0) for colour, at in places.items())
    views = {0: DecodeSettings("lit", 8.0, lamps=lamps, lamps_size_px=SIZE_PX), 1: DecodeSettings("plain", 8.0)}
    with closing(CpuDecoder(views, MODEL, metrics, 2)) as decoder:
        alone = decoder.decode([of(streams["h264"], 0)])
        batch = decoder.decode([of(truncated(streams["h264"]), 0), of(streams["vp9"], 1), of(streams["h264"], 0)])
    assert len(alone.lamps) == 2 * len(alone.frames)
    assert np.ptp(alone.lamps.value) > 50, "the picture's number changes there"
    assert (batch.frames.camera[batch.lamps.frame] == 0).all()
    np.testing.assert_array_equal(batch.lamps.lamp, alone.lamps.lamp)
    np.testing.assert_array_equal(batch.lamps.appearance, alone.lamps.appearance)
    seen_s, alone_s = (some.frames.captured_s[some.lamps.frame] for some in (batch, alone))
    np.testing.assert_array_equal(seen_s, alone_s)


@pytest.mark.parametrize("how", BROKEN)
def test_a_corrupt_segment_is_omitted_counted_and_logged(
    how: str, streams: Mapping[str, Segment], decoder: CpuDecoder, metrics: Metrics
) -> None:
    sound = [of(streams["h264"], 0), of(streams["mjpeg"], 2)]
    without = CpuDecoder(CAMERAS, MODEL, Metrics(), 1).decode(sound)
    broken = BROKEN[how](of(streams["h264"], 1))
    with capture_logs() as lines:
        batch = decoder.decode([sound[0], broken, sound[1]])
    assert corrupt_count(metrics, "south") == 1
    assert corrupt_count(metrics, "north") == corrupt_count(metrics, "east") == 0
    assert [line["camera"] for line in lines if line["log_level"] == "warning"] == ["south"]
    for name in ("pixels", "frame", "model_to_image"):
        np.testing.assert_array_equal(getattr(batch, name), getattr(without, name))
    for name in ("captured_s", "camera"):
        np.testing.assert_array_equal(getattr(batch.frames, name), getattr(without.frames, name))


@pytest.mark.parametrize("name", ["h264", "h264 with B-frames", "hevc", "mjpeg", "vp9"])
@given(
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=20),
    keep=st.floats(0.2, 1),
)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_does_not_reach_other_segments(
    name: str, streams: Mapping[str, Segment], flips: list[tuple[float, int]], keep: float
) -> None:
    segment = of(streams[name], 1)
    payload = bytearray(segment.payload)
    for where, value in flips:
        payload[int(where * len(payload))] = value
    payload[int(keep * len(payload)) :] = bytes(len(payload) - int(keep * len(payload)))
    sound = of(streams["mjpeg"], 2)
    with closing(CpuDecoder(CAMERAS, MODEL, Metrics(), 2)) as decoder:
        batch = decoder.decode([sound, with_payload(segment, bytes(payload)), sound])
    assert (batch.frames.camera == 1).sum() in (0, FPS)
    first = CpuDecoder(CAMERAS, MODEL, Metrics(), 1).decode([sound])
    np.testing.assert_array_equal(batch.pixels[: len(first.frame)], first.pixels)


def test_an_unsupported_pixel_format_is_converted_and_logged_once(streams: Mapping[str, Segment]) -> None:
    from engine.decode import picture

    picture._warn_once.cache_clear()
    decoder = CpuDecoder(CAMERAS, MODEL, Metrics(), 2)
    with capture_logs() as lines:
        decoder.decode([of(streams["h264 10 bit"], 0), of(streams["h264 10 bit"], 0)])
    assert [line["format"] for line in lines] == ["yuv420p10le"]


COLOURS = {
    # of pure red, green and blue: ITU-R BT.601-7, BT.709-6, JFIF
    ("BT.601", 5, 1): [(81, 90, 240), (145, 54, 34), (41, 240, 110)],
    ("BT.709", 1, 1): [(63, 102, 240), (173, 42, 26), (32, 240, 118)],
    ("BT.601 full range", 5, 2): [(76, 85, 255), (150, 44, 21), (29, 255, 107)],
}


@pytest.mark.parametrize("code", COLOURS, ids=lambda code: code[0])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p", "yuv444p", "nv12"])
def test_colours_follow_the_encoding_of_the_stream(code: tuple[str, int, int], pix_fmt: str) -> None:
    for channel, samples in enumerate(COLOURS[code]):
        frame = av.VideoFrame(32, 16, pix_fmt)
        frame.colorspace, frame.color_range = code[1], code[2]
        picture, _ = planes_of(frame)
        for plane, sample in zip(picture, samples, strict=True):
            plane.samples[:, plane.offset :: plane.step] = sample
        want = np.zeros(3)
        want[channel] = 255
        assert np.abs(to_rgb(frame).astype(float) - want).max() <= 4


def test_the_default_colour_encoding_depends_on_the_size() -> None:
    for height, samples in ((480, COLOURS["BT.601", 5, 1][0]), (720, COLOURS["BT.709", 1, 1][0])):
        frame = av.VideoFrame(64, height, "yuv420p")
        for plane, sample in zip(planes_of(frame)[0], samples, strict=True):
            plane.samples[:] = sample
        assert np.abs(to_rgb(frame).astype(float) - [255, 0, 0]).max() <= 4


@pytest.mark.parametrize("size_px", [(640, 353), (1919, 1079), (33, 17), (2, 2), (1, 1)])
def test_odd_sizes_are_supported(size_px: tuple[int, int], metrics: Metrics) -> None:
    frame = av.VideoFrame(*size_px, "yuv420p")
    for plane, sample in zip(planes_of(frame)[0], (126, 128, 128), strict=True):
        plane.samples[:] = sample
    assert to_rgb(frame).shape == (size_px[1], size_px[0], 3)
    assert np.abs(to_rgb(frame).astype(int) - 128).max() <= 1


def test_a_region_is_never_empty_and_never_leaves_the_picture() -> None:
    assert region_px((0.999, 0.999, 1.0, 1.0), (10, 10)) == (9, 9, 10, 10)
    assert region_px((0.0, 0.0, 1.0, 1.0), (641, 353)) == (0, 0, 641, 353)


def test_a_letterbox_keeps_the_shape_and_can_be_centred() -> None:
    centred = ModelInput(name="x", width_px=320, height_px=320, align="centre")
    assert fit_region((1920, 1080), centred) == ((320, 180), (0, 70))
    assert fit_region((1080, 1920), centred) == ((180, 320), (70, 0))


def with_message(segment: Segment, message: bytes) -> Segment:
    """The segment with this message before each packet."""
    ends = [0, *np.cumsum(segment.size_bytes).tolist()]
    parts = [message + segment.payload[begin:end] for begin, end in itertools.pairwise(ends)]
    return dataclasses.replace(segment, payload=b"".join(parts), size_bytes=segment.size_bytes + len(message))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("h264", b"\0\0\0\1\x06\x05\xff\x10abc\x80"),
        ("h264", b"\0\0\1\x06\xf0\x40abc\x80"),
        ("hevc", b"\0\0\0\1\x4e\1\x05\xff\x10abc\x80"),
        ("hevc", b"\0\0\1\x50\1\x05\x40abc\x80"),
    ],
)
def test_garbled_sei_messages_do_no_harm(
    name: str, message: bytes, streams: Mapping[str, Segment], decoder: CpuDecoder
) -> None:
    plain, garbled = (decoder.decode([of(s, 1)]) for s in (streams[name], with_message(streams[name], message)))
    np.testing.assert_array_equal(garbled.pixels, plain.pixels)
    assert len(garbled.pixels) == FPS


def test_damage_to_a_frame_that_is_not_sampled_is_detected(streams: Mapping[str, Segment]) -> None:
    with pytest.raises(DecodeError):
        list(decode_frames(truncated(streams["h264"]), np.array([0, 12])))


def test_damage_after_the_last_sampled_frame_is_ignored(streams: Mapping[str, Segment]) -> None:
    assert len(list(decode_frames(truncated(streams["h264"]), np.array([0, 4])))) == 2


def test_packets_with_equal_pts_are_an_error(streams: Mapping[str, Segment]) -> None:
    segment = dataclasses.replace(streams["h264"], pts=streams["h264"].pts * 0)
    with pytest.raises(DecodeError, match="same pts"):
        list(decode_frames(segment, np.array([0, 3])))
