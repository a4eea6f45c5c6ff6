"""Which two passages are one vehicle's drive: each the only candidate of the other, or none at all.

An exit is a candidate of an entry, and the entry of the exit, if it comes after it within the longest travel time and
their plates are equal but for at most one misread character. A drive is measured if the two have no other candidate and
their plates are equal; whatever has two candidates, or is one of two, is ambiguous and never guessed. So that no
candidate is overlooked, a passage is settled only when the longest travel time after it has gone by.

What is said is a function of the set of passages, not of the order in which they came, as long as each comes before
its time is reached.
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
"""Passages held at either end of a section: more than a road brings in two of the longest travel times."""
SPARE_S = 1.0
"""Passages are held a little longer than they can be candidates."""

_captured_s = attrgetter("captured_s")


class PassageMatcher:
    """All sections. Passive and not thread-safe; remembers two of the longest travel times of a section, no more."""

    def __init__(self, sections: Iterable[Section], names: Mapping[int, str], *, most_held: int = MOST_HELD) -> None:
        """`names` by camera index. Raises ConfigError where a section names a camera that is not among them."""
        index = {name: camera for camera, name in names.items()}
        self._matchers = [_Matcher(section, most_held) for section in sections]
        self._ends: dict[tuple[int, str], list[_Gate]] = {}
        for matcher in self._matchers:
            for end, gate in ((matcher.section.entry, matcher.entry), (matcher.section.exit, matcher.exit)):
                self._ends.setdefault(_key(matcher.section, end, index), []).append(gate)

    @property
    def held(self) -> int:
        """Passages that are held now."""
        return sum(len(gate.passages) for gates in self._ends.values() for gate in gates)

    def measure(self, passages: Iterable[Crossing], reached_s: float) -> list[SectionSpeed]:
        """Take passages in, in any order; say what became of those that can be settled, by section and time.

        reached_s  every passage captured before this instant (Unix seconds UTC) has been given by now, at every camera;
                   an earlier one that comes after all is LATE. `math.inf` is the end. Never goes back.

        Every passage of a section is in exactly one row, once; one that was given before is ignored. A passage of a
        line that no section begins or ends at is ignored. Raises ValueError where `reached_s` is nan.
        """
        if math.isnan(reached_s):
            raise ValueError("reached_s is not a number")
        rows = [
            row
            for passage in passages
            for gate in self._ends.get((passage.camera, passage.line), ())
            if (row := gate.add(passage)) is not None
        ]
        for matcher in self._matchers:
            rows += matcher.settle(reached_s)
        return sorted(rows, key=lambda row: (row.section.name, _decided_s(row)))


class _Gate:
    """The passages at one end of a section, by time; those that are told stay as candidates of others."""

    def __init__(self, section: Section, most: int, *, enters: bool) -> None:
        self.section = section
        self.passages: list[Crossing] = []
        self.missed_s: tuple[float, float] | None = None
        """First and last instant of the passages that there was no room for."""
        self._open: list[Crossing] = []
        """Those that nothing was said of yet, by time."""
        self._most = most
        self._enters = enters
        self._reached_s = -math.inf

    def add(self, passage: Crossing) -> SectionSpeed | None:
        """Hold a passage; a row where it is matched no more. One that is held already is ignored."""
        at_s = passage.captured_s
        if passage in self.between(at_s, math.nextafter(at_s, math.inf)):
            return None
        if len(self.passages) >= self._most:
            first_s, last_s = self.missed_s or (at_s, at_s)
            self.missed_s = min(first_s, at_s), max(last_s, at_s)
            return self.alone(Measured.OVERFLOW, passage)
        insort(self.passages, passage, key=_captured_s)
        if at_s < self._reached_s:
            return self.alone(Measured.LATE, passage)
        insort(self._open, passage, key=_captured_s)
        return None

    def alone(self, finding: Measured, passage: Crossing) -> SectionSpeed:
        """The row of a passage that was not matched."""
        return SectionSpeed(self.section, finding, *((passage, None) if self._enters else (None, passage)))

    def between(self, began_s: float, before_s: float) -> Sequence[Crossing]:
        """The passages of a time that begins with `began_s` and ends just before `before_s`."""
        return self.passages[_first(self.passages, began_s) : _first(self.passages, before_s)]

    def missed_between(self, began_s: float, ended_s: float) -> bool:
        """May a passage of that time be missing?"""
        return self.missed_s is not None and self.missed_s[0] <= ended_s and began_s <= self.missed_s[1]

    def reach(self, reached_s: float) -> float:
        """All earlier passages have been given. Returns the instant that was reached so far."""
        self._reached_s = max(self._reached_s, reached_s)
        return self._reached_s

    def take(self, before_s: float) -> list[Crossing]:
        """The open passages of an earlier time; they are open no more."""
        count = _first(self._open, before_s)
        taken, self._open = self._open[:count], self._open[count:]
        return taken

    def tell(self, passage: Crossing) -> bool:
        """Something is said of the passage: it is open no more. False where it was not."""
        if passage not in self._open:
            return False
        self._open.remove(passage)
        return True

    def forget(self, before_s: float) -> None:
        """Drop what can be no candidate any more."""
        del self.passages[: _first(self.passages, before_s)]
        if self.missed_s is not None and self.missed_s[1] < before_s:
            self.missed_s = None


class _Matcher:
    """One section."""

    def __init__(self, section: Section, most_held: int) -> None:
        self.section = section
        self.entry = _Gate(section, most_held, enters=True)
        self.exit = _Gate(section, most_held, enters=False)

    def settle(self, reached_s: float) -> Iterator[SectionSpeed]:
        """Say what became of every passage that can get no candidate any more, then forget the oldest."""
        longest_s = self.section.longest_s
        closed_s = min(gate.reach(reached_s) for gate in (self.entry, self.exit)) - longest_s
        yield from [self._of_entry(entry) for entry in self.entry.take(closed_s)]
        yield from [self._of_exit(exit_) for exit_ in self.exit.take(closed_s)]
        for gate in (self.entry, self.exit):
            gate.forget(closed_s - longest_s - SPARE_S)

    def _of_entry(self, entry: Crossing) -> SectionSpeed:
        exits = self._exits_of(entry)
        if not exits:
            return self.entry.alone(self._unmatched(entry), entry)
        if len(exits) > 1 or len(self._entries_of(exits[0])) > 1 or not self.exit.tell(exits[0]):
            return self.entry.alone(Measured.AMBIGUOUS, entry)
        if self._may_miss(entry.captured_s, exits[0].captured_s):
            return SectionSpeed(self.section, Measured.OVERFLOW, entry, exits[0])
        return section_speed(self.section, entry, exits[0])

    def _of_exit(self, exit_: Crossing) -> SectionSpeed:
        """Nothing was said of it with its entry: it has none, or not one alone."""
        finding = Measured.AMBIGUOUS if self._entries_of(exit_) else self._unmatched(exit_)
        return self.exit.alone(finding, exit_)

    def _exits_of(self, entry: Crossing) -> list[Crossing]:
        """The candidates of an entry, two at the most: more say no more.

        The comparison is written as in `_entries_of`, so that rounding cannot part the two.
        """
        from_s, longest_s = entry.captured_s, self.section.longest_s
        nearby = self.exit.between(from_s, from_s + longest_s + SPARE_S)
        in_time = (exit_ for exit_ in nearby if exit_.captured_s - longest_s <= from_s < exit_.captured_s)
        return list(islice((exit_ for exit_ in in_time if one_misread_apart(entry.plate, exit_.plate)), 2))

    def _entries_of(self, exit_: Crossing) -> list[Crossing]:
        """The candidates of an exit, two at the most."""
        nearby = self.entry.between(exit_.captured_s - self.section.longest_s, exit_.captured_s)
        return list(islice((entry for entry in nearby if one_misread_apart(entry.plate, exit_.plate)), 2))

    def _unmatched(self, passage: Crossing) -> Measured:
        at_s = passage.captured_s
        return Measured.OVERFLOW if self._may_miss(at_s, at_s) else Measured.NO_MATCH

    def _may_miss(self, first_s: float, last_s: float) -> bool:
        """May there be a candidate of passages of that time that there was no room for?"""
        longest_s = self.section.longest_s
        return self.entry.missed_between(first_s - longest_s, last_s) or self.exit.missed_between(
            first_s, last_s + longest_s
        )


def _first(passages: Sequence[Crossing], instant_s: float) -> int:
    """Index of the first passage at or after an instant."""
    return bisect_left(passages, instant_s, key=_captured_s)


def _key(section: Section, end: End, index: Mapping[str, int]) -> tuple[int, str]:
    if end.camera not in index:
        raise ConfigError(f"section {section.name}: there is no camera {end.camera!r}")
    return index[end.camera], end.line


def _decided_s(row: SectionSpeed) -> tuple[float, float]:
    """Times of exit and entry, that of the other where one is missing."""
    instants = [passage.captured_s for passage in (row.exit, row.entry) if passage is not None]
    return instants[0], instants[-1]
