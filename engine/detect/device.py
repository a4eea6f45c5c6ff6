"""The detector on a device: network, head and merging run in the memory of the pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.detect.cards import ModelCard
from engine.detect.device_merge import DeviceMerge
from engine.detect.heads.device import DeviceCandidates, DeviceReader
from engine.detect.network import Network, split_batches
from engine.errors import OutOfDeviceMemory
from engine.gpu.errors import device_error
from engine.types import Detections, FrameBatch, ModelRecord


class DeviceDetector:
    """Finds the boxes of a batch and copies only them to the host.

    Takes pixels as NumPy arrays, torch tensors, or any object with DLPack. The network has one memory, so two callers
    (the pipeline, and the stills of a case) take turns. The constructor runs a blank picture, and raises ModelError if
    card and network do not fit together. `on_overflow` is called with a number of omitted candidates (`DeviceMerge`).
    """

    def __init__(
        self, card: ModelCard, network: Network, on_overflow: Callable[[int], None] = lambda lost: None
    ) -> None:
        device = network.pictures.device
        self._card, self._network = card, network
        self._reader = DeviceReader(card, device)
        self._merge = DeviceMerge(card, device, on_overflow)
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]
        self._turn = Lock()
        with _translate_errors(), self._on_stream():
            self._reader.read(network.run(network.sizes[0]))

    @property
    def model(self) -> ModelRecord:
        """Record of the card's model and the network's runtime."""
        return ModelRecord(self._card.name, self._card.sha256, self._network.runtime, self._network.details)

    def detect(self, batch: FrameBatch) -> Detections:
        """Find the vehicles and persons in all frames. Raises ModelError if the network fails, DeviceError.

        If the device's memory is too small to compare the boxes of the batch at once, it compares fewer at a time.
        """
        if not len(batch.frame):
            none, score = np.empty(0, np.int32), np.empty(0, np.float32)
            return Detections(batch.frames, none, np.empty((0, 4), np.float32), score, none)
        with self._turn, torch.inference_mode():
            while True:
                try:
                    with _translate_errors(), self._on_stream():
                        return self._merge.merge(self._find_candidates(_to_tensor(batch.pixels)), batch)
                except OutOfDeviceMemory:
                    if not self._merge.shrink():
                        raise
                    torch.cuda.empty_cache()

    def close(self) -> None:
        """Close the network."""
        self._network.close()

    def _find_candidates(self, pixels: Tensor) -> DeviceCandidates:
        """The candidates of all rows. The outputs of a run are read before the next run overwrites them."""
        if self._card.input.layout == "nhwc":
            pixels = pixels.permute(0, 2, 3, 1)
        found = [self._run(pixels[rows], size) for rows, size in split_batches(len(pixels), self._network.sizes)]
        return DeviceCandidates(*(torch.cat(column) for column in zip(*found, strict=True)))

    def _run(self, pixels: Tensor, size: int) -> DeviceCandidates:
        # The rows from `rows` to `size` still hold older pictures. The network runs them, and nothing reads the result.
        rows = len(pixels)
        self._network.pictures[:rows].copy_(pixels)
        return self._reader.read({name: value[:rows] for name, value in self._network.run(size).items()})

    @contextmanager
    def _on_stream(self) -> Iterator[None]:
        """Queue work on the detector's own stream, after the work that the caller's stream already has."""
        if self._stream is None:
            yield
            return
        self._stream.wait_stream(torch.cuda.current_stream(self._stream.device))
        with torch.cuda.stream(self._stream):
            yield


@contextmanager
def _translate_errors() -> Iterator[None]:
    """Turn torch's errors of the device into `DeviceError`s."""
    try:
        yield
    except RuntimeError as error:
        if translated := device_error(str(error)):
            raise translated from error
        raise


def _to_tensor(pixels: Any) -> Tensor:
    if isinstance(pixels, np.ndarray):
        return torch.from_numpy(pixels)
    return pixels if isinstance(pixels, Tensor) else torch.utils.dlpack.from_dlpack(pixels)
