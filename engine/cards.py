"""The model card: how a detector wants its input and what its outputs mean, as data beside the model file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from engine import tomlfile
from engine.config import Count, Fraction01, Strict

ClassKey = Literal["car", "truck", "bus", "motorcycle", "bicycle", "person"]
Triple = tuple[float, float, float]


class ModelInput(Strict, frozen=True):
    """What the network's input looks like. value = (pixel - mean) / std, pixel 0 to 255."""

    name: str
    width_px: Count
    height_px: Count
    layout: Literal["nchw", "nhwc"] = "nchw"
    dtype: Literal["float32", "uint8"] = "float32"
    colour: Literal["rgb", "bgr"] = "rgb"
    mean: Triple = (0.0, 0.0, 0.0)
    std: Triple = (1.0, 1.0, 1.0)
    resize: Literal["letterbox", "stretch"] = "letterbox"
    """letterbox keeps the aspect ratio and pads; stretch does not."""
    pad: Annotated[int, Meta(ge=0, le=255)] = 114
    """Grey level of the padding, before mean and std."""
    align: Literal["top_left", "centre"] = "top_left"


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
