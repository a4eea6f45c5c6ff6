"""Finds which two crossings are one drive: each must be the only candidate of the other.

An exit is a candidate of an entry, and the entry of the exit, if it comes after it within the longest travel time and
their plates differ by at most one misread character. A drive is measured if the two have no other candidate and their
plates are equal; a crossing with two candidates, or that is one of two, is ambiguous and never guessed. So that no
candidate is missed, a crossing is settled only when the longest travel time after it is over.

The result depends on the set of crossings, not on their order, if each comes before its time is reached.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from operator import attrgetter

from engine.errors import ConfigError
from engine.section.crossing import Crossing, one_misread_apart
from engine.section.file import End, Section
from engine.section.speed import Measured, SectionSpeed, section_speed

MOST_HELD = 8192
"""Crossings held at either end of a section: more than a road has within two longest travel times."""
SPARE_S = 1.0
"""Crossings are held a little longer than they can be candidates."""

_captured_s = attrgetter("captured_s")


class PassageMatcher:
    """All sections. Passive and not thread-safe; remembers at most two longest travel times of a section."""

    def __init__(self, sections: Iterable[Section], names: Mapping[int, str], *, most_held: int = MOST_HELD) -> None:
        """`names` by camera index. Raises ConfigError if a section names an unknown camera."""
        index = {name: camera for camera, name in names.items()}
        self._matchers = [_Matcher(section, most_held) for section in sections]
        self._ends: dict[tuple[int, str], list[_HeldCrossings]] = {}
        for matcher in self._matchers:
            for end, held in ((matcher.section.entry, matcher.entry), (matcher.section.exit, matcher.exit)):
                self._ends.setdefault(_key(matcher.section, end, index), []).append(held)

    @property
    def held(self) -> int:
        """Number of crossings that are held now."""
        return sum(len(end.crossings) for ends in self._ends.values() for end in ends)

    def measure(self, crossings: Iterable[Crossing], reached_s: float) -> list[SectionSpeed]:
        """Add crossings, in any order; returns the results of those that can be settled, by section and time.

        reached_s  every crossing captured before this instant (Unix seconds UTC) has been given by now, at every
        camera; an earlier one that comes later is LATE. `math.inf` is the end. Never decreases.

        Every crossing of a section is in exactly one row; one that was given before is ignored. A crossing of a line
        that is no end of a section is ignored. Raises ValueError if `reached_s` is nan.
        """
        if math.isnan(reached_s):
            raise ValueError("reached_s is not a number")
        rows = [
            row
            for crossing in crossings
            for end in self._ends.get((crossing.camera, crossing.line), ())
            if (row := end.add(crossing)) is not None
        ]
        for matcher in self._matchers:
            rows += matcher.settle(reached_s)
        return sorted(rows, key=lambda row: (row.section.name, _decided_s(row)))


class _HeldCrossings:
    """The crossings at one end of a section, by time; settled ones stay as candidates of others."""

    def __init__(self, section: Section, most: int, *, enters: bool) -> None:
        self.section = section
        self.crossings: list[Crossing] = []
        self.missed_s: tuple[float, float] | None = None
        """First and last instant of the crossings that were dropped for lack of room."""
        self._open: list[Crossing] = []
        """Those without a result yet, by time."""
        self._most = most
        self._enters = enters
        self._reached_s = -math.inf

    def add(self, crossing: Crossing) -> SectionSpeed | None:
        """Hold a crossing; returns a row if it will not be matched. One that is held already is ignored."""
        at_s = crossing.captured_s
        if crossing in self.between(at_s, math.nextafter(at_s, math.inf)):
            return None
        if len(self.crossings) >= self._most:
            first_s, last_s = self.missed_s or (at_s, at_s)
            self.missed_s = min(first_s, at_s), max(last_s, at_s)
            return self.alone(Measured.OVERFLOW, crossing)
        insort(self.crossings, crossing, key=_captured_s)
        if at_s < self._reached_s:
            return self.alone(Measured.LATE, crossing)
        insort(self._open, crossing, key=_captured_s)
        return None

    def alone(self, finding: Measured, crossing: Crossing) -> SectionSpeed:
        """The row of a crossing that was not matched."""
        return SectionSpeed(self.section, finding, *((crossing, None) if self._enters else (None, crossing)))

    def between(self, began_s: float, before_s: float) -> Sequence[Crossing]:
        """The crossings from `began_s` (included) to `before_s` (excluded)."""
        return self.crossings[_first(self.crossings, began_s) : _first(self.crossings, before_s)]

    def missed_between(self, began_s: float, ended_s: float) -> bool:
        """True if a crossing of that time may have been dropped."""
        return self.missed_s is not None and self.missed_s[0] <= ended_s and began_s <= self.missed_s[1]

    def reach(self, reached_s: float) -> float:
        """All earlier crossings have been given. Returns the instant reached so far."""
        self._reached_s = max(self._reached_s, reached_s)
        return self._reached_s

    def take(self, before_s: float) -> list[Crossing]:
        """Remove and return the open crossings of an earlier time."""
        count = _first(self._open, before_s)
        taken, self._open = self._open[:count], self._open[count:]
        return taken

    def close(self, crossing: Crossing) -> bool:
        """Remove the crossing from the open ones. False if it was not open."""
        if crossing not in self._open:
            return False
        self._open.remove(crossing)
        return True

    def forget(self, before_s: float) -> None:
        """Drop crossings that can no longer be candidates."""
        del self.crossings[: _first(self.crossings, before_s)]
        if self.missed_s is not None and self.missed_s[1] < before_s:
            self.missed_s = None


class _Matcher:
    """One section."""

    def __init__(self, section: Section, most_held: int) -> None:
        self.section = section
        self.entry = _HeldCrossings(section, most_held, enters=True)
        self.exit = _HeldCrossings(section, most_held, enters=False)

    def settle(self, reached_s: float) -> Iterator[SectionSpeed]:
        """The results of all crossings that can get no more candidates; then forget the oldest."""
        longest_s = self.section.longest_s
        closed_s = min(end.reach(reached_s) for end in (self.entry, self.exit)) - longest_s
        yield from [self._of_entry(entry) for entry in self.entry.take(closed_s)]
        yield from [self._of_exit(exit_) for exit_ in self.exit.take(closed_s)]
        for end in (self.entry, self.exit):
            end.forget(closed_s - longest_s - SPARE_S)

    def _of_entry(self, entry: Crossing) -> SectionSpeed:
        exits = self._exits_of(entry)
        if not exits:
            return self.entry.alone(self._unmatched(entry), entry)
        if len(exits) > 1 or len(self._entries_of(exits[0])) > 1 or not self.exit.close(exits[0]):
            return self.entry.alone(Measured.AMBIGUOUS, entry)
        if self._may_miss(entry.captured_s, exits[0].captured_s):
            return SectionSpeed(self.section, Measured.OVERFLOW, entry, exits[0])
        return section_speed(self.section, entry, exits[0])

    def _of_exit(self, exit_: Crossing) -> SectionSpeed:
        """An exit without a result from an entry: it has no entry, or more than one."""
        finding = Measured.AMBIGUOUS if self._entries_of(exit_) else self._unmatched(exit_)
        return self.exit.alone(finding, exit_)

    def _exits_of(self, entry: Crossing) -> list[Crossing]:
        """At most two candidates of an entry: more would not change the result.

        The comparison is the same as in `_entries_of`, so that both round alike.
        """
        from_s, longest_s = entry.captured_s, self.section.longest_s
        nearby = self.exit.between(from_s, from_s + longest_s + SPARE_S)
        in_time = (exit_ for exit_ in nearby if exit_.captured_s - longest_s <= from_s < exit_.captured_s)
        return list(islice((exit_ for exit_ in in_time if one_misread_apart(entry.plate, exit_.plate)), 2))

    def _entries_of(self, exit_: Crossing) -> list[Crossing]:
        """At most two candidates of an exit."""
        nearby = self.entry.between(exit_.captured_s - self.section.longest_s, exit_.captured_s)
        return list(islice((entry for entry in nearby if one_misread_apart(entry.plate, exit_.plate)), 2))

    def _unmatched(self, crossing: Crossing) -> Measured:
        at_s = crossing.captured_s
        return Measured.OVERFLOW if self._may_miss(at_s, at_s) else Measured.NO_MATCH

    def _may_miss(self, first_s: float, last_s: float) -> bool:
        """True if a candidate of crossings of that time may have been dropped."""
        longest_s = self.section.longest_s
        return self.entry.missed_between(first_s - longest_s, last_s) or self.exit.missed_between(
            first_s, last_s + longest_s
        )


def _first(crossings: Sequence[Crossing], instant_s: float) -> int:
    """Index of the first crossing at or after an instant."""
    return bisect_left(crossings, instant_s, key=_captured_s)


def _key(section: Section, end: End, index: Mapping[str, int]) -> tuple[int, str]:
    if end.camera not in index:
        raise ConfigError(f"section {section.name}: there is no camera {end.camera!r}")
    return index[end.camera], end.line


def _decided_s(row: SectionSpeed) -> tuple[float, float]:
    """Times of exit and entry; the time of the other if one is missing."""
    instants = [crossing.captured_s for crossing in (row.exit, row.entry) if crossing is not None]
    return instants[0], instants[-1]
