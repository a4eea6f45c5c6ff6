"""The street: surfaces, painted lines, kerbs, and objects beside it."""

from __future__ import annotations

import math
import random
from typing import Any

import bmesh
import bpy
import numpy as np
from mathutils import Matrix, Vector, noise

from footage.blender.furniture import label, sign
from footage.blender.materials import FACADES, material
from footage.blender.mesh import MeshBuilder, link
from footage.scene import Scene
from footage.scenery import Kerb, Marking, Row, Surface

_PAINT_M = 0.004
"""Height of painted lines above the road."""
_GRASS_M = -0.03


def street(scene: Scene) -> None:
    _flat("ground", [(-400, -80), (400, -80), (400, 700), (-400, 700)], _GRASS_M, "grass")
    for surface in scene.surface:
        _surface(surface, scene.light.road)
    for marking in scene.marking:
        _marking(marking)
    for kerb in scene.kerb:
        _kerb(kerb)
    for post in scene.sign:
        sign(post)
    for text in scene.label:
        label(text)
    dice = random.Random(scene.seed)
    trees = [_tree_mesh(dice) for _ in range(3)] if any(row.of == "tree" for row in scene.row) else []
    for row in scene.row:
        _row(row, dice, trees)


def _flat(name: str, corners: list[tuple[float, float]], height_m: float, surface: str) -> None:
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata([(x, y, height_m) for x, y in corners], [], [tuple(range(len(corners)))])
    mesh.materials.append(material(surface))
    link(name, mesh)


def _surface(table: Surface, road: str) -> None:
    wet = table.material == "asphalt" and road == "wet"
    _flat(table.material, table.polygon_m, table.height_m, "wet_asphalt" if wet else table.material)


def _marking(table: Marking) -> None:
    start, end = np.array(table.from_m), np.array(table.to_m)
    length = float(np.linalg.norm(end - start))
    along = (end - start) / length
    across = np.array([-along[1], along[0]]) * table.width_m / 2
    stroke = table.dash_m or length
    at = 0.0
    while at < length - 1e-6:
        a, b = start + along * at, start + along * min(at + stroke, length)
        _flat(
            "line",
            [tuple(p) for p in (a - across, b - across, b + across, a + across)],
            _PAINT_M,
            f"line_{table.colour}",
        )
        at += stroke + table.gap_m


def _kerb(table: Kerb) -> None:
    start, end = Vector((*table.from_m, 0)), Vector((*table.to_m, 0))
    builder = MeshBuilder()
    builder.box((0, 0, 0), ((end - start).length, 0.24, table.height_m), "concrete", 0.02)
    made = link("kerb", builder.build("kerb"))
    made.location = (start + end) / 2 + Vector((0, 0, table.height_m / 2 - 0.02))
    made.rotation_euler.z = math.atan2(end.y - start.y, end.x - start.x)


def _row(table: Row, dice: random.Random, trees: list[Any]) -> None:
    start, end = np.array(table.from_m), np.array(table.to_m)
    count = int(np.linalg.norm(end - start) / table.spacing_m) + 1
    for k in range(count):
        along = start + (end - start) * (k / max(count - 1, 1))
        x, y = (float(v) + dice.uniform(-1, 1) * table.jitter_m for v in along)
        if table.of == "tree":
            _tree(dice, trees, x, y)
        elif table.of == "street_lamp":
            _street_lamp(x, y, math.radians(table.facing_deg))
        else:
            _building(dice, x, y, math.radians(table.facing_deg))


def _tree(dice: random.Random, meshes: list[Any], x: float, y: float) -> None:
    made = link("tree", dice.choice(meshes))
    made.location = (x, y, 0)
    made.rotation_euler.z = dice.uniform(0, 2 * math.pi)
    made.scale = [dice.uniform(0.8, 1.4)] * 3


def _tree_mesh(dice: random.Random) -> Any:
    builder = MeshBuilder()
    leaves, bark = builder.slot("leaves"), builder.slot("bark")
    for _ in range(9):
        builder.merge(_crown(dice, leaves))
    trunk = bmesh.new()
    bmesh.ops.create_cone(trunk, segments=10, radius1=0.22, radius2=0.1, depth=4)
    for face in trunk.faces:
        face.material_index = bark
    builder.merge(trunk, Matrix.Translation((0, 0, 2)))
    return builder.build("tree")


def _crown(dice: random.Random, slot: int) -> Any:
    """A ball of leaves, displaced by fractal noise."""
    centre = Vector((dice.gauss(0, 0.9), dice.gauss(0, 0.9), 4.2 + dice.uniform(-1.2, 1.8)))
    radius = dice.uniform(0.9, 1.6)
    ball = bmesh.new()
    bmesh.ops.create_icosphere(ball, subdivisions=5, radius=radius)
    for vertex in ball.verts:
        ruffle = noise.fractal(vertex.co * 2.2 + centre * 3, 1, 2, 5) * 0.55 * radius
        vertex.co = vertex.co + vertex.co.normalized() * ruffle + centre
    for face in ball.faces:
        face.material_index = slot
    return ball


def _street_lamp(x: float, y: float, facing_rad: float) -> None:
    """A post with an arm of 2.4 m in its facing direction."""
    builder = MeshBuilder()
    builder.box((0, 0, 4.2), (0.14, 0.14, 8.4), "grey", 0.05)
    builder.box((1.1, 0, 8.4), (2.4, 0.1, 0.08), "grey", 0.03)
    builder.box((2.2, 0, 8.36), (0.7, 0.25, 0.1), "black", 0.03)
    made = link("street lamp", builder.build("street lamp"))
    made.location, made.rotation_euler.z = (x, y, 0), facing_rad


def _building(dice: random.Random, x: float, y: float, facing_rad: float) -> None:
    """A block whose front is at (x, y)."""
    depth, width, height = dice.uniform(16, 24), dice.uniform(20, 30), dice.choice((9, 12, 15, 18, 27))
    builder = MeshBuilder()
    builder.box((-depth / 2, 0, height / 2), (depth, width, height), dice.choice(FACADES), 0)
    made = link("building", builder.build("building"))
    made.location, made.rotation_euler.z = (x, y, 0), facing_rad
