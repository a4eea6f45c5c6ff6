"""What every head gives: the boxes above the low threshold, still with their duplicates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.cards import ModelCard
from engine.errors import ModelError
from engine.types import Floats32, Ints, Ints32, VehicleClass

Outputs = Mapping[str, NDArray[Any]]
"""The network's outputs by name, the first dimension the rows of the batch."""


class Candidates(NamedTuple):
    """Boxes of a batch of model inputs."""

    row: Ints32
    """(K,) i4: row of the batch, ascending."""
    xyxy_model_px: Floats32
    """(K, 4) f4: left, top, right, bottom in pixels of the model's input; may reach beyond it."""
    score: Floats32
    """(K,) f4: 0 to 1."""
    class_id: Ints32
    """(K,) i4: `VehicleClass`."""

    def taken(self, rows: Ints) -> Candidates:
        """Those rows, in that order."""
        return Candidates(self.row[rows], self.xyxy_model_px[rows], self.score[rows], self.class_id[rows])


class Head(Protocol):
    def read(self, outputs: Outputs) -> Candidates:
        """The boxes of at least the card's low threshold. Raises ModelError where the outputs do not fit."""


class ClassScores:
    """Picks the best of the classes that the card names, and the anchors where it reaches the low threshold."""

    def __init__(self, card: ModelCard) -> None:
        self._name = card.name
        try:
            self._index = np.array([int(index) for index in card.classes], np.int64)
        except ValueError as error:
            raise ModelError(f"{card.name}: classes are keyed by the network's class index: {error}") from error
        self._class_id = np.array([VehicleClass[key.upper()] for key in card.classes.values()], np.int32)
        self._threshold = card.low_score_threshold

    def best(self, scores: NDArray[Any]) -> tuple[Ints, Ints, Floats32, Ints32]:
        """Of scores (B, A, C): the rows, anchors, scores and `VehicleClass`es of the candidates, rows ascending."""
        if scores.ndim != 3 or scores.shape[2] <= self._index.max(initial=-1):
            raise ModelError(f"{self._name}: scores of shape {scores.shape} lack the classes that the card names")
        named = scores[:, :, self._index]
        row, anchor = np.nonzero(named.max(axis=2, initial=0.0) >= self._threshold)
        candidates = named[row, anchor]
        which = candidates.argmax(axis=1) if len(row) else np.empty(0, np.int64)
        score = candidates[np.arange(len(row)), which].astype(np.float32)
        return row, anchor, score, self._class_id[which]


def candidates_of(row: Ints, xyxy_model_px: NDArray[Any], score: Floats32, class_id: Ints32) -> Candidates:
    """Put together, without the boxes that are not finite or empty."""
    left, top, right, bottom = xyxy_model_px.T
    sound = np.isfinite(xyxy_model_px).all(axis=1) & (right > left) & (bottom > top)
    return Candidates(
        row[sound].astype(np.int32), xyxy_model_px[sound].astype(np.float32), score[sound], class_id[sound]
    )


def centred(centre_x: NDArray[Any], centre_y: NDArray[Any], width: NDArray[Any], height: NDArray[Any]) -> Floats32:
    """(K, 4): centre boxes as left, top, right, bottom."""
    edges = (centre_x - width / 2, centre_y - height / 2, centre_x + width / 2, centre_y + height / 2)
    boxes: Floats32 = np.stack(edges, axis=-1).astype(np.float32)
    return boxes


def cells(width_px: int, height_px: int, stride: int) -> NDArray[np.float32]:
    """(A, 3): column, row and stride of every cell of one feature map, row by row."""
    row, column = np.mgrid[: -(-height_px // stride), : -(-width_px // stride)]
    return np.stack([column.ravel(), row.ravel(), np.full(row.size, stride)], axis=1).astype(np.float32)


def strides_of(card: ModelCard, usual: str) -> list[int]:
    """The card's `strides` option, e.g. "8 16 32"."""
    try:
        strides = [int(word) for word in str(card.head_options.get("strides", usual)).split()]
    except ValueError as error:
        raise ModelError(f"{card.name}: strides: {error}") from error
    if not strides or min(strides) < 1:
        raise ModelError(f"{card.name}: strides {strides} are not positive")
    return strides


def output(outputs: Outputs, shape: tuple[int | None, ...], card: ModelCard, what: str) -> NDArray[Any]:
    """The one output of this shape (None: any). Raises ModelError where there is none or several."""
    fitting = [
        value
        for value in outputs.values()
        if value.ndim == len(shape) and all(n in (None, m) for n, m in zip(shape, value.shape, strict=True))
    ]
    if len(fitting) != 1:
        shapes = {name: value.shape for name, value in outputs.items()}
        raise ModelError(f"{card.name}: {len(fitting)} outputs fit as {what} {shape}: {shapes}")
    return fitting[0]
