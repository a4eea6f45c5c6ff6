"""What a text recogniser says of one crop, as the letters and digits of a plate.

The network knows thousands of characters; a plate knows 36. Connectionist temporal classification (Graves et al. 2006)
decodes along the best path: at every step the likeliest of the 36 and of everything else, which is a gap; equal steps
side by side are one character.
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
    """The 36 characters, by number."""

    ALPHABET: ClassVar[str] = LETTERS + DIGITS

    @classmethod
    def index(cls, char: str) -> int:
        return cls.ALPHABET.index(char)

    @classmethod
    def best(cls, shares: Floats) -> str:
        """(L, 36) shares to the likeliest text."""
        return "".join(cls.ALPHABET[n] for n in shares.argmax(axis=1))


@dataclass(frozen=True, slots=True, eq=False)
class TextReading:
    """One crop as the network read it."""

    glyphs: Floats
    """(L, 36) f8: how likely every character is at every place; a row sums to 1 at the most."""
    weight: float = 1.0
    """How much this crop counts in a vote."""

    @property
    def text(self) -> str:
        return Glyph.best(self.glyphs)

    @property
    def confidence(self) -> float:
        """Mean over the characters; 0 of an empty reading."""
        return float(self.glyphs.max(axis=1).mean()) if len(self.glyphs) else 0.0


def columns(characters: Sequence[str]) -> Ints:
    """(36,) where the network's own alphabet has the plate's; raises ValueError where one is missing."""
    return np.array([characters.index(char) for char in Glyph.ALPHABET], np.int64)


def decode(steps: Floats, weight: float = 1.0) -> TextReading:
    """(T, 36) probabilities at every step of the network to a reading."""
    rest = 1.0 - steps.sum(axis=1)
    best = np.where(steps.max(axis=1) > rest, steps.argmax(axis=1), -1)
    runs = np.split(np.arange(len(best)), np.flatnonzero(np.diff(best)) + 1) if len(best) else []
    peaks = [run[steps[run, best[run[0]]].argmax()] for run in runs if best[run[0]] >= 0]
    return TextReading(steps[peaks].astype(np.float64).reshape(-1, len(Glyph.ALPHABET)), weight)
