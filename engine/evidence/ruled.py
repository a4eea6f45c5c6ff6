"""What the rule that was broken is about, as its site has drawn it: for the drawings of a case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.site import Calibration, PointPx, Site
from engine.site.signals import Lamp
from engine.types import Floats
from kernels.ground import undistort


@dataclass(frozen=True, slots=True)
class Ruled:
    """Of one rule, in image pixels."""

    zones: Mapping[str, Sequence[PointPx]] = field(default_factory=dict)
    """Polygons by name."""
    lines: Mapping[str, Sequence[PointPx]] = field(default_factory=dict)
    """From and to by name."""
    arrow: Sequence[PointPx] = ()
    """What the rule itself has drawn: the legal direction."""
    lamps: Sequence[Lamp] = ()
    """Of the signals that it obeys."""


def ruled_by(site: Site, rule: str) -> Ruled:
    """The geometry of the site's rule of that name; nothing where the site has none."""
    found = next((one for one in site.rules if one.name == rule), None)
    if found is None:
        return Ruled()
    signals = (signal for signal in site.signals if signal.name in found.signals)
    return Ruled(
        zones={zone.name: zone.polygon_px for zone in site.zones if zone.name in found.zones},
        lines={line.name: (line.from_px, line.to_px) for line in site.lines if line.name in found.lines},
        arrow=found.points_px,
        lamps=tuple(lamp for signal in signals for lamp in signal.lamps),
    )


def on_road(calibration: Calibration, points_px: Sequence[PointPx]) -> Floats | None:
    """(K, 2) metres on the site's ground plane; None where a point lies at the horizon or beyond."""
    points = np.array(points_px, np.float64)
    if (lens := calibration.lens) is not None:
        row = np.array([[lens.focal_px, *lens.centre_px, lens.k1, lens.k2]])
        undistort(row, np.zeros(len(points), np.int32), points)
    to_ground = np.array(calibration.image_to_ground)
    ground = np.column_stack([points, np.ones(len(points))]) @ to_ground.T
    below = np.array([*np.mean(calibration.area_px, axis=0), 1.0]) @ to_ground[2]
    if not (ground[:, 2] * below > 0).all():
        return None
    return np.asarray(ground[:, :2] / ground[:, 2:])


def zones_on_road(calibration: Calibration, ruled: Ruled) -> Iterator[tuple[str, Floats]]:
    """The zones that lie on the road as a whole."""
    for name, polygon in ruled.zones.items():
        if (corners := on_road(calibration, polygon)) is not None:
            yield name, corners


def lines_on_road(calibration: Calibration, ruled: Ruled) -> Iterator[tuple[str, Floats]]:
    """The same of the lines."""
    for name, ends in ruled.lines.items():
        if (points := on_road(calibration, ends)) is not None:
            yield name, points
