"""Which speed limit is in force: the first of the site's that fits class, hour and zone; in doubt the most lenient."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.rules.evaluator import CameraContext
from engine.rules.hours import Hours, local_minute, parse_hours
from engine.rules.track_history import Rows
from engine.site import Limit


@dataclass(frozen=True, slots=True)
class _TimedLimit:
    limit: Limit
    hours: Hours

    def fits(self, scene: CameraContext, row: Any, minute: float, vehicle: str) -> bool:
        zone, classes = self.limit.zone, self.limit.classes
        if classes and vehicle not in classes:
            return False
        return self.hours.hold(minute) and (not zone or bool(row["inside"][scene.columns[zone]]))


class SpeedLimits:
    """The limits of one site."""

    def __init__(self, scene: CameraContext) -> None:
        self._scene = scene
        self._limits = [_TimedLimit(limit, parse_hours(limit.hours)) for limit in scene.site.limits]

    def in_force(self, row: Any, vehicle: str) -> float | None:
        """km/h for a class of vehicle at one sighting; None where no limit is known."""
        minute = local_minute(float(row["captured_s"]), self._scene.zone)
        fitting = (timed for timed in self._limits if timed.fits(self._scene, row, minute, vehicle))
        found = next(fitting, None)
        return None if found is None else found.limit.kmh

    def most_lenient(self, rows: Rows, vehicles: Iterable[str]) -> float | None:
        """The highest limit that any of the classes had anywhere on a stretch; None where one had none somewhere."""
        distinct = rows[_changes(rows)]
        limits = [self.in_force(row, vehicle) for row in distinct for vehicle in vehicles]
        known = [limit for limit in limits if limit is not None]
        return max(known) if known and len(known) == len(limits) else None


def _changes(rows: Rows) -> Any:
    """The rows at which a limit may change: the first, those with other zones or another minute, and the last."""
    if len(rows) < 3:
        return np.arange(len(rows))
    other = (rows["inside"][1:] != rows["inside"][:-1]).any(axis=1)
    minute = np.floor(rows["captured_s"] / 60)
    return np.unique([0, *(np.flatnonzero(other | (minute[1:] != minute[:-1])) + 1), len(rows) - 1])
