"""Cameras for the tests: small videos, and three servers that send them over real RTSP on loopback.

`FileServer`    aio-rtsp-toolkit, a process of its own, can be killed and revived on its port
`GstServer`     Debian's gst-rtsp-server (tests/support/gst_rtsp.py), the same; skips the test where it is not installed
`ScriptedCamera`  a thread that says exactly what a test tells it to: broken timestamps, clocks that jump, silence
"""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

SYSTEM_PYTHON = "/usr/bin/python3"
GST_SCRIPT = Path(__file__).with_name("gst_rtsp.py")
TICKS = 90_000
ENCODERS = {"h264": "libx264", "hevc": "libx265", "mjpeg": "mjpeg", "vp9": "libvpx-vp9", "av1": "libsvtav1"}
_NTP_TO_UNIX_S = 2_208_988_800
_OPTIONS = {
    "libx264": {"preset": "ultrafast", "x264-params": "scenecut=0:open-gop=0"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:scenecut=0:open-gop=0"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"},
    "libsvtav1": {"preset": "12"},
}


def make_video(
    path: Path,
    codec: str = "libx264",
    *,
    times_s: Sequence[float] | None = None,
    size: tuple[int, int] = (320, 240),
    gop: int = 25,
    b_frames: int = 0,
) -> Path:
    """Encode a moving pattern with a frame at each of `times_s` (two seconds at 25 fps by default)."""
    times_s = times_s if times_s is not None else [n / 25 for n in range(50)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.options = _OPTIONS.get(codec, {})
        stream.codec_context.time_base = Fraction(1, TICKS if codec != "mpeg4" else 25)
        if codec != "mjpeg":
            stream.codec_context.gop_size = gop
            stream.codec_context.max_b_frames = b_frames
        for number, at_s in enumerate(times_s):
            frame = av.VideoFrame.from_ndarray(_picture(number, size), format="rgb24")
            frame.pts, frame.time_base = round(at_s * TICKS), Fraction(1, TICKS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def coded(path: Path) -> tuple[bytes, list[tuple[bytes, int, bool]]]:
    """Extradata and (packet, pts in 1/90000 s, is it a key frame) of a file."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        tick = Fraction(TICKS) * stream.time_base
        return stream.codec_context.extradata or b"", [
            (bytes(packet), round(packet.pts * tick), packet.is_keyframe) for packet in packets
        ]


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class Server:
    """A server process on one port, which it keeps when it is killed and revived."""

    def __init__(self, *arguments: str) -> None:
        self.port = free_port()
        self._arguments = [argument.replace("{port}", str(self.port)) for argument in arguments]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until_s = time.monotonic() + 20
        while time.monotonic() < until_s and self._process.poll() is None:
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise RuntimeError(f"{self._arguments} does not listen on port {self.port}")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def url(self, path: str, user: str = "") -> str:
        return f"rtsp://{user + '@' if user else ''}127.0.0.1:{self.port}/{path}"


@contextmanager
def running(server: Server) -> Iterator[Server]:
    server.start()
    try:
        yield server
    finally:
        server.kill()


def file_server(folder: Path) -> Server:
    """aio-rtsp-toolkit over the files of `folder`; their address is `url("NAME?play_count=0")` to loop."""
    return Server(sys.executable, __file__, str(folder), "{port}")


def gst_server(mounts: dict[str, str], *, user: str = "", method: str = "basic") -> Server:
    """gst-rtsp-server with a launch line for every path."""
    _require_gst()
    options = [f"--mount=/{path}=( {launch} )" for path, launch in mounts.items()]
    if user:
        options += [f"--user={user}", f"--method={method}"]
    return Server(SYSTEM_PYTHON, str(GST_SCRIPT), "--port={port}", *options)


@functools.cache
def _gst_is_missing() -> bool:
    check = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    try:
        return subprocess.run([SYSTEM_PYTHON, "-c", check], capture_output=True, timeout=30).returncode != 0
    except OSError:
        return True


def _require_gst() -> None:
    if _gst_is_missing():
        pytest.skip("gst-rtsp-server is not installed (Debian: gir1.2-gst-rtsp-server-1.0)")


def _picture(number: int, size: tuple[int, int]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    width, height = size
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    red = (x + 5 * number) % 256
    return np.stack([red, (y * 2) % 256, np.full_like(red, 90)], axis=2).astype(np.uint8)


class Line:
    """What a `ScriptedCamera` sends with, once the client has asked it to play."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sequence = 0

    def access_unit(self, units: Sequence[bytes], timestamp: int) -> None:
        """One coded H.264 picture, its NAL units as single or fragmented RTP packets (RFC 6184, 5.6 and 5.8)."""
        for index, unit in enumerate(units):
            pieces = list(_fragments(unit))
            for number, piece in enumerate(pieces):
                last = index == len(units) - 1 and number == len(pieces) - 1
                self._rtp(piece, timestamp, marker=last)

    def report(self, utc_s: float, timestamp: int) -> None:
        """A sender report (RFC 3550, 6.4.1): `timestamp` is `utc_s` on the camera's clock."""
        seconds, fraction = divmod(utc_s + _NTP_TO_UNIX_S, 1)
        words = (7, int(seconds), int(fraction * 2**32), timestamp & 0xFFFFFFFF, 1, 1)
        self.raw(1, struct.pack("!BBH6I", 0x80, 200, 6, *words))

    def raw(self, channel: int, data: bytes) -> None:
        """An interleaved packet (RFC 2326, 10.12)."""
        self._connection.sendall(struct.pack("!BBH", 0x24, channel, len(data)) + data)

    def _rtp(self, payload: bytes, timestamp: int, *, marker: bool) -> None:
        head = struct.pack("!BBHII", 0x80, 96 | marker << 7, self._sequence & 0xFFFF, timestamp & 0xFFFFFFFF, 7)
        self._sequence += 1
        self.raw(0, head + payload)


class ScriptedCamera:
    """An H.264 camera that runs `script` for every client, then hangs up (or, with `linger_s`, says no more first)."""

    def __init__(self, script: Callable[[Line], None], *, linger_s: float = 0.0) -> None:
        self._script, self._linger_s = script, linger_s
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"rtsp://127.0.0.1:{self._listener.getsockname()[1]}/camera"

    def __enter__(self) -> ScriptedCamera:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._session, args=(connection,), daemon=True).start()

    def _session(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as requests:
            try:
                while _answer(connection, requests) != "PLAY":
                    pass
                self._script(Line(connection))
                time.sleep(self._linger_s)
            except OSError:
                pass


def _answer(connection: socket.socket, requests: object) -> str:
    lines = []
    while line := requests.readline().strip():  # type: ignore[attr-defined]
        lines.append(line.decode())
    if not lines:
        raise ConnectionError("the client has gone")
    method = lines[0].split()[0]
    number = next(line for line in lines if line.lower().startswith("cseq"))
    body = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    extra = {
        "OPTIONS": "Public: DESCRIBE, SETUP, PLAY, TEARDOWN\r\n\r\n",
        "DESCRIBE": f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n{body}",
        "SETUP": "Session: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n",
    }.get(method, "Session: 1\r\n\r\n")
    connection.sendall(f"RTSP/1.0 200 OK\r\n{number}\r\n{extra}".encode())
    return method


def _fragments(unit: bytes, most: int = 1300) -> Iterator[bytes]:
    if len(unit) <= most:
        yield unit
        return
    indicator, kind = unit[0] & 0xE0 | 28, unit[0] & 0x1F
    for at in range(1, len(unit), most):
        piece = unit[at : at + most]
        yield bytes([indicator, kind | (at == 1) << 7 | (at + most >= len(unit)) << 6]) + piece


def access_units(path: Path) -> list[tuple[list[bytes], int, bool]]:
    """(NAL units, pts in 1/90000 s, is it a key frame) of an H.264 file in MP4, parameter sets before key frames."""
    extradata, packets = coded(path)
    return [
        ((_parameter_sets(extradata) if key else []) + list(_lengths(data)), pts, key) for data, pts, key in packets
    ]


def _parameter_sets(avcc: bytes) -> list[bytes]:
    """AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1) with one set of each kind."""
    size = int.from_bytes(avcc[6:8], "big")
    at = 8 + size + 1
    return [avcc[8 : 8 + size], avcc[at + 2 : at + 2 + int.from_bytes(avcc[at : at + 2], "big")]]


def _lengths(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 4 + size]
        at += 4 + size


def _serve_files(folder: str, port: str) -> None:
    from aio_rtsp_toolkit import server

    server.logger = logging.getLogger("rtsp")
    asyncio.run(server.serve(folder, host="127.0.0.1", port=int(port)))


if __name__ == "__main__":
    _serve_files(*sys.argv[1:])
