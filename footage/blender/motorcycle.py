"""A motorcycle with its rider."""

from __future__ import annotations

from mathutils import Matrix

from footage.blender.cars import BodyShape
from footage.blender.mesh import MeshBuilder

_SIDES = (1, -1)


def motorcycle(name: str) -> BodyShape:
    """2.1 m long; the rider wears the colour of the machine."""
    builder = MeshBuilder()
    for x in (0.72, -0.70):
        builder.wheel((x, 0), 0.32, 0.14, 1, spokes=7)
        builder.wheel((x, 0), 0.32, 0.14, -1, spokes=7)
    _machine(builder)
    _rider(builder)
    return BodyShape(builder.build(name), None, (-1.02, 0.62))


def _machine(builder: MeshBuilder) -> None:
    builder.box((0.12, 0, 0.84), (0.62, 0.30, 0.28), "paint", 0.10)
    builder.box((0.05, 0, 0.48), (0.66, 0.34, 0.36), "dark", 0.06)
    builder.box((-0.48, 0, 0.82), (0.66, 0.26, 0.12), "black", 0.05)
    builder.box((-0.86, 0, 0.74), (0.26, 0.18, 0.16), "paint", 0.05)
    builder.box((-1.00, 0, 0.78), (0.04, 0.16, 0.08), "tail_lamp", 0.02)
    builder.box((-0.98, 0, 0.66), (0.05, 0.06, 0.2), "black", 0.01)
    builder.box((0.62, 0, 0.95), (0.16, 0.34, 0.26), "paint", 0.08)
    builder.box((0.71, 0, 0.93), (0.04, 0.20, 0.14), "head_lamp", 0.02)
    for side in _SIDES:
        fork = Matrix.Rotation(-0.42, 3, "Y")
        builder.box((0.64, side * 0.10, 0.62), (0.05, 0.05, 0.66), "chrome", 0.02, fork)
        builder.box((0.50, side * 0.30, 1.04), (0.05, 0.26, 0.05), "black", 0.02)
        builder.box((-0.45, side * 0.17, 0.42), (0.7, 0.08, 0.10), "chrome", 0.04)


def _rider(builder: MeshBuilder) -> None:
    builder.box((-0.18, 0, 1.18), (0.28, 0.44, 0.62), "paint", 0.12, Matrix.Rotation(0.30, 3, "Y"))
    builder.box((-0.02, 0, 1.62), (0.29, 0.25, 0.29), "black", 0.12)
    builder.box((0.11, 0, 1.63), (0.06, 0.20, 0.12), "glass", 0.03)
    for side in _SIDES:
        builder.box((0.20, side * 0.25, 1.22), (0.56, 0.12, 0.12), "paint", 0.05, Matrix.Rotation(0.35, 3, "Y"))
        builder.box((0.02, side * 0.20, 0.86), (0.52, 0.16, 0.17), "ink", 0.06)
        builder.box((0.16, side * 0.22, 0.55), (0.15, 0.13, 0.52), "ink", 0.05)
