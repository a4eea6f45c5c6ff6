"""What happens while nothing can be written: the disk is full or read-only, or the register is out of reach.

Cameras are read on, what is found waits in memory (bounded, in the prosecutor), and all of it is tried again by itself.
An outage that lasts is an alarm, and measured kinds pause: a speed that may find no place for its proof is not stated.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from engine.metrics import Metrics

log = structlog.get_logger()

LASTS_S = 30.0
"""A shorter one pauses nothing: another process held the lock, a server was restarted."""


class StorageHealth:
    """Begins with a refusal, ends with the first case that is recorded. One thread notes, any may ask."""

    def __init__(self, metrics: Metrics, clock: Callable[[], float]) -> None:
        self._metrics = metrics
        self._clock = clock
        self._since_s: float | None = None
        self._told = False

    def note(self, refused: bool, waiting: int) -> None:
        """Is something refused now, and how many cases wait?"""
        self._metrics.unrecorded.set(waiting)
        if not refused:
            self._since_s = None
        elif self._since_s is None:
            self._since_s = self._clock()
        self._tell()

    @property
    def lasts(self) -> bool:
        """Shall measured kinds pause?"""
        since_s = self._since_s
        return since_s is not None and self._clock() - since_s >= LASTS_S

    def _tell(self) -> None:
        if self.lasts == self._told:
            return
        self._told = self.lasts
        self._metrics.storage_refuses.set(self._told)
        if self._told:
            log.critical("nothing can be recorded: measured kinds pause, the others wait in memory")
        else:
            log.warning("recording again: measured kinds go on")
