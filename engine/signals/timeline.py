"""The phases of one signal from one source, as time spans in which they were certainly shown, and their meaning.

The meaning is that of the Road Traffic Regulations of the Republic of Kazakhstan, section 6.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection
from dataclasses import dataclass

from engine.types import Phase

PROHIBITS = frozenset({Phase.RED, Phase.RED_AMBER, Phase.RED_FLASHING})
"""No vehicle may pass the line. Amber prohibits too, except for vehicles that can no longer stop, so amber is not
here."""
CLOSED = PROHIBITS | {Phase.BARRIER_CLOSED}
"""Phases that prohibit passing a level crossing."""
PERMITS = frozenset({Phase.GREEN, Phase.GREEN_FLASHING})
"""Traffic may go."""
NOT_GREEN = frozenset(Phase) - PERMITS - {Phase.UNKNOWN}
"""An arrow section shows one of these while it does not permit: red if it has a red lamp, else no light."""

LONGEST_GAP_S = 0.6
"""Within this time between two sightings of the same phase no other phase is possible: no signal changes so fast."""
MOST_SPANS = 4096
"""About one day of an ordinary junction. Beyond, the older half is dropped."""


def phases_agree(one: Phase, other: Phase) -> bool:
    """True if the phases from two sources agree. One source need not see that a light flashes."""
    return _STEADY.get(one, one) == _STEADY.get(other, other)


_STEADY = {
    Phase.GREEN_FLASHING: Phase.GREEN,
    Phase.AMBER_FLASHING: Phase.AMBER,
    Phase.RED_FLASHING: Phase.RED,
    Phase.BARRIER_CLOSED: Phase.RED,
}


@dataclass(slots=True)
class Span:
    """One phase, certainly shown from `from_s` to `until_s`, both inclusive; Unix seconds UTC, capture clock."""

    phase: Phase
    from_s: float
    until_s: float

    @property
    def lasted_s(self) -> float:
        """Length of the span."""
        return self.until_s - self.from_s


class Timeline:
    """Spans in ascending order, without overlap. Between two spans the phase is not known."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    @property
    def reached_s(self) -> float:
        """The latest instant with a known phase; -inf if there is none."""
        return self.spans[-1].until_s if self.spans else -float("inf")

    def push(self, span: Span) -> None:
        """Add a span after all others."""
        if len(self.spans) >= MOST_SPANS:
            del self.spans[: MOST_SPANS // 2]
        self.spans.append(span)

    def at(self, at_s: float, margin_s: float) -> Phase:
        """The phase that was certainly shown at an instant and within the margin around it; else UNKNOWN."""
        row = self._row(at_s)
        if row < 0:
            return Phase.UNKNOWN
        span = self.spans[row]
        return span.phase if span.from_s + margin_s <= at_s <= span.until_s - margin_s else Phase.UNKNOWN

    def since_s(self, phases: Collection[Phase], began_s: float, ended_s: float, margin_s: float) -> float | None:
        """Beginning, plus the margin, of the time up to `ended_s` in which one of the phases was shown without a break.

        None unless this time certainly covers `began_s` to `ended_s`.
        """
        row = self._row(ended_s)
        if row < 0 or ended_s > self.spans[row].until_s - margin_s or self.spans[row].phase not in phases:
            return None
        while row > 0 and self._continues(row, phases):
            row -= 1
        since_s = self.spans[row].from_s + margin_s
        return since_s if since_s <= began_s else None

    def denies(self, phases: Collection[Phase], began_s: float, ended_s: float, margin_s: float) -> bool:
        """True if another phase was certainly shown at some time from `began_s` to `ended_s`. DARK does not count."""
        return any(
            span.phase not in phases and span.phase is not Phase.DARK
            for span in self.spans[max(0, self._row(began_s)) : self._row(ended_s) + 1]
            if span.from_s + margin_s <= min(ended_s, span.until_s - margin_s) and span.until_s - margin_s >= began_s
        )

    def _row(self, at_s: float) -> int:
        """Index of the last span that begins at or before the instant; -1 if there is none."""
        return bisect_right(self.spans, at_s, key=lambda span: span.from_s) - 1

    def _continues(self, row: int, phases: Collection[Phase]) -> bool:
        """True if the span follows one of these phases without a break."""
        before, span = self.spans[row - 1], self.spans[row]
        return before.phase in phases and span.from_s - before.until_s <= LONGEST_GAP_S
