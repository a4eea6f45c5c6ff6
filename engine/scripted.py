"""Stages that say what they are told: for trying rules on made-up traffic without a picture of it, and for tests.

A script tells what a detector would see in given frames. Behind it everything is real: the tracker, the speedometer,
the rulebook, the evidence and the register see no difference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from engine.types import Detections, FrameBatch, Frames, ModelRecord, Segment

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
