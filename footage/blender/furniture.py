"""Signal heads, signs, letters on the road, pedestrians."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from mathutils import Matrix, Vector

from footage.blender.materials import COLOURS
from footage.blender.mesh import MeshBuilder, link
from footage.blender.plates import letters
from footage.bodies import Floats
from footage.motion import Pose
from footage.people import REACH_M, figure
from footage.scene import Lamp, Signal
from footage.scenery import Label, Sign
from footage.signals import DEPTH_M, LAMPS, LENS_M, lamp_centre_m

_ROAD_PAINT_M = 0.005


class SignalObject:
    """A signal head whose lamps can be switched."""

    def __init__(self, table: Signal) -> None:
        self._lamps = {lamp: _lens(table, lamp) for lamp in LAMPS}
        head = _signal_post(table)
        self.vertices_m: Floats = np.array([head.matrix_world @ Vector(corner) for corner in head.bound_box])

    def light(self, lit: Lamp) -> None:
        """Light one lamp; the others are moved out of sight, so that the dark glass behind them is visible."""
        for lamp, made in self._lamps.items():
            made.location.z = made["height_m"] if lamp == lit else -50.0


def _lens(table: Signal, lamp: Lamp) -> Any:
    builder = MeshBuilder()
    builder.lathe([(0, 0.02), (LENS_M * 0.7, 0.012), (LENS_M, 0)], (0, 0, 0), f"lamp_{lamp}")
    made = link(f"lamp {lamp}", builder.build(f"lamp {lamp}"))
    made.location = lamp_centre_m(table, lamp)
    made["height_m"] = made.location.z
    made.rotation_euler.z = math.radians(table.facing_deg) - math.pi / 2
    return made


def _signal_post(table: Signal) -> Any:
    """Post and housing; it faces +x."""
    builder = MeshBuilder()
    height = table.height_m
    builder.box((-0.14, 0, height / 2), (0.12, 0.12, height), "grey", 0.04)
    builder.box((0, 0, height), (0.22, 0.42, 1.10), "black", 0.05)
    builder.box((-0.10, 0, height), (0.02, 0.62, 1.30), "ink", 0.01)
    for lamp in LAMPS:
        z = lamp_centre_m(table, lamp)[2]
        builder.box((DEPTH_M - 0.02, 0, z), (0.02, 1.9 * LENS_M, 1.9 * LENS_M), "glass", 0.009)
        builder.box((0.20, 0, z + LENS_M + 0.01), (0.20, 0.32, 0.02), "black", 0.005)
    made = link("signal", builder.build("signal"))
    made.location = (*table.position_m, 0.0)
    made.rotation_euler.z = math.radians(table.facing_deg)
    made.matrix_world = Matrix.Translation(made.location) @ Matrix.Rotation(made.rotation_euler.z, 4, "Z")
    return made


class PersonObject:
    """A pedestrian whose limbs follow the distance walked."""

    vertices_m = REACH_M

    def __init__(self, coat: str) -> None:
        self._parts = [_part(index, coat) for index in range(len(figure(0.0)))]

    def place(self, pose: Pose, walked_m: float) -> None:
        root = Matrix.Translation((pose.x_m, pose.y_m, 0)) @ Matrix.Rotation(pose.heading_rad, 4, "Z")
        for made, part in zip(self._parts, figure(walked_m), strict=True):
            made.matrix_world = root @ Matrix.Translation(part.centre) @ Matrix.Rotation(part.lean_rad, 4, "Y")

    def hide(self) -> None:
        for made in self._parts:
            made.location = (0.0, -900.0, -50.0)


def _part(index: int, coat: str) -> Any:
    part = figure(0.0)[index]
    builder = MeshBuilder()
    builder.box((0, 0, 0), part.size, part.material, min(part.size) * 0.42)
    made = link("figure", builder.build("figure"))
    made.color = (*COLOURS[coat], 1.0)
    return made


def sign(table: Sign) -> None:
    """A round no-stopping sign (blue, red rim, red cross) on a post."""
    builder = MeshBuilder()
    builder.box((0, 0.04, 1.35), (0.06, 0.06, 2.7), "grey", 0.02)
    centre = (0.0, 0.0, 2.75)
    builder.lathe([(0, -0.004), (0.28, -0.004)], centre, "sign_blue")
    builder.lathe([(0.28, -0.006), (0.36, -0.006), (0.36, 0.01)], centre, "sign_red")
    for turn in (math.pi / 4, -math.pi / 4):
        builder.box((0.0, -0.008, 2.75), (0.60, 0.008, 0.07), "sign_red", 0, Matrix.Rotation(turn, 3, "Y"))
    made = link("sign", builder.build("sign"))
    made.location = (*table.position_m, 0.0)
    made.rotation_euler.z = math.radians(table.facing_deg) + math.pi / 2


def label(table: Label) -> None:
    """Letters painted on the road, upright for a driver who drives towards their top."""
    made = link("label", letters(table.text, table.height_m, "line_white"))
    made.location = (*table.position_m, _ROAD_PAINT_M)
    made.rotation_euler.z = math.radians(table.heading_deg) - math.pi / 2
    made.scale = (table.width, 1.0, 1.0)
