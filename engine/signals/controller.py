"""The phases that a traffic-light controller reports: numbered reports in, a timeline of every signal group out.

A report says everything that happened up to its own time, so its arrival makes known what was shown until then, and
its absence makes nothing known: a dead line leaves no light burning. Reports are counted; one that is missing breaks
all timelines, and a group is known again from the first report that names its phase. May be told from any thread.
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
    """A group shows a phase since an instant, Unix seconds UTC."""

    group: str
    phase: Phase
    began_s: float


@dataclass(frozen=True, slots=True)
class Report:
    """One message of a controller."""

    controller: str
    sequence: int
    """1, 2, 3 ... without holes; from 1 again after the controller was restarted."""
    reported_s: float
    """Everything up to then has been said."""
    changes: tuple[Change, ...] = ()
    """Phases that began since the last report; one that goes on may be said again."""

    def __post_init__(self) -> None:
        if self.sequence < 1:
            raise SignalError(f"sequence: must be 1 or more, got {self.sequence}")
        if not all(map(math.isfinite, (self.reported_s, *(change.began_s for change in self.changes)))):
            raise SignalError("reported_at: a time is not a number")
        for change in self.changes:
            if change.began_s > self.reported_s:
                raise SignalError(f"changes: group {change.group!r} changes after the report's own time")


@dataclass(slots=True)
class _Group:
    timeline: Timeline = field(default_factory=Timeline)
    open: bool = False
    """Is its present phase known?"""


class Controller:
    """What one controller has reported."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._lock = threading.Lock()
        self._groups: dict[str, _Group] = {}
        self._sequence = 0
        self._reported_s = -math.inf

    def watch(self, group: str) -> None:
        """Keep what is said of a group; of others, nothing is."""
        with self._lock:
            self._groups.setdefault(group, _Group())

    @property
    def last_sequence(self) -> int:
        """Of the last report that was accepted; 0 for none."""
        return self._sequence

    @property
    def reported_s(self) -> float:
        """Time of the last report that was accepted; -inf for none."""
        return self._reported_s

    @contextmanager
    def timeline(self, group: str) -> Iterator[Timeline]:
        """The timeline of a watched group, held still while it is read."""
        with self._lock:
            yield self._groups[group].timeline

    def accept(self, report: Report) -> bool:
        """Take a report in; False for one that was accepted before. Raises SignalError with nothing taken in."""
        with self._lock:
            restarted = report.sequence == 1 and report.reported_s > self._reported_s
            if report.sequence <= self._sequence and not restarted:
                return False
            self._require_order(report)
            if report.sequence != self._sequence + 1:
                self._break()
            for change in sorted(self._watched(report), key=lambda change: change.began_s):
                self._change(self._groups[change.group], change)
            self._reach(report.reported_s)
            self._sequence, self._reported_s = report.sequence, report.reported_s
            return True

    def _watched(self, report: Report) -> Iterator[Change]:
        return (change for change in report.changes if change.group in self._groups)

    def _require_order(self, report: Report) -> None:
        """Raises SignalError for a report that takes back what an earlier one said."""
        if report.reported_s < self._reported_s:
            raise SignalError(
                f"reported_at: report {report.sequence} is {self._reported_s - report.reported_s:.3f} s before "
                "the last one"
            )
        for change in self._watched(report):
            spans = self._groups[change.group].timeline.spans
            if not spans or (change.phase is spans[-1].phase and change.began_s <= spans[-1].until_s):
                continue
            if change.began_s < spans[-1].until_s:
                raise SignalError(f"changes: group {change.group!r} was said to show something else until later")

    def _break(self) -> None:
        """Nobody knows what happened since the last report."""
        for group in self._groups.values():
            group.open = False

    @staticmethod
    def _change(group: _Group, change: Change) -> None:
        spans = group.timeline.spans
        if spans and change.phase is spans[-1].phase and change.began_s <= spans[-1].until_s:
            group.open = True  # it goes on, and was never interrupted
            return
        if group.open:
            spans[-1].until_s = change.began_s
        group.timeline.push(Span(change.phase, change.began_s, change.began_s))
        group.open = True

    def _reach(self, reported_s: float) -> None:
        """What is shown now was shown until then."""
        for group in self._groups.values():
            if group.open:
                group.timeline.spans[-1].until_s = reported_s
