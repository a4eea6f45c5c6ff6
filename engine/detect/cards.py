"""The model card: what a detector's outputs mean and how its input is made, as data beside the model file.

Cards that are shipped in the package are found by name, others by path.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from engine.config import Fraction01, Strict, tomlfile
from engine.decode.model_input import ModelInput
from engine.errors import ConfigError

_SHIPPED = Path(__file__).parent / "models"
ClassKey = Literal["car", "truck", "bus", "motorcycle", "bicycle", "person"]


class ModelCard(Strict, frozen=True):
    """One detector."""

    name: str
    file: Path
    """The ONNX file, relative to the card."""
    sha256: str
    licence: str
    source: str
    input: ModelInput
    head: Literal["ssd", "yolox", "picodet", "detr"]
    classes: dict[str, ClassKey]
    """The network's class index (as text, as TOML keys are) to ours; an index that is not named is dropped."""
    score_threshold: Fraction01 = 0.5
    low_score_threshold: Fraction01 = 0.3
    """Boxes between the two serve the tracker to go on with a track, never to begin one."""
    nms_iou: Fraction01 = 0.5
    head_options: dict[str, str | float | int] = msgspec.field(default_factory=dict)
    """What the head needs besides: e.g. the anchors' file, strides."""


def load_card(path: Path) -> ModelCard:
    """Read a card; the paths in it come back absolute. Raises ConfigError that names the file and the place."""
    card = tomlfile.load(path, ModelCard)
    return msgspec.structs.replace(card, file=path.resolve().parent / card.file)


def shipped() -> list[str]:
    """Names of the model cards that come with the package."""
    return sorted(path.stem for path in _SHIPPED.glob("*.toml"))


def find_card(name_or_path: str) -> ModelCard:
    """The card of that name, or in that .toml file. Raises ConfigError that names the file or the choice."""
    if name_or_path.endswith(".toml"):
        return load_card(Path(name_or_path))
    if name_or_path not in shipped():
        raise ConfigError(f"no model card is called {name_or_path!r}; shipped: {', '.join(shipped())}; or give a .toml")
    return load_card(_SHIPPED / f"{name_or_path}.toml")
