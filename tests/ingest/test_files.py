"""Video files as sources."""

from __future__ import annotations

import io
import time
from pathlib import Path

import av
import numpy as np
import pytest

from engine.config import CameraConfig
from engine.errors import BadStream, CodecUnsupported, NotFound, SourceError
from engine.ingest import FileSource, probe
from engine.ingest.remux import to_mp4
from engine.metrics import Metrics
from engine.types import Clock, Segment
from tests.support.rtsp import ENCODERS, make_video

START_S = 1.7e9


def config(path: Path, **settings: float) -> CameraConfig:
    return CameraConfig(name="file", url=str(path), site=Path("file.toml"), **settings)


def play(path: Path, metrics: Metrics | None = None, *, realtime: bool = False, **settings: float) -> list[Segment]:
    source = FileSource(2, config(path, **settings), metrics or Metrics(), start_s=START_S, realtime=realtime)
    return list(source.read())


@pytest.mark.parametrize("codec", ENCODERS)
def test_a_file_of_every_codec_plays_to_its_end(codec: str, tmp_path: Path) -> None:
    metrics = Metrics()
    segments = play(make_video(tmp_path / "a.mkv", ENCODERS[codec], gop=10), metrics, segment_s=0.4)
    assert len(segments) == 5
    facts = {(s.codec, s.camera, s.width_px, s.height_px, s.clock) for s in segments}
    assert facts == {(codec, 2, 320, 240, Clock.DECLARED)}
    assert [segment.continues for segment in segments] == [False, True, True, True, True]
    captured_s = np.concatenate([segment.captured_s for segment in segments])
    assert np.allclose(captured_s, START_S + np.arange(50) / 25, atol=1e-3)
    with av.open(io.BytesIO(to_mp4(segments[1:2]))) as clip:
        assert sum(1 for _ in clip.decode(video=0)) == 10
    assert metrics.registry.get_sample_value("qyran_packets_total", {"camera": "file"}) == 50


def test_b_frames_and_a_variable_rate_keep_their_capture_times(tmp_path: Path) -> None:
    times_s = np.cumsum(np.random.default_rng(3).uniform(0.02, 0.2, 60)).tolist()
    segments = play(make_video(tmp_path / "a.mp4", times_s=times_s, gop=12, b_frames=2), segment_s=0.5)
    captured_s = np.sort(np.concatenate([segment.captured_s for segment in segments]))
    assert np.allclose(captured_s - START_S, np.array(times_s) - times_s[0], atol=1e-4)


def test_a_file_in_real_time_plays_for_its_duration(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", times_s=[n / 25 for n in range(20)], gop=5)
    began_s = time.monotonic()
    play(path, realtime=True, segment_s=0.2)
    assert 0.7 < time.monotonic() - began_s < 1.5


def test_close_stops_a_file_that_plays_in_real_time(tmp_path: Path) -> None:
    source = FileSource(0, config(make_video(tmp_path / "a.mp4", gop=5), segment_s=0.2), Metrics(), start_s=START_S)
    began_s = time.monotonic()
    for _ in source.read():
        source.close()
    assert time.monotonic() - began_s < 1.0


def test_a_file_may_have_longer_gops_than_a_camera(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", times_s=[n / 5 for n in range(60)], gop=60)
    assert [len(segment.pts) for segment in play(path, longest_gop_s=2.0)] == [60]


def test_probe_returns_the_length_of_a_file(tmp_path: Path) -> None:
    seen = probe(config(make_video(tmp_path / "a.mp4", gop=10, b_frames=2)))
    assert seen.duration_s == pytest.approx(2.0, abs=0.1)
    assert (seen.codec, seen.b_frames, seen.clock) == ("h264", True, Clock.DECLARED)
    assert seen.fps == pytest.approx(25) and seen.gop_s == pytest.approx(0.4)


def _text(folder: Path) -> Path:
    path = folder / "notes.txt"
    path.write_text("no film")
    return path


def _sound(folder: Path) -> Path:
    path = folder / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    return path


def _untimed(folder: Path) -> Path:
    path = folder / "raw.h264"
    path.write_bytes(b"".join(b"\x00\x00\x01\x65" + bytes([n, 200]) for n in range(50)))
    return path


@pytest.mark.parametrize(
    ("file", "error", "text"),
    [
        (lambda folder: folder / "none.mp4", NotFound, "no such file"),
        (_text, BadStream, "Invalid data"),
        (lambda folder: folder, BadStream, "directory"),
        (_sound, CodecUnsupported, "no video"),
        (lambda folder: make_video(folder / "old.avi", "mpeg4"), CodecUnsupported, "mpeg4"),
        (_untimed, BadStream, "key frame"),
    ],
)
def test_a_file_without_playable_video_is_refused_with_the_reason(
    file, error: type[SourceError], text: str, tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error, match=text) as raised:
        play(file(tmp_path))
    assert "camera file" in str(raised.value)


def test_a_truncated_file_plays_up_to_its_end(tmp_path: Path) -> None:
    whole = make_video(tmp_path / "a.mkv", gop=10)
    broken = tmp_path / "b.mkv"
    broken.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    segments = play(broken, segment_s=0.4)
    assert 2 <= len(segments) < 5
    assert all(segment.key[0] for segment in segments)


@pytest.mark.data
@pytest.mark.parametrize(("name", "seconds"), [("street", 38), ("highway_side", 20), ("junction_cyclist", 3)])
def test_real_videos_play(data: Path, name: str, seconds: float) -> None:
    segments = play(data / "videos" / f"{name}.mp4")
    assert segments[-1].ended_s - START_S == pytest.approx(seconds, abs=1)
    assert all(segment.continues for segment in segments[1:])
