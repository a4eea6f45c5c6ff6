"""What the detector's network wants to see: the pictures that a decoder makes."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from engine.config import Count, Strict

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
