"""Vehicles in the scene: a body shared by all vehicles of its kind, a colour, and two plates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import bmesh
import numpy as np
from numpy.typing import NDArray

from footage.blender.cars import BodyShape, car
from footage.blender.heavy import bus, truck
from footage.blender.materials import COLOURS
from footage.blender.mesh import link
from footage.blender.motorcycle import motorcycle
from footage.blender.plates import plate, quad
from footage.blender.styles import HATCHBACK, SEDAN, SUV, VAN
from footage.motion import Pose

BODIES: dict[str, Callable[[str], BodyShape]] = {
    "sedan": partial(car, style=SEDAN),
    "hatchback": partial(car, style=HATCHBACK),
    "suv": partial(car, style=SUV),
    "van": partial(car, style=VAN),
    "truck": truck,
    "bus": bus,
    "motorcycle": motorcycle,
}


@cache
def shape(body: str) -> BodyShape:
    """The mesh of a body, made once."""
    return BODIES[body](body)


@dataclass(frozen=True)
class VehicleObject:
    """A vehicle that can be placed in the scene."""

    root: Any
    vertices_m: NDArray[np.float64]
    """(N, 3) points of the convex hull, in vehicle axes."""

    def place(self, pose: Pose, _along_m: float) -> None:
        self.root.location = (pose.x_m, pose.y_m, 0.0)
        self.root.rotation_euler = (0.0, 0.0, pose.heading_rad)

    def hide(self) -> None:
        self.root.location = (0.0, -900.0, -50.0)


def vehicle(body: str, colour: str, text: str) -> VehicleObject:
    found = shape(body)
    root = link(body, found.mesh)
    root.color = (*COLOURS[colour], 1.0)
    if found.front_plate_xz:
        plate(text, root, found.front_plate_xz, 1)
    plate(text, root, found.rear_plate_xz, -1)
    return VehicleObject(root, hull(body))


@cache
def hull(body: str) -> NDArray[np.float64]:
    """(N, 3) vertices of the body's convex hull; only they bound its outline in any view."""
    solid = bmesh.new()
    solid.from_mesh(shape(body).mesh)
    parts = bmesh.ops.convex_hull(solid, input=solid.verts)["geom"]
    corners = [part.co[:] for part in parts if isinstance(part, bmesh.types.BMVert)]
    solid.free()
    return np.array(corners)


def vertices(mesh: Any) -> NDArray[np.float64]:
    """(N, 3) vertex coordinates of a mesh."""
    flat = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("co", flat)
    return flat.reshape(-1, 3).astype(float)


def plate_quads(body: str) -> dict[str, list[tuple[float, float, float]]]:
    """Corners of the plates in vehicle axes, for each end."""
    found = shape(body)
    quads = {"rear": quad(found.rear_plate_xz, -1)}
    if found.front_plate_xz:
        quads["front"] = quad(found.front_plate_xz, 1)
    return quads
