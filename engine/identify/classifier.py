"""The operator's own classifier for one kind: an ONNX network that sees a part of the vehicle. No model is shipped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort

from engine.config import ClassifierConfig
from engine.errors import ModelError
from engine.identify.confirmation import resized
from engine.types import Bytes8, Floats


class OnnxClassifier:
    """One input (N, 3, H, W) f4, one output (N, C); `config.column` is the offence's probability or logit."""

    def __init__(self, path: Path, config: ClassifierConfig) -> None:
        """Raises ModelError if the network does not load, rejects such pictures, or its output cannot be used."""
        self._config = config
        self._path = path
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        try:
            self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ModelError(f"{path}: {error}") from error
        self._input = self._session.get_inputs()[0].name
        self._try()

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self._path.stem

    def score(self, crops: Sequence[Bytes8]) -> Sequence[float]:
        """A probability, 0 to 1, for every crop. Runs them one by one, so a network with a fixed batch of 1 works."""
        return [float(self._probabilities(crop)[self._config.column]) for crop in crops]

    def _probabilities(self, crop: Bytes8) -> Floats:
        config = self._config
        scaled = resized(crop, config.size_px).astype(np.float32) / 255.0
        normal = (scaled - np.array(config.mean, np.float32)) / np.array(config.std, np.float32)
        (output,) = self._session.run(None, {self._input: normal.transpose(2, 0, 1)[None]})
        row = np.asarray(output, np.float64).reshape(-1)
        return _activated(row, config.activation)

    def _try(self) -> None:
        """Run once on a black picture, so that a wrong network is found when the engine starts."""
        width, height = self._config.size_px
        try:
            probabilities = self._probabilities(np.zeros((height, width, 3), np.uint8))
        except Exception as error:
            raise ModelError(f"{self._path}: does not take {width}x{height} pictures: {error}") from error
        if self._config.column >= len(probabilities):
            raise ModelError(
                f"{self._path}: has {len(probabilities)} outputs, column {self._config.column} does not exist"
            )
        if not ((probabilities >= 0) & (probabilities <= 1)).all():
            raise ModelError(f"{self._path}: outputs are not probabilities: set its activation")


def _activated(row: Floats, activation: str) -> Floats:
    if activation == "sigmoid":
        return np.asarray(1.0 / (1.0 + np.exp(-row)))
    if activation == "softmax":
        powers = np.exp(row - row.max())
        return np.asarray(powers / powers.sum())
    return row
