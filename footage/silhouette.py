"""Visibility of every vehicle, from outlines that are drawn in the order of their distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from footage.camera import Camera

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Solid:
    """The surface of a thing in the world."""

    vertices_m: Floats
    """(N, 3)."""
    triangles: Ints
    """(M, 3) rows of `vertices_m`; a simplified surface is enough, because only its outline is drawn."""
    distance_m: float
    """Distance from the camera."""


@dataclass(frozen=True)
class Seen:
    """The visible part of one thing in the picture."""

    xyxy_px: Box
    """Box of its whole surface, also of hidden parts, clipped to the picture."""
    truncated: float
    """Share of its outline outside the picture."""
    occluded: float
    """Share of its outline inside the picture that nearer things hide."""


def seen(camera: Camera, solids: Sequence[Solid]) -> list[Seen | None]:
    """The visible part of each solid; None if it is outside the picture or behind the camera."""
    masks = [outline(camera, solid) for solid in solids]
    order = sorted(range(len(solids)), key=lambda k: solids[k].distance_m)
    hidden = np.zeros((camera.height_px, camera.width_px), bool)
    result: list[Seen | None] = [None] * len(solids)
    for k in order:
        mask = masks[k]
        if mask is not None:
            result[k] = _measure(camera, solids[k], mask, hidden)
            hidden |= mask
    return result


def _measure(camera: Camera, solid: Solid, mask: Flags, hidden: Flags) -> Seen | None:
    pixels, _ = camera.project(solid.vertices_m)
    size = np.array([camera.width_px, camera.height_px])
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    clipped_low, clipped_high = np.clip(low, 0, size), np.clip(high, 0, size)
    if np.any(clipped_high <= clipped_low):
        return None
    inside = int(mask.sum())
    whole = inside if np.all((low >= 0) & (high <= size)) else _area(pixels, solid.triangles)
    return Seen(
        (float(clipped_low[0]), float(clipped_low[1]), float(clipped_high[0]), float(clipped_high[1])),
        truncated=round(max(0.0, 1.0 - inside / max(whole, 1)), 3),
        occluded=round(float((mask & hidden).sum()) / max(inside, 1), 3),
    )


def outline(camera: Camera, solid: Solid) -> Flags | None:
    """(H, W) mask of its outline; None if a part of it is behind the camera."""
    pixels, depth = camera.project(solid.vertices_m)
    if depth.min() <= 0.05:
        return None
    return _drawn(pixels[solid.triangles], camera.width_px, camera.height_px)


def _area(pixels: Floats, triangles: Ints) -> int:
    """Number of pixels of the whole outline, including those outside the picture."""
    low = pixels.min(axis=0)
    width, height = (int(v) + 2 for v in pixels.max(axis=0) - low)
    return int(_drawn((pixels - low)[triangles], width, height).sum())


def _drawn(corners_px: Floats, width: int, height: int) -> Flags:
    image = Image.new("1", (width, height))
    draw = ImageDraw.Draw(image)
    for triangle in (corners_px - 0.5).reshape(-1, 6).tolist():
        draw.polygon(triangle, fill=1)
    return np.asarray(image)
