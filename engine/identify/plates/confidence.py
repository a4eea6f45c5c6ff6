"""How likely it is that a whole plate was read right: the share of the votes made a probability.

A logistic curve over what a reading shows of itself, fitted to photos whose text is known, each read as it is and made
smaller, blurred, noisy and dark besides. `python -m benchmarks plates --reliability` fits it anew and shows how far it
holds for photos that were left out of the fit; docs/plates.md has the table.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from engine.identify.plates.vote import VoteResult

CURVE: Mapping[str, float] = {"constant": -5.1, "weakest": 0.675, "agreement": 2.258, "fits": 4.502}
SUREST = 0.999
"""A share of the votes beyond this says no more."""


def features(outcome: VoteResult, *, fits: bool) -> dict[str, float]:
    """What a reading shows of itself: the log odds of its weakest character, how many crops read the same whole text,
    and whether it fits a form."""
    share = min(max(outcome.weakest, 1.0 - SUREST), SUREST)
    return {
        "constant": 1.0,
        "weakest": math.log(share / (1.0 - share)),
        "agreement": outcome.agreement,
        "fits": float(fits),
    }


def probability(outcome: VoteResult, *, fits: bool) -> float:
    """0 to 1: that every character is right."""
    shown = features(outcome, fits=fits)
    return 1.0 / (1.0 + math.exp(-sum(CURVE[name] * value for name, value in shown.items())))
