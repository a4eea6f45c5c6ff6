"""All lines at work, each on a thread of its own: inside `qyran run`, or alone as `qyran deliver`."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager

import structlog

from engine.config import EngineConfig
from engine.deliver.channels import open_channel
from engine.deliver.worker import DeliveryWorker
from engine.errors import QyranError
from engine.ledger import SqlLedger
from engine.metrics import Metrics

log = structlog.get_logger()

RETRY_S = 2.0
"""Pause after the register could not be used."""
MEASURE_S = 10.0
"""How often the metrics hear how a line stands."""


@contextmanager
def open_deliverer(config: EngineConfig, ledger: SqlLedger, metrics: Metrics) -> Iterator[Deliverer]:
    """A line to every recipient of the configuration, at work until the end. Raises ConfigError."""
    with ExitStack() as stack:
        lines = []
        for recipient in config.recipients:
            channel = stack.enter_context(closing(open_channel(recipient)))
            lines.append(DeliveryWorker(recipient, ledger, channel, config.evidence_root, metrics))
        deliverer = Deliverer(lines)
        deliverer.start()
        stack.callback(deliverer.stop)
        yield deliverer


class Deliverer:
    """Works its lines between `start` and `stop`. What goes wrong on one stays on it."""

    def __init__(self, lines: Sequence[DeliveryWorker]) -> None:
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, args=(line,), name=f"deliver {line.name}", daemon=True)
            for line in lines
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the lines; a submission under way is waited for, at most for its deadline."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def wait(self) -> None:
        """Until `stop`."""
        self._stopped.wait()

    def _work(self, line: DeliveryWorker) -> None:
        measure_again_s = 0.0
        while not self._stopped.is_set():
            try:
                pause_s = line.step()
                if time.monotonic() >= measure_again_s:
                    line.measure()
                    measure_again_s = time.monotonic() + MEASURE_S
            except QyranError as error:
                log.error("line stands still", recipient=line.name, error=str(error))
                pause_s = RETRY_S
            except Exception:
                log.exception("line failed, going on", recipient=line.name)
                pause_s = RETRY_S
            self._stopped.wait(pause_s)
        _close(line)


def _close(line: DeliveryWorker) -> None:
    try:
        line.close()
    except QyranError as error:
        log.warning("line not released", recipient=line.name, error=str(error))
