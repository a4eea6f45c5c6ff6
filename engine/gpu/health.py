"""The health of a GPU, as NVIDIA's management library (NVML) tells it: memory, load, and the errors called Xid.

Numbers are read when the metrics are. A thread listens for Xids: a card that has fallen off the bus often lets calls
hang instead of failing, and then nobody but this thread could end the process.
"""

from __future__ import annotations

import ctypes
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Protocol

import structlog

from engine.errors import DeviceError, DeviceLost
from engine.metrics import Metrics

log = structlog.get_logger()

OFF_THE_BUS = 79
FATAL_XIDS = {
    48: "double bit ECC error",
    62: "internal micro-controller halt",
    OFF_THE_BUS: "the GPU has fallen off the bus",
    95: "uncontained ECC error",
    119: "GSP RPC timeout",
    120: "GSP error",
}
"""After which a card does nothing more until it is reset (NVIDIA GPU Debug Guidelines, Xid errors)."""
FUSE_S = 60.0
"""So long a process may take to end by itself after its GPU was lost."""
_LISTEN_S = 1.0


class Card(Protocol):
    """One GPU. The numbers are nan where the card or its partition (MIG) does not tell them."""

    def memory_used_bytes(self) -> float: ...

    def memory_total_bytes(self) -> float: ...

    def busy_computing(self) -> float:
        """Share of the last moments in which its multiprocessors were busy, 0 to 1."""

    def busy_decoding(self) -> float:
        """The same of its video decoders."""

    def wait_for_xid(self, timeout_s: float) -> int | None:
        """The next Xid, or None when there was none in the time."""

    def close(self) -> None: ...


def has_driver() -> bool:
    """Whether NVIDIA's driver is installed; torch, which takes a second to import, is not asked."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def open_card(index: int) -> Card | None:
    """The GPU that CUDA shows to this process under this index: None where there is none, or, with a line in the log,
    where NVML does not know it: then nobody watches it."""
    uuid = _uuid(index)
    if uuid is None:
        return None
    try:
        return NvmlCard(uuid)
    except ImportError as error:
        log.warning("the GPU is not watched: nvidia-ml-py is not installed", error=str(error))
    except DeviceError as error:
        log.warning("the GPU is not watched", error=str(error))
    return None


def _uuid(index: int) -> str | None:
    """CUDA and NVML count cards differently, but name them alike."""
    if not has_driver() or find_spec("torch") is None:
        return None
    import torch

    if not torch.cuda.is_available() or index >= torch.cuda.device_count():
        return None
    return str(torch.cuda.get_device_properties(index).uuid)


class NvmlCard:
    """The card of this UUID. Raises ImportError without nvidia-ml-py, DeviceError where the library says no."""

    def __init__(self, uuid: str) -> None:
        import pynvml

        self._nvml = pynvml
        try:
            pynvml.nvmlInit()
            self._handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
            self._events = pynvml.nvmlEventSetCreate()
            pynvml.nvmlDeviceRegisterEvents(self._handle, pynvml.nvmlEventTypeXidCriticalError, self._events)
        except pynvml.NVMLError as error:
            raise DeviceError(f"NVML, GPU {uuid}: {error}") from error

    def memory_used_bytes(self) -> float:
        return self._told(lambda: self._nvml.nvmlDeviceGetMemoryInfo(self._handle).used)

    def memory_total_bytes(self) -> float:
        return self._told(lambda: self._nvml.nvmlDeviceGetMemoryInfo(self._handle).total)

    def busy_computing(self) -> float:
        return self._told(lambda: self._nvml.nvmlDeviceGetUtilizationRates(self._handle).gpu / 100)

    def busy_decoding(self) -> float:
        return self._told(lambda: self._nvml.nvmlDeviceGetDecoderUtilization(self._handle)[0] / 100)

    def wait_for_xid(self, timeout_s: float) -> int | None:
        try:
            return int(self._nvml.nvmlEventSetWait_v2(self._events, int(1000 * timeout_s)).eventData)
        except self._nvml.NVMLError_Timeout:
            return None
        except self._nvml.NVMLError_GpuIsLost:
            return OFF_THE_BUS
        except self._nvml.NVMLError as error:
            log.debug("NVML did not listen", error=str(error))
            time.sleep(timeout_s)
            return None

    def close(self) -> None:
        self._nvml.nvmlEventSetFree(self._events)
        self._nvml.nvmlShutdown()

    def _told(self, ask: Callable[[], float]) -> float:
        try:
            return float(ask())
        except self._nvml.NVMLError:
            return math.nan


Lost = Callable[[], DeviceLost | None]
"""Asks whether the GPU is lost, and how."""


@contextmanager
def watching(index: int, metrics: Metrics) -> Iterator[Lost]:
    """`watching_card` of the GPU that CUDA shows under this index; where there is none, none is ever lost."""
    card = open_card(index)
    if card is None:
        yield lambda: None
        return
    with watching_card(card, str(index), metrics) as lost:
        yield lost


@contextmanager
def watching_card(card: Card, name: str, metrics: Metrics) -> Iterator[Lost]:
    """Show the card's numbers in the metrics as GPU `name`, and listen for its Xids, for as long as this is open.

    Open it around all that uses the card: where it is lost and this is still open `FUSE_S` later, because some call
    hangs, the process is ended with `DeviceLost.exit_status`.
    """
    for state, read in (("used", card.memory_used_bytes), ("total", card.memory_total_bytes)):
        metrics.gpu_memory.labels(name, state).set_function(read)
    for part, read in (("sm", card.busy_computing), ("nvdec", card.busy_decoding)):
        metrics.gpu_busy.labels(name, part).set_function(read)
    listener = _Listener(card, name, metrics)
    try:
        yield lambda: listener.lost
    finally:
        listener.close()
        card.close()


class _Listener:
    def __init__(self, card: Card, name: str, metrics: Metrics) -> None:
        self.lost: DeviceLost | None = None
        self._card, self._name, self._metrics = card, name, metrics
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="xid", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closed.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closed.is_set() and self.lost is None:
            xid = self._card.wait_for_xid(_LISTEN_S)
            if xid is not None:
                self._take(xid)
        if not self._closed.wait(FUSE_S if self.lost else None):
            log.critical("the process does not end by itself after its GPU was lost", waited_s=FUSE_S)
            os._exit(DeviceLost.exit_status)

    def _take(self, xid: int) -> None:
        self._metrics.gpu_xids.labels(self._name, str(xid)).inc()
        log.error("Xid", gpu=self._name, xid=xid, meaning=FATAL_XIDS.get(xid, "see the kernel's log"))
        if xid in FATAL_XIDS:
            self.lost = DeviceLost(f"GPU {self._name}: Xid {xid}, {FATAL_XIDS[xid]}")
