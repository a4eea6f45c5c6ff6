"""From one zone into another: when a vehicle arrived where it was not to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.rules.evaluator import CameraContext
from engine.rules.path import Path, stays
from engine.rules.zones import border_s

ARRIVED = 3
"""Sightings in a zone that make an arrival."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A vehicle came into a zone."""

    zone: str
    at_s: float
    """When it came in, between two frames where that was seen."""
    proved_s: float
    """When it had been seen there often enough."""


def arrival(scene: CameraContext, way: Path, zones: Sequence[str]) -> Arrival | None:
    """The first stay of the way in any of the zones, by their order; None where it came to none."""
    for zone in zones:
        for first, last in stays(scene.inside(way.rows, zone)):
            if last - first + 1 >= ARRIVED:
                at_s, proved_s = came_in_s(scene, way, zone, first), float(way.captured_s[first + ARRIVED - 1])
                return Arrival(zone, at_s, proved_s)
    return None


def departed_row(scene: CameraContext, way: Path, zone: str) -> int | None:
    """The last row of the vehicle's latest stay in the zone; None where it was not there."""
    found = [last for first, last in stays(scene.inside(way.rows, zone)) if last - first + 1 >= ARRIVED]
    return found[-1] if found else None


def came_in_s(scene: CameraContext, way: Path, zone: str, row: int) -> float:
    """When the step to a row crossed the zone's border; the row's own time where that was not seen."""
    at_s = border_s(scene, zone, way.rows[row - 1 : row + 1], last=True) if row else None
    return float(way.captured_s[row]) if at_s is None else at_s
