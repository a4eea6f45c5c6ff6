"""The rendered bodies as numbers, for the truth."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from footage.blender import stage
from footage.blender.mesh import evaluated_mesh, link
from footage.blender.vehicles import BODIES, hull, plate_quads, shape, vertices
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
    return Body(hull(name), outline, triangles, plates)


def _simplified(mesh: Any) -> tuple[Floats, Ints]:
    made = link("outline", mesh)
    fewer = made.modifiers.new("fewer", "DECIMATE")
    fewer.ratio = min(1.0, _OUTLINE_FACES / len(mesh.polygons))
    bpy.context.view_layer.update()
    simple = evaluated_mesh(made)
    bpy.data.objects.remove(made)
    simple.calc_loop_triangles()
    return vertices(simple), np.array([triangle.vertices[:] for triangle in simple.loop_triangles], np.int64)
