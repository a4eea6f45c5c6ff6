"""One open connection to a camera, or one open video file: packets in decoding order, failures in the engine's terms.

libavformat does the protocols (RTSP 1.0, RFC 2326, with RTP over TCP or UDP) and puts the access units together. What
is added here: time-outs on every call, the error taxonomy, and the camera's clock from its sender reports. libavformat
hands those over as producer reference time, side data of every packet after the first report.

Credentials: libav's exceptions name the whole address, so their text never leaves this module; its log is off in this
process (PyAV's default) because its lines name addresses too.
"""

from __future__ import annotations

import errno
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from engine.config import CameraConfig, redact
from engine.errors import (
    BadStream,
    CodecUnsupported,
    NotFound,
    SourceError,
    TimedOut,
    TlsFailed,
    Unauthorised,
    Unreachable,
)
from engine.ingest.bitstream import CODECS
from engine.ingest.segmenter import Packet, StreamFormat

_UDP_BUFFER_BYTES = 4 * 1024 * 1024
_MICROSECOND = 1e-6
_BY_TYPE: tuple[tuple[type[Exception], type[SourceError], str], ...] = (
    (av.error.ExitError, TimedOut, "nothing came within the time-out"),
    (av.error.TimeoutError, TimedOut, "nothing came within the time-out"),
    (av.error.HTTPUnauthorizedError, Unauthorised, "user or password is wrong or missing"),
    (av.error.HTTPForbiddenError, Unauthorised, "access is forbidden"),
    (av.error.PermissionError, Unauthorised, "access is forbidden"),
    (av.error.HTTPNotFoundError, NotFound, "there is no such stream"),
    (av.error.FileNotFoundError, NotFound, "there is no such file"),
    (av.error.ConnectionRefusedError, Unreachable, "the connection was refused"),
    (av.error.ConnectionResetError, Unreachable, "the connection was reset"),
    (av.error.BrokenPipeError, Unreachable, "the connection was reset"),
    (av.error.ConnectionAbortedError, Unreachable, "the connection was aborted"),
    (av.error.EOFError, Unreachable, "the stream has ended"),
    (av.error.DecoderNotFoundError, CodecUnsupported, "its codec is unknown"),
)
_NO_ROUTE = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN, errno.EADDRNOTAVAIL)


class Stream:
    """The first video stream of an open container."""

    def __init__(self, config: CameraConfig, container: InputContainer) -> None:
        """Raises CodecUnsupported."""
        self._config, self._container = config, container
        self._stream = self._video()
        context = self._stream.codec_context
        self.format = StreamFormat(
            codec=context.codec.canonical_name,
            extradata=context.extradata or b"",
            width_px=context.width,
            height_px=context.height,
            time_base=self._stream.time_base or Fraction(1, av.time_base),
        )

    @property
    def duration_s(self) -> float | None:
        """Length of a file; None for a camera."""
        duration = self._container.duration
        return duration / av.time_base if duration and not is_live(self._config.url) else None

    def packets(self) -> Iterator[Packet]:
        """What arrives, until a file ends; a camera's end is Unreachable. Raises SourceError."""
        asked_s = time.monotonic()
        demuxed = self._container.demux(self._stream)
        while True:
            try:
                packet = next(demuxed)
            except (av.FFmpegError, StopIteration) as error:
                self._ended(error, time.monotonic() - asked_s)
                return
            if packet.size:
                asked_s = time.monotonic()
                reported_s = _reported_s(packet) if packet.is_keyframe else None
                yield Packet(bytes(packet), packet.pts, packet.is_keyframe, time.time(), reported_s)

    def _ended(self, error: Exception, waited_s: float) -> None:
        if isinstance(error, av.FFmpegError):
            raise _translated(self._config, error, waited_s, self._config.read_timeout_s) from None
        if is_live(self._config.url):
            raise Unreachable(_said(self._config, "the camera has ended the stream"))

    def _video(self) -> VideoStream:
        streams = self._container.streams.video
        if not streams:
            raise CodecUnsupported(_said(self._config, "there is no video in it"))
        context = streams[0].codec_context
        name = context.codec.canonical_name if context is not None else "unknown"
        if name not in CODECS:
            raise CodecUnsupported(_said(self._config, f"its codec is {name}, not one of {', '.join(CODECS)}"))
        return streams[0]


@contextmanager
def opened(config: CameraConfig) -> Iterator[Stream]:
    """Connect to the camera or open the file of `config.url`.

    Takes at most twice the opening time-out (to connect, and to learn the format). Raises SourceError, whose text names
    the camera and never its credentials.
    """
    began_s = time.monotonic()
    try:
        container = av.open(
            config.url,
            options=_options(config),
            timeout=(config.open_timeout_s, config.read_timeout_s),
            metadata_errors="replace",
        )
    except av.FFmpegError as error:
        raise _translated(config, error, time.monotonic() - began_s, config.open_timeout_s) from None
    with container:
        yield Stream(config, container)


def is_live(url: str) -> bool:
    """A camera's address, not a file's path?"""
    return "://" in url and not url.startswith("file://")


def _options(config: CameraConfig) -> dict[str, str]:
    """Without the guess of a frame rate, which nobody asks for, a camera opens about a second sooner."""
    if not is_live(config.url):
        return {}
    options = {"rtsp_transport": config.transport, "allowed_media_types": "video", "fpsprobesize": "0"}
    if config.transport == "udp":
        options["buffer_size"] = str(_UDP_BUFFER_BYTES)
    return options


def _reported_s(packet: av.Packet[VideoStream]) -> float | None:
    """The camera's clock for this picture, Unix seconds UTC, from the last sender report before it.

    AVProducerReferenceTime is { int64 wallclock in microseconds; int flags }. The picture that was being put together
    when the first report arrived comes out with the time of the next one: a packet that carries the report itself
    ("rtcp_sr") is therefore passed over.
    """
    if not packet.has_sidedata("prft") or packet.has_sidedata("rtcp_sr"):
        return None
    (wallclock,) = struct.unpack_from("=q", bytes(packet.get_sidedata("prft")))
    return float(wallclock) * _MICROSECOND


def _translated(config: CameraConfig, error: av.FFmpegError, waited_s: float, timeout_s: float) -> SourceError:
    """libavformat's RTSP reader turns an interrupted wait into other errors too: so the watch decides first."""
    if waited_s >= timeout_s:
        return TimedOut(_said(config, f"nothing usable came within {timeout_s:g} s"))
    for kind, ours, what in _BY_TYPE:
        if isinstance(error, kind):
            return ours(_said(config, what))
    if error.errno == errno.EIO and config.url.startswith("rtsps://"):
        return TlsFailed(_said(config, "the TLS handshake failed, or the host is unknown"))
    if error.errno in (errno.EIO, *_NO_ROUTE):
        return Unreachable(_said(config, "the host is unknown, or there is no way to it"))
    return BadStream(_said(config, str(error.strerror)))


def _said(config: CameraConfig, what: str) -> str:
    return f"camera {config.name}: {redact(config.url)}: {what}"
