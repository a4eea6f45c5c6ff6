"""Real RTSP with three servers, one of them independent."""

from __future__ import annotations

import io
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import av
import numpy as np
import pytest
from structlog.testing import capture_logs

from engine.config import CameraConfig
from engine.errors import BadStream, NotFound, SourceError, TimedOut, TlsFailed, Unauthorised, Unreachable
from engine.ingest import RtspSource, probe
from engine.ingest.remux import runs, to_mp4
from engine.metrics import Metrics
from engine.types import Clock, Segment
from tests.support.rtsp import (
    Line,
    ScriptedCamera,
    Server,
    access_units,
    file_server,
    free_port,
    gst_server,
    make_video,
    running,
)

TICKS = 90_000
PICTURES = "videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=320,height=240,framerate=25/1"
X264 = "x264enc speed-preset=ultrafast key-int-max=5"
MOUNTS = {
    "h264": f"{PICTURES} ! {X264} tune=zerolatency ! rtph264pay name=pay0 pt=96",
    "reordered": f"{PICTURES} ! {X264} bframes=2 b-adapt=false ! video/x-h264,profile=main ! rtph264pay name=pay0",
    "wrapping": f"{PICTURES} ! {X264} tune=zerolatency ! rtph264pay name=pay0 pt=96 timestamp-offset=4294867296",
    "hevc": f"{PICTURES} ! x265enc tune=zerolatency speed-preset=ultrafast key-int-max=5 ! rtph265pay name=pay0 pt=96",
    "mjpeg": f"{PICTURES} ! jpegenc ! rtpjpegpay name=pay0 pt=26",
}


def camera(url: str, **settings: object) -> CameraConfig:
    defaults = {"segment_s": 0.2, "open_timeout_s": 5.0, "read_timeout_s": 3.0}
    return CameraConfig(name="gate", url=url, site=Path("gate.toml"), **{**defaults, **settings})


def receive(config: CameraConfig, metrics: Metrics, enough: Callable[[list[Segment]], bool]) -> list[Segment]:
    """Read until `enough` is True, for at most 25 s."""
    source, segments = RtspSource(3, config, metrics), list[Segment]()
    alarm = threading.Timer(25, source.close)
    alarm.start()
    try:
        with closing(source.read()) as reading:
            for segment in reading:
                segments.append(segment)
                if enough(segments):
                    return segments
    finally:
        alarm.cancel()
        alarm.join()
    raise AssertionError(f"not enough within 25 s: {segments}")


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(name, {"camera": "gate", **labels}) or 0.0


def frames_of(segment: Segment) -> int:
    with av.open(io.BytesIO(to_mp4([segment]))) as container:
        return sum(1 for _ in container.decode(video=0))


@pytest.fixture(scope="module")
def gst() -> Iterator[Server]:
    with running(gst_server(MOUNTS)) as server:
        yield server


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    make_video(folder / "h264.mp4", gop=10)
    make_video(folder / "hevc.mp4", "libx265", gop=10)
    return folder


@pytest.fixture(scope="module")
def files(clips: Path) -> Iterator[Server]:
    with running(file_server(clips)) as server:
        yield server


@pytest.mark.parametrize("codec", ["h264", "hevc", "mjpeg"])
def test_each_segment_of_an_independent_server_decodes_by_itself(gst: Server, codec: str) -> None:
    metrics = Metrics()
    segments = receive(camera(gst.url(codec)), metrics, lambda got: len(got) >= 3)[:3]
    assert [segment.sequence for segment in segments] == [0, 1, 2]
    assert [segment.continues for segment in segments] == [False, True, True]
    for segment in segments:
        assert (segment.codec, segment.camera, segment.width_px, segment.height_px) == (codec, 3, 320, 240)
        assert frames_of(segment) == len(segment.pts) == 5
        assert np.allclose(np.diff(segment.pts), 3600, atol=90)
        assert (np.diff(segment.captured_s) > 0).all()
    assert abs(segments[-1].ended_s - time.time()) < 2.0
    assert value(metrics, "qyran_segments_total") >= 3
    assert value(metrics, "qyran_packets_total") >= 15


def test_each_segment_of_a_served_file_decodes_by_itself(files: Server) -> None:
    segments = receive(camera(files.url("hevc.mp4?play_count=0")), Metrics(), lambda got: len(got) >= 3)[:3]
    assert [frames_of(segment) for segment in segments] == [10, 10, 10]
    assert {segment.codec for segment in segments} == {"hevc"}


def test_reordered_pictures_get_their_presentation_times(gst: Server) -> None:
    segments = receive(camera(gst.url("reordered")), Metrics(), lambda got: len(got) >= 3)[:3]
    pts, captured_s = (np.concatenate([getattr(s, column) for s in segments]) for column in ("pts", "captured_s"))
    assert (np.diff(pts) < 0).any()
    assert np.allclose(np.diff(np.sort(pts)), 3600, atol=90)
    assert (np.argsort(captured_s) == np.argsort(pts)).all()
    assert all((segment.dts <= segment.pts).all() and (np.diff(segment.dts) > 0).all() for segment in segments)


def test_rtp_timestamps_may_wrap_around(gst: Server) -> None:
    """2^32 ticks wrap around every 13 hours; here after about a third of a second."""
    metrics = Metrics()
    segments = receive(camera(gst.url("wrapping")), metrics, lambda got: len(got) >= 4)
    assert np.allclose(np.diff(np.concatenate([segment.pts for segment in segments])), 3600, atol=90)
    assert (np.diff(np.concatenate([segment.captured_s for segment in segments])) > 0).all()
    assert value(metrics, "qyran_clock_jumps_total") == 0


def test_sender_reports_synchronise_the_clock_to_within_a_frame(gst: Server) -> None:
    """The independent server uses this host's clock in its reports, so the true times are known."""
    segments = receive(camera(gst.url("mjpeg")), Metrics(), lambda got: got[-1].clock is Clock.SYNCHRONISED)
    latency_s = time.time() - segments[-1].ended_s
    assert 0.0 < latency_s < 0.3
    assert all(segment.clock is Clock.UNSTABLE for segment in segments[:-1])


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_probe_describes_the_stream_of_a_camera(gst: Server, transport: str) -> None:
    seen = probe(camera(gst.url("h264"), transport=transport), timeout_s=1.2)
    assert (seen.codec, seen.width_px, seen.height_px) == ("h264", 320, 240)
    assert seen.fps == pytest.approx(25, abs=0.5)
    assert seen.gop_s == pytest.approx(0.2, abs=0.05)
    assert not seen.b_frames and not seen.variable_rate
    assert seen.bitrate_bps > 1000 and seen.duration_s is None


@pytest.mark.parametrize("method", ["basic", "digest"])
def test_passwords_are_used_and_never_shown(method: str) -> None:
    with running(gst_server({"h264": MOUNTS["h264"]}, user="eagle:s3cret", method=method)) as server:
        assert probe(camera(server.url("h264", "eagle:s3cret")), timeout_s=0.5).codec == "h264"
        with pytest.raises(Unauthorised) as refused:
            probe(camera(server.url("h264", "eagle:wr0ng")), timeout_s=2)
        assert "wr0ng" not in str(refused.value) and refused.value.__cause__ is None
        with pytest.raises(Unauthorised):
            probe(camera(server.url("h264")), timeout_s=2)


def test_a_missing_stream_is_not_found(files: Server) -> None:
    with pytest.raises(NotFound, match="gate"):
        probe(camera(files.url("nothing.mp4")))


def test_a_killed_camera_comes_back(clips: Path) -> None:
    metrics = Metrics()
    with running(file_server(clips)) as server:
        source = RtspSource(0, camera(server.url("h264.mp4?play_count=0")), metrics)
        segments: list[Segment] = []
        revived_at = 0
        for segment in source.read():
            segments.append(segment)
            if len(segments) == 2:
                server.kill()
                server.start()
            revived_at = revived_at or (len(segments) if not segment.continues and segment.sequence else 0)
            if revived_at and len(segments) == revived_at + 1:
                source.close()
    assert [segment.sequence for segment in segments] == list(range(len(segments)))
    assert [segment.continues for segment in segments].count(False) == 2
    assert all(np.diff([segment.began_s for segment in segments]) > 0)
    assert value(metrics, "qyran_connects_total") == 2
    assert value(metrics, "qyran_reconnects_total", reason="unreachable") == 1
    assert len(runs(segments)) == 2


def test_close_ends_the_pause_before_a_retry() -> None:
    metrics = Metrics()
    source = RtspSource(0, camera(f"rtsp://127.0.0.1:{free_port()}/x"), metrics)
    reader = threading.Thread(target=lambda: list(source.read()))
    reader.start()
    time.sleep(0.2)
    source.close()
    reader.join(2)
    assert not reader.is_alive()
    assert value(metrics, "qyran_reconnects_total", reason="unreachable") >= 1


def serve(answer: Callable[[socket.socket], None]) -> str:
    """A port without a camera. `answer` gets each connection, which stays open after it."""
    listener, kept = socket.create_server(("127.0.0.1", 0)), []

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            kept.append(connection)
            answer(connection)

    threading.Thread(target=accept, daemon=True).start()
    return f"127.0.0.1:{listener.getsockname()[1]}/x"


def garbage(connection: socket.socket) -> None:
    connection.recv(10)
    connection.sendall(os.urandom(20_000))
    connection.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("url", "error"),
    [
        (lambda: f"rtsp://127.0.0.1:{free_port()}/x", Unreachable),
        (lambda: "rtsp://no-such-host.invalid/x", Unreachable),
        (lambda: "rtsp://" + serve(garbage), BadStream),
        (lambda: "rtsp://" + serve(lambda connection: None), TimedOut),
        (lambda: "rtsps://" + serve(garbage), TlsFailed),
    ],
    ids=["refused", "unknown host", "garbage", "silence", "no TLS"],
)
def test_a_failing_address_raises_the_specific_error(url: Callable[[], str], error: type[SourceError]) -> None:
    address = url().replace("://", "://eagle:s3cret@")
    began_s = time.monotonic()
    with pytest.raises(error) as raised:
        probe(camera(address), timeout_s=1.0)
    assert "gate" in str(raised.value) and "s3cret" not in str(raised.value)
    assert time.monotonic() - began_s < 2.5


def test_no_log_line_contains_a_password(capfd: pytest.CaptureFixture[str]) -> None:
    source = RtspSource(0, camera(f"rtsp://eagle:s3cret@127.0.0.1:{free_port()}/x"), Metrics())
    threading.Timer(0.3, source.close).start()
    with capture_logs() as lines:
        assert list(source.read()) == []
    assert av.logging.get_level() is None
    assert lines and all(line["camera"] == "gate" for line in lines)
    assert "s3cret" not in repr(lines) + "".join(capfd.readouterr())


class Film:
    """An H.264 film that a scripted camera plays, `gops` GOPs of ten pictures at 25 fps."""

    def __init__(self, folder: Path, gops: int, size: tuple[int, int] = (320, 240)) -> None:
        times_s = [n / 25 for n in range(10 * gops)]
        self.units = access_units(make_video(folder / f"film{size[0]}.mp4", gop=10, times_s=times_s, size=size))

    def play(self, line: Line, *, offset: int = 0, pace: float = 1.0, gops: slice = slice(None)) -> None:
        pictures = slice(*(at and at * 10 for at in (gops.start, gops.stop)))
        self.send(line, pictures, offset=offset, pause_s=0.04 * pace)

    def send(self, line: Line, pictures: slice, *, offset: int = 0, pause_s: float = 0.0) -> None:
        for units, pts, _ in self.units[pictures]:
            line.access_unit(units, pts + offset)
            time.sleep(pause_s)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    return Film(tmp_path_factory.mktemp("film"), 12)


def test_a_silent_camera_times_out_and_is_connected_again(film: Film) -> None:
    metrics = Metrics()
    with ScriptedCamera(lambda line: film.play(line, pace=0.2, gops=slice(0, 6)), linger_s=10) as scripted:
        config = camera(scripted.url, read_timeout_s=0.6)
        receive(config, metrics, lambda got: not got[-1].continues and got[-1].sequence > 0)
    assert value(metrics, "qyran_reconnects_total", reason="timed_out") == 1
    assert value(metrics, "qyran_connects_total") == 2


def test_a_truncated_run_is_kept_up_to_its_end(film: Film) -> None:
    def script(line: Line) -> None:
        film.play(line, gops=slice(0, 8), pace=0.2)
        film.send(line, slice(80, 85))

    with ScriptedCamera(script) as scripted:
        segments = receive(camera(scripted.url), Metrics(), lambda got: len(got) > 1 and not got[-1].continues)
    broken = segments[-2]
    assert frames_of(broken) == len(broken.pts) == 5


def test_pictures_before_the_first_key_frame_are_discarded_and_counted(film: Film) -> None:
    metrics = Metrics()

    def script(line: Line) -> None:
        line.access_unit([*film.units[0][0][:2], *film.units[3][0]], film.units[3][1])
        film.send(line, slice(4, None), pause_s=0.01)

    with ScriptedCamera(script) as scripted:
        segments = receive(camera(scripted.url), metrics, lambda got: len(got) >= 2)
    assert all(segment.key[0] for segment in segments)
    assert value(metrics, "qyran_packets_discarded_total") == 7


def test_the_picture_size_may_change_in_mid_stream(film: Film, tmp_path: Path) -> None:
    small = Film(tmp_path, 4, size=(160, 128))

    def script(line: Line) -> None:
        film.play(line, pace=0.2, gops=slice(0, 6))
        small.play(line, pace=0.2, offset=6 * 10 * 3600)

    with ScriptedCamera(script) as scripted:
        segments = receive(camera(scripted.url), Metrics(), lambda got: got[-1].width_px == 160)
    before, after = segments[-2:]
    assert (before.width_px, before.height_px, after.width_px, after.height_px) == (320, 240, 160, 128)
    assert before.extradata != after.extradata and after.continues
    assert frames_of(before) == len(before.pts) and frames_of(after) == len(after.pts)
    assert len(runs([before, after])) == 2


@pytest.mark.parametrize(("off_by_s", "clock"), [(-4.0, Clock.SYNCHRONISED), (-40.0, Clock.ARRIVAL)])
def test_probe_returns_the_error_of_the_cameras_clock(film: Film, off_by_s: float, clock: Clock) -> None:
    def script(line: Line) -> None:
        line.report(time.time() + off_by_s, 0)
        film.play(line)

    with ScriptedCamera(script) as scripted:
        seen = probe(camera(scripted.url))
    assert seen.clock is clock
    assert seen.clock_error_s == pytest.approx(off_by_s, abs=0.2)


def test_a_jump_of_the_cameras_clock_is_counted_and_the_times_are_not_trusted(film: Film) -> None:
    metrics = Metrics()

    def script(line: Line) -> None:
        began_s = time.time()
        for number in range(4):
            step_s = 3.0 if number >= 2 else 0.0
            line.report(began_s + number * 0.8 + step_s, number * 2 * 36000)
            film.play(line, gops=slice(2 * number, 2 * number + 2))

    with ScriptedCamera(script) as scripted:
        segments = receive(camera(scripted.url), metrics, lambda got: value(metrics, "qyran_clock_jumps_total") > 0)
    assert segments[-1].clock is Clock.UNSTABLE
    began_s = [segment.began_s for segment in segments]
    assert all(np.diff(began_s) > 0) and began_s[-1] - began_s[-2] > 2.5


def test_the_picture_before_the_first_report_does_not_get_the_time_of_the_next(film: Film) -> None:
    """libavformat gives the time of the picture after the report to the unfinished picture before it."""
    metrics = Metrics()
    pause = TICKS

    def script(line: Line) -> None:
        film.play(line, gops=slice(0, 2), pace=0.5)
        film.send(line, slice(20, 21))
        time.sleep(1.0)
        line.report(time.time(), film.units[21][1] + pause)
        film.send(line, slice(21, 80), offset=pause, pause_s=0.02)

    with ScriptedCamera(script) as scripted:
        receive(camera(scripted.url), metrics, lambda got: got[-1].sequence == 4)
    assert value(metrics, "qyran_clock_jumps_total") == 0


def test_a_jump_of_the_timestamps_ends_the_run(film: Film) -> None:
    metrics = Metrics()

    def script(line: Line) -> None:
        film.play(line, gops=slice(0, 6), pace=0.5)
        film.send(line, slice(60, 65))
        film.send(line, slice(65, None), offset=-50 * TICKS, pause_s=0.02)

    with ScriptedCamera(script) as scripted:
        segments = receive(camera(scripted.url), metrics, lambda got: len(got) > 2 and not got[-1].continues)
    assert len(segments[-2].pts) == 5
    assert value(metrics, "qyran_clock_jumps_total") == 1
    assert segments[-1].began_s > segments[-2].ended_s
    assert segments[-1].clock is Clock.UNSTABLE


def test_a_run_without_key_frames_is_cut_off_and_reported(film: Film) -> None:
    metrics = Metrics()
    with ScriptedCamera(lambda line: film.play(line, pace=0.3)) as scripted:
        config = camera(scripted.url, longest_gop_s=0.25)
        segments = receive(config, metrics, lambda got: len(got) >= 3)
    assert [len(segment.pts) for segment in segments[:3]] == [7, 7, 7]
    assert not any(segment.continues for segment in segments)
    assert value(metrics, "qyran_long_gops_total") == 3
