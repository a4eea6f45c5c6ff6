"""The recipient kinds, and one thread per recipient that delivers: inside `qyran run`, or alone as `qyran deliver`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager

import structlog

from engine.config import EngineConfig, RecipientConfig, redact
from engine.deliver.channel import Channel
from engine.deliver.https import HttpsChannel
from engine.deliver.rpc import RpcChannel
from engine.deliver.worker import DeliveryWorker
from engine.errors import ConfigError, QyranError
from engine.ledger import SqlLedger
from engine.metrics import Metrics

log = structlog.get_logger()

RETRY_S = 2.0
"""Pause after the ledger failed."""
MEASURE_S = 10.0
"""Interval of the metrics that count the outbox."""


CHANNELS: Mapping[str, Callable[[RecipientConfig], Channel]] = {
    "grpcs": RpcChannel,
    "grpc": RpcChannel,
    "https": HttpsChannel,
    "http": HttpsChannel,
}
"""Every scheme that an address may have. A new kind is one file and one line here."""


def open_channel(recipient: RecipientConfig) -> Channel:
    """The channel of a recipient; it connects at the first submission. Raises ConfigError for a wrong configuration."""
    scheme, separator, _ = recipient.url.partition("://")
    if not separator or scheme.lower() not in CHANNELS:
        known = ", ".join(f"{scheme}://" for scheme in CHANNELS)
        raise ConfigError(f"recipient {recipient.name}: {redact(recipient.url)}: the address must begin with {known}")
    return CHANNELS[scheme.lower()](recipient)


@contextmanager
def open_deliverer(config: EngineConfig, ledger: SqlLedger, metrics: Metrics) -> Iterator[Deliverer]:
    """Deliver to every recipient of the configuration until the end of the context. Raises ConfigError."""
    with ExitStack() as stack:
        workers = []
        for recipient in config.recipients:
            channel = stack.enter_context(closing(open_channel(recipient)))
            workers.append(DeliveryWorker(recipient, ledger, channel, config.evidence_root, metrics))
        deliverer = Deliverer(workers)
        deliverer.start()
        stack.callback(deliverer.stop)
        yield deliverer


class Deliverer:
    """Runs the workers between `start` and `stop`. An error of one worker does not reach the others."""

    def __init__(self, workers: Sequence[DeliveryWorker]) -> None:
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(worker,), name=f"deliver {worker.name}", daemon=True)
            for worker in workers
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the workers; blocks for a submission under way, at most for its deadline."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def wait(self) -> None:
        """Block until `stop`."""
        self._stopped.wait()

    def _run(self, worker: DeliveryWorker) -> None:
        measure_again_s = 0.0
        while not self._stopped.is_set():
            try:
                pause_s = worker.step()
                if time.monotonic() >= measure_again_s:
                    worker.measure()
                    measure_again_s = time.monotonic() + MEASURE_S
            except QyranError as error:
                log.error("delivery is interrupted", recipient=worker.name, error=str(error))
                pause_s = RETRY_S
            except Exception:
                log.exception("delivery failed, going on", recipient=worker.name)
                pause_s = RETRY_S
            self._stopped.wait(pause_s)
        try:
            worker.close()
        except QyranError as error:
            log.warning("recipient not released", recipient=worker.name, error=str(error))
