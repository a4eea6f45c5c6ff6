"""The accuracy guard: does a plan find what ONNX Runtime finds?

The reference is the card's own network in single precision on the CPU. A box counts as sure where its score is above
the card's threshold by more than scores may differ, so that what hovers about the threshold decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np

from engine.detect.cards import ModelCard
from engine.detect.merge import KIND_OF
from engine.detect.network import Precision
from engine.types import Detections, Flags, Floats32
from kernels.overlap import iou

LEAST = 20
"""Sure boxes that the reference frames must show before anything can be said."""


class Bounds(NamedTuple):
    """How far a plan may be from the reference."""

    share: float
    """Of the sure boxes, on either side, that the other side has too."""
    iou: float
    """From which two boxes are the same."""
    score: float
    """By how much the score of the same box may differ."""


BOUNDS: Mapping[Precision, Bounds] = {
    "fp32": Bounds(0.995, 0.95, 0.02),
    "fp16": Bounds(0.99, 0.9, 0.05),
    "int8": Bounds(0.95, 0.75, 0.1),
}


@dataclass(frozen=True, slots=True)
class Agreement:
    """What the comparison found."""

    reference: int
    """Sure boxes of the reference."""
    found: int
    """Of these, how many the plan has."""
    plan: int
    """Sure boxes of the plan."""
    known: int
    """Of these, how many the reference has."""
    worst_score: float
    """Largest difference of scores among boxes that both have."""

    @classmethod
    def none(cls) -> Agreement:
        """Before the first frame."""
        return cls(0, 0, 0, 0, 0.0)

    def __add__(self, other: Agreement) -> Agreement:
        """Of this frame and those."""
        return Agreement(
            self.reference + other.reference,
            self.found + other.found,
            self.plan + other.plan,
            self.known + other.known,
            max(self.worst_score, other.worst_score),
        )

    def problems(self, bounds: Bounds) -> list[str]:
        """Why the plan is refused; nothing where it is not."""
        if self.reference < LEAST:
            return [f"the reference frames show {self.reference} vehicles, {LEAST} are wanted to judge by"]
        shares = {
            f"{self.reference - self.found} of {self.reference} boxes are lost": self.found / self.reference,
            f"{self.plan - self.known} of {self.plan} boxes are new": self.known / max(1, self.plan),
        }
        return [f"{what}, {1 - bounds.share:.1%} may be" for what, share in shares.items() if share < bounds.share]

    def numbers(self) -> dict[str, float]:
        return asdict(self)


def compared(reference: Detections, plan: Detections, card: ModelCard, bounds: Bounds) -> Agreement:
    """Hold the boxes of the same frames against each other."""
    sure = card.score_threshold + bounds.score
    found, off = _shared(reference, plan, reference.score >= sure, bounds)
    known, _ = _shared(plan, reference, plan.score >= sure, bounds)
    return Agreement(len(found), int(found.sum()), len(known), int(known.sum()), off)


def _shared(mine: Detections, theirs: Detections, sure: Flags, bounds: Bounds) -> tuple[Flags, float]:
    """(K,) for my sure boxes: do they have it, too? And the largest difference of scores."""
    same = _overlap(mine.xyxy_px, theirs.xyxy_px) >= bounds.iou
    same &= mine.frame[:, None] == theirs.frame
    same &= KIND_OF[mine.class_id][:, None] == KIND_OF[theirs.class_id]
    off = np.abs(mine.score[:, None] - theirs.score)
    close = np.where(same, off, np.inf).min(axis=1, initial=np.inf)[sure]
    return close <= bounds.score, float(close[np.isfinite(close)].max(initial=0.0))


def _overlap(first: Floats32, second: Floats32) -> Floats32:
    out = np.empty((len(first), len(second)), np.float32)
    iou(first, second, out)
    return out
