"""Boxes with identity to positions and speeds on the road, and the check that the camera has not moved.

`geometry` describes a camera, `history` stores sightings, `verdict` decides whether a speed may be stated. `drift`
monitors the camera's view by means of `alignment`.
"""

from engine.measure.geometry import CameraGeometry, FootModel, Lens, geometries, geometry
from engine.measure.speedometer import GroundSpeedometer
from engine.measure.verdict import SpeedBounds

__all__ = ["CameraGeometry", "FootModel", "GroundSpeedometer", "Lens", "SpeedBounds", "geometries", "geometry"]
