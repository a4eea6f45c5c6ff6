"""Segments back into a file: the packets that the camera sent, never encoded again.

Serves the evidence clip and decoders that want a container. H.264 and HEVC arrive with start codes and lie in MP4 with
lengths before their NAL units (ISO/IEC 14496-15); the units themselves are the camera's, byte for byte. Packets of the
other codecs are stored as they are.
"""

from __future__ import annotations

import io
import itertools
import struct
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import av
import numpy as np
from av.container import OutputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from engine.errors import EvidenceError
from engine.types import Ints, Segment

_BLANK = {
    "h264": ("h264", b"\x00\x00\x01" * 20),
    "hevc": ("hevc", b"\x00\x00\x01" * 20),
    "mjpeg": ("mjpeg", b"\x00" * 64),
    "vp9": ("ivf", b"DKIF" + struct.pack("<HH4sHHIIII", 0, 32, b"VP90", 0, 0, 1, 1, 0, 0)),
    "av1": ("obu", b"\x00" * 64),
}
"""Of every codec the demuxer of its bare form and the shortest input that it takes: PyAV gives a stream of an output
its codec only from an encoder or from a stream of an input, and this is one, in a tenth of a millisecond."""


def to_mp4(segments: Sequence[Segment]) -> bytes:
    """The packets of one camera's segments as an MP4 file; its `date` is the capture time of the earliest frame.

    The segments must follow each other without a gap and be of one format: see `runs`. Frames keep their distances in
    pts; the first one shown is at zero. Raises EvidenceError.
    """
    content = io.BytesIO()
    _write(segments, content)
    return content.getvalue()


def runs(segments: Sequence[Segment]) -> list[list[Segment]]:
    """The segments split where one does not follow its predecessor without a gap, or the format changes."""
    parts: list[list[Segment]] = []
    for segment in segments:
        if parts and _mismatch(parts[-1][-1], segment) is None:
            parts[-1].append(segment)
        else:
            parts.append([segment])
    return parts


def decoding_times(pts: Ints) -> Ints:
    """(P,) i8: strictly increasing dts for packets in decoding order, none after its pts.

    A decoder that reorders by d pictures shows the k-th picture in order of presentation d pictures after it took the
    k-th packet: so dts are the pts in ascending order, moved back by as much as the latest packet needs.
    """
    rows = np.arange(len(pts), dtype=np.int64)
    ascending = np.maximum.accumulate(np.sort(pts) - rows) + rows
    dts: Ints = ascending - max(0, int((ascending - pts).max()))
    return dts


def packets(segment: Segment) -> Iterator[memoryview]:
    """The packets of a segment in decoding order, views of its payload."""
    payload, ends = memoryview(segment.payload), np.cumsum(segment.size_bytes).tolist()
    for begin, end in itertools.pairwise([0, *ends]):
        yield payload[begin:end]


def _write(segments: Sequence[Segment], content: io.BufferedIOBase) -> None:
    _check(segments)
    first = segments[0]
    pts = np.concatenate([segment.pts for segment in segments])
    pts -= pts.min()
    dts = decoding_times(pts)
    try:
        with av.open(content, "w", format="mp4") as container:
            container.metadata.update(_dates(min(segment.began_s for segment in segments)))
            stream = _stream(container, first)
            rows = zip(_all_packets(segments), pts.tolist(), dts.tolist(), _durations(dts), strict=True)
            for (data, key), *times in rows:
                container.mux(_packet(data, key, times, stream, first))
    except av.FFmpegError as error:
        raise EvidenceError(f"camera {first.camera}: {first.codec} does not go into MP4: {error.strerror}") from error


def _check(segments: Sequence[Segment]) -> None:
    if not segments:
        raise EvidenceError("there is no segment to write")
    for previous, segment in itertools.pairwise(segments):
        problem = _mismatch(previous, segment)
        if problem:
            raise EvidenceError(f"camera {segment.camera}: segment {segment.sequence} {problem}")


def _mismatch(previous: Segment, segment: Segment) -> str | None:
    """Why the second segment cannot be in one run with the first."""
    if segment.camera != previous.camera:
        return f"is of another camera than {previous.camera}"
    if segment.sequence != previous.sequence + 1 or not segment.continues:
        return f"does not follow segment {previous.sequence} without a gap"
    if _format(segment) != _format(previous):
        return f"is of another format than segment {previous.sequence}"
    return None


def _format(segment: Segment) -> tuple[object, ...]:
    return segment.codec, segment.extradata, segment.width_px, segment.height_px, segment.time_base


def _stream(container: OutputContainer, segment: Segment) -> VideoStream:
    if segment.codec not in _BLANK:
        raise EvidenceError(f"camera {segment.camera}: {segment.codec} does not go into MP4")
    demuxer, blank = _BLANK[segment.codec]
    with av.open(io.BytesIO(blank), format=demuxer) as template:
        stream = container.add_stream_from_template(template.streams.video[0], opaque=True)
    context = stream.codec_context
    context.width, context.height = segment.width_px, segment.height_px
    context.extradata = segment.extradata or None
    if segment.codec == "vp9":
        context.pix_fmt = "yuv420p"  # MP4 wants to know; other formats have profiles that no camera uses
    stream.time_base = segment.time_base
    return stream


def _all_packets(segments: Sequence[Segment]) -> Iterator[tuple[memoryview, bool]]:
    for segment in segments:
        yield from zip(packets(segment), segment.key.tolist(), strict=True)


def _durations(dts: Ints) -> list[int]:
    """Ticks to the next packet; the last one is taken to last as long as the one before."""
    steps: list[int] = np.diff(dts).tolist()
    return [*steps, steps[-1] if steps else 1]


def _packet(data: memoryview, key: bool, times: list[int], stream: VideoStream, segment: Segment) -> av.Packet[Stream]:
    packet: av.Packet[Stream] = av.Packet(bytes(data))
    packet.pts, packet.dts, packet.duration = times
    packet.time_base, packet.is_keyframe, packet.stream = segment.time_base, key, stream
    return packet


def _dates(began_s: float) -> dict[str, str]:
    """MP4's own creation time has whole seconds, its date tag is text."""
    began = datetime.fromtimestamp(began_s, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return {"creation_time": began, "date": began}
