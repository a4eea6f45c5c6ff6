"""Probes a camera: the facts that `qyran check` prints."""

from __future__ import annotations

import time
from dataclasses import dataclass

import msgspec
import numpy as np

from engine.config import CameraConfig
from engine.errors import BadStream
from engine.ingest.clock import TRUST_S
from engine.ingest.segmenter import Packet
from engine.ingest.stream import Stream, is_live, open_stream
from engine.types import Clock, Floats

_KEYS = 3


@dataclass(frozen=True, slots=True)
class Probe:
    """Facts about a camera or file from the first seconds of its stream."""

    codec: str
    width_px: int
    height_px: int
    fps: float
    """Frames per second, from the median interval of the timestamps."""
    variable_rate: bool
    """True if an interval differs from the median by more than half of it."""
    gop_s: float | None
    """The longest time between two key frames; None if there are fewer than two."""
    b_frames: bool
    """True if pictures are not sent in presentation order."""
    clock: Clock
    clock_error_s: float | None
    """Camera's clock minus this host's clock by the sender report, with the delay; None without a report."""
    bitrate_bps: float
    watched_s: float
    """Time between the first and the last frame."""
    duration_s: float | None
    """Length of a file; None for a camera."""


def probe(config: CameraConfig, timeout_s: float = 10.0) -> Probe:
    """Open the camera or file and read it up to three key frames and a sender report, or for `timeout_s`.

    Cameras send reports about every 5 s. A camera without reports is read for the whole time. Raises SourceError.
    """
    hasty = msgspec.structs.replace(
        config,
        open_timeout_s=min(config.open_timeout_s, timeout_s),
        read_timeout_s=min(config.read_timeout_s, timeout_s),
    )
    with open_stream(hasty) as stream:
        packets = _read(stream, time.monotonic() + timeout_s, live=is_live(config.url))
        if len(packets) < 2:
            raise BadStream(f"camera {config.name}: fewer than two frames with a timestamp within {timeout_s:g} s")
        return _summarize(stream, packets, live=is_live(config.url))


def _read(stream: Stream, until_s: float, *, live: bool) -> list[Packet]:
    packets: list[Packet] = []
    keys, reported = 0, not live
    for packet in stream.packets():
        if packet.pts is not None:
            packets.append(packet)
        keys, reported = keys + packet.key, reported or packet.reported_s is not None
        if time.monotonic() > until_s or (keys >= _KEYS and reported and len(packets) > 2 * _KEYS):
            break
    return packets


def _summarize(stream: Stream, packets: list[Packet], *, live: bool) -> Probe:
    tick_s = float(stream.format.time_base)
    pts_s = np.array([packet.pts for packet in packets], np.float64) * tick_s
    keys_s = pts_s[[packet.key for packet in packets]]
    steps_s = np.diff(np.sort(pts_s))
    median_s = max(float(np.median(steps_s)), tick_s)
    watched_s = float(np.ptp(pts_s))
    clock, clock_error_s = _clock(packets, pts_s, live=live)
    # Sorted intervals: B-frames arrive out of presentation order, so raw differences would be negative.
    return Probe(
        codec=stream.format.codec,
        width_px=stream.format.width_px,
        height_px=stream.format.height_px,
        fps=1 / median_s,
        variable_rate=bool(np.any(np.abs(steps_s - median_s) > median_s / 2)),
        gop_s=float(np.diff(keys_s).max()) if len(keys_s) > 1 else None,
        b_frames=bool(np.any(np.diff(pts_s) < 0)),
        clock=clock,
        clock_error_s=clock_error_s,
        bitrate_bps=8 * sum(len(packet.data) for packet in packets) / (watched_s + median_s),
        watched_s=watched_s,
        duration_s=stream.duration_s,
    )


def _clock(packets: list[Packet], pts_s: Floats, *, live: bool) -> tuple[Clock, float | None]:
    if not live:
        return Clock.DECLARED, None
    delay_s = float((np.array([packet.arrived_s for packet in packets]) - pts_s).min())
    times = zip(packets, pts_s.tolist(), strict=True)
    errors_s = [packet.reported_s - at_s - delay_s for packet, at_s in times if packet.reported_s is not None]
    if not errors_s:
        return Clock.ARRIVAL, None
    return Clock.SYNCHRONISED if abs(errors_s[-1]) <= TRUST_S else Clock.ARRIVAL, errors_s[-1]
