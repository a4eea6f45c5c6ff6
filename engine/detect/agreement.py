"""Accuracy check: compares the boxes of a plan with those of ONNX Runtime.

The reference is the card's network in single precision on the CPU. Only sure boxes count: those whose score exceeds the
card's threshold by more than scores may differ. So boxes near the threshold have no influence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from engine.detect.cards import ModelCard
from engine.detect.merge import KIND_OF
from engine.detect.network import Precision
from engine.stages import Detector
from engine.types import Detections, Flags, Floats32, FrameBatch
from kernels.overlap import iou

MIN_BOXES = 20
"""Least number of sure boxes in the reference frames for a result."""


class AgreementBounds(NamedTuple):
    """Permitted differences between a plan and the reference."""

    share: float
    """Least share of the sure boxes of each side that the other side has too."""
    iou: float
    """Least overlap (intersection over union) of equal boxes."""
    score: float
    """Largest difference between the scores of equal boxes."""


BOUNDS: Mapping[Precision, AgreementBounds] = {
    "fp32": AgreementBounds(0.995, 0.95, 0.02),
    "fp16": AgreementBounds(0.99, 0.9, 0.05),
    "int8": AgreementBounds(0.95, 0.75, 0.1),
}


@dataclass(frozen=True, slots=True)
class Agreement:
    """Result of a comparison; without arguments, of no frames."""

    reference: int = 0
    """Sure boxes of the reference."""
    found: int = 0
    """Sure boxes of the reference that the plan has."""
    plan: int = 0
    """Sure boxes of the plan."""
    known: int = 0
    """Sure boxes of the plan that the reference has."""
    worst_score: float = 0.0
    """Largest difference of scores among boxes that both have."""

    def __add__(self, other: Agreement) -> Agreement:
        """The result for the frames of both."""
        return Agreement(
            self.reference + other.reference,
            self.found + other.found,
            self.plan + other.plan,
            self.known + other.known,
            max(self.worst_score, other.worst_score),
        )

    def problems(self, bounds: AgreementBounds) -> list[str]:
        """Reasons to refuse the plan; empty if it is accepted."""
        if self.reference < MIN_BOXES:
            return [f"the reference frames show {self.reference} vehicles, at least {MIN_BOXES} are required"]
        shares = {
            f"{self.reference - self.found} of {self.reference} boxes are lost": self.found / self.reference,
            f"{self.plan - self.known} of {self.plan} boxes are new": self.known / max(1, self.plan),
        }
        limit = f"at most {1 - bounds.share:.1%} are allowed"
        return [f"{what}, {limit}" for what, share in shares.items() if share < bounds.share]


def measure_agreement(
    reference: Detector, plan: Detector, card: ModelCard, frames: Sequence[FrameBatch], bounds: AgreementBounds
) -> Agreement:
    """Run both detectors on the same frames and compare their boxes."""
    total = Agreement()
    for batch in frames:
        total += compare_detections(reference.detect(batch), plan.detect(batch), card, bounds)
    return total


def compare_detections(reference: Detections, plan: Detections, card: ModelCard, bounds: AgreementBounds) -> Agreement:
    """Compare the boxes of the same frames."""
    sure = card.score_threshold + bounds.score
    found, off = _match(reference, plan, reference.score >= sure, bounds)
    known, _ = _match(plan, reference, plan.score >= sure, bounds)
    return Agreement(len(found), int(found.sum()), len(known), int(known.sum()), off)


def _match(mine: Detections, theirs: Detections, sure: Flags, bounds: AgreementBounds) -> tuple[Flags, float]:
    """(K,) True for my sure boxes that they have too, and the largest difference of scores."""
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
