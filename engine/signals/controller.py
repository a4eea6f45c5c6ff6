"""The phases that a traffic-light controller reports: numbered reports to a timeline per signal group.

A report covers everything up to its own time. After its arrival the phases up to that time are known. Without reports
nothing is known, so a dead line does not leave a phase active. Reports are numbered. A missing one interrupts all
timelines, and a group is known again after the first report that names its phase.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from engine.errors import SignalError
from engine.signals.timeline import Span, Timeline
from engine.types import Phase


@dataclass(frozen=True, slots=True)
class Change:
    """A group shows a phase from an instant on, Unix seconds UTC."""

    group: str
    phase: Phase
    began_s: float


@dataclass(frozen=True, slots=True)
class Report:
    """One message of a controller."""

    controller: str
    sequence: int
    """1, 2, 3 ... without gaps; from 1 again after a restart of the controller."""
    reported_s: float
    """The report covers everything up to this time, Unix seconds UTC."""
    changes: tuple[Change, ...] = ()
    """Phases that began since the last report. A phase that continues may be repeated."""

    def __post_init__(self) -> None:
        if self.sequence < 1:
            raise SignalError(f"sequence: must be 1 or more, got {self.sequence}")
        if not all(map(math.isfinite, (self.reported_s, *(change.began_s for change in self.changes)))):
            raise SignalError("reported_at: a time is not finite")
        for change in self.changes:
            if change.began_s > self.reported_s:
                raise SignalError(f"changes: group {change.group!r} changes after the report's own time")


@dataclass(slots=True)
class _Group:
    timeline: Timeline = field(default_factory=Timeline)
    open: bool = False
    """True if the current phase is known."""


class Controller:
    """The reports of one controller. Thread-safe."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._lock = threading.Lock()
        self._groups: dict[str, _Group] = {}
        self._sequence = 0
        self._reported_s = -math.inf

    def watch(self, group: str) -> None:
        """Store reports about this group from now on. Other groups are ignored."""
        with self._lock:
            self._groups.setdefault(group, _Group())

    @property
    def last_sequence(self) -> int:
        """Sequence of the last accepted report; 0 if there is none."""
        return self._sequence

    @property
    def reported_s(self) -> float:
        """Time of the last accepted report; -inf if there is none."""
        return self._reported_s

    @contextmanager
    def timeline(self, group: str) -> Iterator[Timeline]:
        """The timeline of a watched group. It does not change inside the context."""
        with self._lock:
            yield self._groups[group].timeline

    def accept(self, report: Report) -> bool:
        """Take in a report. Returns False for a repeated one. Raises SignalError and then takes in nothing."""
        with self._lock:
            restarted = report.sequence == 1 and report.reported_s > self._reported_s
            if report.sequence <= self._sequence and not restarted:
                return False
            self._require_order(report)
            if report.sequence != self._sequence + 1:
                for group in self._groups.values():
                    group.open = False
            for change in sorted(self._watched(report), key=lambda change: change.began_s):
                self._change(self._groups[change.group], change)
            for group in self._groups.values():
                if group.open:
                    group.timeline.spans[-1].until_s = report.reported_s
            self._sequence, self._reported_s = report.sequence, report.reported_s
            return True

    def _watched(self, report: Report) -> Iterator[Change]:
        return (change for change in report.changes if change.group in self._groups)

    def _require_order(self, report: Report) -> None:
        """Raises SignalError if the report contradicts an earlier one."""
        if report.reported_s < self._reported_s:
            raise SignalError(
                f"reported_at: report {report.sequence} is {self._reported_s - report.reported_s:.3f} s before the last"
            )
        for change in self._watched(report):
            spans = self._groups[change.group].timeline.spans
            if not spans or (change.phase is spans[-1].phase and change.began_s <= spans[-1].until_s):
                continue
            if change.began_s < spans[-1].until_s:
                raise SignalError(f"changes: group {change.group!r} contradicts an earlier report")

    @staticmethod
    def _change(group: _Group, change: Change) -> None:
        spans = group.timeline.spans
        if spans and change.phase is spans[-1].phase and change.began_s <= spans[-1].until_s:
            group.open = True  # the same phase continues, also across a missing report
            return
        if group.open:
            spans[-1].until_s = change.began_s
        group.timeline.push(Span(change.phase, change.began_s, change.began_s))
        group.open = True
