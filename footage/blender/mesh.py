"""Meshes made of simple parts. Vehicle axes: +x forward, +y left, +z up, origin under the middle, metres."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import bmesh
import bpy
from mathutils import Matrix, Vector

from footage.blender.materials import material

Triple = tuple[float, float, float]


def link(name: str, mesh: Any) -> Any:
    """An object of the mesh in the scene."""
    made = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(made)
    return made


def evaluated_mesh(made: Any) -> Any:
    """The object's mesh with its modifiers applied."""
    graph = bpy.context.evaluated_depsgraph_get()
    return bpy.data.meshes.new_from_object(made.evaluated_get(graph))


class MeshBuilder:
    """Collects parts into one mesh, with a slot for every material."""

    def __init__(self, base: Any = None) -> None:
        """`base` is a mesh to start from, with its materials."""
        self._mesh = bmesh.new()
        self._slots: list[str] = []
        if base is not None:
            self._mesh.from_mesh(base)
            self._slots = [slot.name for slot in base.materials]

    def build(self, name: str) -> Any:
        made = bpy.data.meshes.new(name)
        self._mesh.to_mesh(made)
        self._mesh.free()
        for slot in self._slots:
            made.materials.append(material(slot))
        return made

    def slot(self, name: str) -> int:
        if name not in self._slots:
            self._slots.append(name)
        return self._slots.index(name)

    def merge(self, part: Any, placed: Any = None) -> None:
        """Add a bmesh and free it."""
        scratch = bpy.data.meshes.new("part")
        part.to_mesh(scratch)
        part.free()
        if placed is not None:
            scratch.transform(placed)
        self._mesh.from_mesh(scratch)
        bpy.data.meshes.remove(scratch)

    def box(
        self,
        centre: Triple,
        size: Triple,
        surface: str,
        bevel: float = 0.02,
        turn: Any = None,
        shape: Callable[[Any], None] | None = None,
    ) -> None:
        """A box with rounded edges; `turn` is a 3x3 rotation, `shape` moves a corner of the box before the rotation."""
        part = bmesh.new()
        bmesh.ops.create_cube(part, size=1)
        for corner in part.verts:
            corner.co = Vector([a * b for a, b in zip(corner.co, size, strict=True)])
            if shape:
                shape(corner)
        if bevel:
            offset = min(bevel, min(size) * 0.49)
            bmesh.ops.bevel(part, geom=list(part.edges), offset=offset, segments=3, profile=0.5, affect="EDGES")
        self._surface(part, surface, smooth=bevel > 0)
        placed = Matrix.Translation(centre)
        self.merge(part, placed @ turn.to_4x4() if turn else placed)

    def lathe(
        self, profile: Sequence[tuple[float, float]], centre: Triple, surface: str, side: int = 1, segments: int = 32
    ) -> None:
        """Rotate a profile of (radius, y) around the y axis; `side` -1 mirrors it."""
        part = bmesh.new()
        rings = []
        for k in range(segments):
            cos, sin = math.cos(2 * math.pi * k / segments), math.sin(2 * math.pi * k / segments)
            rings.append([part.verts.new((r * cos, y * side, r * sin)) for r, y in profile])
        for here, there in zip(rings, rings[1:] + rings[:1], strict=True):
            for j in range(len(profile) - 1):
                part.faces.new([here[j], there[j], there[j + 1], here[j + 1]])
        bmesh.ops.remove_doubles(part, verts=part.verts, dist=1e-5)
        bmesh.ops.recalc_face_normals(part, faces=part.faces)
        self._surface(part, surface)
        self.merge(part, Matrix.Translation(centre))

    def sheet(self, grid: Sequence[Sequence[Triple]], surface: str) -> None:
        """Quads between the rows of points."""
        part = bmesh.new()
        rows = [[part.verts.new(point) for point in row] for row in grid]
        for low, high in itertools.pairwise(rows):
            for j in range(len(low) - 1):
                part.faces.new([low[j], low[j + 1], high[j + 1], high[j]])
        self._surface(part, surface)
        self.merge(part)

    def wheel(self, centre_xy: tuple[float, float], radius: float, width: float, side: int, spokes: int = 5) -> None:
        """A wheel that stands on z = 0; `side` is +1 on the left, -1 on the right."""
        r, h = radius, width / 2
        hub = (*centre_xy, r)
        tyre = [(0.62, 0.9), (0.66, 1), (0.9, 1), (0.98, 0.8), (1, 0.5), (1, -0.5), (0.98, -0.8), (0.9, -1), (0.5, -1)]
        self.lathe([(r * a, h * b) for a, b in tyre], hub, "rubber", side)
        rim = [(0.68, 0.95), (0.63, 0.98), (0.6, 0.75), (0.58, 0)]
        self.lathe([(r * a, h * b) for a, b in rim], hub, "rim", side)
        self.lathe([(0, h * 0.1), (r * 0.62, h * 0.1)], hub, "dark", side)
        self.lathe([(0, h * 0.85), (r * 0.12, h * 0.8), (r * 0.15, h * 0.4)], hub, "rim", side)
        for k in range(spokes):
            turn = Matrix.Rotation(-2 * math.pi * k / spokes - 0.3, 3, "Y")
            middle = turn @ Vector((r * 0.36, 0, 0))
            at = (hub[0] + middle.x, hub[1] + side * h * 0.6, r + middle.z)
            self.box(at, (r * 0.52, h * 0.25, r * 0.15), "rim", 0.01, turn)

    def _surface(self, part: Any, name: str, smooth: bool = True) -> None:
        slot = self.slot(name)
        for face in part.faces:
            face.material_index, face.smooth = slot, smooth
