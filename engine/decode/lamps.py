"""Signal lamps out of the planes of the frames that are decoded anyway."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from engine.decode.camera import CameraView
from engine.site.signals import Lamp
from engine.types import Bytes8, Flags, Floats, Floats32, Ints32, Lamps
from kernels.lamp import COLUMNS, RING_INNER, RING_MIN_WIDTH_PX, RING_OUTER, Layout, measure_lamps
from kernels.letterbox import Picture, Plane

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in whole image pixels."""


def unread(counts: Sequence[int]) -> Lamps:
    """Room for the lamps of every frame, `counts` (F,) of them."""
    frame = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    lamp = np.concatenate([np.empty(0, np.int32), *(np.arange(count, dtype=np.int32) for count in counts)])
    return Lamps(frame, lamp, np.full((len(frame), COLUMNS), np.nan, np.float32))


def read_lamps(view: CameraView, picture: Picture, layout: Layout, out: Floats32) -> None:
    """Look at the lamps of one frame; `out` (lamps, COLUMNS) stays as it is where the picture is of another size."""
    if view.lamps and (layout.width_px, layout.height_px) == view.lamps_size_px:
        measure_lamps(picture, layout, circles(view.lamps), out)


@lru_cache(maxsize=1024)
def lamp_box(view: CameraView, size_px: tuple[int, int]) -> Box | None:
    """The part of a picture of this size that the lamps are in, with the rings around them, in whole pixels.

    None where the camera has no lamps, or none that could be read in such a picture."""
    if not view.lamps or size_px != view.lamps_size_px:
        return None
    some = circles(view.lamps)
    reach = np.maximum(RING_OUTER * some[:, 2], RING_INNER * some[:, 2] + RING_MIN_WIDTH_PX) + 1
    low = np.floor((some[:, :2] - reach[:, None]).min(axis=0)).clip(0, np.array(size_px) - 1)
    high = np.ceil((some[:, :2] + reach[:, None]).max(axis=0)).clip(low + 1, size_px)
    left, top, right, bottom = (int(value) for value in (*low, *high))
    return left, top, right, bottom


def read_lamps_in_crop(view: CameraView, box: Box, crop: Bytes8, to_rgb: Floats, out: Floats32) -> None:
    """Look at the lamps of one frame of which only `box` is there: crop (h, w, 3) u1, to_rgb as `Layout`'s."""
    height, width, _ = crop.shape
    samples = np.ascontiguousarray(crop).reshape(height, 3 * width)
    planes = Picture(*(Plane(samples, 3, offset) for offset in range(3)))
    shifted = circles(view.lamps) - np.array((*box[:2], 0.0))
    measure_lamps(planes, Layout(width, height, 1, 1, to_rgb), shifted, out)


@lru_cache(maxsize=1024)
def circles(some: tuple[Lamp, ...]) -> Floats:
    """(L, 3) f8: what the kernel knows of the lamps."""
    return np.array([(*lamp.centre_px, lamp.radius_px) for lamp in some], np.float64)


def lamps_of(keep: Flags, place: Ints32, some: Lamps) -> Lamps:
    """The lamps of the frames that are kept: `keep` (F,), and the row `place` (F,) that every frame has then."""
    rows = keep[some.frame]
    return Lamps(place[some.frame[rows]], some.lamp[rows], some.look[rows])
