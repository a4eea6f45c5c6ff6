"""Heads: what the numbers that a network puts out mean, one module a family of networks.

A head is written once for NumPy and for torch (`Arrays`): on the CPU it reads the outputs of ONNX Runtime, on a GPU
those of a plan, where they lie.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.detect.cards import ModelCard
from engine.detect.heads.candidates import NUMPY, Arrays, Candidates, ClassScores, DetectorHead, HostReader
from engine.detect.heads.detr import DetrHead
from engine.detect.heads.picodet import PicoDetHead
from engine.detect.heads.ssd import SsdHead
from engine.detect.heads.yolox import YoloxHead

__all__ = ["NUMPY", "Arrays", "Candidates", "ClassScores", "DetectorHead", "head_of", "reader_of"]

_HEADS: dict[str, Callable[[ModelCard, Arrays], DetectorHead]] = {
    "ssd": SsdHead,
    "yolox": YoloxHead,
    "picodet": PicoDetHead,
    "detr": DetrHead,
}


def head_of(card: ModelCard, arrays: Arrays) -> DetectorHead:
    """The head that the card names. Raises ModelError where its options do not fit."""
    return _HEADS[card.head](card, arrays)


def reader_of(card: ModelCard) -> HostReader:
    """Reads the card's outputs in the host's memory. Raises ModelError where card and head do not fit."""
    return HostReader(head_of(card, NUMPY), ClassScores(card))
