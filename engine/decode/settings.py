"""Settings of the decoder: how each camera's pictures are decoded, and the input that the detector's network
expects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from engine.config import WHOLE_PICTURE, Count, Region, Strict
from engine.site import Lamp, WatchedCamera

Triple = tuple[float, float, float]


class ModelInput(Strict, frozen=True):
    """Input of the network. value = (pixel - mean) / std, pixel 0 to 255."""

    name: str
    width_px: Count
    height_px: Count
    layout: Literal["nchw", "nhwc"] = "nchw"
    dtype: Literal["float32", "uint8"] = "float32"
    colour: Literal["rgb", "bgr"] = "rgb"
    mean: Triple = (0.0, 0.0, 0.0)
    std: Triple = (1.0, 1.0, 1.0)
    resize: Literal["letterbox", "stretch"] = "letterbox"
    """letterbox keeps the aspect ratio and adds padding; stretch does not keep it."""
    pad: Annotated[int, Meta(ge=0, le=255)] = 114
    """Grey level of the padding, before mean and std."""
    align: Literal["top_left", "centre"] = "top_left"


@dataclass(frozen=True, slots=True)
class DecodeSettings:
    """How one camera's pictures are decoded."""

    name: str
    detect_fps: float
    """Sampled frames per second. Of a slower camera all frames are sampled."""
    regions: tuple[Region, ...] = (WHOLE_PICTURE,)
    """Left, top, right, bottom as fractions of the picture. Each region is scaled to its own model input."""
    lamps: tuple[Lamp, ...] = ()
    """The signal lamps that are read in each sampled frame."""
    lamps_size_px: tuple[int, int] = (0, 0)
    """Width and height of the picture for which the lamps are defined. In other sizes they are not read."""
    lossy: bool = False
    """True if packets may be missing (UDP). Then only a decoder that detects damage may decode the stream."""


def settings_of(camera: WatchedCamera) -> DecodeSettings:
    """The settings that a camera's configuration and site ask for."""
    config, site = camera.config, camera.site
    lossy = "://" in config.url and config.transport == "udp"
    return DecodeSettings(camera.name, config.detect_fps, config.regions, site.lamps, site.image_size_px, lossy)
