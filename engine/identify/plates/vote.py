"""Merges several readings of one plate: a weighted vote on every character, and the probability that it is right.

After ROVER (Fiscus 1997): the readings are aligned to the one that agrees best with all others, and every place is
voted on, "no character" among the candidates. If one crop takes a sticker for an 8, the others outvote it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from engine.identify.plates.letters import Glyph, TextReading
from engine.types import Floats

NOTHING = len(Glyph.ALPHABET)
"""Column of the ballot for "no character"."""
CURVE: Mapping[str, float] = {"constant": -5.1, "weakest": 0.675, "agreement": 2.258, "fits": 4.502}
"""Weights of a logistic curve over `features`, fitted to photos with known text, each unchanged and made smaller,
blurred, noisy and dark. `python -m benchmarks plates --reliability` fits it anew and tests it on photos that were left
out of the fit; docs/plates.md has the table."""
SUREST = 0.999
"""Shares of the vote are limited to this before the log odds are taken."""


@dataclass(frozen=True, slots=True, eq=False)
class VoteResult:
    """Result of a vote."""

    glyphs: Floats
    """(L, 36) f8 shares of the vote at every place."""
    agreement: float
    """Share of the weight of the readings that are, each alone, the whole text."""

    @property
    def text(self) -> str:
        """Likeliest text."""
        return Glyph.best(self.glyphs)

    @property
    def weakest(self) -> float:
        """Smallest share of a character of the text; 0 if there is no character."""
        return float(self.glyphs.max(axis=1).min()) if len(self.glyphs) else 0.0


def elect(readings: Sequence[TextReading]) -> VoteResult:
    """Vote on the readings that have at least one character; the result is empty without such a reading."""
    readings = [reading for reading in readings if len(reading.glyphs)]
    if not readings:
        return VoteResult(np.zeros((0, NOTHING)), 0.0)
    pivot = _medoid(readings)
    ballot = _ballot(pivot, readings)
    kept = ballot[ballot.argmax(axis=1) != NOTHING]
    shares = kept[:, :NOTHING] / kept.sum(axis=1, keepdims=True)
    text, whole = Glyph.best(shares), sum(reading.weight for reading in readings)
    return VoteResult(shares, sum(reading.weight for reading in readings if reading.text == text) / whole)


def features(outcome: VoteResult, *, fits: bool) -> dict[str, float]:
    """Inputs of the curve: log odds of the weakest character, agreement of the crops, and whether a form fits."""
    share = min(max(outcome.weakest, 1.0 - SUREST), SUREST)
    return {
        "constant": 1.0,
        "weakest": math.log(share / (1.0 - share)),
        "agreement": outcome.agreement,
        "fits": float(fits),
    }


def probability(outcome: VoteResult, *, fits: bool) -> float:
    """Probability, 0 to 1, that every character is right."""
    weighted = (CURVE[name] * value for name, value in features(outcome, fits=fits).items())
    return 1.0 / (1.0 + math.exp(-sum(weighted)))


def _medoid(readings: Sequence[TextReading]) -> TextReading:
    """Reading with the smallest weighted distance to all; among equals the most confident one."""

    def cost(one: TextReading) -> tuple[float, float]:
        away = sum(other.weight * distance(one.text, other.text) for other in readings)
        return away, -one.confidence * one.weight

    return min(readings, key=cost)


def _ballot(pivot: TextReading, readings: Sequence[TextReading]) -> Floats:
    """(2 L + 1, 37) votes: odd rows are the pivot's characters, even rows the gaps where others have one more."""
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
    """Row of the ballot and row of the reading for every character; of several in one gap the first counts."""
    taken: dict[int, int] = {}
    for place, row in _path(pivot, text):
        taken.setdefault(place, row)
    return list(taken.items())


def _path(pivot: str, text: str) -> list[tuple[int, int]]:
    """Cheapest alignment: (2 i + 1, j) if text[j] is at pivot[i], (2 i, j) if it is before it."""
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
    """Levenshtein distance: smallest number of characters to change, add or drop."""
    return _table(a, b)[-1][-1]


@lru_cache(maxsize=1024)
def _table(a: str, b: str) -> list[list[int]]:
    """Distances of all prefixes of the two texts."""
    rows = [list(range(len(b) + 1))]
    for i, char in enumerate(a):
        row = [i + 1]
        for j, other in enumerate(b):
            row.append(min(rows[i][j + 1] + 1, row[j] + 1, rows[i][j] + (char != other)))
        rows.append(row)
    return rows
