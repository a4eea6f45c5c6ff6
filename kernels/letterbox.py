"""From the planes of a decoded picture straight to a detector's input: crop, scale, colour, normalise, pad in one pass.

A full-size RGB picture never exists. Scaling is separable: an output pixel is the mean of the source over the interval
it covers, and over one source pixel's width where it covers less. That is area averaging when shrinking (no aliasing:
a distant car keeps its contrast) and exactly linear interpolation when enlarging, by one formula.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats32 = NDArray[np.float32]
Counts32 = NDArray[np.uint32]
Bytes8 = NDArray[np.uint8]


class Plane(NamedTuple):
    """One component of a picture: sample (y, x) is samples[y, x * step + offset]."""

    samples: Bytes8
    """(rows, bytes a row) u1, C-contiguous; the rows may be longer than the picture is wide."""
    step: int
    """1 for a plane of its own, 2 where Cb and Cr alternate (NV12)."""
    offset: int


class Picture(NamedTuple):
    """The three planes of a Y'CbCr picture, 8 bits."""

    luma: Plane
    cb: Plane
    cr: Plane


class Taps(NamedTuple):
    """Weights that make M samples from a line of source samples: out[m] = sum_k weight[m, k] source[first[m] + k]."""

    first: Counts32
    """(M,) u4, ascending."""
    weight: Floats32
    """(M, K) f4; every row sums to 1."""


class Geometry(NamedTuple):
    """Which part of the picture goes where in the model's input."""

    luma_rows: Taps
    luma_columns: Taps
    chroma_rows: Taps
    chroma_columns: Taps
    left: int
    """Where the picture begins in the model's input; beside it is padding."""
    top: int


class Colour(NamedTuple):
    """value[c] = clip(matrix[c] . (Y', Cb, Cr) + bias[c], 0, 255) * scale[c] + shift[c], c in the model's order."""

    matrix: Floats32
    """(3, 3) f4."""
    bias: Floats32
    """(3,) f4."""
    scale: Floats32
    """(3,) f4."""
    shift: Floats32
    """(3,) f4."""
    pad: Floats32
    """(3,) f4: value of the padding, normalised already."""


def taps(begin: float, end: float, limit: int, size: int) -> Taps:
    """Weights that scale the source interval [begin, end) of a line of `limit` samples to `size` samples.

    Sample k of the source covers [k, k + 1). Raises ValueError where the interval is empty or leaves the line.
    """
    if not 0 <= begin < end <= limit or size < 1:
        raise ValueError(f"cannot scale [{begin}, {end}) of {limit} samples to {size}")
    step = (end - begin) / size
    width = max(step, 1.0)
    count = min(int(np.ceil(width)) + 1, limit)
    centre = begin + (np.arange(size) + 0.5) * step
    first = np.clip(np.floor(centre - width / 2), 0, limit - count)[:, None]
    sample = first + np.arange(count)
    low, high = np.maximum(centre - width / 2, 0.0)[:, None], np.minimum(centre + width / 2, limit)[:, None]
    weight = (np.minimum(high, sample + 1.0) - np.maximum(low, sample)).clip(0.0)
    return Taps(first[:, 0].astype(np.uint32), (weight / weight.sum(axis=1, keepdims=True)).astype(np.float32))


@njit(cache=True, nogil=True)
def _sum_rows(plane: Plane, rows: Taps, columns: Taps, row: int, out: Floats32) -> None:
    """out[x]: the weighted sum over the source rows of output row `row`, for every byte x that `columns` reach."""
    first, begin = rows.first[row], columns.first[0] * plane.step
    end = (columns.first[-1] + columns.weight.shape[1]) * plane.step
    reached = out[begin:end]
    reached[:] = 0
    for k in range(rows.weight.shape[1]):
        weight = rows.weight[row, k]
        source = plane.samples[first + k, begin:end]
        for x in range(reached.shape[0]):
            reached[x] += weight * np.float32(source[x])


@njit(cache=True, nogil=True)
def _pick(plane: Plane, line: Floats32) -> None:
    """Move the plane's own samples of an interleaved line to its front."""
    for x in range((line.shape[0] - plane.offset + plane.step - 1) // plane.step):
        line[x] = line[x * plane.step + plane.offset]


@njit(cache=True, nogil=True)
def _sum_columns(line: Floats32, columns: Taps, out: Floats32) -> None:
    """out[m]: the weighted sum over the columns of the line."""
    for m in range(out.shape[0]):
        weight = columns.weight[m]
        source = line[columns.first[m] :]
        total = np.float32(0)
        for k in range(weight.shape[0]):
            total += weight[k] * source[k]
        out[m] = total


@njit(cache=True, nogil=True)
def _scale_row(plane: Plane, rows: Taps, columns: Taps, row: int, line: Floats32, out: Floats32) -> None:
    """One output row of one component; `line` is working memory as long as a row of the plane."""
    _sum_rows(plane, rows, columns, row, line)
    if plane.step > 1:
        _pick(plane, line)
    _sum_columns(line, columns, out)


@njit(cache=True, nogil=True)
def _convert(component: Floats32, colour: Colour, left: int, line: int, out: Any) -> None:
    """(3, M) samples of Y', Cb, Cr to values of the model's input, from column `left` of its line `line` on."""
    luma, cb, cr = component[0], component[1], component[2]
    for c in range(3):
        of_luma, of_cb, of_cr = colour.matrix[c, 0], colour.matrix[c, 1], colour.matrix[c, 2]
        bias, scale, shift = colour.bias[c], colour.scale[c], colour.shift[c]
        channel = out[c, line, left : left + luma.shape[0]]
        for m in range(luma.shape[0]):
            value = of_luma * luma[m] + of_cb * cb[m] + of_cr * cr[m] + bias
            value = value if value > np.float32(0) else np.float32(0)
            value = value if value < np.float32(255) else np.float32(255)
            channel[m] = value * scale + shift


@njit(cache=True, nogil=True)
def _pad(geometry: Geometry, colour: Colour, out: Any) -> None:
    """Fill what the picture leaves free."""
    left, top = geometry.left, geometry.top
    bottom, right = top + geometry.luma_rows.first.shape[0], left + geometry.luma_columns.first.shape[0]
    for c in range(3):
        out[c, :top] = colour.pad[c]
        out[c, bottom:] = colour.pad[c]
        out[c, top:bottom, :left] = colour.pad[c]
        out[c, top:bottom, right:] = colour.pad[c]


@njit(cache=True, nogil=True)
def letterbox(picture: Picture, geometry: Geometry, colour: Colour, out: Any) -> None:
    """Scale, convert and normalise the part of `picture` that `geometry` names into `out`.

    out  (3, H, W), any strides, f4 or u1 (then `shift` holds the half that rounds); every value is written
    """
    height, width = geometry.luma_rows.first.shape[0], geometry.luma_columns.first.shape[0]
    rows, columns = geometry.chroma_rows, geometry.chroma_columns
    component = np.empty((3, width), np.float32)
    luma = np.empty(picture.luma.samples.shape[1], np.float32)
    chroma = np.empty(max(picture.cb.samples.shape[1], picture.cr.samples.shape[1]), np.float32)
    _pad(geometry, colour, out)
    for row in range(height):
        _scale_row(picture.luma, geometry.luma_rows, geometry.luma_columns, row, luma, component[0])
        _scale_row(picture.cb, rows, columns, row, chroma, component[1])
        _scale_row(picture.cr, rows, columns, row, chroma, component[2])
        _convert(component, colour, geometry.left, geometry.top + row, out)
