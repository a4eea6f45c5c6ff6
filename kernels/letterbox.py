"""Letterboxing of a decoded image for a detector: crop, scale, convert, normalise and pad in one pass over its planes.

No full-size RGB image is made. Scaling is separable: an output pixel is the mean of the source over the interval that
it covers, at least one source pixel wide. The one formula is area averaging when shrinking (no aliasing: a distant car
keeps its contrast) and exactly linear interpolation when enlarging.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from kernels import Bytes8, Counts32, Floats32


class Plane(NamedTuple):
    """One component of an image: sample (y, x) is samples[y, x * step + offset]."""

    samples: Bytes8
    """(rows, bytes per row) u1, C-contiguous; a row may be longer than the image is wide."""
    step: int
    """1 for a separate plane, 2 for interleaved Cb and Cr (NV12), 3 for interleaved RGB."""
    offset: int


class Picture(NamedTuple):
    """The three planes of an 8-bit Y'CbCr image."""

    luma: Plane
    cb: Plane
    cr: Plane


class Taps(NamedTuple):
    """Weights that scale a line of source samples to M samples: out[m] = sum_k weight[m, k] source[first[m] + k]."""

    first: Counts32
    """(M,) u4, ascending."""
    weight: Floats32
    """(M, K) f4; every row sums to 1."""


class Geometry(NamedTuple):
    """The part of the image that is scaled, and its place in the model's input."""

    luma_rows: Taps
    luma_columns: Taps
    chroma_rows: Taps
    chroma_columns: Taps
    left: int
    """Column of the model's input at which the image begins; the rest is padding."""
    top: int
    """Row at which it begins."""


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
    """(3,) f4: value of the padding, already normalised."""


def taps(begin: float, end: float, limit: int, size: int) -> Taps:
    """Weights that scale the source interval [begin, end) of a line of `limit` samples to `size` samples.

    Sample k of the source covers [k, k + 1). Raises ValueError if the interval is empty or leaves the line.
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
    """Sum the weighted source rows of output row `row` into out[x], for every byte x that `columns` reach."""
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
def _deinterleave(plane: Plane, line: Floats32) -> None:
    """Move the samples of one plane to the front of an interleaved line."""
    for x in range((line.shape[0] - plane.offset + plane.step - 1) // plane.step):
        line[x] = line[x * plane.step + plane.offset]


@njit(cache=True, nogil=True)
def _sum_columns(line: Floats32, columns: Taps, out: Floats32) -> None:
    """Sum the weighted columns of the line into out[m]."""
    for m in range(out.shape[0]):
        weight = columns.weight[m]
        source = line[columns.first[m] :]
        total = np.float32(0)
        for k in range(weight.shape[0]):
            total += weight[k] * source[k]
        out[m] = total


@njit(cache=True, nogil=True)
def _scale_row(plane: Plane, rows: Taps, columns: Taps, row: int, line: Floats32, out: Floats32) -> None:
    """Write one output row of one component; `line` is working memory as long as a row of the plane."""
    _sum_rows(plane, rows, columns, row, line)
    if plane.step > 1:
        _deinterleave(plane, line)
    _sum_columns(line, columns, out)


@njit(cache=True, nogil=True)
def _convert(component: Floats32, colour: Colour, left: int, line: int, out: Any) -> None:
    """Convert (3, M) samples of Y', Cb, Cr to the model's input, row `line`, from column `left` on."""
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
    """Fill the input around the image."""
    left, top = geometry.left, geometry.top
    bottom, right = top + geometry.luma_rows.first.shape[0], left + geometry.luma_columns.first.shape[0]
    for c in range(3):
        out[c, :top] = colour.pad[c]
        out[c, bottom:] = colour.pad[c]
        out[c, top:bottom, :left] = colour.pad[c]
        out[c, top:bottom, right:] = colour.pad[c]


@njit(cache=True, nogil=True)
def letterbox(picture: Picture, geometry: Geometry, colour: Colour, out: Any) -> None:
    """Scale, convert and normalise the part of `picture` that `geometry` selects.

    out  (3, H, W) f4 or u1, out, any strides: every value is written. For u1, `shift` includes 0.5 to round.
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
