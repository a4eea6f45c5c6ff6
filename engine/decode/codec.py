"""Packets of one segment to frames, by libavcodec.

Every segment gets a codec context of its own. Opening one takes 0.03 ms where decoding the segment takes 20 to 300, so
there is nothing to gain by keeping it; and no segment can inherit the state of another, least of all of a corrupt one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import av
from av.video.codeccontext import VideoCodecContext

from engine.decode.messages import harmless
from engine.errors import DecodeError
from engine.ingest import remux
from engine.types import Ints, Segment

VideoPacket: TypeAlias = "av.Packet[av.stream.Stream]"

_OPTIONS = {
    "err_detect": "explode",  # an error is an error: no picture that libavcodec has made up reaches a measurement
    "max_pixels": str(8192 * 4352),  # a corrupt header must not ask for gigabytes
}
_DECODERS = {"av1": "libdav1d"}
"""Where libavcodec's decoder of the codec's own name is none that works without a GPU."""
_INTRA_ONLY = frozenset({"mjpeg"})
_MARKS_DISPOSABLE = frozenset({"h264"})
"""Codecs in which a frame that says it is no reference (nal_ref_idc = 0) is one for nobody. Not so HEVC, whose
sub-layer non-reference pictures may be references of a higher temporal sub-layer (ITU-T H.265, 3.160)."""


def decoded(segment: Segment, wanted: Ints) -> Iterator[tuple[int, av.VideoFrame]]:
    """Yield (row of the packet, frame) of every wanted packet, as the decoder releases them.

    wanted  (W,) i8: rows of the segment's packets; the others are decoded only as far as these need them
    Raises DecodeError, perhaps after some frames, where the segment does not decode without error to its last wanted
    frame.
    """
    rows = {int(segment.pts[row]): int(row) for row in wanted}
    if len(rows) < len(wanted):
        raise DecodeError("two packets have the same pts")
    try:
        for frame in _frames(segment, set(rows.values())):
            if frame.is_corrupt:
                raise DecodeError(f"the frame with pts {frame.pts} is corrupt")
            row = rows.pop(-1 if frame.pts is None else frame.pts, None)
            if row is not None:
                yield row, frame
    except (av.FFmpegError, ValueError, MemoryError) as error:
        raise DecodeError(f"libavcodec: {error}") from error
    if rows:
        raise DecodeError(f"{len(rows)} of {len(wanted)} frames did not come out of the decoder")


def _frames(segment: Segment, wanted: set[int]) -> Iterator[av.VideoFrame]:
    """Everything the decoder releases; the frames that nobody wants are left out where that is possible."""
    if not wanted:
        return
    context = _opened(segment)
    for row, packet in _packets(segment, wanted):
        if segment.codec in _MARKS_DISPOSABLE:
            context.skip_frame = "DEFAULT" if row in wanted else "NONREF"
        yield from context.decode(packet)
    yield from context.decode(None)


def _opened(segment: Segment) -> VideoCodecContext:
    context = av.CodecContext.create(_DECODERS.get(segment.codec, segment.codec), "r")
    if not isinstance(context, VideoCodecContext):
        raise DecodeError(f"{segment.codec} is no video codec")
    context.thread_count = 1
    context.options = _OPTIONS
    if segment.extradata:
        context.extradata = segment.extradata
    context.open()
    return context


def _packets(segment: Segment, wanted: set[int]) -> Iterator[tuple[int, VideoPacket]]:
    """The packets up to the last wanted one, in decoding order; of an intra-only codec the wanted ones alone."""
    for row, data in enumerate(remux.packets(segment)):
        if row > max(wanted):
            return
        if segment.codec in _INTRA_ONLY and row not in wanted:
            continue
        if not data:
            raise DecodeError(f"packet {row} of {len(segment.pts)} is empty")
        packet: VideoPacket = av.Packet(harmless(segment.codec, bytes(data)))
        packet.pts, packet.dts, packet.time_base = int(segment.pts[row]), int(segment.dts[row]), segment.time_base
        yield row, packet
