"""Read and write MOTChallenge text files: `NNNN/det.txt` in, `NNNN.txt` out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MARGIN_MIDPOINT = 3.7
MARGIN_SCALE = 1.3
"""score = 1 / (1 + exp((midpoint - margin) / scale)): converts margins of a detector to probabilities, if a score lies
outside 0..1. Fitted by logistic regression of hit or miss (IoU 0.5) on ten public KITTI sequences."""


@dataclass(frozen=True, slots=True)
class DetectionSequence:
    """The detections of one camera."""

    name: str
    frames: int
    """Number of frames, from 0 to the last one with a detection or an annotated box."""
    frame: Ints
    """(D,) i8: from 0, ascending."""
    xyxy_px: Floats
    """(D, 4) f8"""
    score: Floats
    """(D,) f8: 0 to 1."""

    @property
    def first(self) -> Ints:
        """(F + 1,) i8: frame f has the rows first[f] to first[f + 1]."""
        return np.searchsorted(self.frame, np.arange(self.frames + 1)).astype(np.int64)

    def frame_rows(self) -> list[Floats]:
        """(D, 5) x1, y1, x2, y2, score for each frame."""
        rows = np.concatenate([self.xyxy_px, self.score[:, None]], axis=1)
        first = self.first
        return [rows[first[at] : first[at + 1]] for at in range(self.frames)]


@dataclass(frozen=True, slots=True)
class TrackingResult:
    """Tracks of one sequence."""

    frame: Ints
    """(T,) i8: from 0."""
    identity: Ints
    """(T,) i8"""
    xyxy_px: Floats
    """(T, 4) f8"""
    score: Floats
    """(T,) f8"""


def read_sequences(folder: Path) -> list[DetectionSequence]:
    """Read every `NNNN/det.txt` below `folder`, by name. Raises ValueError that names the missing or wrong file."""
    files = sorted(folder.glob("*/det.txt"))
    if not files:
        raise ValueError(f"no NNNN/det.txt below {folder}")
    tables = [_read(file, 7) for file in files]
    margins = any(((table[:, 6] < 0) | (table[:, 6] > 1)).any() for table in tables)
    return [_sequence(file.parent, table, margins) for file, table in zip(files, tables, strict=True)]


def write_result(path: Path, result: TrackingResult) -> None:
    """Write lines `frame, identity, x, y, w, h, score, -1, -1, -1`; frame and identity start at 1."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _, number = np.unique(result.identity, return_inverse=True)
    size = result.xyxy_px[:, 2:] - result.xyxy_px[:, :2]
    with path.open("w") as file:
        for at in range(len(result.frame)):
            where = ",".join(f"{value:.2f}" for value in (*result.xyxy_px[at, :2].tolist(), *size[at].tolist()))
            file.write(f"{result.frame[at] + 1},{number[at] + 1},{where},{result.score[at]:.4f},-1,-1,-1\n")


def _sequence(folder: Path, table: Floats, margins: bool) -> DetectionSequence:
    table = table[np.argsort(table[:, 0], kind="stable")]
    score = 1 / (1 + np.exp((MARGIN_MIDPOINT - table[:, 6]) / MARGIN_SCALE)) if margins else table[:, 6]
    xyxy_px = np.concatenate([table[:, 2:4], table[:, 2:4] + table[:, 4:6]], axis=1)
    frame = table[:, 0].astype(np.int64) - 1
    truth = folder / "gt.txt"
    last = int(_read(truth, 1)[:, 0].max()) - 1 if truth.is_file() else -1
    return DetectionSequence(folder.name, max(int(frame.max()), last) + 1, frame, xyxy_px, score)


def _read(file: Path, columns: int) -> Floats:
    options: dict[str, Any] = {"delimiter": ",", "usecols": range(columns), "ndmin": 2}
    if not file.read_text().strip():
        raise ValueError(f"{file} is empty")
    try:
        table = np.loadtxt(file, **options)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
    if not np.isfinite(table).all() or table[:, 0].min() < 1:
        raise ValueError(f"{file}: a number is not finite, or a frame is below 1")
    return table
