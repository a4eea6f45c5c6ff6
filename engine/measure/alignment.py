"""Measures how far a picture has moved against another one of the same scene, by the background, in any light.

A picture becomes a field of edge directions: its gradient as a complex number, divided by its own length. So light,
shade, exposure and contrast have no influence (orientation correlation: Fitch, Kadyrov, Christmas and Kittler, BMVC
2002). Then each tile of the background gives its shift to a fraction of a pixel. A tile has no clear peak, and no vote,
if a vehicle covers it, if rain or night hide it, or if it shows only one straight edge. The result is the similarity
(shift, turn and zoom) with most votes; there is no result if too few agree.

Points are complex numbers x + iy, so a similarity is `point * turn_and_zoom + shift`.
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
"""(H, W) c8: direction of the edge at each pixel; its length is 0 (flat) to 1 (strong edge)."""
Points = NDArray[np.complex128]

MAX_WIDTH_PX = 1280
"""Pictures are compared at the largest whole fraction of their size that is at most this wide; at half of it if that
gives no result (out of focus, large turn)."""
TILE_PX = 48
MARGIN_PX = 8
"""The search window of a tile is larger than the tile by this on each side."""
WINDOW_PX = TILE_PX + 2 * MARGIN_PX
MAX_TILES = 64
"""Number of compared tiles, evenly chosen among those with enough edges."""
SMOOTH_PX = 1.2
"""Standard deviation of the Gaussian before the gradient, against the noise of sensor and codec."""
FAINT = 2.0
"""Grey levels per pixel: a gradient of this strength has length 0.7, a much weaker one almost 0."""
MIN_EDGES = 0.03
"""Least mean squared length of the directions in a usable tile."""
MAX_PARALLEL = 0.9
"""A tile with only parallel directions (1) shows one straight edge, along which its shift is unknown."""
MIN_MATCH = 0.25
"""Least correlation of a tile with its counterpart (1: equal) for a vote."""
AGREED_PX = 0.75
"""Votes agree if they are within this distance of the common motion."""
MIN_AGREED = 8
MIN_AGREEMENT = 0.3
"""Least share of agreeing tiles. So a caption that the camera writes into the picture cannot decide."""
MAX_TRIALS = 600


def edge_directions(grey: Grey) -> Field:
    """The field (H, W) c8 of edge directions of a picture (H, W) u1."""
    smooth = ndimage.gaussian_filter(grey.astype(np.float32), SMOOTH_PX, truncate=3.0)
    gradient = np.zeros(smooth.shape, np.complex64)
    gradient.real[:, 1:-1] = (smooth[:, 2:] - smooth[:, :-2]) / 2
    gradient.imag[1:-1] = (smooth[2:] - smooth[:-2]) / 2
    strength = gradient.real**2 + gradient.imag**2
    gradient /= np.sqrt(strength + np.float32(FAINT**2))
    return gradient


def reductions(width_px: int) -> tuple[int, int]:
    """The factors by which a picture is reduced for the fine and the coarse comparison."""
    fine = -(-width_px // MAX_WIDTH_PX)
    return fine, 2 * fine


def reduce_picture(rgb: Bytes8, by: int) -> Grey:
    """Reduce a picture (H, W, 3) u1: the green channel, averaged over whole blocks. Incomplete blocks are cut off."""
    height, width = rgb.shape[0] // by, rgb.shape[1] // by
    total = np.zeros((height, width), np.float32)
    for row, column in np.ndindex(by, by):
        total += rgb[row : height * by : by, column : width * by : by, 1]
    return np.rint(total / (by * by)).astype(np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class ViewShift:
    """Motion of the background as a similarity in field pixels, with its uncertainty."""

    shift: complex
    turn_zoom: complex
    """Real part: about zoom - 1. Imaginary part: about the turn in radians."""
    centre: complex
    """Mean of the agreeing points."""
    spread_px2: float
    """Sum of their squared distances from the centre."""
    agreed: int
    """Number of agreeing votes."""
    scatter_px: float
    """Standard deviation of a vote, each axis."""

    def of(self, points: Points) -> Points:
        """Displacement of each point (N,)."""
        return np.asarray(self.shift + self.turn_zoom * points)

    def sigma_px(self, points: Points) -> Floats:
        """(N,) standard uncertainty of `of`, each axis, from the scatter of the votes."""
        lever = np.abs(points - self.centre) ** 2 / max(self.spread_px2, 1e-9)
        return np.asarray(self.scatter_px * np.sqrt(1.0 / self.agreed + lever))


class Background:
    """A reference picture, with which later pictures are compared."""

    def __init__(self, grey: Grey) -> None:
        self._grey, field = grey, edge_directions(grey)
        corners = _tile_corners(field.shape)
        tiles = _cut_tiles(field, corners)
        edges = _edge_energy(tiles)
        good = np.flatnonzero((edges >= MIN_EDGES) & (_parallelism(tiles) <= MAX_PARALLEL))
        chosen = good[np.linspace(0, len(good), min(MAX_TILES, len(good)), endpoint=False).astype(np.int64)]
        self._corners, self._edges = corners[chosen], edges[chosen]
        # Zero padding to the window makes the circular correlation equal to the linear one within the margin.
        self._spectra = fft.fft2(np.pad(tiles[chosen], ((0, 0), (MARGIN_PX,) * 2, (MARGIN_PX,) * 2))).conj()

    def __len__(self) -> int:
        """Number of usable tiles."""
        return len(self._corners)

    def locate_in(self, field: Field) -> ViewShift | None:
        """Its motion in another picture's field of the same size; None if it is not recognised."""
        here = np.zeros(2, np.int64)
        if found := self._search(field, np.broadcast_to(here, self._corners.shape)):
            return found
        there = _find_shift(edge_directions(self._grey), field)
        rough = self._search(field, np.broadcast_to(there, self._corners.shape))
        if rough is None:
            return None
        moved = rough.of(_centres(self._corners))
        return self._search(field, np.rint(np.stack([moved.imag, moved.real], axis=1)).astype(np.int64)) or rough

    def clear_share(self, field: Field) -> float:
        """Share of its tiles in which another picture's field has at least half as strong edges."""
        now = _edge_energy(_cut_tiles(field, self._corners))
        return float((now >= self._edges / 2).mean()) if len(self) else 0.0

    def _search(self, field: Field, offset: Ints) -> ViewShift | None:
        """The motion of most tiles, each searched for at an offset (K, 2) of rows and columns; None without one."""
        place = self._corners + offset - MARGIN_PX
        inside = ((place >= 0) & (place + WINDOW_PX <= field.shape)).all(axis=1)
        windows = _cut_tiles(field, place[inside], WINDOW_PX)
        residual, match = _match_tiles(self._spectra[inside], self._edges[inside], windows)
        votes = (match >= MIN_MATCH) & (np.abs(residual) <= MARGIN_PX)
        moved = residual + offset[inside] @ np.array([1j, 1.0])
        fewest = max(MIN_AGREED, MIN_AGREEMENT * len(self))
        return _fit_votes(_centres(self._corners[inside])[votes], moved[votes], fewest)


def _tile_corners(shape: tuple[int, ...]) -> Ints:
    """(N, 2) row and column of the first pixel of all adjacent tiles whose windows lie inside the picture."""
    first = MARGIN_PX + (np.array(shape) - 2 * MARGIN_PX) % TILE_PX // 2
    last = np.array(shape) - MARGIN_PX - TILE_PX
    rows, columns = (np.arange(a, b + 1, TILE_PX) for a, b in zip(first, last, strict=True))
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)


def _centres(corners: Ints) -> Points:
    """(N,) centre of each tile."""
    return np.asarray((corners + TILE_PX / 2) @ np.array([1j, 1.0]))


def _cut_tiles(field: Field, corners: Ints, size_px: int = TILE_PX) -> Field:
    """(N, size_px, size_px) the squares with these corners (N, 2)."""
    if len(corners) == 0:
        return np.empty((0, size_px, size_px), np.complex64)
    squares = np.lib.stride_tricks.sliding_window_view(field, (size_px, size_px))
    return np.asarray(squares[corners[:, 0], corners[:, 1]])


def _edge_energy(tiles: Field) -> Floats32:
    """(N,) mean squared length of the directions, 0 to 1."""
    return np.asarray((tiles.real**2 + tiles.imag**2).mean(axis=(1, 2)))


def _parallelism(tiles: Field) -> Floats32:
    """(N,) 0 if edges have all directions, 1 if all are parallel. The square removes the sign of light to dark."""
    return np.asarray(np.abs((tiles**2).mean(axis=(1, 2))) / np.maximum(_edge_energy(tiles), 1e-9))


def _find_shift(before: Field, now: Field) -> Ints:
    """(2,) rows and columns of the best shift of the whole picture."""
    surface = fft.ifft2(fft.fft2(now) * fft.fft2(before).conj()).real
    peak = np.array(np.unravel_index(int(surface.argmax()), surface.shape))
    return _to_signed(peak, np.array(surface.shape))


def _match_tiles(spectra: Field, edges: Floats32, windows: Field) -> tuple[Points, Floats]:
    """(N,) displacement of each tile from the middle of its window, and (N,) its correlation there."""
    if len(windows) == 0:
        return np.empty(0, np.complex128), np.empty(0)
    surface = fft.ifft2(fft.fft2(windows) * spectra).real
    row, column = np.divmod(surface.reshape(len(windows), -1).argmax(axis=1), WINDOW_PX)
    every = np.arange(len(windows))
    top = surface[every, row, column]
    down = _peak_offset(surface[every, row - 1, column], top, surface[every, (row + 1) % WINDOW_PX, column])
    right = _peak_offset(surface[every, row, column - 1], top, surface[every, row, (column + 1) % WINDOW_PX])
    match = top / (np.sqrt(edges * _edge_energy(windows)) * TILE_PX**2 + 1e-9)
    return _to_signed(column, WINDOW_PX) + right + 1j * (_to_signed(row, WINDOW_PX) + down), match


def _to_signed(index: Ints, size: Ints | int) -> Ints:
    """The signed shift of an index in a circular correlation."""
    return np.asarray((index + size // 2) % size - size // 2)


def _peak_offset(before: Floats, top: Floats, after: Floats) -> Floats:
    """Offset of the vertex of the parabola through a peak and its two neighbours, -0.5 to 0.5."""
    return np.asarray(0.5 * (after - before) / np.maximum(2.0 * top - before - after, 1e-9)).clip(-0.5, 0.5)


def _fit_votes(points: Points, moved: Points, fewest: float) -> ViewShift | None:
    """The similarity on which most votes agree; None if fewer than `fewest` agree.

    Tries the similarities of all pairs of votes, or of evenly chosen pairs, and refines the best one by least squares.
    """
    if len(points) < fewest:
        return None
    first, second = np.triu_indices(len(points), 1)
    chosen = slice(None, None, -(-len(first) // MAX_TRIALS))
    first, second = first[chosen], second[chosen]
    turn_zoom = (moved[second] - moved[first]) / (points[second] - points[first])
    apart = np.abs(moved - moved[first, None] - turn_zoom[:, None] * (points - points[first, None]))
    agreed = apart[(apart < AGREED_PX).sum(axis=1).argmax()] < AGREED_PX
    for _ in range(2):
        found = _fit_similarity(points[agreed], moved[agreed])
        agreed = np.abs(moved - found.of(points)) < AGREED_PX
        if agreed.sum() < fewest:
            return None
    return _fit_similarity(points[agreed], moved[agreed])


def _fit_similarity(points: Points, moved: Points) -> ViewShift:
    """The similarity that fits at least two votes best."""
    centre, mean = points.mean(), moved.mean()
    lever = points - centre
    spread_px2 = float((np.abs(lever) ** 2).sum())
    turn_zoom = (lever.conj() @ (moved - mean)) / max(spread_px2, 1e-9)
    left = np.abs(moved - mean - turn_zoom * lever) ** 2
    scatter_px = float(np.sqrt(left.sum() / max(2 * len(points) - 4, 1)))
    return ViewShift(
        complex(mean - turn_zoom * centre), complex(turn_zoom), complex(centre), spread_px2, len(points), scatter_px
    )
