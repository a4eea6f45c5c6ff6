"""The rendered bodies as numbers, for the truth."""

from __future__ import annotations

from typing import Any

import bmesh
import bpy
import numpy as np

from footage.blender import stage
from footage.blender.mesh import evaluated_mesh, link
from footage.blender.vehicles import BODIES, plate_quads, shape, vertices
from footage.bodies import Body, Floats, Ints

_OUTLINE_FACES = 1500


def bodies() -> dict[str, Body]:
    """Every body that can be rendered."""
    stage.clear()
    return {name: _body(name) for name in BODIES}


def _body(name: str) -> Body:
    mesh = shape(name).mesh
    outline, triangles = _simplified(mesh)
    plates = {end: np.array(corners) for end, corners in plate_quads(name).items()}
    return Body(_hull(mesh), outline, triangles, plates)


def _hull(mesh: Any) -> Floats:
    """Vertices of the convex hull: they alone bound any view of the body."""
    solid = bmesh.new()
    solid.from_mesh(mesh)
    parts = bmesh.ops.convex_hull(solid, input=solid.verts)["geom"]
    corners = [part.co[:] for part in parts if isinstance(part, bmesh.types.BMVert)]
    solid.free()
    return np.array(corners)


def _simplified(mesh: Any) -> tuple[Floats, Ints]:
    made = link("outline", mesh)
    fewer = made.modifiers.new("fewer", "DECIMATE")
    fewer.ratio = min(1.0, _OUTLINE_FACES / len(mesh.polygons))
    bpy.context.view_layer.update()
    simple = evaluated_mesh(made)
    bpy.data.objects.remove(made)
    simple.calc_loop_triangles()
    return vertices(simple), np.array([triangle.vertices[:] for triangle in simple.loop_triangles], np.int64)
