"""Certain readings of plates, for the tests of the forms and of the vote."""

from __future__ import annotations

import numpy as np

from engine.identify.plates.letters import Glyph
from engine.types import Floats


def single(text: str) -> Floats:
    """(L, 36) shares of a text that every crop has read."""
    glyphs = np.zeros((len(text), len(Glyph.ALPHABET)))
    glyphs[range(len(text)), [Glyph.index(char) for char in text]] = 1.0
    return glyphs
