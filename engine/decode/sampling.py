"""Selects the frames that are decoded for the detector, and joins separately decoded parts into one batch.

Frames are selected by capture time, so a variable frame rate makes no difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.decode.settings import DecodeSettings
from engine.types import Floats, FrameBatch, Frames, Ints, Ints32, Lamps, Segment

_EARLY = 0.25
"""A frame may be early by this fraction of the period. Without it, jitter would lose every second frame."""
_SHORTEST = 0.75
"""Shortest distance of two samples, as a fraction of the period, while the schedule catches up after a late frame."""


class SamplingSchedule:
    """The due times of one camera's samples. They continue over segments, whether or not one between was dropped.

    On average at most `fps` frames per second are sampled; all frames if the camera has fewer.
    """

    def __init__(self, fps: float) -> None:
        self._period_s = 1 / fps
        self._due_s = np.inf

    def choose(self, captured_s: Floats) -> Ints:
        """Rows of `captured_s` (P,) to sample, ascending in capture time."""
        order = np.argsort(captured_s, kind="stable")
        chosen = [row for row in order.tolist() if self._take(float(captured_s[row]))]
        return np.array(chosen, np.int64)

    def _take(self, captured_s: float) -> bool:
        early_s = self._period_s * _EARLY
        if captured_s < self._due_s - self._period_s - early_s:
            self._due_s = captured_s  # the first frame, or a frame before the last sample: the clock was set back
        if captured_s < self._due_s - early_s:
            return False
        self._due_s = max(self._due_s + self._period_s, captured_s + self._period_s * _SHORTEST)
        return True


@dataclass(frozen=True, slots=True)
class FrameSelection:
    """The sampled frames of one segment."""

    index: int
    """Position of the segment in the batch."""
    segment: Segment
    settings: DecodeSettings
    wanted: Ints
    """(W,) i8: packets of the sampled frames, ascending in capture time."""


class FrameSelector:
    """Keeps the schedule of each camera. Takes each segment once, in the order of capture for each camera."""

    def __init__(self, cameras: Mapping[int, DecodeSettings]) -> None:
        self._cameras = cameras
        self._schedules: dict[int, SamplingSchedule] = {}

    def select(self, segments: Sequence[Segment]) -> list[FrameSelection]:
        """The selections of all segments, in their order. A selection may be empty."""
        return [
            FrameSelection(index, one, self._cameras[one.camera], self._schedule(one.camera).choose(one.captured_s))
            for index, one in enumerate(segments)
        ]

    def remove_camera(self, camera: int) -> None:
        """Forget a camera; between two batches."""
        self._schedules.pop(camera, None)

    def _schedule(self, camera: int) -> SamplingSchedule:
        """The camera's schedule, made at its first segment."""
        if camera not in self._schedules:
            self._schedules[camera] = SamplingSchedule(self._cameras[camera].detect_fps)
        return self._schedules[camera]


def frames_of(selections: Sequence[FrameSelection]) -> Frames:
    """The sampled frames, selection by selection. Their sizes are not known yet: 0."""
    counts = [len(one.wanted) for one in selections]
    return Frames(
        camera=np.repeat(np.array([one.segment.camera for one in selections], np.int32), counts),
        captured_s=np.concatenate([np.empty(0), *(one.segment.captured_s[one.wanted] for one in selections)]),
        size_px=np.zeros((sum(counts), 2), np.int32),
        clock=np.repeat(np.array([one.segment.clock for one in selections], np.uint8), counts),
    )


def indices_of(selections: Iterable[FrameSelection]) -> Ints32:
    """(F,) i4: position of the segment of each sampled frame."""
    return np.array([one.index for one in selections for _ in one.wanted], np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class PartialBatch:
    """Some decoded segments of a batch."""

    batch: FrameBatch
    index: Ints32
    """(F,) i4: position of the segment of each frame in the whole batch."""


def join_parts(parts: Sequence[PartialBatch], pixels: Any) -> FrameBatch:
    """Join at least one part into a batch with its frames in the order of the segments.

    pixels  the parts' pixels, concatenated. Rows keep their order; `frame` says which frame a row shows.
    """
    batches = [part.batch for part in parts]
    order = np.argsort(np.concatenate([part.index for part in parts]), kind="stable")
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    begins = np.cumsum([0, *(len(batch.frames) for batch in batches[:-1])])
    frame = np.concatenate([batch.frame + begin for batch, begin in zip(batches, begins, strict=True)])
    return FrameBatch(
        frames=_order_frames([batch.frames for batch in batches], order),
        pixels=pixels,
        frame=place[frame],
        model_to_image=np.concatenate([batch.model_to_image for batch in batches]),
        region_xyxy_px=np.concatenate([batch.region_xyxy_px for batch in batches]),
        lamps=_order_lamps([batch.lamps for batch in batches], begins, place),
    )


def _order_lamps(parts: Sequence[Lamps], begins: Ints, place: Ints32) -> Lamps:
    frame = place[np.concatenate([lamps.frame + begin for lamps, begin in zip(parts, begins, strict=True)])]
    rows = np.argsort(frame, kind="stable")
    names = ("lamp", "appearance")
    return Lamps(frame[rows], *(np.concatenate([getattr(lamps, name) for lamps in parts])[rows] for name in names))


def _order_frames(parts: Sequence[Frames], order: Ints) -> Frames:
    columns = ("camera", "captured_s", "size_px", "clock")
    return Frames(**{name: np.concatenate([getattr(part, name) for part in parts])[order] for name in columns})
