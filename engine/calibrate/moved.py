"""Has the camera moved since it was calibrated? The picture's background against the calibration's still.

Both pictures are cut into tiles. The shift of a tile is the peak of its phase correlation (Kuglin and Hines 1975),
found to a fraction of a pixel by a parabola through the peak; phase takes the light out of the comparison, and traffic
only blurs the tiles it drives through. Tiles without a clear peak have no vote. A view has moved when the median shift
of the others, or their disagreement (a turn or a zoom), passes the bound; a single picture decides nothing, neither to
suspend a camera nor to bring it back.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.errors import CalibrationError
from engine.types import Floats

Grey = NDArray[np.floating] | NDArray[np.uint8]


class View(enum.IntEnum):
    """What is known of the camera's view; as a metric, 0 is well."""

    SAME = 0
    UNKNOWN = 1
    """Too little of the calibration's background is seen: night, fog, a lorry before the lens."""
    MOVED = 2
    """Measured kinds must be suspended."""


@dataclass(frozen=True, slots=True)
class MovedBounds:
    """When a view counts as moved."""

    tiles: tuple[int, int] = (4, 3)
    """Columns and rows."""
    clearest_px: float = 1.0
    """Drift, in pixels of the pictures compared, from which on a picture speaks for a moved camera."""
    least_peak: float = 7.0
    """Height of a tile's correlation peak below which it has no vote, in standard deviations of what two unrelated
    tiles give."""
    fewest_tiles: int = 4
    patience: int = 5
    """So many pictures in a row change the verdict."""


@dataclass(slots=True)
class ViewGuard:
    """Watches one camera against the still that it was calibrated with."""

    still: Grey
    """(H, W) grey, at the size in which pictures will be compared."""
    bounds: MovedBounds = field(default_factory=MovedBounds)
    view: View = field(default=View.UNKNOWN, init=False)
    """The verdict so far."""
    drift_px: float = field(default=float("nan"), init=False)
    """Drift of the last picture; nan where too few tiles spoke."""
    _spectra: NDArray[np.complexfloating] = field(init=False)
    _candidate: View = field(default=View.UNKNOWN, init=False)
    _agreeing: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        columns, rows = self.bounds.tiles
        if self.still.ndim != 2 or self.still.shape[0] < 16 * rows or self.still.shape[1] < 16 * columns:
            raise CalibrationError(f"the still must be grey and at least {16 * columns} x {16 * rows} pixels")
        self._spectra = np.fft.rfft2(_tiles(self.still, self.bounds.tiles))

    def look(self, picture: Grey) -> View:
        """Compare one picture of the still's size, and say what is known of the view now.

        Raises CalibrationError for a picture of another size.
        """
        if picture.shape != self.still.shape:
            raise CalibrationError(
                f"a picture of {picture.shape} cannot be compared with a still of {self.still.shape}"
            )
        self.drift_px = self._drift(_tiles(picture, self.bounds.tiles))
        if np.isnan(self.drift_px):
            seen = View.UNKNOWN
        else:
            seen = View.MOVED if self.drift_px > self.bounds.clearest_px else View.SAME
        self._agreeing = self._agreeing + 1 if seen == self._candidate else 1
        self._candidate = seen
        if self._agreeing >= self.bounds.patience:
            self.view = seen
        return self.view

    def _drift(self, tiles: Floats) -> float:
        """Shift of the whole, or disagreement of the tiles, whichever is larger."""
        shift_px, peak = _shifts(self._spectra, np.fft.rfft2(tiles), tiles.shape[1:])
        voting = shift_px[peak >= self.bounds.least_peak]
        if len(voting) < self.bounds.fewest_tiles:
            return float("nan")
        common = np.median(voting, axis=0)
        apart = np.median(np.hypot(*(voting - common).T))
        return float(max(np.hypot(*common), 2.0 * apart))


def _tiles(picture: Grey, tiles: tuple[int, int]) -> Floats:
    """(N, h, w) tiles, each with its mean taken out and its edges faded (Hann)."""
    columns, rows = tiles
    height, width = picture.shape[0] // rows, picture.shape[1] // columns
    cut = np.asarray(picture, np.float64)[: rows * height, : columns * width]
    cut = cut.reshape(rows, height, columns, width).swapaxes(1, 2).reshape(-1, height, width)
    fade = np.outer(np.hanning(height), np.hanning(width))
    return np.asarray((cut - cut.mean(axis=(1, 2), keepdims=True)) * fade)


def _shifts(
    still: NDArray[np.complexfloating], now: NDArray[np.complexfloating], shape: tuple[int, ...]
) -> tuple[Floats, Floats]:
    """(N, 2) how far each tile has moved, x and y in pixels, and (N,) the height of its peak over the noise's."""
    cross = now * still.conj()
    surface = np.fft.irfft2(cross / np.maximum(np.abs(cross), 1e-9), s=shape)
    height, width = shape
    shift, peak = np.empty((len(surface), 2)), np.empty(len(surface))
    for n, plane in enumerate(surface):
        row, column = (int(k) for k in np.unravel_index(int(plane.argmax()), shape))
        peak[n] = plane[row, column] * np.sqrt(plane.size)
        shift[n, 0] = _signed(column, width) + _finer(plane[row, (column + np.arange(-1, 2)) % width])
        shift[n, 1] = _signed(row, height) + _finer(plane[(row + np.arange(-1, 2)) % height, column])
    return shift, peak


def _signed(index: int, size: int) -> int:
    """The shift that a place of the circular correlation stands for, -size / 2 to size / 2."""
    return (index + size // 2) % size - size // 2


def _finer(around: Floats) -> float:
    """Offset of the vertex of a parabola through three neighbouring values, -0.5 to 0.5."""
    left, top, right = around
    bend = left - 2.0 * top + right
    return float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5)) if bend < 0.0 else 0.0
