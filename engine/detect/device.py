"""The detector on a device: a network, its head and the merging, all where the pictures are."""

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
from engine.detect.heads.device import DeviceReader, Found
from engine.detect.network import Network, batches
from engine.errors import OutOfDeviceMemory
from engine.gpu.errors import device_error
from engine.types import Detections, FrameBatch, ModelRecord


class DeviceDetector:
    """Finds the boxes of a batch with one copy to the host: theirs.

    Takes pixels as NumPy arrays, torch tensors, or anything that speaks DLPack. The network's memory is one, so two
    callers (the pipeline, and the stills of a case) take turns. Raises ModelError where card and network do not fit: a
    blank picture is put through at once.
    """

    def __init__(self, card: ModelCard, network: Network, left_out: Callable[[int], None] = lambda lost: None) -> None:
        device = network.pictures.device
        self._card = card
        self._network = network
        self._reader = DeviceReader(card, device)
        self._merge = DeviceMerge(card, device, left_out)
        self._stream = _stream(device)
        self._turn = Lock()
        with _in_our_terms(), self._on_stream():
            self._reader.read(network.run(network.sizes[0]))

    @property
    def model(self) -> ModelRecord:
        return ModelRecord(self._card.name, self._card.sha256, self._network.runtime, self._network.details)

    def detect(self, batch: FrameBatch) -> Detections:
        """Find the vehicles and persons of every frame. Where the device has no room to compare the boxes of the
        batch, it compares fewer at a time. Raises ModelError where the network fails, DeviceError."""
        if not len(batch.frame):
            return _nothing(batch)
        with self._turn, torch.inference_mode():
            while True:
                try:
                    return self._detect(batch)
                except OutOfDeviceMemory:
                    if not self._merge.shrink():
                        raise
                    torch.cuda.empty_cache()

    def close(self) -> None:
        self._network.close()

    def _detect(self, batch: FrameBatch) -> Detections:
        with _in_our_terms(), self._on_stream():
            return self._merge.merged(self._look(_tensor(batch.pixels)), batch)

    def _look(self, pixels: Tensor) -> Found:
        """The candidates of every row; a run's outputs are read before the next run overwrites them."""
        if self._card.input.layout == "nhwc":
            pixels = pixels.permute(0, 2, 3, 1)
        found = [self._run(pixels[rows], size) for rows, size in batches(len(pixels), self._network.sizes)]
        return Found(*(torch.cat(column) for column in zip(*found, strict=True)))

    def _run(self, pixels: Tensor, size: int) -> Found:
        """What lies in the memory beyond the pictures is run with them and not read."""
        rows = len(pixels)
        self._network.pictures[:rows].copy_(pixels)
        return self._reader.read({name: value[:rows] for name, value in self._network.run(size).items()})

    @contextmanager
    def _on_stream(self) -> Iterator[None]:
        """Work is queued behind what the caller's stream has queued, on a stream of the detector's own."""
        if self._stream is None:
            yield
            return
        self._stream.wait_stream(torch.cuda.current_stream(self._stream.device))
        with torch.cuda.stream(self._stream):
            yield


@contextmanager
def _in_our_terms() -> Iterator[None]:
    """torch's errors that tell of the device, as `DeviceError`s."""
    try:
        yield
    except RuntimeError as error:
        if told := device_error(str(error)):
            raise told from error
        raise


def _stream(device: torch.device) -> torch.cuda.Stream | None:
    return torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]


def _tensor(pixels: Any) -> Tensor:
    if isinstance(pixels, np.ndarray):
        return torch.from_numpy(pixels)
    return pixels if isinstance(pixels, Tensor) else torch.utils.dlpack.from_dlpack(pixels)


def _nothing(batch: FrameBatch) -> Detections:
    return Detections(
        batch.frames,
        np.empty(0, np.int32),
        np.empty((0, 4), np.float32),
        np.empty(0, np.float32),
        np.empty(0, np.int32),
    )
