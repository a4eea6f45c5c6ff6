"""Reads the signal lamps from the planes of the sampled frames."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from engine.decode.settings import DecodeSettings
from engine.site.signals import Lamp
from engine.types import Bytes8, Flags, Floats, Floats32, Ints32, Lamps
from kernels.lamp import COLUMNS, RING_INNER, RING_MIN_WIDTH_PX, RING_OUTER, Layout, measure_lamps
from kernels.letterbox import Picture, Plane

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in whole image pixels."""


def empty_lamps(counts: Sequence[int]) -> Lamps:
    """Lamps with nan as appearance, `counts` (F,) per frame."""
    frame = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    lamp = np.concatenate([np.empty(0, np.int32), *(np.arange(count, dtype=np.int32) for count in counts)])
    return Lamps(frame, lamp, np.full((len(frame), COLUMNS), np.nan, np.float32))


def read_lamps(settings: DecodeSettings, picture: Picture, layout: Layout, out: Floats32) -> None:
    """Read the lamps of one frame into `out` (lamps, COLUMNS). `out` is unchanged if the picture has another size."""
    if settings.lamps and (layout.width_px, layout.height_px) == settings.lamps_size_px:
        measure_lamps(picture, layout, lamp_circles(settings.lamps), out)


@lru_cache(maxsize=1024)
def lamp_box(settings: DecodeSettings, size_px: tuple[int, int]) -> Box | None:
    """The part of a picture of this size with all lamps and their rings, in whole pixels.

    None if the camera has no lamps, or if they are defined for another size."""
    if not settings.lamps or size_px != settings.lamps_size_px:
        return None
    some = lamp_circles(settings.lamps)
    reach = np.maximum(RING_OUTER * some[:, 2], RING_INNER * some[:, 2] + RING_MIN_WIDTH_PX) + 1
    low = np.floor((some[:, :2] - reach[:, None]).min(axis=0)).clip(0, np.array(size_px) - 1)
    high = np.ceil((some[:, :2] + reach[:, None]).max(axis=0)).clip(low + 1, size_px)
    left, top, right, bottom = (int(value) for value in (*low, *high))
    return left, top, right, bottom


def read_lamps_in_crop(settings: DecodeSettings, box: Box, crop: Bytes8, to_rgb: Floats, out: Floats32) -> None:
    """As `read_lamps`, from the part `box` of a frame: crop (h, w, 3) u1; to_rgb as in `Layout`."""
    height, width, _ = crop.shape
    samples = np.ascontiguousarray(crop).reshape(height, 3 * width)
    planes = Picture(*(Plane(samples, 3, offset) for offset in range(3)))
    shifted = lamp_circles(settings.lamps) - np.array((*box[:2], 0.0))
    measure_lamps(planes, Layout(width, height, 1, 1, to_rgb), shifted, out)


@lru_cache(maxsize=1024)
def lamp_circles(some: tuple[Lamp, ...]) -> Floats:
    """(L, 3) f8: x, y and radius of each lamp, image pixels."""
    return np.array([(*lamp.centre_px, lamp.radius_px) for lamp in some], np.float64)


def select_lamps(keep: Flags, place: Ints32, some: Lamps) -> Lamps:
    """The lamps of the frames with `keep` (F,) True. `place` (F,) is the new row of each frame."""
    rows = keep[some.frame]
    return Lamps(place[some.frame[rows]], some.lamp[rows], some.appearance[rows])
