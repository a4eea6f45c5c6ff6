"""Frames and batches that no camera took."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.types import Clock, FrameBatch, Frames

Region = tuple[int, int, int, int]


def make_frames(
    captured_s: np.ndarray, size_px: tuple[int, int], *, camera: int = 0, clock: Clock = Clock.ARRIVAL
) -> Frames:
    """Frames of one camera at these instants."""
    count = len(captured_s)
    sizes = np.tile(np.array(size_px, np.int32), (count, 1))
    return Frames(np.full(count, camera, np.int32), captured_s, sizes, np.full(count, clock, np.uint8))


def make_batch(
    frames: int, regions: Sequence[Region], size_px: tuple[int, int], model_px: tuple[int, int] | None, pixels: Any
) -> FrameBatch:
    """Frames of `size_px`, each with these regions, which are scaled to `model_px`; None for no scaling."""
    region = np.tile(np.array(regions, np.float32), (frames, 1))
    extent = region[:, 2:] - region[:, :2]
    to_image = np.concatenate([extent / (extent if model_px is None else model_px), region[:, :2]], axis=1).astype(
        np.float32
    )
    frame = np.repeat(np.arange(frames, dtype=np.int32), len(regions))
    return FrameBatch(make_frames(np.arange(frames, dtype=float), size_px), pixels, frame, to_image, region)
