"""The look of lamps written plainly: whole pictures and masks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.lamp import (
    BLUE,
    BRIGHTER,
    BURNT,
    COVER,
    GREEN,
    HOUSING,
    RED,
    RING_FROM,
    RING_LEAST_PX,
    RING_TO,
    VALUE,
    WHITE,
    Floats,
    Floats32,
    Layout,
)
from kernels.letterbox import Picture, Plane


def lamps(picture: Picture, layout: Layout, circle_px: Floats, out: Floats32) -> None:
    """Twin of `kernels.lamp.lamps`."""
    rgb = _rgb(picture, layout)
    y, x = np.mgrid[: layout.height_px, : layout.width_px] + 0.5
    for lamp, (x_px, y_px, radius_px) in enumerate(circle_px):
        square, near = (x - x_px) ** 2 + (y - y_px) ** 2, RING_FROM * radius_px
        ring = (near**2 <= square) & (square <= max(RING_TO * radius_px, near + RING_LEAST_PX) ** 2)
        housing = np.float64(np.float32(_mean(rgb.max(axis=2)[ring])))
        lens = rgb[square <= radius_px**2]
        burnt = lens.min(axis=1) > WHITE
        out[lamp, [RED, GREEN, BLUE]] = [_mean(channel) for channel in lens[~burnt].T]
        out[lamp, VALUE], out[lamp, HOUSING] = _mean(lens.max(axis=1)), housing
        out[lamp, COVER] = (lens.max(axis=1) > housing + BRIGHTER).mean() if len(lens) else 0
        out[lamp, BURNT] = burnt.mean() if len(lens) else 0


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if values.size else np.nan


def _rgb(picture: Picture, layout: Layout) -> NDArray[np.float64]:
    """(H, W, 3) the whole picture."""
    first = _plane(picture.luma)[: layout.height_px, : layout.width_px]
    others = [_plane(plane).repeat(layout.rows, axis=0).repeat(layout.columns, axis=1) for plane in picture[1:]]
    others = [plane[: layout.height_px, : layout.width_px] for plane in others]
    component = np.stack([first, *others, np.ones_like(first)], axis=2)
    return (component @ layout.to_rgb.T).clip(0, 255)


def _plane(plane: Plane) -> NDArray[np.float64]:
    return plane.samples[:, plane.offset :: plane.step].astype(np.float64)
