"""Health of a GPU from NVIDIA's management library (NVML): memory, load, and Xid errors.

The numbers are read when the metrics are read. A thread listens for Xids. After a card has fallen off the bus, calls
into the driver often hang instead of failing; then only this thread can end the process.
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
"""Errors after which a card is unusable until it is reset (NVIDIA GPU Debug Guidelines, Xid errors)."""
EXIT_LIMIT_S = 60.0
"""Time limit for a clean exit after the GPU is lost."""
_LISTEN_S = 1.0


def has_driver() -> bool:
    """True if NVIDIA's driver is installed. Does not import torch, which takes a second."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def open_monitor(index: int) -> NvmlMonitor | None:
    """The monitor of the GPU with this CUDA index in this process; None without a GPU or without NVML (logged)."""
    uuid = _find_uuid(index)
    if uuid is None:
        return None
    try:
        return NvmlMonitor(uuid)
    except ImportError as error:
        log.warning("GPU not monitored: nvidia-ml-py is not installed", error=str(error))
    except DeviceError as error:
        log.warning("GPU not monitored", error=str(error))
    return None


def _find_uuid(index: int) -> str | None:
    # CUDA orders GPUs by speed and CUDA_VISIBLE_DEVICES, NVML by PCI bus: only the UUID is the same in both.
    if not has_driver() or find_spec("torch") is None:
        return None
    import torch

    if not torch.cuda.is_available() or index >= torch.cuda.device_count():
        return None
    return str(torch.cuda.get_device_properties(index).uuid)


class NvmlMonitor:
    """Numbers and errors of the GPU with this UUID. A number is nan if the card or its partition (MIG) does not report
    it. Raises ImportError without nvidia-ml-py, DeviceError if NVML fails."""

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
        """Memory in use by all processes."""
        return self._read(lambda: self._nvml.nvmlDeviceGetMemoryInfo(self._handle).used)

    def memory_total_bytes(self) -> float:
        """All memory of the GPU or its partition."""
        return self._read(lambda: self._nvml.nvmlDeviceGetMemoryInfo(self._handle).total)

    def busy_computing(self) -> float:
        """Share of the last sample period in which its multiprocessors were busy, 0 to 1."""
        return self._read(lambda: self._nvml.nvmlDeviceGetUtilizationRates(self._handle).gpu / 100)

    def busy_decoding(self) -> float:
        """Share of the last sample period in which its video decoders were busy, 0 to 1."""
        return self._read(lambda: self._nvml.nvmlDeviceGetDecoderUtilization(self._handle)[0] / 100)

    def wait_for_xid(self, timeout_s: float) -> int | None:
        """The next Xid; None if there is none within the time-out."""
        try:
            # For an Xid event, eventData is the most recent Xid (NVML API, nvmlEventData_t).
            return int(self._nvml.nvmlEventSetWait_v2(self._events, int(1000 * timeout_s)).eventData)
        except self._nvml.NVMLError_Timeout:
            return None
        except self._nvml.NVMLError_GpuIsLost:
            return OFF_THE_BUS
        except self._nvml.NVMLError as error:
            log.debug("NVML reports no events", error=str(error))
            time.sleep(timeout_s)  # some failures return at once, and the caller's loop must not spin
            return None

    def close(self) -> None:
        """End the connection to NVML."""
        self._nvml.nvmlEventSetFree(self._events)
        self._nvml.nvmlShutdown()

    def _read(self, query: Callable[[], float]) -> float:
        try:
            return float(query())
        except self._nvml.NVMLError:  # a MIG partition does not support all queries
            return math.nan


LossCheck = Callable[[], DeviceLost | None]
"""Returns the error if the GPU is lost, else None."""


@contextmanager
def watch_gpu(index: int, metrics: Metrics) -> Iterator[LossCheck]:
    """`watch_monitor` of the GPU with this CUDA index. Without a GPU the check always returns None."""
    monitor = open_monitor(index)
    if monitor is None:
        yield lambda: None
        return
    with watch_monitor(monitor, str(index), metrics) as lost:
        yield lost


@contextmanager
def watch_monitor(monitor: NvmlMonitor, name: str, metrics: Metrics) -> Iterator[LossCheck]:
    """Export the numbers of a GPU as metrics under `name`, and listen for its Xids. Closes the monitor at the end.

    This context must enclose all use of the GPU. If it is still open `EXIT_LIMIT_S` after the GPU was lost, because a
    call hangs, the process ends with `DeviceLost.exit_status`.
    """
    for state, read in (("used", monitor.memory_used_bytes), ("total", monitor.memory_total_bytes)):
        metrics.gpu_memory.labels(name, state).set_function(read)
    for part, read in (("sm", monitor.busy_computing), ("nvdec", monitor.busy_decoding)):
        metrics.gpu_busy.labels(name, part).set_function(read)
    listener = _Listener(monitor, name, metrics)
    try:
        yield lambda: listener.lost
    finally:
        listener.close()
        monitor.close()


class _Listener:
    def __init__(self, monitor: NvmlMonitor, name: str, metrics: Metrics) -> None:
        self.lost: DeviceLost | None = None
        self._monitor, self._name, self._metrics = monitor, name, metrics
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="xid", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closed.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closed.is_set() and self.lost is None:
            xid = self._monitor.wait_for_xid(_LISTEN_S)
            if xid is not None:
                self._record(xid)
        if not self._closed.wait(EXIT_LIMIT_S if self.lost else None):
            log.critical("process does not end after the loss of its GPU", waited_s=EXIT_LIMIT_S)
            os._exit(DeviceLost.exit_status)  # threads that hang in the driver would block a normal exit

    def _record(self, xid: int) -> None:
        self._metrics.gpu_xids.labels(self._name, str(xid)).inc()
        log.error("Xid", gpu=self._name, xid=xid, meaning=FATAL_XIDS.get(xid, "see the kernel's log"))
        if xid in FATAL_XIDS:
            self.lost = DeviceLost(f"GPU {self._name}: Xid {xid}, {FATAL_XIDS[xid]}")
