"""Turns the output of a text recogniser for one crop into the letters and digits of a plate.

The network knows thousands of characters, a plate has 36. Connectionist temporal classification (Graves et al. 2006) is
decoded along the best path: at every step the likeliest of the 36 characters or, together, all others, which are a gap;
equal neighbouring steps are one character.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from engine.types import Floats, Ints

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
DIGITS = "0123456789"


class Glyph:
    """The 36 characters by number."""

    ALPHABET: ClassVar[str] = LETTERS + DIGITS

    @classmethod
    def index(cls, char: str) -> int:
        """Number of a character. Raises ValueError for any other character."""
        return cls.ALPHABET.index(char)

    @classmethod
    def best(cls, shares: Floats) -> str:
        """Likeliest text of (L, 36) shares."""
        return "".join(cls.ALPHABET[n] for n in shares.argmax(axis=1))


@dataclass(frozen=True, slots=True, eq=False)
class TextReading:
    """One crop as the network read it."""

    glyphs: Floats
    """(L, 36) f8: probability of every character at every place; a row sums to at most 1."""
    weight: float = 1.0
    """Weight of this crop in a vote."""

    @property
    def text(self) -> str:
        """Likeliest text."""
        return Glyph.best(self.glyphs)

    @property
    def confidence(self) -> float:
        """Mean over the characters; 0 for an empty reading."""
        return float(self.glyphs.max(axis=1).mean()) if len(self.glyphs) else 0.0


def columns(characters: Sequence[str]) -> Ints:
    """(36,) columns of the plate's characters in the network's alphabet. Raises ValueError if one is missing."""
    return np.array([characters.index(char) for char in Glyph.ALPHABET], np.int64)


def decode(steps: Floats, weight: float = 1.0) -> TextReading:
    """Reading of (T, 36) probabilities, one row per step of the network."""
    rest = 1.0 - steps.sum(axis=1)
    best = np.where(steps.max(axis=1) > rest, steps.argmax(axis=1), -1)
    runs = np.split(np.arange(len(best)), np.flatnonzero(np.diff(best)) + 1) if len(best) else []
    peaks = [run[steps[run, best[run[0]]].argmax()] for run in runs if best[run[0]] >= 0]
    return TextReading(steps[peaks].astype(np.float64).reshape(-1, len(Glyph.ALPHABET)), weight)
