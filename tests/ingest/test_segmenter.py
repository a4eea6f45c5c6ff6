"""Segments from real coded pictures and from random sequences of packets."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.ingest.bitstream import CODECS, configuration, picture_size, size_mark
from engine.ingest.clock import CaptureClock, DeclaredClock, StreamClock
from engine.ingest.segmenter import DISCARD_REASONS, Packet, Segmenter, StreamFormat
from engine.types import Clock, Segment
from tests.support.rtsp import access_units, coded, make_video

START = b"\x00\x00\x00\x01"
TICKS = 90_000
H264_FORMAT = StreamFormat("h264", b"", 320, 240, Fraction(1, TICKS))


def segmenter(
    format_: StreamFormat, discarded: list[str] | None = None, clock: StreamClock | None = None, **settings: float
) -> Segmenter:
    left_out, clock = discarded if discarded is not None else [], clock or DeclaredClock(100.0)
    limits = {"segment_s": 1.0, "longest_gop_s": 10.0, **settings}
    return Segmenter(1, format_, clock, on_discard=lambda reason, _: left_out.append(reason), **limits)


def cut(cutter: Segmenter, packets: list[Packet]) -> list[Segment]:
    segments = [cutter.push(packet) for packet in packets]
    return [segment for segment in [*segments, cutter.finish()] if segment is not None]


def plain(pts: int | None, key: bool, data: bytes = b"picture") -> Packet:
    return Packet(data, pts, key, arrived_s=0.0)


def annex_b(path: Path) -> list[Packet]:
    return [
        Packet(b"".join(START + unit for unit in units), pts, key, arrived_s=0.0)
        for units, pts, key in access_units(path)
    ]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> list[Packet]:
    return annex_b(make_video(tmp_path_factory.mktemp("film") / "a.mp4", gop=10))


def decoded(segment: Segment) -> list[tuple[int, int]]:
    """Sizes of the pictures that a new decoder returns for a segment."""
    decoder = av.CodecContext.create(segment.codec, "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.extradata = segment.extradata or None
    ends = np.cumsum(segment.size_bytes).tolist()
    frames = []
    for begin, end in itertools.pairwise([0, *ends]):
        frames += decoder.decode(av.Packet(segment.payload[begin:end]))
    frames += decoder.decode(None)
    return [(frame.width, frame.height) for frame in frames]


@given(
    st.lists(
        st.tuples(st.one_of(st.none(), st.integers(0, 40)), st.booleans(), st.binary(min_size=1, max_size=5)),
        max_size=60,
    ),
    st.floats(0.01, 1.0),
    st.floats(0.01, 1.0),
)
def test_each_packet_of_any_stream_is_in_one_segment_or_discarded(
    wild: list[tuple[int | None, bool, bytes]], segment_s: float, longest_gop_s: float
) -> None:
    """pts may repeat, go back or be missing: no packet is lost without a count, repeated or reordered."""
    discarded, format_ = list[str](), StreamFormat("mjpeg", b"", 8, 8, Fraction(1, 10))
    cutter = segmenter(format_, discarded, CaptureClock(), segment_s=segment_s, longest_gop_s=longest_gop_s)
    packets = [Packet(data, pts, key, 1e9 + number / 10) for number, (pts, key, data) in enumerate(wild)]
    segments = cut(cutter, packets)
    kept = b"".join(segment.payload for segment in segments)
    assert sum(len(segment.pts) for segment in segments) + len(discarded) == len(packets)
    assert set(discarded) <= set(DISCARD_REASONS)
    assert _is_subsequence(kept, b"".join(packet.data for packet in packets))
    assert [segment.sequence for segment in segments] == list(range(len(segments)))
    for segment in segments:
        assert segment.key[0]
        assert (np.diff(segment.dts) > 0).all() and (segment.dts <= segment.pts).all()
    for before, after in itertools.pairwise(segments):
        assert after.began_s > before.ended_s


def _is_subsequence(part: bytes, whole: bytes) -> bool:
    rest = iter(whole)
    return all(byte in rest for byte in part)


def test_a_segment_has_whole_gops_of_about_the_configured_length(film: list[Packet]) -> None:
    segments = cut(segmenter(H264_FORMAT, segment_s=0.8), film)
    assert [len(segment.pts) for segment in segments] == [20, 20, 10]
    assert [segment.key.nonzero()[0].tolist() for segment in segments] == [[0, 10], [0, 10], [0]]
    assert [segment.continues for segment in segments] == [False, True, True]
    assert segments[0].payload == b"".join(packet.data for packet in film[:20])
    assert [len(decoded(segment)) for segment in segments] == [20, 20, 10]


@pytest.mark.parametrize("early", [0, 1, -1, 40])
def test_a_gop_of_the_segment_length_is_one_segment_despite_jitter(early: int) -> None:
    pts = [n * 3600 + (early if n % 10 == 0 and n else 0) for n in range(60)]
    segments = cut(segmenter(H264_FORMAT, segment_s=0.4), [plain(t, n % 10 == 0) for n, t in enumerate(pts)])
    assert [len(segment.pts) for segment in segments] == [10] * 6


@pytest.mark.parametrize(
    ("first", "untimed", "limits", "lengths", "continues", "discards"),
    [
        (3, None, {"segment_s": 0.4}, [10] * 4, [False, True, True, True], ["no_key_frame"] * 7),
        (0, 14, {"segment_s": 0.4}, [10, 4, 10, 10, 10], [False, True, False, True, True], ["untimed"] * 6),
        (0, None, {"longest_gop_s": 0.22}, [6] * 5, [False] * 5, ["long_gop"] * 20),
    ],
    ids=["before the first key frame", "without a pts", "after the longest GOP"],
)
def test_packets_up_to_the_next_key_frame_are_discarded(
    film: list[Packet], first: int, untimed: int | None, limits: dict[str, float], lengths: list[int],
    continues: list[bool], discards: list[str],
) -> None:  # fmt: skip
    discarded: list[str] = []
    packets = [packet._replace(pts=None) if row == untimed else packet for row, packet in enumerate(film)][first:]
    segments = cut(segmenter(H264_FORMAT, discarded, **limits), packets)
    assert [len(segment.pts) for segment in segments] == [len(decoded(segment)) for segment in segments] == lengths
    assert [segment.continues for segment in segments] == continues
    assert discarded == discards


def test_pts_that_jump_back_end_the_run() -> None:
    discarded: list[str] = []
    pts = [3600 * n for n in range(100)] + [3600 * n for n in range(25)]
    packets = [plain(t, n % 10 == 0) for n, t in enumerate(pts)]
    segments = cut(segmenter(H264_FORMAT, discarded, segment_s=0.4), packets[:95] + packets[105:])
    assert [len(segment.pts) for segment in segments] == [10] * 9 + [5, 10, 5]
    assert [segment.continues for segment in segments].count(False) == 2
    assert discarded == ["jump"] * 5
    assert (np.diff(np.concatenate([segment.captured_s for segment in segments])) > 0).all()


def test_a_variable_frame_rate_keeps_its_own_times(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    times_s = np.cumsum(rng.uniform(0.02, 0.3, 40)).tolist()
    packets = annex_b(make_video(tmp_path / "vfr.mp4", times_s=times_s, gop=10))
    segments = cut(segmenter(H264_FORMAT, segment_s=0.5), packets)
    captured_s = np.concatenate([segment.captured_s for segment in segments])
    assert np.allclose(captured_s - captured_s[0], np.array(times_s) - times_s[0], atol=2e-5)
    assert {segment.clock for segment in segments} == {Clock.DECLARED}


def test_b_frames_have_their_presentation_times(tmp_path: Path) -> None:
    packets = annex_b(make_video(tmp_path / "b.mp4", gop=10, b_frames=2))
    segments = cut(segmenter(H264_FORMAT, segment_s=0.4), packets)
    assert len(segments) > 3
    for segment in segments:
        assert (np.diff(segment.captured_s) < 0).any()
        assert np.allclose(np.diff(np.sort(segment.captured_s)), 0.04, atol=2e-5)
        assert (segment.dts <= segment.pts).all() and (np.diff(segment.dts) > 0).all()
        assert len(decoded(segment)) == len(segment.pts)


def test_a_new_size_begins_a_new_segment_with_its_own_parameter_sets(film: list[Packet], tmp_path: Path) -> None:
    small = annex_b(make_video(tmp_path / "small.mp4", size=(160, 128), gop=10))
    later = [packet._replace(pts=(packet.pts or 0) + 50 * 3600) for packet in small]
    segments = cut(segmenter(H264_FORMAT, segment_s=60.0), film + later)
    assert [(segment.width_px, segment.height_px) for segment in segments] == [(320, 240), (160, 128)]
    assert [segment.continues for segment in segments] == [False, True]
    assert [set(decoded(segment)) for segment in segments] == [{(320, 240)}, {(160, 128)}]


@pytest.mark.parametrize(
    ("codec", "encoder", "suffix"),
    [("mjpeg", "mjpeg", "mkv"), ("vp9", "libvpx-vp9", "ivf"), ("av1", "libsvtav1", "ivf")],
)
def test_a_new_size_is_detected_in_codecs_without_parameter_sets(
    codec: str, encoder: str, suffix: str, tmp_path: Path
) -> None:
    streams = []
    for name, size in (("a", (320, 240)), ("b", (192, 128))):
        path = make_video(tmp_path / f"{name}.{suffix}", encoder, size=size, times_s=[n / 25 for n in range(8)])
        streams.append(coded(path))
    (extradata, first), (_, second) = streams
    format_ = StreamFormat(codec, extradata, 320, 240, Fraction(1, TICKS)).at(first[0][0])
    assert format_.at(first[0][0]) is format_
    changed = format_.at(second[0][0])
    assert (changed.width_px, changed.height_px) == (192, 128)


def test_parameter_sets_of_the_session_description_apply_to_key_frames_without_them(film: list[Packet]) -> None:
    """RFC 6184, 8.2.1: a camera may send them out of band only."""
    sets = configuration("h264", b"", film[0].data)
    bare = [packet._replace(data=packet.data[len(sets) :] if packet.key else packet.data) for packet in film]
    segments = cut(segmenter(StreamFormat("h264", sets, 320, 240, Fraction(1, TICKS)), segment_s=0.4), bare)
    assert {segment.extradata for segment in segments} == {sets}
    assert [len(decoded(segment)) for segment in segments] == [10] * 5


def test_parameter_sets_of_a_key_frame_replace_earlier_ones(film: list[Packet], tmp_path: Path) -> None:
    small = annex_b(make_video(tmp_path / "small.mp4", size=(160, 128)))
    old, new = (configuration("h264", b"", packets[0].data) for packets in (film, small))
    assert old != new
    assert configuration("h264", old, small[0].data) == new
    assert configuration("h264", new, film[1].data) == new


def test_length_prefixed_packets_are_not_searched_for_start_codes() -> None:
    """A NAL unit of 256 to 511 bytes: its length looks like a start code."""
    avcc = b"\x01\x64\x00\x0d\xff"
    assert configuration("h264", avcc, b"\x00\x00\x01\x07\x67" + bytes(300)) == avcc


@given(st.binary(max_size=200), st.sampled_from(CODECS))
def test_the_parser_of_key_frames_accepts_any_garbage(garbage: bytes, codec: str) -> None:
    for packet in (garbage, START + garbage, b"\xff\xd8\xff" + garbage):
        assert isinstance(configuration(codec, b"", packet), bytes)
        assert isinstance(size_mark(codec, packet), bytes)


def test_the_size_of_a_corrupt_key_frame_is_unknown() -> None:
    assert picture_size("h264", b"", b"\x00\x00\x01\x65garbage") is None
