"""Cars and vans: a lofted body with lamps, grille, seams and mirrors on its surface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bmesh
from mathutils import Vector
from mathutils.bvhtree import BVHTree

from footage.blender.loft import lofted, with_wheel_arches
from footage.blender.mesh import MeshBuilder
from footage.blender.styles import Span, Style

_FRONT, _REAR = 1, -1
_FAR_M = 9.0


@dataclass(frozen=True)
class BodyShape:
    """A vehicle's mesh and the positions of its plates."""

    mesh: Any
    front_plate_xz: Span | None
    rear_plate_xz: Span


def car(name: str, style: Style) -> BodyShape:
    arches = [(x, side * (_half_width(style) - 0.10)) for x in style.axles_x for side in (1, -1)]
    skin = _Skin(with_wheel_arches(lofted(style.stations, style.windows), arches, style.wheel_radius))
    _wheels(skin, style)
    _front(skin, style)
    _rear(skin, style)
    for side in (1, -1):
        _flank(skin, style, side)
    front = (skin.x_at(0.0, style.front_plate_z, _FRONT) + 0.02, style.front_plate_z)
    rear = (skin.x_at(0.0, style.rear_plate_z, _REAR) - 0.02, style.rear_plate_z)
    return BodyShape(skin.builder.build(name), front, rear)


def _half_width(style: Style) -> float:
    return max(station[1] for station in style.stations)


class _Skin:
    """The surface of a body, on which details are placed."""

    def __init__(self, mesh: Any) -> None:
        self.builder = MeshBuilder(mesh)
        surface = bmesh.new()
        surface.from_mesh(mesh)
        self._tree = BVHTree.FromBMesh(surface)
        surface.free()

    def x_at(self, y: float, z: float, end: int) -> float:
        """Position of the front (end = 1) or rear (-1) surface."""
        hit = self._tree.ray_cast(Vector((end * _FAR_M, y, z)), Vector((-end, 0, 0)))[0]
        return hit.x if hit else end * 2.2

    def y_at(self, x: float, z: float, side: int) -> float:
        hit = self._tree.ray_cast(Vector((x, side * _FAR_M, z)), Vector((0, -side, 0)))[0]
        return hit.y if hit else side * 0.9

    def patch(self, end: int, across: Span, upright: Span, surface: str, off_m: float = 0.012) -> None:
        """A rectangle, as seen along x, on the front or rear."""
        ys = [across[0] + (across[1] - across[0]) * j / 10 for j in range(11)]
        zs = [upright[0] + (upright[1] - upright[0]) * i / 5 for i in range(6)]
        self.builder.sheet([[(self.x_at(y, z, end) + end * off_m, y, z) for y in ys] for z in zs], surface)

    def stripe(self, x: float, upright: Span, side: int, width_m: float, surface: str) -> None:
        """A vertical stripe on the side."""
        zs = [upright[0] + (upright[1] - upright[0]) * i / 8 for i in range(9)]
        edges = (x - width_m / 2, x + width_m / 2)
        grid = [[(e, self.y_at(e, z, side) + side * 0.004, z) for e in edges] for z in zs]
        self.builder.sheet(grid, surface)


def _wheels(skin: _Skin, style: Style) -> None:
    front, rear = style.axles_x
    for x in style.axles_x:
        for side in (1, -1):
            skin.builder.wheel((x, side * (_half_width(style) - 0.125)), style.wheel_radius, 0.21, side)
    skin.builder.box(((front + rear) / 2, 0, 0.32), (front - rear + 1, 1.1, 0.25), "dark", 0)


def _front(skin: _Skin, style: Style) -> None:
    (inner, outer), (low, high) = style.head_lamps
    bumper = style.bumper_z
    for side in (1, -1):
        skin.patch(_FRONT, (side * inner, side * outer), (low, high), "head_lamp")
        skin.patch(_FRONT, (side * inner, side * outer), (low - 0.025, low), "black", 0.008)
        skin.patch(_FRONT, (side * 0.52, side * 0.74), (bumper - 0.09, bumper + 0.03), "black", 0.010)
        skin.patch(_FRONT, (side * 0.58, side * 0.68), (bumper - 0.06, bumper), "head_lamp", 0.016)
    low, high = style.grille_z
    skin.patch(_FRONT, (-0.42, 0.42), (low, high), "black")
    for k in range(3):
        z = low + (high - low) * (k + 0.5) / 3
        skin.patch(_FRONT, (-0.40, 0.40), (z - 0.008, z + 0.008), "chrome", 0.02)
    middle = (low + high) / 2
    skin.patch(_FRONT, (-0.06, 0.06), (middle - 0.05, middle + 0.05), "chrome", 0.028)
    skin.patch(_FRONT, (-0.62, 0.62), (bumper - 0.14, bumper - 0.06), "black", 0.010)


def _rear(skin: _Skin, style: Style) -> None:
    (inner, outer), (low, high) = style.tail_lamps
    for side in (1, -1):
        skin.patch(_REAR, (side * inner, side * outer), (low, high), "tail_lamp")
        skin.patch(_REAR, (side * (outer - 0.11), side * (outer - 0.02)), (low - 0.06, low - 0.005), "indicator")
    skin.patch(_REAR, (-0.7, 0.7), (style.bumper_z - 0.14, style.bumper_z - 0.03), "black", 0.010)
    if style.tailgate_windows:
        for side in (1, -1):
            skin.patch(_REAR, (side * 0.10, side * 0.76), (1.32, 1.86), "glass", 0.010)
        skin.patch(_REAR, (-0.012, 0.012), (0.72, 2.0), "black")


def _flank(skin: _Skin, style: Style, side: int) -> None:
    station = style.stations[4]
    shoulder_z, sill_z = station[4][1], station[2]
    for x in style.seams_x:
        skin.stripe(x, (sill_z + 0.12, shoulder_z - 0.03), side, 0.016, "dark")
    for x in style.seams_x[1:]:
        at = (x + 0.14, skin.y_at(x + 0.14, shoulder_z - 0.12, side) + side * 0.012, shoulder_z - 0.12)
        skin.builder.box(at, (0.17, 0.025, 0.03), style.trim, 0.01)
    for x in style.pillars_x:
        skin.stripe(x, (shoulder_z, station[5][1]), side, 0.07, "black")
    _mirror(skin, style, side, shoulder_z)
    front, rear = style.axles_x
    skirt = ((front + rear) / 2, side * (_half_width(style) - 0.05), sill_z + 0.03)
    skin.builder.box(skirt, (front - rear - 0.85, 0.10, 0.10), "black", 0.03)
    if style.roof_rails:
        skin.builder.box((-0.5, side * 0.62, 1.74), (2.2, 0.04, 0.05), "black", 0.02)


def _mirror(skin: _Skin, style: Style, side: int, shoulder_z: float) -> None:
    height = 0.28 if style.trim == "black" else 0.14
    x, y, z = style.seams_x[0] - 0.10, side * (_half_width(style) + 0.055), shoulder_z + 0.09
    skin.builder.box((x, y, z), (0.12, 0.20, height), style.trim, 0.045)
    skin.builder.box((x - 0.055, y, z), (0.02, 0.16, height - 0.04), "glass", 0.008)
