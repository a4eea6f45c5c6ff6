from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator
from datetime import datetime
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from engine.config import CameraConfig
from engine.errors import EvidenceError
from engine.ingest import FileSource
from engine.ingest.clock import DeclaredClock
from engine.ingest.remux import decoding_times, packets, runs, to_mp4
from engine.ingest.segmenter import Packet, Segmenter, StreamFormat
from engine.metrics import Metrics
from engine.types import Segment
from tests.support.rtsp import ENCODERS, access_units, make_video

START_S = 1.7e9 + 0.123456


def film(path: Path, codec: str = "libx264", b_frames: int = 0, **settings: object) -> list[Segment]:
    """Segments of 0.4 s of a newly encoded file."""
    make_video(path, codec, gop=10, b_frames=b_frames, **settings)  # type: ignore[arg-type]
    config = CameraConfig(name="a", url=str(path), site=Path("a.toml"), segment_s=0.4)
    return list(FileSource(0, config, Metrics(), start_s=START_S, realtime=False).read())


def as_a_camera_sends_it(path: Path) -> list[Segment]:
    """The H.264 of a file with start codes and in-band parameter sets."""
    make_video(path, gop=10, b_frames=2)
    format_ = StreamFormat("h264", b"", 320, 240, Fraction(1, 90000))
    cutter = Segmenter(0, format_, DeclaredClock(START_S), segment_s=0.4, longest_gop_s=9)
    pushed = [
        cutter.push(Packet(b"".join(b"\x00\x00\x00\x01" + unit for unit in units), pts, key, 0.0))
        for units, pts, key in access_units(path)
    ]
    return [segment for segment in [*pushed, cutter.finish()] if segment is not None]


def demuxed(content: bytes) -> list[av.Packet]:  # type: ignore[type-arg]
    with av.open(io.BytesIO(content)) as container:
        return [packet for packet in container.demux(video=0) if packet.size]


def frames(content: bytes) -> Iterator[av.VideoFrame]:
    with av.open(io.BytesIO(content)) as container:
        yield from container.decode(video=0)


@pytest.mark.parametrize("codec", ENCODERS)
def test_every_packet_comes_out_as_it_went_in(codec: str, tmp_path: Path) -> None:
    segments = film(tmp_path / "a.mkv", ENCODERS[codec])
    content = to_mp4(segments)
    sent = [bytes(packet) for segment in segments for packet in packets(segment)]
    kept = demuxed(content)
    assert [bytes(packet) for packet in kept] == sent
    pts_s = [float(packet.pts * packet.time_base) for packet in kept]
    assert pts_s == pytest.approx([n / 25 for n in range(50)], abs=1e-3)
    assert [packet.is_keyframe for packet in kept] == [key for segment in segments for key in segment.key]
    assert sum(1 for _ in frames(content)) == 50


def test_pictures_of_a_camera_keep_their_nal_units_and_their_order(tmp_path: Path) -> None:
    content = to_mp4(as_a_camera_sends_it(tmp_path / "a.mp4"))
    sent = [units for units, _, _ in access_units(tmp_path / "a.mp4")]
    assert [list(_length_prefixed(bytes(packet))) for packet in demuxed(content)] == sent
    shown_s = [frame.time for frame in frames(content)]
    assert np.allclose(np.diff(shown_s), 0.04, atol=1e-4) and len(shown_s) == 50


def _length_prefixed(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 4 + size]
        at += 4 + size


def test_every_segment_alone_makes_a_clip_that_decodes(tmp_path: Path) -> None:
    for segment in film(tmp_path / "a.mp4", b_frames=2):
        content = to_mp4([segment])
        shown = list(frames(content))
        assert len(shown) == len(segment.pts)
        assert shown[0].time == 0.0


def test_uneven_intervals_are_kept(tmp_path: Path) -> None:
    times_s = np.cumsum(np.random.default_rng(5).uniform(0.01, 0.5, 30))
    segments = film(tmp_path / "a.mp4", b_frames=2, times_s=times_s.tolist())
    shown_s = np.array([frame.time for frame in frames(to_mp4(segments))])
    assert np.allclose(shown_s, times_s - times_s[0], atol=1e-4)


def test_the_clip_states_its_start_time(tmp_path: Path) -> None:
    segments = film(tmp_path / "a.mp4")
    with av.open(io.BytesIO(to_mp4(segments[1:3]))) as container:
        began = datetime.fromisoformat(container.metadata["date"])
        assert container.metadata["creation_time"].startswith(began.strftime("%Y-%m-%dT%H:%M:%S"))
        assert sum(1 for _ in container.decode(video=0)) == 20
    assert began.timestamp() == pytest.approx(START_S + 0.4, abs=1e-5)


def test_segments_of_different_runs_are_refused_and_split(tmp_path: Path) -> None:
    one, two, three, four, _ = film(tmp_path / "a.mp4")
    lost = dataclasses.replace(two, continues=False)
    other = dataclasses.replace(two, camera=4)
    small = dataclasses.replace(two, width_px=160)
    for wrong, text in (
        ([one, lost], "without a gap"),
        ([one, three], "without a gap"),
        ([one, other], "another camera"),
        ([one, small], "another format"),
        ([], "no segment"),
    ):
        with pytest.raises(EvidenceError, match=text):
            to_mp4(wrong)
    assert runs([]) == []
    assert runs([one, two, four]) == [[one, two], [four]]
    assert runs([one, small, three]) == [[one], [small], [three]]


def test_a_codec_that_mp4_does_not_support_is_refused(tmp_path: Path) -> None:
    one = dataclasses.replace(film(tmp_path / "a.mp4")[0], codec="vp8")
    with pytest.raises(EvidenceError, match="vp8"):
        to_mp4([one])


@given(hnp.arrays(np.int64, st.integers(1, 50), elements=st.integers(-(2**40), 2**40)))
def test_decoding_times_ascend_and_precede_any_pts(pts: np.ndarray) -> None:  # type: ignore[type-arg]
    dts = decoding_times(pts)
    assert (np.diff(dts) > 0).all()
    assert (dts <= pts).all()
    assert (dts == pts).any()


def test_pictures_in_order_have_equal_dts_and_pts() -> None:
    pts = np.array([0, 40, 90, 500], np.int64)
    assert decoding_times(pts).tolist() == pts.tolist()
