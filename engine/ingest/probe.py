"""A look at a camera before it is trusted with anything: what `qyran check` prints."""

from __future__ import annotations

import time
from dataclasses import dataclass

import msgspec
import numpy as np

from engine.config import CameraConfig
from engine.errors import BadStream
from engine.ingest.clock import TRUST_S
from engine.ingest.segmenter import Packet
from engine.ingest.stream import Stream, is_live, opened
from engine.types import Clock, Floats

_KEYS = 3


@dataclass(frozen=True, slots=True)
class Probe:
    """What a camera sent within the time it was watched for."""

    codec: str
    width_px: int
    height_px: int
    fps: float
    """Frames a second, from the median interval of the timestamps."""
    variable_rate: bool
    """Does an interval differ from the median by more than half of it?"""
    gop_s: float | None
    """The longest time between two key frames; None where there were not two."""
    b_frames: bool
    """Are pictures sent out of the order in which they are shown?"""
    clock: Clock
    clock_error_s: float | None
    """Camera's clock minus this host's by the sender report, the camera's delay included; None without a report."""
    bitrate_bps: float
    watched_s: float
    """Time between the first frame and the last."""
    duration_s: float | None
    """Length of a file; None for a camera."""


def probe(config: CameraConfig, timeout_s: float = 10.0) -> Probe:
    """Open the camera (or file) and watch it until three key frames and a sender report came, or for `timeout_s`.

    Sender reports come every 5 s or so: a camera without any is watched to the end. Raises SourceError.
    """
    hasty = msgspec.structs.replace(
        config,
        open_timeout_s=min(config.open_timeout_s, timeout_s),
        read_timeout_s=min(config.read_timeout_s, timeout_s),
    )
    with opened(hasty) as stream:
        packets = _watch(stream, time.monotonic() + timeout_s, live=is_live(config.url))
        if len(packets) < 2:
            raise BadStream(f"camera {config.name}: no two frames with a time came within {timeout_s:g} s")
        return _summary(stream, packets, live=is_live(config.url))


def _watch(stream: Stream, until_s: float, *, live: bool) -> list[Packet]:
    packets: list[Packet] = []
    keys, reported = 0, not live
    for packet in stream.packets():
        if packet.pts is not None:
            packets.append(packet)
        keys, reported = keys + packet.key, reported or packet.reported_s is not None
        if time.monotonic() > until_s or (keys >= _KEYS and reported and len(packets) > 2 * _KEYS):
            break
    return packets


def _summary(stream: Stream, packets: list[Packet], *, live: bool) -> Probe:
    tick_s = float(stream.format.time_base)
    pts_s = np.array([packet.pts for packet in packets], np.float64) * tick_s
    keys_s = pts_s[[packet.key for packet in packets]]
    steps_s = np.diff(np.sort(pts_s))
    median_s = max(float(np.median(steps_s)), tick_s)
    watched_s = float(np.ptp(pts_s))
    clock, clock_error_s = _clock(packets, pts_s, live=live)
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
