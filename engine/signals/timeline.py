"""The phases of one signal by one source, as spans of time in which each was surely shown."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from engine.types import Phase

LONGEST_GAP_S = 0.6
"""Two sightings of the same phase no farther apart have nothing between them: no signal changes and is back so soon."""
MOST_SPANS = 4096
"""A day of an ordinary junction; when there are more, the older half goes."""


@dataclass(slots=True)
class Span:
    """One phase, surely shown from an instant to another, both included; Unix seconds UTC, capture clock."""

    phase: Phase
    from_s: float
    until_s: float

    @property
    def lasted_s(self) -> float:
        return self.until_s - self.from_s


class Timeline:
    """Spans in ascending order that do not overlap. What is between two of them, nobody knows."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    @property
    def reached_s(self) -> float:
        """The latest instant that is known; -inf without any."""
        return self.spans[-1].until_s if self.spans else -float("inf")

    def push(self, span: Span) -> None:
        """Add a span after all others."""
        if len(self.spans) >= MOST_SPANS:
            del self.spans[: MOST_SPANS // 2]
        self.spans.append(span)

    def at(self, at_s: float, margin_s: float) -> Phase:
        """The phase that was surely shown at an instant, and for the margin around it; else UNKNOWN."""
        row = self._row(at_s)
        if row < 0:
            return Phase.UNKNOWN
        span = self.spans[row]
        return span.phase if span.from_s + margin_s <= at_s <= span.until_s - margin_s else Phase.UNKNOWN

    def since_s(self, phases: Collection[Phase], began_s: float, ended_s: float, margin_s: float) -> float | None:
        """Since when one of the phases has been shown without a break up to `ended_s`, the margin taken off.

        None where that is not sure of all the time from `began_s` to `ended_s`.
        """
        row = self._row(ended_s)
        if row < 0 or ended_s > self.spans[row].until_s - margin_s or self.spans[row].phase not in phases:
            return None
        while row > 0 and self._goes_on(row, phases):
            row -= 1
        since_s = self.spans[row].from_s + margin_s
        return since_s if since_s <= began_s else None

    def denies(self, phases: Collection[Phase], began_s: float, ended_s: float, margin_s: float) -> bool:
        """Was anything but these phases surely shown at some time from `began_s` to `ended_s`?"""
        return any(
            span.phase not in phases and span.phase is not Phase.DARK
            for span in self._spans_between(began_s, ended_s)
            if span.from_s + margin_s <= min(ended_s, span.until_s - margin_s) and span.until_s - margin_s >= began_s
        )

    def _row(self, at_s: float) -> int:
        """The last span that begins at or before the instant; -1 for none."""
        return bisect_right(self.spans, at_s, key=lambda span: span.from_s) - 1

    def _goes_on(self, row: int, phases: Collection[Phase]) -> bool:
        """Does the span follow one of these phases without a break?"""
        before, span = self.spans[row - 1], self.spans[row]
        return before.phase in phases and span.from_s - before.until_s <= LONGEST_GAP_S

    def _spans_between(self, began_s: float, ended_s: float) -> Iterator[Span]:
        for span in self.spans[max(0, self._row(began_s)) :]:
            if span.from_s > ended_s:
                return
            yield span
