"""Stages with a script in place of a network: for rules on made-up traffic without pictures.

A script gives the detections in given frames. Everything behind it is real: the tracker, the speedometer, the rulebook,
the evidence and the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from engine.types import Detections, FrameBatch, Frames, ModelRecord, Plate, PlateSighting, Segment, VehicleView

Script = Callable[[Frames], Detections]
"""What is seen in the frames; `Detections.frames` are these frames."""


class ScriptedDecoder:
    """`stages.Decoder` that looks at every packet as a frame, and at no pixel of it."""

    def decode(self, segments: Sequence[Segment]) -> FrameBatch:
        """The frames of the segments in the order of capture, without pictures."""
        counts = [len(segment.captured_s) for segment in segments]
        sizes = np.array([(segment.width_px, segment.height_px) for segment in segments], np.int32).reshape(-1, 2)
        frames = Frames(
            np.repeat(np.array([segment.camera for segment in segments], np.int32), counts),
            np.concatenate([np.empty(0), *(np.sort(segment.captured_s) for segment in segments)]),
            np.repeat(sizes, counts, axis=0),
            np.repeat(np.array([segment.clock for segment in segments], np.uint8), counts),
        )
        nothing = np.empty((0, 4), np.float32)
        return FrameBatch(frames, np.empty((0, 3, 1, 1), np.uint8), np.empty(0, np.int32), nothing, nothing)

    def close(self) -> None:
        """Nothing is open."""


class ScriptedPlates:
    """`stages.PlateReader` that reads the same plate on every vehicle, in the usual place of plates."""

    def __init__(self, plate: Plate | None) -> None:
        self.plate = plate

    def read(self, views: Sequence[VehicleView]) -> PlateSighting | None:
        if self.plate is None or not views:
            return None
        left, top, right, bottom = views[0].xyxy_px
        width, height = right - left, bottom - top
        box = (left + 0.35 * width, top + 0.7 * height, left + 0.65 * width, top + 0.8 * height)
        return PlateSighting(self.plate, views[0].captured_s, box)


class ScriptedDetector:
    """`stages.Detector` that sees what the script tells."""

    def __init__(self, script: Script) -> None:
        self._script = script

    @property
    def model(self) -> ModelRecord:
        """Says of every case that its boxes were made up."""
        return ModelRecord("script", "0" * 64, "scripted")

    def detect(self, batch: FrameBatch) -> Detections:
        return self._script(batch.frames)

    def close(self) -> None:
        """Nothing is open."""
