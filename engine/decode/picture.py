"""The planes of a decoded frame as the kernels read them, and the meaning of their values as colours."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import av
import numpy as np
import structlog

from engine.decode.settings import ModelInput
from engine.types import Floats32
from kernels.lamp import Layout
from kernels.letterbox import Colour, Picture, Plane

log = structlog.get_logger()

FALLBACK = "yuv420p"
"""libswscale converts all pixel formats that the kernels do not read to this one."""


class _Format(NamedTuple):
    columns: int
    """Luma columns to one chroma column."""
    rows: int
    interleaved: bool = False


_FORMATS = {
    "yuv420p": _Format(2, 2),
    "yuvj420p": _Format(2, 2),
    "yuv422p": _Format(2, 1),
    "yuvj422p": _Format(2, 1),
    "yuv444p": _Format(1, 1),
    "yuvj444p": _Format(1, 1),
    "nv12": _Format(2, 2, interleaved=True),
}


class Subsampling(NamedTuple):
    """Sizes of the planes of a picture, pixels."""

    size_px: tuple[int, int]
    """Width and height of the picture."""
    chroma_px: tuple[int, int]
    """Width and height of its chroma planes."""
    columns: int
    """Luma columns to one chroma column."""
    rows: int
    """Luma rows to one chroma row."""


class Encoding(NamedTuple):
    """Meaning of the samples as colours."""

    kr: float
    """Weight of red in the luma."""
    kb: float
    """Weight of blue in the luma."""
    full_range: bool
    """Luma 0 to 255 (JFIF) instead of 16 to 235."""


_BT601 = (0.299, 0.114)
_BT709 = (0.2126, 0.0722)
_BT2020 = (0.2627, 0.0593)
_WEIGHTS = {1: _BT709, 4: (0.30, 0.11), 5: _BT601, 6: _BT601, 7: (0.212, 0.087), 9: _BT2020, 10: _BT2020}
"""By the code of the matrix coefficients (ITU-T H.273, table 4)."""
_HD_ROWS = 720
_FULL_RANGE = 2


def to_supported_format(frame: av.VideoFrame) -> av.VideoFrame:
    """The frame itself, or a copy converted by libswscale if the kernels do not read its pixel format."""
    if frame.format.name in _FORMATS:
        return frame
    _warn_once(frame.format.name)
    return frame.reformat(format=FALLBACK)


@lru_cache(maxsize=64)
def _warn_once(pixel_format: str) -> None:
    log.warning("pixel format converted before scaling", format=pixel_format, to=FALLBACK)


def picture_planes(frame: av.VideoFrame) -> tuple[Picture, Subsampling]:
    """The planes of a `to_supported_format` frame, without a copy: they live as long as the frame does."""
    layout = _FORMATS[frame.format.name]
    planes = [
        np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height]  # type: ignore[call-overload]
        for plane in frame.planes
    ]
    luma = Plane(planes[0], 1, 0)
    chroma_px = (-(-frame.width // layout.columns), -(-frame.height // layout.rows))
    subsampling = Subsampling((frame.width, frame.height), chroma_px, layout.columns, layout.rows)
    if layout.interleaved:
        return Picture(luma, Plane(planes[1], 2, 0), Plane(planes[1], 2, 1)), subsampling
    return Picture(luma, Plane(planes[1], 1, 0), Plane(planes[2], 1, 0)), subsampling


def colour_encoding(frame: av.VideoFrame) -> Encoding:
    """The colour encoding that the frame states; by default BT.709 from 720 rows on, and BT.601 below."""
    kr, kb = _WEIGHTS.get(int(frame.colorspace), _BT709 if frame.height >= _HD_ROWS else _BT601)
    full_range = int(frame.color_range) == _FULL_RANGE or frame.format.name.startswith("yuvj")
    return Encoding(kr, kb, full_range)


@lru_cache(maxsize=64)
def model_colour(encoding: Encoding, model: ModelInput) -> Colour:
    """Conversion of Y'CbCr to the model's values (ITU-T H.273, 8.3; ITU-R BT.601-7, BT.709-6)."""
    to_rgb, bias = _to_rgb(encoding)
    order = [0, 1, 2] if model.colour == "rgb" else [2, 1, 0]
    mean, scale = np.array(model.mean), 1 / np.array(model.std)
    rounding = 0.5 if model.dtype == "uint8" else 0.0
    shift = rounding - mean * scale
    pad = model.pad * scale + shift
    return Colour(*(np.ascontiguousarray(a, np.float32) for a in (to_rgb[order], bias[order], scale, shift, pad)))


@lru_cache(maxsize=64)
def lamp_layout(subsampling: Subsampling, encoding: Encoding) -> Layout:
    """Layout of the samples for the lamp kernel, and their conversion to red, green and blue."""
    matrix, bias = _to_rgb(encoding)
    to_rgb = np.ascontiguousarray(np.hstack([matrix, bias[:, None]]))
    return Layout(*subsampling.size_px, subsampling.columns, subsampling.rows, to_rgb)


@lru_cache(maxsize=64)
def rgb_correction(encoding: Encoding, model: ModelInput) -> tuple[Floats32, Floats32]:
    """Matrix (3, 3) f4 and shift (3,) f4 with value = matrix . (R, G, B) + shift, in the model's order of colours.

    DALI converts to R, G, B with the weights of BT.601, whatever the stream states. This corrects it.
    """
    right, bias = _to_rgb(encoding)
    made, made_bias = _to_rgb(Encoding(*_BT601, encoding.full_range))
    order = [0, 1, 2] if model.colour == "rgb" else [2, 1, 0]
    mend = right @ np.linalg.inv(made)
    scale = 1 / np.array(model.std)
    shift = (bias - mend @ made_bias)[order] - np.array(model.mean)
    return np.asarray(scale[:, None] * mend[order], np.float32), np.asarray(scale * shift, np.float32)


def _to_rgb(encoding: Encoding) -> tuple[np.ndarray, np.ndarray]:
    """Matrix (3, 3) and bias (3,) with R, G, B = matrix . (Y', Cb, Cr) + bias, all 0 to 255."""
    kr, kb, full_range = encoding
    kg = 1 - kr - kb
    luma, chroma, black = (1.0, 1.0, 0.0) if full_range else (255 / 219, 255 / 224, 16.0)
    red, blue = 2 * (1 - kr) * chroma, 2 * (1 - kb) * chroma
    matrix = np.array([[luma, 0.0, red], [luma, -blue * kb / kg, -red * kr / kg], [luma, blue, 0.0]])
    return matrix, -matrix @ np.array([black, 128.0, 128.0])
