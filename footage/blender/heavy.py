"""Trucks and buses, made of boxes."""

from __future__ import annotations

from typing import Any

from mathutils import Matrix

from footage.blender.cars import BodyShape
from footage.blender.mesh import MeshBuilder

_SIDES = (1, -1)


def bus(name: str) -> BodyShape:
    """An 11.4 m city bus."""
    builder, nose, half = MeshBuilder(), 5.7, 1.26
    builder.box((0, 0, 1.695), (11.4, 2.52, 2.75), "paint", 0.16)
    builder.box((0, 0, 0.42), (10.9, 2.42, 0.35), "black", 0.05)
    _bus_front(builder, nose)
    _bus_rear(builder, -nose)
    for side in _SIDES:
        _bus_flank(builder, side, half, nose)
    for x in (4.75, 0.4, -4.3):
        builder.box((x, -half - 0.004, 1.42), (1.15, 0.03, 2.05), "glass", 0.01)
        builder.box((x, -half - 0.012, 1.42), (0.05, 0.03, 2.05), "black", 0.005)
    builder.box((-1, 0, 3.17), (2.6, 1.7, 0.25), "white", 0.08)
    builder.box((2.8, 0, 3.11), (0.7, 0.7, 0.1), "white", 0.03)
    return BodyShape(builder.build(name), (nose + 0.075, 0.62), (-nose - 0.065, 0.62))


def _bus_front(builder: MeshBuilder, x: float) -> None:
    builder.box((x - 0.02, 0, 1.98), (0.10, 2.30, 1.36), "glass", 0.05)
    builder.box((x + 0.005, 0, 2.82), (0.07, 1.7, 0.26), "black", 0.03)
    builder.box((x + 0.035, 0, 2.82), (0.03, 1.3, 0.14), "indicator", 0.01)
    builder.box((x + 0.01, 0, 0.62), (0.12, 2.46, 0.34), "black", 0.05)
    builder.box((x + 0.02, 0, 1.02), (0.04, 1.3, 0.18), "black", 0.02)
    builder.box((x + 0.045, 0.02, 1.85), (0.015, 0.02, 1.05), "dark", 0.004)
    for side in _SIDES:
        builder.box((x - 0.01, side * 0.93, 0.98), (0.10, 0.42, 0.22), "head_lamp", 0.05)
        builder.box((x - 0.01, side * 1.14, 0.98), (0.1, 0.1, 0.2), "indicator", 0.03)
        builder.box((x + 0.16, side * 1.38, 2.35), (0.12, 0.16, 0.42), "black", 0.05)
        builder.box((x + 0.05, side * 1.28, 2.6), (0.3, 0.05, 0.05), "black", 0.02)


def _bus_rear(builder: MeshBuilder, x: float) -> None:
    builder.box((x - 0.005, 0, 2.1), (0.05, 1.9, 0.9), "glass", 0.02)
    builder.box((x - 0.01, 0, 0.62), (0.1, 2.46, 0.3), "black", 0.04)
    builder.box((x - 0.005, 0, 1.15), (0.04, 1.2, 0.5), "black", 0.02)
    for side in _SIDES:
        builder.box((x + 0.01, side * 1.05, 1.2), (0.06, 0.22, 0.6), "tail_lamp", 0.03)


def _bus_flank(builder: MeshBuilder, side: int, half: float, nose: float) -> None:
    for k in range(6):
        builder.box((-4.3 + k * 1.55, side * (half + 0.002), 2.02), (1.44, 0.03, 0.98), "glass", 0.01)
    builder.box((nose - 0.95, side * (half + 0.002), 2.02), (1.3, 0.03, 0.98), "glass", 0.01)
    for x in (3.0, -2.9):
        arch = [(0, 0), (0.58, 0), (0.58, -0.02)]
        builder.lathe(arch, (x, side * (half + 0.004), 0.50), "dark", side)
        builder.wheel((x, side * (half - 0.13)), 0.48, 0.28, side, spokes=8)


def truck(name: str) -> BodyShape:
    """An 8.8 m box truck."""
    builder, nose = MeshBuilder(), 4.4
    _cab(builder, nose)
    builder.box((0, 0, 0.82), (8.2, 0.9, 0.22), "dark", 0.02)
    builder.box((-0.98, 0, 2.42), (6.8, 2.46, 2.66), "white", 0.035)
    for side in _SIDES:
        _truck_flank(builder, side, nose)
    for y in (-0.6, 0.6):
        builder.box((-4.40, y, 2.42), (0.03, 1.14, 2.5), "white", 0.01)
    builder.box((-nose, 0, 0.62), (0.12, 2.3, 0.14), "black", 0.02)
    return BodyShape(builder.build(name), (nose + 0.165, 0.58), (-nose - 0.075, 0.64))


def _cab(builder: MeshBuilder, nose: float) -> None:
    def lean(corner: Any) -> None:
        if corner.co.z > 0 and corner.co.x > 0:
            corner.co.x -= 0.16

    builder.box((nose - 0.95, 0, 1.85), (1.9, 2.3, 2.25), "paint", 0.14, shape=lean)
    screen = Matrix.Rotation(-0.071, 3, "Y")
    builder.box((nose - 0.085, 0, 2.22), (0.05, 2.0, 0.86), "glass", 0.04, screen)
    builder.box((nose - 1.15, 0, 3.2), (1.0, 2.0, 0.5), "paint", 0.15, Matrix.Rotation(0.35, 3, "Y"))
    builder.box((nose + 0.01, 0, 1.28), (0.05, 1.7, 0.55), "black", 0.03)
    for k in range(4):
        builder.box((nose + 0.04, 0, 1.08 + k * 0.13), (0.02, 1.6, 0.025), "chrome", 0.006)
    builder.box((nose + 0.03, 0, 0.66), (0.22, 2.46, 0.42), "paint", 0.06)
    builder.box((nose + 0.06, 0, 0.48), (0.2, 2.26, 0.16), "black", 0.04)
    for side in _SIDES:
        builder.box((nose + 0.10, side * 0.92, 0.72), (0.10, 0.42, 0.2), "head_lamp", 0.04)
        builder.box((nose + 0.10, side * 1.16, 0.72), (0.09, 0.08, 0.18), "indicator", 0.02)


def _truck_flank(builder: MeshBuilder, side: int, nose: float) -> None:
    builder.box((nose - 0.75, side * 1.155, 2.2), (0.95, 0.03, 0.75), "glass", 0.02)
    builder.box((nose - 0.9, side * 1.155, 1.2), (1.0, 0.02, 0.9), "paint", 0.02)
    builder.box((nose + 0.06, side * 1.36, 2.15), (0.12, 0.2, 0.55), "black", 0.05)
    builder.box((nose - 0.05, side * 1.22, 2.4), (0.25, 0.2, 0.04), "black", 0.01)
    builder.box((0.3, side * 1.0, 0.7), (1.3, 0.5, 0.5), "chrome", 0.12)
    builder.box((-nose + 0.02, side * 0.95, 0.85), (0.06, 0.4, 0.16), "tail_lamp", 0.02)
    for x in (nose - 1.25, -2.6):
        builder.wheel((x, side * 1.07), 0.48, 0.30, side, spokes=8)
    builder.box((-2.6, side * 1.07, 1.03), (1.25, 0.34, 0.06), "black", 0.02)
    builder.box((nose - 1.25, side * 1.11, 1.05), (1.2, 0.25, 0.08), "black", 0.03)
    for z in (1.12, 3.72):
        builder.box((-0.98, side * 1.23, z), (6.82, 0.05, 0.10), "chrome", 0.015)
    for x in (-4.36, 2.4):
        builder.box((x, side * 1.23, 2.42), (0.1, 0.05, 2.6), "chrome", 0.015)
