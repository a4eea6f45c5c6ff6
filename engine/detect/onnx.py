"""The detector on the CPU: ONNX Runtime, one picture per thread.

Measured with the shipped network on one core: one picture takes 8.9 ms; eight in one run take 14.4 ms each, because
their activations do not fit into the caches. Two threads inside one run gain nothing. So each row of a batch is a
separate run, one per thread. Then the result of a row cannot depend on its neighbours.
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
from engine.detect.heads import Candidates, make_reader
from engine.detect.merge import merge_candidates
from engine.detect.network import picture_shape
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
"""Compute Q/DQ nodes as they are, without 8-bit kernels: on x86 processors without VNNI these saturate in 16 bits
(documentation of ONNX Runtime, "Quantize ONNX models", U8S8), and the boxes are far off."""
TARGET_SIZES = "orig_target_sizes"
"""Second input of DETR exports that scale the boxes: width and height to scale to, (B, 2) i8."""


class OnnxDetector:
    """Runs the network of `card` on `threads` threads; 0 for one per core.

    The constructor runs a blank picture, and raises ModelError if file, card and network do not fit together.
    """

    def __init__(self, card: ModelCard, threads: int) -> None:
        self._card = card
        self._head = make_reader(card)
        self._session = open_session(card, read_model(card), ["CPUExecutionProvider"])
        self._constants = check_inputs(card, self._session)
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._pool = ThreadPoolExecutor(threads or os.cpu_count(), thread_name_prefix="detect")
        self._find_candidates(np.zeros((1, *picture_shape(card)), card.input.dtype))

    @property
    def model(self) -> ModelRecord:
        """Record of the card's model and the runtime."""
        return ModelRecord(self._card.name, self._card.sha256, f"onnxruntime {onnxruntime.__version__} cpu")

    def detect(self, batch: FrameBatch) -> Detections:
        """Find the vehicles and persons in all frames. Raises ModelError if the network fails."""
        found = list(self._pool.map(self._find_candidates, self._rows(batch.pixels)))
        return merge_candidates(_join_rows(found), batch, self._card)

    def close(self) -> None:
        """Wait for the threads to end."""
        self._pool.shutdown()

    def _rows(self, pixels: Any) -> Sequence[NDArray[Any]]:
        """Each row as a batch of one in the network's layout. Copies only if the decoder used another layout, or if the
        pixels are on a device."""
        if not isinstance(pixels, np.ndarray):
            pixels = np.from_dlpack(pixels.cpu())
        if self._card.input.layout == "nhwc":
            pixels = pixels.transpose(0, 2, 3, 1)
        return [np.ascontiguousarray(row)[None] for row in pixels]

    def _find_candidates(self, picture: NDArray[Any]) -> Candidates:
        """The candidates of one picture (1, ...), with row 0."""
        inputs = {self._session.get_inputs()[0].name: picture} | self._constants
        try:
            values = self._session.run(self._outputs, inputs)
        except FAILURES as error:
            raise ModelError(f"{self._card.name}: {error}") from error
        return self._head.read(dict(zip(self._outputs, values, strict=True)))


def read_model(card: ModelCard) -> bytes:
    """Content of the card's model file. Raises ModelError if it cannot be read or has another hash than in the card."""
    try:
        content = card.file.read_bytes()
    except OSError as error:
        raise ModelError(f"{card.name}: {error}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != card.sha256:
        raise ModelError(f"{card.name}: {card.file} has SHA-256 {found}, its card says {card.sha256}")
    return content


def open_session(card: ModelCard, content: bytes, providers: Sequence[Any]) -> onnxruntime.InferenceSession:
    """Load the network. Raises ModelError if `content` is not a valid network."""
    options = onnxruntime.SessionOptions()
    # One thread per run. The pool of OnnxDetector runs several pictures at once.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    options.add_session_config_entry(*_EXACT)
    try:
        return onnxruntime.InferenceSession(content, options, providers=providers)
    except FAILURES as error:
        raise ModelError(f"{card.name}: {card.file}: {error}") from error


def check_inputs(card: ModelCard, network: onnxruntime.InferenceSession) -> dict[str, NDArray[Any]]:
    """The inputs besides the picture, by name. Raises ModelError if an input is not as expected."""
    picture, *others = network.get_inputs()
    expected = (1, *picture_shape(card))
    fits = len(picture.shape) == len(expected) and all(
        not isinstance(have, int) or have == want for have, want in zip(picture.shape, expected, strict=True)
    )
    if picture.name != card.input.name or not fits:
        wanted = f"{card.input.name!r} {expected}"
        raise ModelError(f"{card.name}: the input is {picture.name!r} {picture.shape}, its card says {wanted}")
    if [other.name for other in others] not in ([], [TARGET_SIZES]):
        raise ModelError(f"{card.name}: unknown inputs: {[other.name for other in others]}")
    return {other.name: np.array([[card.input.width_px, card.input.height_px]], np.int64) for other in others}


def _join_rows(found: Sequence[Candidates]) -> Candidates:
    """Join the candidates of all rows."""
    counts = [len(one.row) for one in found]
    row = np.repeat(np.arange(len(found), dtype=np.int32), counts)
    if not found:
        return Candidates(row, np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.int32))
    boxes, scores, classes = (np.concatenate(column) for column in list(zip(*found, strict=True))[1:])
    return Candidates(row, boxes, scores, classes)
