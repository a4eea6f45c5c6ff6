"""A camera as every stage gets to know it."""

from __future__ import annotations

from dataclasses import dataclass

from engine.config import CameraConfig
from engine.site.file import Site


@dataclass(frozen=True, slots=True)
class WatchedCamera:
    """How a camera is read, and what is known of its place."""

    config: CameraConfig
    site: Site

    @property
    def name(self) -> str:
        return self.config.name
