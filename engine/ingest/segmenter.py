"""Cuts a stream of packets into segments that decode by themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import NamedTuple, Protocol

import numpy as np

from engine.ingest.bitstream import configuration, picture_size, size_mark
from engine.ingest.remux import decoding_times
from engine.types import Clock, Floats, Ints, Segment

DISCARD_REASONS = ("no_key_frame", "untimed", "long_gop", "jump")
"""Why packets belong to no segment: ahead of the first key frame; after one without a pts; after a run without a key
frame that was cut off; after the pts jumped."""
_NEARLY = 0.95
"""A key frame that comes a little early is taken: GOPs as long as `segment_s` are never quite that long."""


class Packet(NamedTuple):
    """A coded picture as it was received."""

    data: bytes
    pts: int | None
    """Presentation time in ticks of the format's time base."""
    key: bool
    arrived_s: float
    """This host's clock at its arrival, Unix seconds UTC."""
    reported_s: float | None = None
    """The camera's clock for this picture by its sender report, Unix seconds UTC."""


@dataclass(frozen=True, slots=True)
class StreamFormat:
    """What a decoder must know of a stream."""

    codec: str
    extradata: bytes
    width_px: int
    height_px: int
    time_base: Fraction
    size_mark: bytes = b""

    def at(self, key_packet: bytes) -> StreamFormat:
        """The format from this key packet on: this very one unless the packet says something else."""
        extradata = configuration(self.codec, self.extradata, key_packet)
        mark = size_mark(self.codec, key_packet)
        if extradata == self.extradata and mark == self.size_mark and self.width_px:
            return self
        size = picture_size(self.codec, extradata, key_packet) or (self.width_px, self.height_px)
        return replace(self, extradata=extradata, size_mark=mark, width_px=size[0], height_px=size[1])


class Timekeeper(Protocol):
    """Maps pts to capture times: `clock.CaptureClock` for cameras, `clock.DeclaredClock` for files."""

    def is_jump(self, pts_s: float, arrived_s: float) -> bool: ...

    def jump(self) -> None: ...

    def observe(self, pts_s: float, arrived_s: float, reported_s: float | None) -> None: ...

    def stamp(self, pts_s: Floats) -> tuple[Floats, Clock]: ...


class Segmenter:
    """One connection's packets in, segments out. Not thread-safe."""

    def __init__(
        self,
        camera: int,
        format_: StreamFormat,
        clock: Timekeeper,
        *,
        segment_s: float,
        longest_gop_s: float,
        first_sequence: int = 0,
        discarded: Callable[[str, bool], None] = lambda reason, first: None,
    ) -> None:
        """`discarded` is called for every packet that is left out: one of DISCARD_REASONS, is it the first of a row?"""
        self._camera, self._format, self._clock = camera, format_, clock
        self._segment_s, self._longest_gop_s = segment_s, longest_gop_s
        self.sequence = first_sequence
        """The number of the next segment."""
        self._discarded = discarded
        self._tick_s = float(format_.time_base)
        self._run: list[Packet] = []
        self._key_s = 0.0  # pts of the run's latest key frame
        self._lacking = "no_key_frame"
        self._row = 0  # packets left out since the last one that was not
        self._continues = False

    def push(self, packet: Packet) -> Segment | None:
        """Take the next packet in decoding order; gives back the segment that ends before it, if one does."""
        if packet.pts is None:
            return self._break_off("untimed", packet)
        pts_s = packet.pts * self._tick_s
        done = None
        if self._clock.is_jump(pts_s, packet.arrived_s):
            done = self._break_off("jump")
            self._clock.jump()
        self._clock.observe(pts_s, packet.arrived_s, packet.reported_s)
        if packet.key:
            return self._key(packet, pts_s) or done
        if not self._run:
            self._leave_out()
        elif pts_s - self._key_s > self._longest_gop_s:
            done = self._break_off("long_gop", packet)
        else:
            self._run.append(packet)
        return done

    def finish(self) -> Segment | None:
        """The stream is over: the segment that is under way, if one is."""
        done = self._cut()
        self._continues = False
        return done

    def _key(self, packet: Packet, pts_s: float) -> Segment | None:
        done = None
        format_ = self._format.at(packet.data)
        if self._run and (format_ is not self._format or pts_s - self._began_s >= _NEARLY * self._segment_s):
            done = self._cut()
        self._format, self._key_s, self._row = format_, pts_s, 0
        self._run.append(packet)
        return done

    @property
    def _began_s(self) -> float:
        return (self._run[0].pts or 0) * self._tick_s

    def _break_off(self, reason: str, packet: Packet | None = None) -> Segment | None:
        """End the run and leave out what comes until the next key frame, beginning with `packet`."""
        done = self.finish()
        self._lacking = reason
        if packet is not None:
            self._leave_out()
        return done

    def _leave_out(self) -> None:
        self._discarded(self._lacking, self._row == 0)
        self._row += 1

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
