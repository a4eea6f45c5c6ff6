"""Signal lamps out of the planes of the frames that are decoded anyway."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from engine.decode.camera import CameraView
from engine.sitesignals import Lamp
from engine.types import Flags, Floats, Floats32, Ints32, Lamps
from kernels.lamp import COLUMNS, Layout, lamps
from kernels.letterbox import Picture


def unread(counts: Sequence[int]) -> Lamps:
    """Room for the lamps of every frame, `counts` (F,) of them."""
    frame = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    lamp = np.concatenate([np.empty(0, np.int32), *(np.arange(count, dtype=np.int32) for count in counts)])
    return Lamps(frame, lamp, np.full((len(frame), COLUMNS), np.nan, np.float32))


def read_lamps(view: CameraView, picture: Picture, layout: Layout, out: Floats32) -> None:
    """Look at the lamps of one frame; `out` (lamps, COLUMNS) stays as it is where the picture is of another size."""
    if view.lamps and (layout.width_px, layout.height_px) == view.lamps_size_px:
        lamps(picture, layout, circles(view.lamps), out)


@lru_cache(maxsize=1024)
def circles(some: tuple[Lamp, ...]) -> Floats:
    """(L, 3) f8: what the kernel knows of the lamps."""
    return np.array([(*lamp.centre_px, lamp.radius_px) for lamp in some], np.float64)


def lamps_of(keep: Flags, place: Ints32, some: Lamps) -> Lamps:
    """The lamps of the frames that are kept: `keep` (F,), and the row `place` (F,) that every frame has then."""
    rows = keep[some.frame]
    return Lamps(place[some.frame[rows]], some.lamp[rows], some.look[rows])
