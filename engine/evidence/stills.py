"""Pictures of a case: what is veiled in them, and how they are written.

The rule of the veil: a case shows one vehicle. In every exported still each person is made unrecognisable, and so is
the plate area of every vehicle but the one that the case is about, whose own plate area stays clear whatever overlaps
it. A motorcycle's or bicycle's rider counts with the machine: of the others the whole is veiled. Where nobody could
look for persons and vehicles, everything is veiled but the vehicle of the case. The clip is the untouched recording.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from engine.types import BoxPx, Bytes8, Sighting, VehicleClass

PLATE_SHARE = {
    VehicleClass.CAR: 0.6,
    VehicleClass.TRUCK: 0.4,
    VehicleClass.BUS: 0.4,
    VehicleClass.MOTORCYCLE: 1.0,
    VehicleClass.BICYCLE: 1.0,
    VehicleClass.PERSON: 1.0,
}
"""The plate area, or what is veiled as it: the lower share of the box."""
OWN_SHARE = {**PLATE_SHARE, VehicleClass.MOTORCYCLE: 0.6, VehicleClass.BICYCLE: 0.6}
"""The same of the vehicle of the case, which stays clear."""
MARGIN = 0.05
"""Boxes are veiled this share of their size beyond their edges."""
CELLS = 6
"""A veiled area is averaged to this many cells across: a face or a plate is one or two of them."""
SAME_IOU = 0.4
"""A vehicle's box that overlaps the vehicle of the case by this much is taken for it."""
FRAGMENT, SURE = 0.7, 0.35
"""A vehicle's box that lies by this share within the vehicle of the case is another one only with this score: most that
are less sure are parts of it."""
BEYOND_S = 0.5
"""How far from the nearest sighting a vehicle's box may still be told."""


@dataclass(frozen=True, slots=True)
class SeenObject:
    """A person or vehicle in a still."""

    xyxy_px: BoxPx
    class_id: VehicleClass
    score: float = 1.0


def box_at(sightings: Sequence[Sighting], captured_s: float) -> BoxPx | None:
    """Where the vehicle was, between its sightings on a straight line; None too far beyond the first or last."""
    times_s = np.array([sighting.captured_s for sighting in sightings])
    if not times_s[0] - BEYOND_S <= captured_s <= times_s[-1] + BEYOND_S:
        return None
    boxes = np.array([sighting.xyxy_px for sighting in sightings])
    left, top, right, bottom = (float(np.interp(captured_s, times_s, boxes[:, edge])) for edge in range(4))
    return left, top, right, bottom


def redacted(rgb: Bytes8, seen: Sequence[SeenObject] | None, own: SeenObject | None) -> Image.Image:
    """The picture as it may be shown; `seen` is None where nobody could look, `own` is the vehicle of the case."""
    image = Image.fromarray(rgb)
    clear = own and _pixels(own.xyxy_px if seen is None else _lower(own.xyxy_px, OWN_SHARE[own.class_id]), image.size)
    kept = image.crop(clear) if clear else None
    if seen is None:
        _redact(image, (0, 0, *image.size), cells=4 * CELLS)
    else:
        for other in (one for one in seen if _is_other(one, own)):
            area = _lower(_grown(other.xyxy_px), PLATE_SHARE[other.class_id])
            _redact(image, _pixels(area, image.size), cells=CELLS)
    if clear and kept:
        image.paste(kept, clear)
    return image


def cropped(image: Image.Image, box: BoxPx, *, margin: float = 0.15) -> Image.Image | None:
    """The vehicle with a margin around it; None where it lies outside the picture."""
    area = _pixels(_grown(box, margin), image.size)
    return image.crop(area) if area else None


def jpeg(image: Image.Image, quality: int) -> bytes:
    """JFIF, full colour resolution."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality, subsampling=0)
    return stream.getvalue()


def _is_other(one: SeenObject, own: SeenObject | None) -> bool:
    """Not the vehicle of the case, nor a part of it. A person never is."""
    if own is None or one.class_id is VehicleClass.PERSON:
        return True
    common = _common(one.xyxy_px, own.xyxy_px)
    if common >= SAME_IOU * (_area(one.xyxy_px) + _area(own.xyxy_px) - common):
        return False
    return one.score >= SURE or common < FRAGMENT * _area(one.xyxy_px)


def _redact(image: Image.Image, area: tuple[int, int, int, int] | None, *, cells: int) -> None:
    """Average to square cells and smooth between them: what is averaged cannot be computed back."""
    if area is None:
        return
    part = image.crop(area)
    cell_px = max(4.0, part.width / cells)
    size = (max(1, round(part.width / cell_px)), max(1, round(part.height / cell_px)))
    image.paste(part.resize(size, Image.Resampling.BOX).resize(part.size, Image.Resampling.BICUBIC), area)


def _lower(box: BoxPx, share: float) -> BoxPx:
    left, top, right, bottom = box
    return left, bottom - share * (bottom - top), right, bottom


def _grown(box: BoxPx, margin: float = MARGIN) -> BoxPx:
    left, top, right, bottom = box
    across, down = margin * (right - left), margin * (bottom - top)
    return left - across, top - down, right + across, bottom + down


def _pixels(box: BoxPx, size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """Whole pixels that hold the box, clipped to the picture; None where nothing is left."""
    left, top = max(0, int(np.floor(box[0]))), max(0, int(np.floor(box[1])))
    right, bottom = min(size[0], int(np.ceil(box[2]))), min(size[1], int(np.ceil(box[3])))
    return (left, top, right, bottom) if left < right and top < bottom else None


def _common(a: BoxPx, b: BoxPx) -> float:
    """Area of the intersection."""
    across, down = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(0.0, across) * max(0.0, down)


def _area(box: BoxPx) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
