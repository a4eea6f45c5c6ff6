"""Calibration: from what a surveyor measured on the road to a homography that says how far it can be trusted."""

from __future__ import annotations

from engine.tools.calibrate.camera import RoadCamera
from engine.tools.calibrate.marks import CameraHeight, Direction, Distance, GroundPoint, Mark, VanishingPoint
from engine.tools.calibrate.report import area_px, describe, grid_picture, length_sigma
from engine.tools.calibrate.result import Calibrated, MarkResidual
from engine.tools.calibrate.solve import calibrate
from engine.tools.calibrate.survey import metres_from_degrees

__all__ = [
    "Calibrated",
    "CameraHeight",
    "Direction",
    "Distance",
    "GroundPoint",
    "Mark",
    "MarkResidual",
    "RoadCamera",
    "VanishingPoint",
    "area_px",
    "calibrate",
    "describe",
    "grid_picture",
    "length_sigma",
    "metres_from_degrees",
]
