"""How likely it is that a whole plate was read right: the share of votes made a probability.

A logistic curve over three things that a reading shows of itself, fitted to readings of photos whose text is known,
each also made smaller, blurred, noisy and dark (`python -m benchmarks plates --fit`; docs/plates.md has the reliability).
"""

from __future__ import annotations

import math

from engine.plates.vote import Outcome

CURVE = {"constant": -4.0, "weakest": 5.0, "agreement": 3.0, "fits": 1.0}


def features(outcome: Outcome, *, fits: bool) -> dict[str, float]:
    """What a reading shows of itself."""
    return {
        "constant": 1.0,
        "weakest": outcome.weakest,
        "agreement": outcome.agreement,
        "fits": float(fits),
    }


def probability(outcome: Outcome, *, fits: bool) -> float:
    """0 to 1: that every character is right."""
    shown = features(outcome, fits=fits)
    return 1.0 / (1.0 + math.exp(-sum(CURVE[name] * value for name, value in shown.items())))
