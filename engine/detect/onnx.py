"""The detector on the CPU: ONNX Runtime, one picture to a thread.

Measured with the shipped network on one core: 8.9 ms for a picture alone, 14.4 ms each for eight in one run, because
eight pictures' activations do not fit the caches; and two threads inside one run gain nothing. So every row of a batch
is a run of its own, as many at the same time as there are threads. A row's result then cannot depend on its neighbours.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as runtime

from engine.detect.cards import ModelCard
from engine.detect.heads import Candidates, reader_of
from engine.detect.merge import merged
from engine.errors import ModelError
from engine.types import Detections, FrameBatch, ModelRecord

FAILURES = (
    runtime.EPFail,
    runtime.Fail,
    runtime.InvalidArgument,
    runtime.InvalidGraph,
    runtime.InvalidProtobuf,
    runtime.NotImplemented,
    runtime.RuntimeException,
)
_ERRORS_ONLY = 3
_EXACT = ("session.disable_quant_qdq", "1")
"""Q/DQ nodes round and nothing more: on processors without VNNI the 8-bit kernels saturate and are off by much."""
TARGET_SIZES = "orig_target_sizes"
"""Second input of DETR exports that scale the boxes themselves: width and height to scale to, (B, 2) i8."""


class OnnxDetector:
    """Runs the network of `card` on `threads` threads (0: as many as cores).

    Raises ModelError where file, card and network do not fit together: a blank picture is put through at once.
    """

    def __init__(self, card: ModelCard, threads: int) -> None:
        self._card = card
        self._head = reader_of(card)
        self._session = session(card, verified(card), ["CPUExecutionProvider"])
        self._constants = check_inputs(card, self._session)
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._pool = ThreadPoolExecutor(threads or os.cpu_count(), thread_name_prefix="detect")
        self._look(np.zeros(_input_shape(card), card.input.dtype))

    @property
    def model(self) -> ModelRecord:
        return ModelRecord(self._card.name, self._card.sha256, f"onnxruntime {onnxruntime.__version__} cpu")

    def detect(self, batch: FrameBatch) -> Detections:
        """Find the vehicles and persons of every frame. Raises ModelError where the network fails."""
        found = list(self._pool.map(self._look, self._rows(batch.pixels)))
        return merged(_joined(found), batch, self._card)

    def close(self) -> None:
        """Wait for the threads to end."""
        self._pool.shutdown()

    def _rows(self, pixels: Any) -> Sequence[NDArray[Any]]:
        """Every row as a batch of one, in the network's memory order; a copy only where the decoder used another, or
        left its pixels on a device."""
        if not isinstance(pixels, np.ndarray):
            pixels = np.from_dlpack(pixels.cpu())
        if self._card.input.layout == "nhwc":
            pixels = pixels.transpose(0, 2, 3, 1)
        return [np.ascontiguousarray(row)[None] for row in pixels]

    def _look(self, picture: NDArray[Any]) -> Candidates:
        """The candidates of one picture (1, ...), as row 0."""
        inputs = {self._session.get_inputs()[0].name: picture} | self._constants
        try:
            values = self._session.run(self._outputs, inputs)
        except FAILURES as error:
            raise ModelError(f"{self._card.name}: {error}") from error
        return self._head.read(dict(zip(self._outputs, values, strict=True)))


def verified(card: ModelCard) -> bytes:
    """The model file's content. Raises ModelError where it cannot be read or is not the one the card is about."""
    try:
        content = card.file.read_bytes()
    except OSError as error:
        raise ModelError(f"{card.name}: {error}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != card.sha256:
        raise ModelError(f"{card.name}: {card.file} has SHA-256 {found}, its card says {card.sha256}")
    return content


def session(card: ModelCard, content: bytes, providers: Sequence[Any]) -> onnxruntime.InferenceSession:
    """The network of a verified file. Raises ModelError where it is none."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    options.add_session_config_entry(*_EXACT)
    try:
        return onnxruntime.InferenceSession(content, options, providers=providers)
    except FAILURES as error:
        raise ModelError(f"{card.name}: {card.file}: {error}") from error


def _input_shape(card: ModelCard) -> tuple[int, int, int, int]:
    height, width = card.input.height_px, card.input.width_px
    return (1, 3, height, width) if card.input.layout == "nchw" else (1, height, width, 3)


def check_inputs(card: ModelCard, network: onnxruntime.InferenceSession) -> dict[str, NDArray[Any]]:
    """The inputs besides the picture. Raises ModelError where the picture's or any other input is not as expected."""
    picture, *others = network.get_inputs()
    expected = _input_shape(card)
    fits = len(picture.shape) == len(expected) and all(
        not isinstance(have, int) or have == want for have, want in zip(picture.shape, expected, strict=True)
    )
    if picture.name != card.input.name or not fits:
        wanted = f"{card.input.name!r} {expected}"
        raise ModelError(f"{card.name}: the input is {picture.name!r} {picture.shape}, its card says {wanted}")
    if [other.name for other in others] not in ([], [TARGET_SIZES]):
        raise ModelError(f"{card.name}: inputs that nobody can fill: {[other.name for other in others]}")
    return {other.name: np.array([[card.input.width_px, card.input.height_px]], np.int64) for other in others}


def _joined(found: Sequence[Candidates]) -> Candidates:
    """One list of the candidates of all rows."""
    counts = [len(one.row) for one in found]
    row = np.repeat(np.arange(len(found), dtype=np.int32), counts)
    if not found:
        return Candidates(row, np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.int32))
    boxes, scores, classes = (np.concatenate(column) for column in list(zip(*found, strict=True))[1:])
    return Candidates(row, boxes, scores, classes)
