"""Crops: the parts of the picture that differ from the static background, and how they are blended into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from footage.camera import Camera

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]

_SMALLEST_PX = 3
_CALL_PX = 5000
"""Overhead of one crop, as the number of pixels that render in the same time."""
_FEATHER_PX = 8


@dataclass(frozen=True)
class Crop:
    """A rectangle in whole pixels, and the names of the things that are visible or cast a shadow in it."""

    left: int
    top: int
    right: int
    bottom: int
    names: frozenset[str]

    @property
    def area_px(self) -> int:
        return (self.right - self.left) * (self.bottom - self.top)

    def touches(self, other: Crop) -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def joined(self, other: Crop) -> Crop:
        return Crop(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
            self.names | other.names,
        )


def affected(
    camera: Camera, name: str, points_m: Floats, shadow_per_m: Floats, mirrored: float, margin_px: int
) -> Crop | None:
    """The crop that contains a thing, its shadow and its reflection in the road; None if outside the picture.

    `points_m`: (N, 3) world points of its surface; `shadow_per_m`: (2,) length of the shadow per metre of height;
    `mirrored`: share of its height that the road reflects.
    """
    shadow, mirror = points_m.copy(), points_m * [1, 1, -mirrored]
    shadow[:, :2] += points_m[:, 2:] * shadow_per_m
    shadow[:, 2] = 0.0
    pixels, _ = camera.project(np.concatenate([points_m, shadow, mirror]))
    if np.isnan(pixels).all():
        return None
    low, high = np.nanmin(pixels, axis=0) - margin_px, np.nanmax(pixels, axis=0) + margin_px
    left, top = (max(0, int(v)) for v in low)
    right, bottom = min(camera.width_px, int(high[0]) + 1), min(camera.height_px, int(high[1]) + 1)
    if right - left < _SMALLEST_PX or bottom - top < _SMALLEST_PX:
        return None
    return Crop(left, top, right, bottom, frozenset([name]))


def merged(crops: Sequence[Crop]) -> list[Crop]:
    """Join crops where one is cheaper than two. Returns them from top to bottom, each with all names that touch it.

    Crops may still overlap: every crop is rendered with the whole scene.
    """
    pending = list(crops)
    done: list[Crop] = []
    while pending:
        crop = pending.pop()
        other = next((k for k in pending + done if _worth_joining(crop, k)), None)
        if other is None:
            done.append(crop)
        else:
            (pending if other in pending else done).remove(other)
            pending.append(crop.joined(other))
    named = [replace(crop, names=frozenset().union(*(k.names for k in crops if k.touches(crop)))) for crop in done]
    return sorted(named, key=lambda crop: (crop.top, crop.left))


def _worth_joining(one: Crop, other: Crop) -> bool:
    return one.joined(other).area_px <= one.area_px + other.area_px + _CALL_PX


def blend(picture: Floats32, rendered: Floats32, crop: Crop) -> None:
    """Blend a rendered crop into the picture in place; its edges fade, except at the border of the picture."""
    height, width = picture.shape[:2]
    rows = _fade(crop.top, crop.bottom, height)
    columns = _fade(crop.left, crop.right, width)
    weight = np.minimum(rows[:, None], columns[None, :])[..., None]
    target = picture[crop.top : crop.bottom, crop.left : crop.right]
    target += (rendered - target) * weight


def _fade(start: int, end: int, limit: int) -> Floats32:
    """Weights of the pixels from `start` to `end` along an axis."""
    steps = np.arange(end - start, dtype=np.float32)
    rising = steps + 1 if start > 0 else np.full_like(steps, _FEATHER_PX)
    falling = steps[::-1] + 1 if end < limit else np.full_like(steps, _FEATHER_PX)
    return np.clip(np.minimum(rising, falling) / _FEATHER_PX, 0.0, 1.0)
