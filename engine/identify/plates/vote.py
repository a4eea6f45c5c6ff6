"""How several readings of one plate become one: character by character, each crop by its weight.

After ROVER (Fiscus 1997): the readings are aligned to the one that agrees best with all others, and every place is
voted on, "no character" among the candidates. A sticker that one crop takes for an 8 is outvoted by the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from engine.identify.plates.letters import Glyph, TextReading
from engine.types import Floats

NOTHING = len(Glyph.ALPHABET)
"""Column of the ballot for "no character"."""


@dataclass(frozen=True, slots=True, eq=False)
class VoteResult:
    """What the readings agree on."""

    glyphs: Floats
    """(L, 36) f8 shares of the vote at every place."""
    agreement: float
    """Share of the weight whose reading, taken alone, is the whole text."""

    @property
    def text(self) -> str:
        return Glyph.best(self.glyphs)

    @property
    def weakest(self) -> float:
        """The smallest share that a character of the text has; 0 without any."""
        return float(self.glyphs.max(axis=1).min()) if len(self.glyphs) else 0.0


def elect(readings: Sequence[TextReading]) -> VoteResult:
    """The vote of readings that have at least one character; without any an empty outcome."""
    readings = [reading for reading in readings if len(reading.glyphs)]
    if not readings:
        return VoteResult(np.zeros((0, NOTHING)), 0.0)
    pivot = _medoid(readings)
    ballot = _ballot(pivot, readings)
    kept = ballot[ballot.argmax(axis=1) != NOTHING]
    shares = kept[:, :NOTHING] / kept.sum(axis=1, keepdims=True)
    text, whole = Glyph.best(shares), sum(reading.weight for reading in readings)
    return VoteResult(shares, sum(reading.weight for reading in readings if reading.text == text) / whole)


def _medoid(readings: Sequence[TextReading]) -> TextReading:
    """The reading with the least weighted distance to all; among equals the most confident."""

    def cost(one: TextReading) -> tuple[float, float]:
        away = sum(other.weight * distance(one.text, other.text) for other in readings)
        return away, -one.confidence * one.weight

    return min(readings, key=cost)


def _ballot(pivot: TextReading, readings: Sequence[TextReading]) -> Floats:
    """(2 L + 1, 37) votes at the pivot's places and, between them, at those where others read something more."""
    places = len(pivot.glyphs)
    ballot = np.zeros((2 * places + 1, NOTHING + 1))
    for reading in readings:
        votes = np.zeros_like(ballot)
        votes[:, NOTHING] = reading.confidence
        for slot, row in _aligned(pivot.text, reading.text):
            votes[slot, :NOTHING], votes[slot, NOTHING] = reading.glyphs[row], 0.0
        ballot += reading.weight * votes
    return ballot


def _aligned(pivot: str, text: str) -> list[tuple[int, int]]:
    """Slot of the ballot and row of the reading for every character that has a slot: the first of several in a gap."""
    taken: dict[int, int] = {}
    for place, row in _path(pivot, text):
        taken.setdefault(place, row)
    return list(taken.items())


def _path(pivot: str, text: str) -> list[tuple[int, int]]:
    """The cheapest alignment: (2 i + 1, j) where text[j] stands at pivot[i], (2 i, j) where before it."""
    table = _table(pivot, text)
    i, j, steps = len(pivot), len(text), []
    while j > 0:
        if i and table[i][j] == table[i - 1][j - 1] + (pivot[i - 1] != text[j - 1]):
            i, j = i - 1, j - 1
            steps.append((2 * i + 1, j))
        elif i and table[i][j] == table[i - 1][j] + 1:
            i -= 1
        else:
            j -= 1
            steps.append((2 * i, j))
    return steps[::-1]


def distance(a: str, b: str) -> int:
    """Levenshtein: the fewest characters to change, add or drop."""
    return _table(a, b)[-1][-1]


@lru_cache(maxsize=1024)
def _table(a: str, b: str) -> list[list[int]]:
    rows = [list(range(len(b) + 1))]
    for i, char in enumerate(a):
        row = [i + 1]
        for j, other in enumerate(b):
            row.append(min(rows[i][j + 1] + 1, row[j] + 1, rows[i][j] + (char != other)))
        rows.append(row)
    return rows
