"""Which frames of a batch of segments are looked at, and how the parts that were decoded apart become one batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.decode.camera import CameraView
from engine.decode.sampling import Schedule
from engine.types import FrameBatch, Frames, Ints, Ints32, Lamps, Segment


@dataclass(frozen=True, slots=True)
class Choice:
    """One segment, and what is looked at of it."""

    index: int
    """Place of the segment in the batch."""
    segment: Segment
    view: CameraView
    wanted: Ints
    """(W,) i8: packets whose frames are looked at, ascending in capture time."""


class Planner:
    """Keeps every camera's schedule. Called with each segment once, in the order of capture for every camera."""

    def __init__(self, cameras: Mapping[int, CameraView]) -> None:
        self._cameras = cameras
        self._schedules: dict[int, Schedule] = {}

    def choose(self, segments: Sequence[Segment]) -> list[Choice]:
        """What is looked at of every segment, in their order; of some perhaps nothing."""
        return [
            Choice(
                index,
                segment,
                self._cameras[segment.camera],
                self._schedule(segment.camera).choose(segment.captured_s),
            )
            for index, segment in enumerate(segments)
        ]

    def remove_camera(self, camera: int) -> None:
        """Forget a camera; between two batches."""
        self._schedules.pop(camera, None)

    def _schedule(self, camera: int) -> Schedule:
        if camera not in self._schedules:
            self._schedules[camera] = Schedule(self._cameras[camera].detect_fps)
        return self._schedules[camera]


def frames_of(choices: Sequence[Choice]) -> Frames:
    """The frames that are looked at, choice by choice; their sizes are not known yet and zero."""
    counts = [len(choice.wanted) for choice in choices]
    return Frames(
        camera=np.repeat(np.array([choice.segment.camera for choice in choices], np.int32), counts),
        captured_s=np.concatenate([np.empty(0), *(choice.segment.captured_s[choice.wanted] for choice in choices)]),
        size_px=np.zeros((sum(counts), 2), np.int32),
        clock=np.repeat(np.array([choice.segment.clock for choice in choices], np.uint8), counts),
    )


def indices_of(choices: Iterable[Choice]) -> Ints32:
    """(F,) i4: for every frame that is looked at, the place of its segment in the batch."""
    return np.array([choice.index for choice in choices for _ in choice.wanted], np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class DecodedPart:
    """Some of a batch's segments, decoded."""

    batch: FrameBatch
    index: Ints32
    """(F,) i4: for every frame of `batch`, the place of its segment in the whole."""


def joined(parts: Sequence[DecodedPart], pixels: Any) -> FrameBatch:
    """One batch of at least one part, its frames in the order of the segments.

    pixels  the parts' pixels, end to end: rows stay in their order, for whose row a frame is says `frame`
    """
    batches = [part.batch for part in parts]
    order = np.argsort(np.concatenate([part.index for part in parts]), kind="stable")
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    begins = np.cumsum([0, *(len(batch.frames) for batch in batches[:-1])])
    frame = np.concatenate([batch.frame + begin for batch, begin in zip(batches, begins, strict=True)])
    return FrameBatch(
        frames=_ordered([batch.frames for batch in batches], order),
        pixels=pixels,
        frame=place[frame],
        model_to_image=np.concatenate([batch.model_to_image for batch in batches]),
        region_xyxy_px=np.concatenate([batch.region_xyxy_px for batch in batches]),
        lamps=_lamps([batch.lamps for batch in batches], begins, place),
    )


def _lamps(parts: Sequence[Lamps], begins: Ints, place: Ints32) -> Lamps:
    frame = place[np.concatenate([lamps.frame + begin for lamps, begin in zip(parts, begins, strict=True)])]
    rows = np.argsort(frame, kind="stable")
    lamp, look = (np.concatenate([getattr(lamps, name) for lamps in parts])[rows] for name in ("lamp", "look"))
    return Lamps(frame[rows], lamp, look)


def _ordered(parts: Sequence[Frames], order: Ints) -> Frames:
    columns = ("camera", "captured_s", "size_px", "clock")
    return Frames(**{name: np.concatenate([getattr(part, name) for part in parts])[order] for name in columns})
