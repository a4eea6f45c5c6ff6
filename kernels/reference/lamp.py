"""Twin of `kernels.lamp`: whole images and masks."""

from __future__ import annotations

import numpy as np

from kernels import Floats, Floats32
from kernels import lamp as kernel
from kernels.lamp import Layout
from kernels.letterbox import Picture, Plane


def measure_lamps(picture: Picture, layout: Layout, circle_px: Floats, out: Floats32) -> None:
    """Twin of `kernels.lamp.measure_lamps`."""
    rgb = _rgb(picture, layout)
    y, x = np.mgrid[: layout.height_px, : layout.width_px] + 0.5
    for lamp, (x_px, y_px, radius_px) in enumerate(circle_px):
        square, near = (x - x_px) ** 2 + (y - y_px) ** 2, kernel.RING_INNER * radius_px
        ring = (near**2 <= square) & (
            square <= max(kernel.RING_OUTER * radius_px, near + kernel.RING_MIN_WIDTH_PX) ** 2
        )
        housing = np.float64(np.float32(_mean(rgb.max(axis=2)[ring])))
        lens = rgb[square <= radius_px**2]
        saturated = lens.min(axis=1) > kernel.SATURATION
        out[lamp, [kernel.RED, kernel.GREEN, kernel.BLUE]] = [_mean(channel) for channel in lens[~saturated].T]
        out[lamp, kernel.VALUE], out[lamp, kernel.HOUSING] = _mean(lens.max(axis=1)), housing
        out[lamp, kernel.LIT] = (lens.max(axis=1) > housing + kernel.LIT_MARGIN).mean() if len(lens) else 0
        out[lamp, kernel.SATURATED] = saturated.mean() if len(lens) else 0


def _mean(values: Floats) -> float:
    return float(values.mean()) if values.size else np.nan


def _rgb(picture: Picture, layout: Layout) -> Floats:
    """(H, W, 3) f8: the whole image."""
    first = _plane(picture.luma)[: layout.height_px, : layout.width_px]
    others = [_plane(plane).repeat(layout.rows, axis=0).repeat(layout.columns, axis=1) for plane in picture[1:]]
    others = [plane[: layout.height_px, : layout.width_px] for plane in others]
    component = np.stack([first, *others, np.ones_like(first)], axis=2)
    return (component @ layout.to_rgb.T).clip(0, 255)


def _plane(plane: Plane) -> Floats:
    return plane.samples[:, plane.offset :: plane.step].astype(np.float64)
