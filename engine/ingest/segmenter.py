"""Cuts a stream of packets into segments, each of which decodes by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from engine.ingest.bitstream import configuration, picture_size, size_mark
from engine.ingest.clock import StreamClock
from engine.ingest.remux import decoding_times
from engine.types import Ints, Segment

DISCARD_REASONS = ("no_key_frame", "untimed", "long_gop", "jump")
"""Why packets are discarded: before the first key frame; after a packet without a pts; after a run without a key frame
was cut off; after a jump of the pts. The discard ends at the next key frame."""
_NEARLY = 0.95
"""A segment may end at this share of `segment_s`. Timestamps vary, so a GOP of that length is often a little
shorter."""


class Packet(NamedTuple):
    """A coded picture as received."""

    data: bytes
    pts: int | None
    """Presentation time in ticks of the format's time base."""
    key: bool
    arrived_s: float
    """This host's clock at the arrival, Unix seconds UTC."""
    reported_s: float | None = None
    """The camera's clock for this picture from its sender report, Unix seconds UTC."""


@dataclass(frozen=True, slots=True)
class StreamFormat:
    """The format of a stream, as a decoder needs it."""

    codec: str
    extradata: bytes
    width_px: int
    height_px: int
    time_base: Fraction
    size_mark: bytes = b""

    def at(self, key_packet: bytes) -> StreamFormat:
        """The format from this key packet on; this object itself if the format does not change."""
        extradata = configuration(self.codec, self.extradata, key_packet)
        mark = size_mark(self.codec, key_packet)
        if extradata == self.extradata and mark == self.size_mark and self.width_px:
            return self
        size = picture_size(self.codec, extradata, key_packet) or (self.width_px, self.height_px)
        return replace(self, extradata=extradata, size_mark=mark, width_px=size[0], height_px=size[1])


class Segmenter:
    """Cuts the packets of one connection into segments. Not thread-safe."""

    def __init__(
        self,
        camera: int,
        format_: StreamFormat,
        clock: StreamClock,
        *,
        segment_s: float,
        longest_gop_s: float,
        first_sequence: int = 0,
        on_discard: Callable[[str, bool], None] = lambda reason, first: None,
    ) -> None:
        """`on_discard` gets one of DISCARD_REASONS for each discarded packet, and True for the first one in a row."""
        self._camera, self._format, self._clock = camera, format_, clock
        self._segment_s, self._longest_gop_s = segment_s, longest_gop_s
        self.sequence = first_sequence
        """Number of the next segment."""
        self._on_discard = on_discard
        self._tick_s = float(format_.time_base)
        self._run: list[Packet] = []
        self._key_s = 0.0  # pts of the latest key frame of the run
        self._discard_reason = "no_key_frame"
        self._discarded = 0  # number of packets discarded in a row
        self._continues = False

    def push(self, packet: Packet) -> Segment | None:
        """Take the next packet in decoding order. Returns the segment that ends before it, or None."""
        if packet.pts is None:
            return self._end_run("untimed", packet)
        pts_s = packet.pts * self._tick_s
        done = None
        if self._clock.is_jump(pts_s, packet.arrived_s):
            done = self._end_run("jump")
            self._clock.jump()
        self._clock.observe(pts_s, packet.arrived_s, packet.reported_s)
        if packet.key:
            return self._push_key(packet, pts_s) or done
        if not self._run:
            self._discard()
        elif pts_s - self._key_s > self._longest_gop_s:
            done = self._end_run("long_gop", packet)
        else:
            self._run.append(packet)
        return done

    def finish(self) -> Segment | None:
        """End the stream. Returns the unfinished segment, or None."""
        done = self._cut()
        self._continues = False
        return done

    def _push_key(self, packet: Packet, pts_s: float) -> Segment | None:
        done = None
        format_ = self._format.at(packet.data)
        # A segment has one format, because MP4 and decoders take one configuration for all its packets.
        if self._run and (format_ is not self._format or pts_s - self._began_s >= _NEARLY * self._segment_s):
            done = self._cut()
        self._format, self._key_s, self._discarded = format_, pts_s, 0
        self._run.append(packet)
        return done

    @property
    def _began_s(self) -> float:
        return (self._run[0].pts or 0) * self._tick_s

    def _end_run(self, reason: str, packet: Packet | None = None) -> Segment | None:
        """End the run, and discard all packets up to the next key frame, beginning with `packet`."""
        done = self.finish()
        self._discard_reason = reason
        if packet is not None:
            self._discard()
        return done

    def _discard(self) -> None:
        self._on_discard(self._discard_reason, self._discarded == 0)
        self._discarded += 1

    def _cut(self) -> Segment | None:
        if not self._run:
            return None
        run, self._run = self._run, []
        segment = self._segment(run, np.array([packet.pts for packet in run], np.int64))
        self.sequence, self._continues = self.sequence + 1, True
        return segment

    def _segment(self, run: Sequence[Packet], pts: Ints) -> Segment:
        captured_s, clock = self._clock.stamp(pts.astype(np.float64) * self._tick_s)
        format_ = self._format
        return Segment(
            camera=self._camera,
            sequence=self.sequence,
            codec=format_.codec,
            extradata=format_.extradata,
            width_px=format_.width_px,
            height_px=format_.height_px,
            time_base=format_.time_base,
            payload=b"".join(packet.data for packet in run),
            size_bytes=np.array([len(packet.data) for packet in run], np.int64),
            pts=pts,
            dts=decoding_times(pts),
            key=np.array([packet.key for packet in run], np.bool_),
            captured_s=captured_s,
            clock=clock,
            continues=self._continues,
        )
