"""Model cards: data beside a model file that describe its input and its outputs.

Cards in the package are found by name, others by path.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from engine.config import Fraction01, Strict, tomlfile
from engine.decode.settings import ModelInput
from engine.errors import ConfigError

_SHIPPED = Path(__file__).parent / "models"
ClassKey = Literal["car", "truck", "bus", "motorcycle", "bicycle", "person"]


class ModelCard(Strict, frozen=True):
    """Description of one detector."""

    name: str
    file: Path
    """The ONNX file, relative to the card."""
    sha256: str
    licence: str
    source: str
    input: ModelInput
    head: Literal["ssd", "yolox", "picodet", "detr"]
    classes: dict[str, ClassKey]
    """The network's class index (as text, because TOML keys are text) to the engine's class. Other indices are
    dropped."""
    score_threshold: Fraction01 = 0.5
    low_score_threshold: Fraction01 = 0.3
    """A box with a score between the two thresholds may continue a track, but not start one."""
    nms_iou: Fraction01 = 0.5
    head_options: dict[str, str | float | int] = msgspec.field(default_factory=dict)
    """Options of the head, for example the file of anchors, or the strides."""


def load_card(path: Path) -> ModelCard:
    """Read a card and make its paths absolute. Raises ConfigError that names the file and the place in it."""
    card = tomlfile.load(path, ModelCard)
    return msgspec.structs.replace(card, file=path.resolve().parent / card.file)


def shipped_cards() -> list[str]:
    """Names of the model cards in the package."""
    return sorted(path.stem for path in _SHIPPED.glob("*.toml"))


def find_card(name_or_path: str) -> ModelCard:
    """The card with that name, or in that .toml file. Raises ConfigError that names the file, or the existing names."""
    if name_or_path.endswith(".toml"):
        return load_card(Path(name_or_path))
    if name_or_path not in shipped_cards():
        raise ConfigError(
            f"no model card is called {name_or_path!r}; shipped: {', '.join(shipped_cards())}; or give a .toml"
        )
    return load_card(_SHIPPED / f"{name_or_path}.toml")
