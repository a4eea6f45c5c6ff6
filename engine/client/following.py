"""How a watch is followed over breaks: where it stands, how long to wait, when to give a silent service up."""

from __future__ import annotations

import random
from dataclasses import dataclass

from qyran.v1 import violation_service_pb2 as pb

from engine import wire
from engine.types import Entry

SHORTEST_WAIT_S, LONGEST_WAIT_S = 0.2, 10.0
INTERVAL_S = 10.0
"""Taken for the interval of heartbeats until the first one has told it."""
GRACE_S = 5.0
"""A watch is given up when it was silent for three intervals and this."""


@dataclass(slots=True)
class WatchProgress:
    """One watch, over all its connections."""

    sequence: int
    consumer: str
    wanted: pb.EntryFilter
    interval_s: float = INTERVAL_S
    _known: bool = False
    """Whether `sequence` is what the service began or went on with: until then the consumer's cursor says it."""
    _heard: bool = False
    _wait_s: float = SHORTEST_WAIT_S

    def request(self) -> pb.WatchViolationsRequest:
        """For the next connection."""
        self._heard = False
        if self.consumer and not self._known:
            return pb.WatchViolationsRequest(consumer=self.consumer, filter=self.wanted)
        return pb.WatchViolationsRequest(after_sequence=self.sequence, filter=self.wanted)

    def hear(self, response: pb.WatchViolationsResponse) -> Entry | None:
        """Take a message in; the entry that it brings, if it does."""
        self._heard = self._known = True
        if response.HasField("entry"):
            self.sequence = response.entry.sequence
            return wire.entry_from_message(response.entry)
        self.sequence = max(self.sequence, response.heartbeat.last_sequence)
        self.interval_s = response.heartbeat.interval_s
        return None

    @property
    def patience_s(self) -> float:
        """How long a silence may last."""
        return 3 * self.interval_s + GRACE_S

    def next_wait_s(self, at_least_s: float = 0.0) -> float:
        """How long to wait before the next connection: doubling and jittered until something was heard."""
        self._wait_s = SHORTEST_WAIT_S if self._heard else min(2 * self._wait_s, LONGEST_WAIT_S)
        return max(at_least_s, self._wait_s * random.uniform(0.5, 1.0))
