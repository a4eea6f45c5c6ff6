"""Pictures of a case: redacts, cuts and encodes them.

A case shows one vehicle. In every exported still each person is made unrecognisable, and so is the plate area of every
other vehicle; the plate area of the case's own vehicle always stays clear. A motorcycle or bicycle and
its rider are one: of others the whole is redacted. If persons and vehicles could not be detected, everything but the
case's vehicle is redacted. The clip is the untouched recording.
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
"""The lower share of the box that is redacted as plate area."""
OWN_SHARE = {**PLATE_SHARE, VehicleClass.MOTORCYCLE: 0.6, VehicleClass.BICYCLE: 0.6}
"""The same of the case's vehicle, which stays clear."""
MARGIN = 0.05
"""Redaction exceeds a box by this share of its size on every side."""
CELLS = 6
"""A redacted area is averaged to this many cells across: a face or a plate is one or two of them."""
SAME_IOU = 0.4
"""A vehicle's box that overlaps the case's vehicle by this much is that vehicle."""
FRAGMENT, SURE = 0.7, 0.35
"""A box with this share inside the case's vehicle is another vehicle only from this score on: most boxes with a lower
score are parts of the vehicle."""
BEYOND_S = 0.5
"""A box is extrapolated at most this far beyond the first or last sighting."""
PLATE_MARGIN = 0.25
"""Margin around a plate, as a share of its width and height."""
PLATE_WIDTH_PX = 240
"""A narrower cut of a plate is enlarged for the reader; that adds no detail."""


@dataclass(frozen=True, slots=True)
class SeenObject:
    """A person or vehicle in a still."""

    xyxy_px: BoxPx
    class_id: VehicleClass
    score: float = 1.0


def box_at(sightings: Sequence[Sighting], captured_s: float) -> BoxPx | None:
    """The vehicle's box at an instant, interpolated linearly; None more than `BEYOND_S` outside the sightings."""
    times_s = np.array([sighting.captured_s for sighting in sightings])
    if not times_s[0] - BEYOND_S <= captured_s <= times_s[-1] + BEYOND_S:
        return None
    boxes = np.array([sighting.xyxy_px for sighting in sightings])
    left, top, right, bottom = (float(np.interp(captured_s, times_s, boxes[:, edge])) for edge in range(4))
    return left, top, right, bottom


def redact(rgb: Bytes8, seen: Sequence[SeenObject] | None, own: SeenObject | None) -> Image.Image:
    """The picture, (H, W, 3) u1, redacted; `seen` is None if detection failed, `own` is the case's vehicle."""
    image = Image.fromarray(rgb)
    clear = own and _pixels(own.xyxy_px if seen is None else _lower(own.xyxy_px, OWN_SHARE[own.class_id]), image.size)
    kept = image.crop(clear) if clear else None
    if seen is None:
        _average(image, (0, 0, *image.size), cells=4 * CELLS)
    else:
        for other in (one for one in seen if _is_other(one, own)):
            area = _lower(_grown(other.xyxy_px), PLATE_SHARE[other.class_id])
            _average(image, _pixels(area, image.size), cells=CELLS)
    if clear and kept:
        image.paste(kept, clear)
    return image


def crop(image: Image.Image, box: BoxPx, *, margin: float = 0.15) -> Image.Image | None:
    """The box with a margin, as a share of its size, on every side; None if it lies outside the picture."""
    area = _pixels(_grown(box, margin), image.size)
    return image.crop(area) if area else None


def crop_plate(rgb: Bytes8, box: BoxPx) -> Image.Image | None:
    """The plate with a margin, enlarged by a whole number if it is small; None if it lies outside the picture."""
    cut = crop(Image.fromarray(rgb), box, margin=PLATE_MARGIN)
    if cut is None:
        return None
    times = -(-PLATE_WIDTH_PX // cut.width)
    return cut.resize((cut.width * times, cut.height * times), Image.Resampling.BICUBIC)


def encode_jpeg(image: Image.Image, quality: int) -> bytes:
    """JFIF; `subsampling=0` keeps the full colour resolution, which Pillow halves by default."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality, subsampling=0)
    return stream.getvalue()


def _is_other(one: SeenObject, own: SeenObject | None) -> bool:
    """True unless the object is the case's vehicle or a part of it. A person is always another."""
    if own is None or one.class_id is VehicleClass.PERSON:
        return True
    common = _common(one.xyxy_px, own.xyxy_px)
    if common >= SAME_IOU * (_area(one.xyxy_px) + _area(own.xyxy_px) - common):
        return False
    return one.score >= SURE or common < FRAGMENT * _area(one.xyxy_px)


def _average(image: Image.Image, area: tuple[int, int, int, int] | None, *, cells: int) -> None:
    """Average to square cells, and smooth between them: an average cannot be inverted."""
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
    """Whole pixels that cover the box, clipped to the picture; None if nothing is left."""
    left, top = max(0, int(np.floor(box[0]))), max(0, int(np.floor(box[1])))
    right, bottom = min(size[0], int(np.ceil(box[2]))), min(size[1], int(np.ceil(box[3])))
    return (left, top, right, bottom) if left < right and top < bottom else None


def _common(a: BoxPx, b: BoxPx) -> float:
    """Area of the intersection, square pixels."""
    across, down = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(0.0, across) * max(0.0, down)


def _area(box: BoxPx) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
