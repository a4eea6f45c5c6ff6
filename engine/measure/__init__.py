"""Boxes with identity to places and speeds on the road: `geometry` of a camera, and the `speedometer`."""

from engine.measure.geometry import CameraGeometry, FootModel, Lens
from engine.measure.speedometer import GroundSpeedometer, SpeedBounds

__all__ = ["CameraGeometry", "FootModel", "GroundSpeedometer", "Lens", "SpeedBounds"]
