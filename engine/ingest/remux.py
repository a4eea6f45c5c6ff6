"""Remuxes segments into an MP4 file, without a new encoding.

Evidence clips and decoders that need a container use it. H.264 and HEVC arrive with start codes; MP4 stores a length
before each NAL unit instead (ISO/IEC 14496-15). The units themselves stay as the camera sent them, byte for byte, and
so do the packets of all other codecs.
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
"""By codec: the demuxer of its raw form, and the shortest input that it accepts. PyAV sets the codec of an output
stream only from an encoder or from an input stream (`add_stream_from_template`). This is such an input; it opens in 0.1
ms."""


def to_mp4(segments: Sequence[Segment]) -> bytes:
    """Content of an MP4 file with the packets of one camera's segments.

    The segments must be one run: see `runs`. Frames keep their intervals in pts; the first frame is at zero. The `date`
    tag is the capture time of the earliest frame. Raises EvidenceError.
    """
    _check(segments)
    content, first = io.BytesIO(), segments[0]
    pts = np.concatenate([segment.pts for segment in segments])
    pts -= pts.min()
    dts = decoding_times(pts)
    try:
        with av.open(content, "w", format="mp4") as container:
            container.metadata.update(_dates(min(segment.began_s for segment in segments)))
            stream = _add_stream(container, first)
            rows = zip(_all_packets(segments), pts.tolist(), dts.tolist(), _durations(dts), strict=True)
            for (data, key), *times in rows:
                container.mux(_packet(data, key, times, stream, first))
    except av.FFmpegError as error:
        raise EvidenceError(f"camera {first.camera}: MP4 does not take {first.codec}: {error.strerror}") from error
    return content.getvalue()


def runs(segments: Sequence[Segment]) -> list[list[Segment]]:
    """Split the segments at each gap and at each change of format."""
    parts: list[list[Segment]] = []
    for segment in segments:
        if parts and _mismatch(parts[-1][-1], segment) is None:
            parts[-1].append(segment)
        else:
            parts.append([segment])
    return parts


def decoding_times(pts: Ints) -> Ints:
    """(P,) i8: strictly increasing dts for packets with pts (P,) in decoding order; no dts is after its pts.

    RTP carries no dts. A decoder that reorders by d pictures shows the k-th picture of the presentation order d
    pictures after it received the k-th packet. So the dts are the sorted pts, moved back by what the latest packet
    needs.
    """
    rows = np.arange(len(pts), dtype=np.int64)
    ascending = np.maximum.accumulate(np.sort(pts) - rows) + rows
    dts: Ints = ascending - max(0, int((ascending - pts).max()))
    return dts


def packets(segment: Segment) -> Iterator[memoryview]:
    """Yield the packets of a segment in decoding order, as views of its payload."""
    payload, ends = memoryview(segment.payload), np.cumsum(segment.size_bytes).tolist()
    for begin, end in itertools.pairwise([0, *ends]):
        yield payload[begin:end]


def _check(segments: Sequence[Segment]) -> None:
    if not segments:
        raise EvidenceError("no segment to write")
    for previous, segment in itertools.pairwise(segments):
        problem = _mismatch(previous, segment)
        if problem:
            raise EvidenceError(f"camera {segment.camera}: segment {segment.sequence} {problem}")


def _mismatch(previous: Segment, segment: Segment) -> str | None:
    """Reason why the second segment is not in one run with the first; None if it is."""
    if segment.camera != previous.camera:
        return f"belongs to another camera than {previous.camera}"
    if segment.sequence != previous.sequence + 1 or not segment.continues:
        return f"does not follow segment {previous.sequence} without a gap"
    if _format(segment) != _format(previous):
        return f"has another format than segment {previous.sequence}"
    return None


def _format(segment: Segment) -> tuple[object, ...]:
    return segment.codec, segment.extradata, segment.width_px, segment.height_px, segment.time_base


def _add_stream(container: OutputContainer, segment: Segment) -> VideoStream:
    if segment.codec not in _BLANK:
        raise EvidenceError(f"camera {segment.camera}: MP4 does not take {segment.codec}")
    demuxer, blank = _BLANK[segment.codec]
    with av.open(io.BytesIO(blank), format=demuxer) as template:
        # opaque: PyAV copies the template. Otherwise it looks for an encoder, which its build may lack.
        stream = container.add_stream_from_template(template.streams.video[0], opaque=True)
    context = stream.codec_context
    context.width, context.height = segment.width_px, segment.height_px
    context.extradata = segment.extradata or None
    if segment.codec == "vp9":
        # movenc writes the pixel format into the vpcC box (libavformat/vpcc.c). Cameras use profile 0 only: 4:2:0, 8
        # bits.
        context.pix_fmt = "yuv420p"
    stream.time_base = segment.time_base
    return stream


def _all_packets(segments: Sequence[Segment]) -> Iterator[tuple[memoryview, bool]]:
    for segment in segments:
        yield from zip(packets(segment), segment.key.tolist(), strict=True)


def _durations(dts: Ints) -> list[int]:
    """Ticks to the next packet. The last packet gets the duration of the one before."""
    steps: list[int] = np.diff(dts).tolist()
    return [*steps, steps[-1] if steps else 1]


def _packet(data: memoryview, key: bool, times: list[int], stream: VideoStream, segment: Segment) -> av.Packet[Stream]:
    packet: av.Packet[Stream] = av.Packet(bytes(data))
    packet.pts, packet.dts, packet.duration = times
    packet.time_base, packet.is_keyframe, packet.stream = segment.time_base, key, stream
    return packet


def _dates(began_s: float) -> dict[str, str]:
    """Metadata of the start. The creation time of MP4 has whole seconds, so `date` repeats it as text."""
    began = datetime.fromtimestamp(began_s, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return {"creation_time": began, "date": began}
