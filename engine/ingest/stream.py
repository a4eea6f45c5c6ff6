"""One open connection to a camera, or one open video file: packets in decoding order, and `SourceError`s.

libavformat implements the protocols (RTSP 1.0, RFC 2326, with RTP over TCP or UDP) and assembles the access units. This
module adds time-outs on all calls, the engine's errors, and the camera's clock from its sender reports. libavformat
attaches that clock as producer reference time to each packet after the first report.

Credentials: libav's exceptions contain the whole address, so their text never leaves this module. Its log lines contain
addresses too; the log is off in this process, which is PyAV's default.
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
    (av.error.ExitError, TimedOut, "no data within the time-out"),  # PyAV's time-out interrupts libav: AVERROR_EXIT
    (av.error.TimeoutError, TimedOut, "no data within the time-out"),
    (av.error.HTTPUnauthorizedError, Unauthorised, "user or password is wrong or missing"),
    (av.error.HTTPForbiddenError, Unauthorised, "access is forbidden"),
    (av.error.PermissionError, Unauthorised, "access is forbidden"),
    (av.error.HTTPNotFoundError, NotFound, "no such stream"),
    (av.error.FileNotFoundError, NotFound, "no such file"),
    (av.error.ConnectionRefusedError, Unreachable, "the connection was refused"),
    (av.error.ConnectionResetError, Unreachable, "the connection was reset"),
    (av.error.BrokenPipeError, Unreachable, "the connection was reset"),
    (av.error.ConnectionAbortedError, Unreachable, "the connection was aborted"),
    (av.error.EOFError, Unreachable, "the stream ended"),
    (av.error.DecoderNotFoundError, CodecUnsupported, "the codec is unknown"),
)
_NO_ROUTE = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN, errno.EADDRNOTAVAIL)


class Stream:
    """The first video stream of an open container."""

    def __init__(self, config: CameraConfig, container: InputContainer) -> None:
        """Raises CodecUnsupported."""
        self._config, self._container = config, container
        self._stream = self._find_video()
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
        """Length of the file; None for a camera."""
        duration = self._container.duration
        return duration / av.time_base if duration and not is_live(self._config.url) else None

    def packets(self) -> Iterator[Packet]:
        """Yield packets up to the end of a file. Raises SourceError; Unreachable if a camera ends its stream."""
        asked_s = time.monotonic()
        demuxed = self._container.demux(self._stream)
        while True:
            try:
                packet = next(demuxed)
            except (av.FFmpegError, StopIteration) as error:
                self._raise_end(error, time.monotonic() - asked_s)
                return
            if packet.size:  # PyAV's demux ends with an empty packet that flushes decoders
                asked_s = time.monotonic()
                reported_s = _reported_s(packet) if packet.is_keyframe else None
                yield Packet(bytes(packet), packet.pts, packet.is_keyframe, time.time(), reported_s)

    def _raise_end(self, error: Exception, waited_s: float) -> None:
        if isinstance(error, av.FFmpegError):
            raise _source_error(self._config, error, waited_s, self._config.read_timeout_s) from None
        if is_live(self._config.url):
            raise Unreachable(_message(self._config, "the camera ended the stream"))

    def _find_video(self) -> VideoStream:
        streams = self._container.streams.video
        if not streams:
            raise CodecUnsupported(_message(self._config, "there is no video stream"))
        context = streams[0].codec_context
        name = context.codec.canonical_name if context is not None else "unknown"
        if name not in CODECS:
            raise CodecUnsupported(_message(self._config, f"the codec is {name}, not one of {', '.join(CODECS)}"))
        return streams[0]


@contextmanager
def open_stream(config: CameraConfig) -> Iterator[Stream]:
    """Connect to the camera or open the file of `config.url`; close it at the end.

    Takes at most twice the opening time-out: to connect, and to learn the format. Raises SourceError; its message names
    the camera and never its credentials.
    """
    began_s = time.monotonic()
    try:
        container = av.open(
            config.url,
            options=_options(config),
            timeout=(config.open_timeout_s, config.read_timeout_s),
            metadata_errors="replace",  # the default raises UnicodeDecodeError
        )
    except av.FFmpegError as error:
        raise _source_error(config, error, time.monotonic() - began_s, config.open_timeout_s) from None
    with container:
        yield Stream(config, container)


def is_live(url: str) -> bool:
    """True for the address of a camera, False for the path of a file."""
    return "://" in url and not url.startswith("file://")


def _options(config: CameraConfig) -> dict[str, str]:
    if not is_live(config.url):
        return {}
    # fpsprobesize 0: libavformat reads no frames to guess a frame rate, so a camera opens about a second sooner.
    options = {"rtsp_transport": config.transport, "allowed_media_types": "video", "fpsprobesize": "0"}
    if config.transport == "udp":
        options["buffer_size"] = str(_UDP_BUFFER_BYTES)
    return options


def _reported_s(packet: av.Packet[VideoStream]) -> float | None:
    """The camera's clock for this picture from the last sender report before it, Unix seconds UTC; None without one.

    AVProducerReferenceTime is { int64 wallclock in microseconds; int flags } (libavcodec/defs.h). If a report arrives
    while libavformat assembles a picture, that picture gets the time of the next one. Such a packet also carries the
    report itself (side data "rtcp_sr") and is ignored here.
    """
    if not packet.has_sidedata("prft") or packet.has_sidedata("rtcp_sr"):
        return None
    (wallclock,) = struct.unpack_from("=q", bytes(packet.get_sidedata("prft")))
    return float(wallclock) * _MICROSECOND


def _source_error(config: CameraConfig, error: av.FFmpegError, waited_s: float, timeout_s: float) -> SourceError:
    # The elapsed time decides first: libavformat's RTSP demuxer turns an interrupted wait into other errors, too.
    if waited_s >= timeout_s:
        return TimedOut(_message(config, f"no usable data within {timeout_s:g} s"))
    for kind, raised, what in _BY_TYPE:
        if isinstance(error, kind):
            return raised(_message(config, what))
    # libavformat reports a failed TLS handshake and an unknown host as EIO.
    if error.errno == errno.EIO and config.url.startswith("rtsps://"):
        return TlsFailed(_message(config, "the TLS handshake failed, or the host is unknown"))
    if error.errno in (errno.EIO, *_NO_ROUTE):
        return Unreachable(_message(config, "the host is unknown, or there is no route to it"))
    return BadStream(_message(config, str(error.strerror)))


def _message(config: CameraConfig, what: str) -> str:
    return f"camera {config.name}: {redact(config.url)}: {what}"
