"""A decoded frame as the planes that the kernels read, and the colours they stand for."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import av
import numpy as np
import structlog

from engine.decode.model_input import ModelInput
from engine.types import Floats32
from kernels.lamp import Layout
from kernels.letterbox import Colour, Picture, Plane

log = structlog.get_logger()

FALLBACK = "yuv420p"
"""What libswscale makes of every pixel format that the kernels do not read."""


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
    """How the planes of a picture lie to each other; pixels."""

    size_px: tuple[int, int]
    """Width and height of the picture."""
    chroma_px: tuple[int, int]
    """Width and height of its chroma planes."""
    columns: int
    """Luma columns to one chroma column."""
    rows: int
    """Luma rows to one chroma row."""


class Encoding(NamedTuple):
    """Which colours the samples stand for."""

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


def readable(frame: av.VideoFrame) -> av.VideoFrame:
    """The frame itself, or converted by libswscale where its pixel format is none that the kernels read."""
    if frame.format.name in _FORMATS:
        return frame
    _tell_once(frame.format.name)
    return frame.reformat(format=FALLBACK)


@lru_cache(maxsize=64)
def _tell_once(pixel_format: str) -> None:
    log.warning("pixel format is converted before it is scaled", format=pixel_format, to=FALLBACK)


def picture(frame: av.VideoFrame) -> tuple[Picture, Subsampling]:
    """The planes of a `readable` frame, without a copy: they live as long as the frame does."""
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


def encoding(frame: av.VideoFrame) -> Encoding:
    """What the frame says of its colours; unsaid, BT.709 from 720 rows on and BT.601 below, as is the custom."""
    kr, kb = _WEIGHTS.get(int(frame.colorspace), _BT709 if frame.height >= _HD_ROWS else _BT601)
    full_range = int(frame.color_range) == _FULL_RANGE or frame.format.name.startswith("yuvj")
    return Encoding(kr, kb, full_range)


@lru_cache(maxsize=64)
def colour(encoding: Encoding, model: ModelInput) -> Colour:
    """Y'CbCr to the values that the model asks for (ITU-T H.273, 8.3; ITU-R BT.601-7, BT.709-6)."""
    to_rgb, bias = _to_rgb(encoding)
    order = [0, 1, 2] if model.colour == "rgb" else [2, 1, 0]
    mean, scale = np.array(model.mean), 1 / np.array(model.std)
    rounding = 0.5 if model.dtype == "uint8" else 0.0
    shift = rounding - mean * scale
    pad = model.pad * scale + shift
    return Colour(*(np.ascontiguousarray(a, np.float32) for a in (to_rgb[order], bias[order], scale, shift, pad)))


@lru_cache(maxsize=64)
def layout(subsampling: Subsampling, encoding: Encoding) -> Layout:
    """The same for the lamp kernel: how the samples lie, and their way to red, green and blue."""
    matrix, bias = _to_rgb(encoding)
    to_rgb = np.ascontiguousarray(np.hstack([matrix, bias[:, None]]))
    return Layout(*subsampling.size_px, subsampling.columns, subsampling.rows, to_rgb)


@lru_cache(maxsize=64)
def recolour(encoding: Encoding, model: ModelInput) -> tuple[Floats32, Floats32]:
    """R, G, B that somebody made with BT.601's weights, whatever the stream said, to the values that the model asks
    for: matrix (3, 3) f4 and shift (3,) f4 with value = matrix . (R, G, B) + shift, in the model's order of colours."""
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
