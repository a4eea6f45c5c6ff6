"""Heads: what the numbers that a network puts out mean, one module a family of networks."""

from __future__ import annotations

from collections.abc import Callable

from engine.cards import ModelCard
from engine.detect.heads.candidates import Candidates, Head
from engine.detect.heads.detr import DetrHead
from engine.detect.heads.picodet import PicoDetHead
from engine.detect.heads.ssd import SsdHead
from engine.detect.heads.yolox import YoloxHead

__all__ = ["Candidates", "Head", "head_of"]

_HEADS: dict[str, Callable[[ModelCard], Head]] = {
    "ssd": SsdHead,
    "yolox": YoloxHead,
    "picodet": PicoDetHead,
    "detr": DetrHead,
}


def head_of(card: ModelCard) -> Head:
    """The head that the card names. Raises ModelError where its options do not fit."""
    return _HEADS[card.head](card)
