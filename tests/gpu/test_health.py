"""Health of a GPU in the metrics, and the loss of a GPU."""

from __future__ import annotations

import queue
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.errors import DeviceLost
from engine.gpu import health
from engine.gpu.health import open_monitor, watch_monitor
from engine.metrics import Metrics

ROOT = Path(__file__).parents[2]


class RecordedCard:
    """A GPU with fixed numbers that reports the Xids in its queue."""

    def __init__(self) -> None:
        self.xids: queue.Queue[int] = queue.Queue()
        self.used_bytes = 3e9
        self.closed = False

    def memory_used_bytes(self) -> float:
        return self.used_bytes

    def memory_total_bytes(self) -> float:
        return 80e9

    def busy_computing(self) -> float:
        return 0.4

    def busy_decoding(self) -> float:
        return 0.9

    def wait_for_xid(self, timeout_s: float) -> int | None:
        try:
            return self.xids.get(timeout=0.01)
        except queue.Empty:
            return None

    def close(self) -> None:
        self.closed = True


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, {"gpu": "0", **labels})


def until(true: object, seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:  # type: ignore[operator]
        time.sleep(0.01)
    return bool(true())  # type: ignore[operator]


def test_numbers_of_the_gpu_are_read_with_the_metrics() -> None:
    metrics, card = Metrics(), RecordedCard()
    with watch_monitor(card, "0", metrics):
        assert value(metrics, "qyran_gpu_memory_bytes", state="used") == 3e9
        card.used_bytes = 4e9
        assert value(metrics, "qyran_gpu_memory_bytes", state="used") == 4e9
        assert value(metrics, "qyran_gpu_memory_bytes", state="total") == 80e9
        assert value(metrics, "qyran_gpu_busy_ratio", part="sm") == 0.4
        assert value(metrics, "qyran_gpu_busy_ratio", part="nvdec") == 0.9
    assert card.closed


def test_a_harmless_xid_is_only_counted() -> None:
    metrics, card = Metrics(), RecordedCard()
    with watch_monitor(card, "0", metrics) as lost:
        card.xids.put(31)
        assert until(lambda: value(metrics, "qyran_gpu_xids_total", xid="31") == 1)
        card.xids.put(31)
        assert until(lambda: value(metrics, "qyran_gpu_xids_total", xid="31") == 2)
        assert lost() is None


def test_a_gpu_that_fell_off_the_bus_is_lost() -> None:
    card = RecordedCard()
    with watch_monitor(card, "0", Metrics()) as lost:
        card.xids.put(79)
        assert until(lost)
        assert "Xid 79, the GPU has fallen off the bus" in str(lost())
    assert card.closed


def test_a_process_that_hangs_after_the_loss_ends_with_its_status() -> None:
    code = (
        "import sys, time; sys.path.insert(0, '.')\n"
        "from engine.gpu import health; health.EXIT_LIMIT_S = 0.2\n"
        "from engine.metrics import Metrics\n"
        "from tests.gpu.test_health import RecordedCard\n"
        "card = RecordedCard(); card.xids.put(79)\n"
        "with health.watch_monitor(card, '0', Metrics()): time.sleep(60)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=50)
    assert done.returncode == DeviceLost.exit_status == 75, done.stderr
    assert "process does not end after the loss" in done.stdout + done.stderr


def test_no_gpu_is_never_lost() -> None:
    assert open_monitor(99) is None


def test_a_gpu_that_nvml_does_not_show_is_not_monitored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_find_uuid", lambda index: "00000000-0000-0000-0000-000000000000")
    assert open_monitor(0) is None


def test_the_used_functions_of_nvml_exist() -> None:
    """NVML cannot be called without a driver, so a wrong name would show only on a GPU."""
    pynvml = pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed: its names are not checked")
    names = set(re.findall(r"nvml\.(\w+)", Path(health.__file__).read_text(encoding="utf-8")))
    assert len(names) > 10
    assert [name for name in sorted(names) if not hasattr(pynvml, name)] == []
