"""Zones, lines, arrow and lamps of the rule that was broken, for the drawings of a case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.site import Calibration, PointPx, Site
from engine.site.signals import Lamp
from engine.types import Floats
from kernels.ground import undistort


@dataclass(frozen=True, slots=True)
class RuleGeometry:
    """Geometry of one rule, in image pixels."""

    zones: Mapping[str, Sequence[PointPx]] = field(default_factory=dict)
    """Polygons by name."""
    lines: Mapping[str, Sequence[PointPx]] = field(default_factory=dict)
    """End points by name."""
    arrow: Sequence[PointPx] = ()
    """The legal direction: tail and head."""
    lamps: Sequence[Lamp] = ()
    """Lamps of the signals that the rule refers to."""


def geometry_of(site: Site, rule: str) -> RuleGeometry:
    """Geometry of the site's rule of that name; empty if the site has no such rule."""
    found = next((one for one in site.rules if one.name == rule), None)
    if found is None:
        return RuleGeometry()
    signals = (signal for signal in site.signals if signal.name in found.signals)
    return RuleGeometry(
        zones={zone.name: zone.polygon_px for zone in site.zones if zone.name in found.zones},
        lines={line.name: (line.from_px, line.to_px) for line in site.lines if line.name in found.lines},
        arrow=found.points_px,
        lamps=tuple(lamp for signal in signals for lamp in signal.lamps),
    )


def on_road(calibration: Calibration, points_px: Sequence[PointPx]) -> Floats | None:
    """(K, 2) f8 metres on the site's ground plane; None if a point is at or above the horizon."""
    points = np.array(points_px, np.float64)
    if (lens := calibration.lens) is not None:
        row = np.array([[lens.focal_px, *lens.centre_px, lens.k1, lens.k2]])
        undistort(row, np.zeros(len(points), np.int32), points)
    to_ground = np.array(calibration.image_to_ground)
    ground = np.column_stack([points, np.ones(len(points))]) @ to_ground.T
    # A homography has no sign of its own: the third coordinate of the calibrated area shows which side is the road.
    below = np.array([*np.mean(calibration.area_px, axis=0), 1.0]) @ to_ground[2]
    if not (ground[:, 2] * below > 0).all():
        return None
    return np.asarray(ground[:, :2] / ground[:, 2:])


def shapes_on_road(calibration: Calibration, shapes: Mapping[str, Sequence[PointPx]]) -> list[Floats]:
    """The points, (K, 2) f8 metres, of every zone or line that lies wholly on the road."""
    return [points for shape in shapes.values() if (points := on_road(calibration, shape)) is not None]
