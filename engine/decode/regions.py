"""Maps regions of the picture into the model's input."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from engine.config import Region
from engine.decode.picture import Subsampling
from engine.decode.settings import ModelInput
from kernels.letterbox import Geometry, Taps, taps


class RegionCrop(NamedTuple):
    """How a region of pictures of one size is scaled into the model's input."""

    region_xyxy_px: tuple[int, int, int, int]
    """Image pixels, inside the picture, not empty."""
    size_px: tuple[int, int]
    """Width and height of the scaled region, model pixels."""
    corner_px: tuple[int, int]
    """Its left upper corner, model pixels. The rest of the input is padding."""
    model_to_image: tuple[float, float, float, float]
    """scale_x, scale_y, offset_x, offset_y; image = model * scale + offset."""


class Placement(NamedTuple):
    """A crop, and the weights with which the kernel computes it from a picture's planes."""

    crop: RegionCrop
    geometry: Geometry


@lru_cache(maxsize=1024)
def place_region(subsampling: Subsampling, region: Region, model: ModelInput) -> Placement:
    """The crop of `region`, and the kernel's weights for it."""
    found = crop_region(subsampling.size_px, region, model)
    return Placement(found, scaling_geometry(subsampling, found.region_xyxy_px, found.size_px, found.corner_px))


@lru_cache(maxsize=1024)
def crop_region(size_px: tuple[int, int], region: Region, model: ModelInput) -> RegionCrop:
    """Scale `region`, rounded to whole pixels, into the model's input: stretched or letterboxed."""
    box = region_px(region, size_px)
    size, corner = fit_region((box[2] - box[0], box[3] - box[1]), model)
    scale_x, scale_y = (box[2] - box[0]) / size[0], (box[3] - box[1]) / size[1]
    to_image = (scale_x, scale_y, box[0] - corner[0] * scale_x, box[1] - corner[1] * scale_y)
    return RegionCrop(box, size, corner, to_image)


def region_px(region: Region, size_px: tuple[int, int]) -> tuple[int, int, int, int]:
    """The region in whole pixels of a picture of this size, at least one pixel wide and high."""
    left, right = _span(region[0], region[2], size_px[0])
    top, bottom = _span(region[1], region[3], size_px[1])
    return left, top, right, bottom


def _span(begin: float, end: float, size: int) -> tuple[int, int]:
    first = min(round(begin * size), size - 1)
    return first, max(round(end * size), first + 1)


def fit_region(size_px: tuple[int, int], model: ModelInput) -> tuple[tuple[int, int], tuple[int, int]]:
    """Size and left upper corner of a region of `size_px` in the model's input, model pixels."""
    room = (model.width_px, model.height_px)
    if model.resize == "stretch":
        return room, (0, 0)
    ratio = min(room[0] / size_px[0], room[1] / size_px[1])
    width, height = (max(round(side * ratio), 1) for side in size_px)
    free = (room[0] - width, room[1] - height)
    corner = (free[0] // 2, free[1] // 2) if model.align == "centre" else (0, 0)
    return (width, height), corner


def scaling_geometry(
    subsampling: Subsampling, box: tuple[int, int, int, int], size: tuple[int, int], corner: tuple[int, int]
) -> Geometry:
    """The kernel's weights that scale `box` of the picture to `size` at `corner` of the model's input.

    Chroma samples are treated as centred on their luma samples."""
    left, top, right, bottom = box
    columns, rows = subsampling.columns, subsampling.rows
    return Geometry(
        luma_rows=taps(top, bottom, subsampling.size_px[1], size[1]),
        luma_columns=taps(left, right, subsampling.size_px[0], size[0]),
        chroma_rows=_chroma_taps(top / rows, bottom / rows, subsampling.chroma_px[1], size[1]),
        chroma_columns=_chroma_taps(left / columns, right / columns, subsampling.chroma_px[0], size[0]),
        left=corner[0],
        top=corner[1],
    )


def _chroma_taps(begin: float, end: float, limit: int, size: int) -> Taps:
    return taps(begin, min(end, limit), limit, size)
