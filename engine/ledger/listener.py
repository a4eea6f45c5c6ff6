"""Hears when another program has appended: PostgreSQL's LISTEN, on a connection and a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any

import sqlalchemy as sa
import structlog

log = structlog.get_logger()

ASK_S = 1.0
"""How soon the thread notices that it shall end."""
RETRY_S = 1.0
"""Pause before a lost server is tried again."""


class Listener:
    """Calls `wake` for every notification on the channel, and after every connect: something may have been missed."""

    def __init__(self, engine: sa.Engine, channel: str, wake: Callable[[], None]) -> None:
        self._engine = engine
        self._channel = channel
        self._wake = wake
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger listener", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; blocks for ASK_S at the most."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._listen()
            except sa.exc.DBAPIError as error:
                log.warning("ledger cannot be listened to", error=str(error.orig).strip())
            except self._engine.dialect.loaded_dbapi.Error as error:
                log.warning("register is no longer heard", error=str(error).strip())
            self._stopped.wait(RETRY_S)

    def _listen(self) -> None:
        """Until the connection breaks or `stop`."""
        fairy = self._engine.raw_connection()
        connection: Any = fairy.driver_connection
        fairy.detach()
        with closing(connection):
            connection.autocommit = True
            connection.execute(f"LISTEN {self._channel}")
            self._wake()
            while not self._stopped.is_set():
                for _ in connection.notifies(timeout=ASK_S):
                    self._wake()
