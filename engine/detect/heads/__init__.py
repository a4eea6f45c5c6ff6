"""Heads: interpret the outputs of networks, one module per family of networks.

A head works with NumPy and with torch (`Arrays`): with the outputs of ONNX Runtime on the CPU, and with those of a plan
in device memory.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.detect.cards import ModelCard
from engine.detect.heads.candidates import NUMPY, Arrays, Candidates, ClassScores, DetectorHead, HostReader
from engine.detect.heads.detr import DetrHead
from engine.detect.heads.picodet import PicoDetHead
from engine.detect.heads.ssd import SsdHead
from engine.detect.heads.yolox import YoloxHead

__all__ = ["NUMPY", "Arrays", "Candidates", "ClassScores", "DetectorHead", "make_head", "make_reader"]

_HEADS: dict[str, Callable[[ModelCard, Arrays], DetectorHead]] = {
    "ssd": SsdHead,
    "yolox": YoloxHead,
    "picodet": PicoDetHead,
    "detr": DetrHead,
}


def make_head(card: ModelCard, arrays: Arrays) -> DetectorHead:
    """The head in the card. Raises ModelError if its options do not fit."""
    return _HEADS[card.head](card, arrays)


def make_reader(card: ModelCard) -> HostReader:
    """A reader of the card's outputs in host memory. Raises ModelError if card and head do not fit together."""
    return HostReader(make_head(card, NUMPY), ClassScores(card))
