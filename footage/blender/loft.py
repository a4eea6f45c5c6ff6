"""A car body lofted through cross-sections, with recessed windows, smoothed by subdivision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bmesh
import bpy

from footage.blender.materials import material
from footage.blender.mesh import MeshBuilder, evaluated_mesh, link

Station = tuple[float, float, float, float, tuple[float, float], tuple[float, float], float]
"""x, half width, z of the sill, z of the widest line, (y, z) of shoulder and of roof edge, z of the roof."""

_TOP = range(5, 9)
"""Faces of a section from roof edge to roof edge."""
_SIDES = (4, 9)
"""Faces of a section between shoulder and roof edge, left and right."""
_LENGTHWISE = {1: 0.6, 13: 0.6, 2: 0.35, 12: 0.35, 4: 0.55, 10: 0.55, 5: 0.5, 9: 0.5}
"""Crease of the edges that run along the body, by point of the section."""


@dataclass(frozen=True)
class Windows:
    """Sections (between station i and i + 1) that hold a window."""

    screens: tuple[int, ...]
    """Windows across the top: windscreen and rear window."""
    sides: tuple[int, ...]


def lofted(stations: list[Station], windows: Windows) -> Any:
    """An object whose mesh has the material slots paint, glass and dark."""
    loft = _Loft(stations)
    loft.crease(windows)
    loft.sink(windows)
    return loft.finish()


class _Loft:
    def __init__(self, stations: list[Station]) -> None:
        self.mesh = bmesh.new()
        self.glass = self.mesh.faces.layers.int.new("glass")
        self.edge_crease = self.mesh.edges.layers.float.new("crease_edge")
        self.corner_crease = self.mesh.verts.layers.float.new("crease_vert")
        self.rings = [[self.mesh.verts.new(point) for point in _section(station)] for station in stations]
        self.faces = {}
        count = len(self.rings[0])
        for i, (here, there) in enumerate(zip(self.rings, self.rings[1:], strict=False)):
            for j in range(count):
                k = (j + 1) % count
                self.faces[i, j] = self.mesh.faces.new([here[j], here[k], there[k], there[j]])
        self.mesh.faces.new(self.rings[0][::-1])
        self.mesh.faces.new(self.rings[-1])
        bmesh.ops.recalc_face_normals(self.mesh, faces=self.mesh.faces)

    def crease(self, windows: Windows) -> None:
        last = len(self.rings) - 1
        for here, there in zip(self.rings, self.rings[1:], strict=False):
            for j, amount in _LENGTHWISE.items():
                self._crease(here[j], there[j], amount)
        for i, amount in ((0, 0.55), (last, 0.55), (1, 0.25), (last - 1, 0.3)):
            ring = self.rings[i]
            for a, b in zip(ring, ring[1:] + ring[:1], strict=True):
                self._crease(a, b, amount)
        for i in windows.screens:
            for ring, amount in ((self.rings[i], 0.5), (self.rings[i + 1], 0.4)):
                for j in _TOP:
                    self._crease(ring[j], ring[j + 1], amount)

    def _crease(self, a: Any, b: Any, amount: float) -> None:
        edge = self.mesh.edges.get((a, b))
        if edge:
            edge[self.edge_crease] = max(edge[self.edge_crease], amount)

    def sink(self, windows: Windows) -> None:
        for i in windows.screens:
            self._inset([self.faces[i, j] for j in _TOP], 0.05)
        for j in _SIDES:
            self._inset([self.faces[i, j] for i in windows.sides], 0.045)

    def _inset(self, panes: list[Any], frame_m: float) -> None:
        bmesh.ops.inset_region(
            self.mesh, faces=panes, thickness=frame_m, depth=-0.008, use_even_offset=True, use_boundary=True
        )
        for pane in panes:
            pane[self.glass] = 1
        borders = {e for pane in panes for e in pane.edges if any(not f[self.glass] for f in e.link_faces)}
        for edge in borders:
            edge[self.edge_crease] = 1.0
        for corner in {v for e in borders for v in e.verts}:
            if sum(1 for face in corner.link_faces if face[self.glass]) == 1:
                corner[self.corner_crease] = 0.7

    def finish(self) -> Any:
        for face in self.mesh.faces:
            face.material_index, face.smooth = face[self.glass], True
        made = bpy.data.meshes.new("body")
        self.mesh.to_mesh(made)
        self.mesh.free()
        for name in ("paint", "glass", "dark"):
            made.materials.append(material(name))
        body = link("body", made)
        smooth = body.modifiers.new("smooth", "SUBSURF")
        smooth.levels = smooth.render_levels = 3
        return body


def _section(station: Station) -> list[tuple[float, float, float]]:
    x, width, sill, middle, (shoulder_y, shoulder_z), (edge_y, edge_z), roof = station
    left = [
        (0.0, sill),
        (width * 0.80, sill),
        (width * 0.97, sill + 0.10),
        (width, middle),
        (shoulder_y, shoulder_z),
        (edge_y, edge_z),
        (edge_y * 0.55, roof - (roof - edge_z) * 0.18),
        (0.0, roof),
    ]
    return [(x, y, z) for y, z in left] + [(x, -y, z) for y, z in left[-2:0:-1]]


def with_wheel_arches(body: Any, arches: list[tuple[float, float]], radius: float) -> Any:
    """The body's mesh with a cylinder cut out around every (x, y); removes the object."""
    cutters = [_cutter(x, y, radius) for x, y in arches]
    for cutter in cutters:
        cut = body.modifiers.new("arch", "BOOLEAN")
        cut.operation, cut.object, cut.solver = "DIFFERENCE", cutter, "EXACT"
    bpy.context.view_layer.update()
    made = evaluated_mesh(body)
    for used in (body, *cutters):
        bpy.data.objects.remove(used)
    return made


def _cutter(x: float, y: float, radius: float) -> Any:
    builder = MeshBuilder()
    for name in ("paint", "glass"):
        builder.slot(name)
    width = 0.17
    profile = [(0, -width), (radius + 0.045, -width), (radius + 0.045, width), (0, width)]
    builder.lathe(profile, (x, y, radius), "dark", segments=48)
    return link("arch", builder.build("arch"))
