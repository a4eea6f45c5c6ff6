"""How far has a picture moved against another of the same scene? Asked of the background, whatever the light.

A picture becomes a field of edge directions: its gradient as a complex number, divided by its own length, so that light
and shade, exposure and contrast fall out of the comparison (orientation correlation: Fitch, Kadyrov, Christmas and
Kittler, BMVC 2002). Every tile of the background then says how far it has shifted, to a fraction of a pixel. A tile
that a vehicle drives through, that rain or night took, or that shows only one straight edge has no clear peak and no
vote. The one similarity (shift, turn and zoom) that most votes agree on is the answer; where there is none, no answer.

Points are complex numbers x + iy here, so that a similarity is `point * turn_and_zoom + shift`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from engine.types import Bytes8, Floats, Floats32, Ints

Grey = NDArray[np.uint8]
"""(H, W) u1."""
Field = NDArray[np.complex64]
"""(H, W) c8: direction of the edge at every pixel, of length 0 (flat) to 1 (strong)."""
Points = NDArray[np.complex128]

WIDEST_PX = 1280
"""Pictures are compared at the first whole fraction of their size that is no wider; where that tells nothing (out of
focus, turned far), at half of it."""
TILE_PX = 48
MARGIN_PX = 8
"""A tile is searched for in a window that is wider by this on every side; not found there, it has no vote."""
WINDOW_PX = TILE_PX + 2 * MARGIN_PX
MOST_TILES = 64
"""Tiles that are asked, spread evenly over those that hold something."""
SMOOTH_PX = 1.2
"""Standard deviation of the Gaussian that gradients are taken of: against the noise of sensor and codec."""
FAINT = 2.0
"""Grey levels a pixel: a gradient of this strength counts 0.7, a much weaker one nothing."""
LEAST_EDGES = 0.03
"""Mean squared length of a tile's directions from which on it holds something to recognise."""
MOST_PARALLEL = 0.9
"""A tile whose directions are all parallel (1) shows one straight edge, and not how far it shifted along it."""
LEAST_MATCH = 0.25
"""Correlation of a tile with its counterpart (1: the same) from which on it has a vote."""
AGREED_PX = 0.75
"""Votes this near to the common motion agree."""
FEWEST_AGREED = 8
LEAST_AGREEMENT = 0.3
"""Share of the background's tiles that must agree: a caption that the camera writes over a picture is no background."""
MOST_TRIALS = 600


def edge_directions(grey: Grey) -> Field:
    """The field of a picture."""
    smooth = ndimage.gaussian_filter(grey.astype(np.float32), SMOOTH_PX, truncate=3.0)
    gradient = np.zeros(smooth.shape, np.complex64)
    gradient.real[:, 1:-1] = (smooth[:, 2:] - smooth[:, :-2]) / 2
    gradient.imag[1:-1] = (smooth[2:] - smooth[:-2]) / 2
    strength = gradient.real**2 + gradient.imag**2
    gradient /= np.sqrt(strength + np.float32(FAINT**2))
    return gradient


def reductions(width_px: int) -> tuple[int, int]:
    """How many pixels of a picture, along each side, become one at the two sizes of comparison: fine, then coarse."""
    fine = -(-width_px // WIDEST_PX)
    return fine, 2 * fine


def reduced(rgb: Bytes8, by: int) -> Grey:
    """A picture (H, W, 3) u1, smaller: its green, averaged over whole blocks; the rest is cut off."""
    height, width = rgb.shape[0] // by, rgb.shape[1] // by
    total = np.zeros((height, width), np.float32)
    for row, column in np.ndindex(by, by):
        total += rgb[row : height * by : by, column : width * by : by, 1]
    return np.rint(total / (by * by)).astype(np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class Shift:
    """Where the points of the background are seen now: a similarity, in field pixels, and how well it is known."""

    shift: complex
    bend: complex
    """Turn and zoom: 0 for none; otherwise zoom - 1 is about the real part, the turn in radians the imaginary."""
    centre: complex
    """Mean of the points that agree."""
    spread: float
    """Sum of their squared distances from the centre."""
    agreed: int
    scatter_px: float
    """Standard deviation of a vote, each axis."""

    def of(self, points: Points) -> Points:
        """How far each point has moved."""
        return np.asarray(self.shift + self.bend * points)

    def sigma_px(self, points: Points) -> Floats:
        """Standard uncertainty of `of`, each axis, from the scatter of the votes."""
        lever = np.abs(points - self.centre) ** 2 / max(self.spread, 1e-9)
        return np.asarray(self.scatter_px * np.sqrt(1.0 / self.agreed + lever))


class Background:
    """A picture that later ones are compared with."""

    def __init__(self, grey: Grey) -> None:
        self._grey, field = grey, edge_directions(grey)
        corners = _corners(field.shape)
        tiles = _cut(field, corners)
        edges = _edges(tiles)
        good = np.flatnonzero((edges >= LEAST_EDGES) & (_parallel(tiles) <= MOST_PARALLEL))
        chosen = good[np.linspace(0, len(good), min(MOST_TILES, len(good)), endpoint=False).astype(np.int64)]
        self._corners, self._edges = corners[chosen], edges[chosen]
        self._spectra = fft.fft2(np.pad(tiles[chosen], ((0, 0), (MARGIN_PX,) * 2, (MARGIN_PX,) * 2))).conj()

    def __len__(self) -> int:
        """How many tiles there are to recognise it by."""
        return len(self._corners)

    def seen_in(self, field: Field) -> Shift | None:
        """How far it has moved in another picture's field of the same size; None where it is not recognised."""
        here = np.zeros(2, np.int64)
        if found := self._looked_for(field, np.broadcast_to(here, self._corners.shape)):
            return found
        there = _common_shift(edge_directions(self._grey), field)
        rough = self._looked_for(field, np.broadcast_to(there, self._corners.shape))
        if rough is None:
            return None
        moved = rough.of(_middles(self._corners))
        return self._looked_for(field, np.rint(np.stack([moved.imag, moved.real], axis=1)).astype(np.int64)) or rough

    def clear_in(self, field: Field) -> float:
        """Share of its tiles where another picture's field shows edges too, at least half as many."""
        now = _edges(_cut(field, self._corners))
        return float((now >= self._edges / 2).mean()) if len(self) else 0.0

    def _looked_for(self, field: Field, offset: Ints) -> Shift | None:
        """The motion that most tiles agree on, each looked for at an offset (K, 2), row and column."""
        place = self._corners + offset - MARGIN_PX
        inside = ((place >= 0) & (place + WINDOW_PX <= field.shape)).all(axis=1)
        windows = _cut(field, place[inside], WINDOW_PX)
        residual, match = _found(self._spectra[inside], self._edges[inside], windows)
        votes = (match >= LEAST_MATCH) & (np.abs(residual) <= MARGIN_PX)
        moved = residual + offset[inside] @ np.array([1j, 1.0])
        fewest = max(FEWEST_AGREED, LEAST_AGREEMENT * len(self))
        return _agreement(_middles(self._corners[inside])[votes], moved[votes], fewest)


def _corners(shape: tuple[int, ...]) -> Ints:
    """(N, 2) row and column of the first pixel of every tile whose window lies in a picture, one beside the other."""
    first = MARGIN_PX + (np.array(shape) - 2 * MARGIN_PX) % TILE_PX // 2
    last = np.array(shape) - MARGIN_PX - TILE_PX
    rows, columns = (np.arange(a, b + 1, TILE_PX) for a, b in zip(first, last, strict=True))
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)


def _middles(corners: Ints) -> Points:
    """(N,) the middle of every tile."""
    return np.asarray((corners + TILE_PX / 2) @ np.array([1j, 1.0]))


def _cut(field: Field, corners: Ints, size_px: int = TILE_PX) -> Field:
    """(N, size_px, size_px) the squares at these corners."""
    if len(corners) == 0:
        return np.empty((0, size_px, size_px), np.complex64)
    squares = np.lib.stride_tricks.sliding_window_view(field, (size_px, size_px))
    return np.asarray(squares[corners[:, 0], corners[:, 1]])


def _edges(tiles: Field) -> Floats32:
    """(N,) mean squared length of the directions, 0 to 1."""
    return np.asarray((tiles.real**2 + tiles.imag**2).mean(axis=(1, 2)))


def _parallel(tiles: Field) -> Floats32:
    """(N,) 0 where edges run in all directions, 1 where all are parallel (light to dark or dark to light)."""
    return np.asarray(np.abs((tiles**2).mean(axis=(1, 2))) / np.maximum(_edges(tiles), 1e-9))


def _common_shift(before: Field, now: Field) -> Ints:
    """(2,) rows and columns by which the whole picture fits best."""
    surface = fft.ifft2(fft.fft2(now) * fft.fft2(before).conj()).real
    peak = np.array(np.unravel_index(int(surface.argmax()), surface.shape))
    return _signed(peak, np.array(surface.shape))


def _found(spectra: Field, edges: Floats32, windows: Field) -> tuple[Points, Floats]:
    """(N,) how far every tile lies from the middle of its window, and (N,) how well it matches there."""
    if len(windows) == 0:
        return np.empty(0, np.complex128), np.empty(0)
    surface = fft.ifft2(fft.fft2(windows) * spectra).real
    row, column = np.divmod(surface.reshape(len(windows), -1).argmax(axis=1), WINDOW_PX)
    every = np.arange(len(windows))
    top = surface[every, row, column]
    down = _vertex(surface[every, row - 1, column], top, surface[every, (row + 1) % WINDOW_PX, column])
    right = _vertex(surface[every, row, column - 1], top, surface[every, row, (column + 1) % WINDOW_PX])
    match = top / (np.sqrt(edges * _edges(windows)) * TILE_PX**2 + 1e-9)
    return _signed(column, WINDOW_PX) + right + 1j * (_signed(row, WINDOW_PX) + down), match


def _signed(index: Ints, size: Ints | int) -> Ints:
    """The shift that a place in a circular correlation stands for."""
    return np.asarray((index + size // 2) % size - size // 2)


def _vertex(before: Floats, top: Floats, after: Floats) -> Floats:
    """Offset from a peak to the vertex of the parabola through it and its neighbours, -0.5 to 0.5."""
    return np.asarray(0.5 * (after - before) / np.maximum(2.0 * top - before - after, 1e-9)).clip(-0.5, 0.5)


def _agreement(points: Points, moved: Points, fewest: float) -> Shift | None:
    """The similarity that most votes agree on; None where `fewest` do not.

    Tries the similarity of every pair of votes, or of evenly chosen ones, and refines the best by least squares.
    """
    if len(points) < fewest:
        return None
    first, second = np.triu_indices(len(points), 1)
    chosen = slice(None, None, -(-len(first) // MOST_TRIALS))
    first, second = first[chosen], second[chosen]
    bend = (moved[second] - moved[first]) / (points[second] - points[first])
    apart = np.abs(moved - moved[first, None] - bend[:, None] * (points - points[first, None]))
    agreed = apart[(apart < AGREED_PX).sum(axis=1).argmax()] < AGREED_PX
    for _ in range(2):
        found = _least_squares(points[agreed], moved[agreed])
        agreed = np.abs(moved - found.of(points)) < AGREED_PX
        if agreed.sum() < fewest:
            return None
    return _least_squares(points[agreed], moved[agreed])


def _least_squares(points: Points, moved: Points) -> Shift:
    """The similarity nearest to all of at least two votes."""
    centre, mean = points.mean(), moved.mean()
    lever = points - centre
    spread = float((np.abs(lever) ** 2).sum())
    bend = (lever.conj() @ (moved - mean)) / max(spread, 1e-9)
    left = np.abs(moved - mean - bend * lever) ** 2
    scatter_px = float(np.sqrt(left.sum() / max(2 * len(points) - 4, 1)))
    return Shift(complex(mean - bend * centre), complex(bend), complex(centre), spread, len(points), scatter_px)
