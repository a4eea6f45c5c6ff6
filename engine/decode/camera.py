"""What the decoder must know of a camera."""

from __future__ import annotations

from dataclasses import dataclass

from engine.config import WHOLE_PICTURE, Region
from engine.site import Lamp, WatchedCamera


@dataclass(frozen=True, slots=True)
class CameraView:
    """How one camera's picture is looked at."""

    name: str
    detect_fps: float
    """Frames a second that are looked at; a slower camera gives all of its frames."""
    regions: tuple[Region, ...] = (WHOLE_PICTURE,)
    """Left, top, right, bottom as fractions of the picture; each is scaled to a model input of its own."""
    lamps: tuple[Lamp, ...] = ()
    """The signal lamps that are read from every frame that is looked at."""
    lamps_size_px: tuple[int, int] = (0, 0)
    """Width and height of the picture that the lamps were drawn on; in a picture of another size none is read."""
    lossy: bool = False
    """Packets may be missing in its stream, which came over UDP: only a decoder that notices damage may decode it."""


def view_of(camera: WatchedCamera) -> CameraView:
    """The view that a camera's configuration and site ask for."""
    config, site = camera.config, camera.site
    lossy = "://" in config.url and config.transport == "udp"
    return CameraView(camera.name, config.detect_fps, config.regions, site.lamps, site.image_size_px, lossy)
