"""Common part of the heads: boxes above the low threshold, with duplicates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.detect.cards import ModelCard
from engine.errors import ModelError
from engine.types import Floats32, Ints, Ints32, VehicleClass

Outputs = Mapping[str, Any]
"""Outputs of a network by name: NumPy arrays or torch tensors. The first dimension is the row of the batch."""


class Arrays(NamedTuple):
    """The array library of a head. Heads use only functions with the same name in NumPy and torch."""

    xp: Any
    """The module: numpy or torch."""
    constant: Callable[[NDArray[Any]], Any]
    """Copies a table of the head to the memory of the outputs."""


NUMPY = Arrays(np, np.asarray)


class Candidates(NamedTuple):
    """Boxes of a batch of model inputs."""

    row: Ints32
    """(K,) i4: row of the batch, ascending."""
    xyxy_model_px: Floats32
    """(K, 4) f4: left, top, right, bottom in model pixels; may exceed the model's input."""
    score: Floats32
    """(K,) f4: 0 to 1."""
    class_id: Ints32
    """(K,) i4: `VehicleClass`."""

    def taken(self, rows: Ints) -> Candidates:
        """The candidates at these indices, in this order."""
        return Candidates(self.row[rows], self.xyxy_model_px[rows], self.score[rows], self.class_id[rows])


class DetectorHead(Protocol):
    """Reads the outputs of one family of networks."""

    def anchors(self, outputs: Outputs) -> tuple[Any, Any]:
        """Class scores (B, A, C) and encoded boxes (B, A, R) of all anchors. Raises ModelError if outputs do not
        fit."""

    def boxes(self, found: Any, anchor: Any) -> Any:
        """(..., 4): left, top, right, bottom in model pixels, from the encoded boxes (..., R) of the anchors (...)."""


class HostReader:
    """Reads outputs in host memory, with a head that uses NumPy."""

    def __init__(self, head: DetectorHead, classes: ClassScores) -> None:
        self._head, self._classes = head, classes

    def read(self, outputs: Outputs) -> Candidates:
        """The boxes with at least the card's low threshold. Raises ModelError if the outputs do not fit."""
        scores, found = self._head.anchors(outputs)
        row, anchor, score, class_id = self._classes.best(scores)
        return valid_candidates(row, self._head.boxes(found[row, anchor], anchor), score, class_id)


class ClassScores:
    """Selects the best class of each anchor among the card's classes, and the anchors above the low threshold.

    index      (C',) i8: the network's indices of the card's classes
    class_id   (C',) i4: their `VehicleClass`
    threshold  the low threshold
    """

    def __init__(self, card: ModelCard) -> None:
        self._name = card.name
        try:
            self.index = np.array([int(index) for index in card.classes], np.int64)
        except ValueError as error:
            raise ModelError(f"{card.name}: a key of classes is not a class index of the network: {error}") from error
        self.class_id = np.array([VehicleClass[key.upper()] for key in card.classes.values()], np.int32)
        self.threshold = card.low_score_threshold

    def check(self, scores: Any) -> None:
        """Raises ModelError if scores (B, A, C) lack one of the card's classes."""
        if scores.ndim != 3 or scores.shape[2] <= self.index.max(initial=-1):
            raise ModelError(f"{self._name}: scores of shape {tuple(scores.shape)} lack the classes of the card")

    def best(self, scores: NDArray[Any]) -> tuple[Ints, Ints, Floats32, Ints32]:
        """Rows, anchors, scores and `VehicleClass` of the candidates in scores (B, A, C), rows ascending."""
        self.check(scores)
        named = scores[:, :, self.index]
        row, anchor = np.nonzero(named.max(axis=2, initial=0.0) >= self.threshold)
        candidates = named[row, anchor]
        which = candidates.argmax(axis=1) if len(row) else np.empty(0, np.int64)
        score = candidates[np.arange(len(row)), which].astype(np.float32)
        return row, anchor, score, self.class_id[which]


def valid_candidates(row: Ints, xyxy_model_px: NDArray[Any], score: Floats32, class_id: Ints32) -> Candidates:
    """The candidates without those whose box is empty or not finite."""
    left, top, right, bottom = xyxy_model_px.T
    sound = np.isfinite(xyxy_model_px).all(axis=1) & (right > left) & (bottom > top)
    return Candidates(
        row[sound].astype(np.int32), xyxy_model_px[sound].astype(np.float32), score[sound], class_id[sound]
    )


def from_centre(xp: Any, centre_x: Any, centre_y: Any, width: Any, height: Any) -> Any:
    """(..., 4): left, top, right, bottom of boxes that are given by centre and size."""
    edges = (centre_x - width / 2, centre_y - height / 2, centre_x + width / 2, centre_y + height / 2)
    return xp.stack(edges, -1)


def cell_table(width_px: int, height_px: int, stride: int) -> NDArray[np.float32]:
    """(A, 3) f4: column, row and stride of all cells of one feature map, row by row."""
    row, column = np.mgrid[: -(-height_px // stride), : -(-width_px // stride)]
    return np.stack([column.ravel(), row.ravel(), np.full(row.size, stride)], axis=1).astype(np.float32)


def read_strides(card: ModelCard, usual: str) -> list[int]:
    """Parse the card's option `strides`, for example "8 16 32". Raises ModelError."""
    try:
        strides = [int(word) for word in str(card.head_options.get("strides", usual)).split()]
    except ValueError as error:
        raise ModelError(f"{card.name}: strides: {error}") from error
    if not strides or min(strides) < 1:
        raise ModelError(f"{card.name}: strides {strides} are not positive")
    return strides


def find_output(outputs: Outputs, shape: tuple[int | None, ...], card: ModelCard, what: str) -> Any:
    """The only output of this shape; None is any size. Raises ModelError if there is not exactly one."""
    fitting = [
        value
        for value in outputs.values()
        if value.ndim == len(shape) and all(n in (None, m) for n, m in zip(shape, value.shape, strict=True))
    ]
    if len(fitting) != 1:
        shapes = {name: tuple(value.shape) for name, value in outputs.items()}
        raise ModelError(f"{card.name}: {len(fitting)} outputs fit as {what} {shape}: {shapes}")
    return fitting[0]
