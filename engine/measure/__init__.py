"""Boxes with identity to places and speeds on the road.

`geometry` is a camera's, `history` what was seen of a track, `verdict` whether a speed may be stated of it.
"""

from engine.measure.geometry import CameraGeometry, FootModel, Lens, geometries, geometry
from engine.measure.speedometer import GroundSpeedometer
from engine.measure.verdict import SpeedBounds

__all__ = ["CameraGeometry", "FootModel", "GroundSpeedometer", "Lens", "SpeedBounds", "geometries", "geometry"]
