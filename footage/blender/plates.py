"""Number plates: 520 x 112 mm, dark letters on white (GOST-like proportions), as geometry."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any

import bpy

from footage.blender.materials import material
from footage.blender.mesh import MeshBuilder, evaluated_mesh, link
from footage.letters import write_bold

WIDTH_M, HEIGHT_M = 0.520, 0.112
_LETTERS_M = 0.076
_LETTERS_WIDTH_M = 0.47
_INTER = Path(bpy.utils.resource_path("LOCAL"), "datafiles", "fonts", "Inter.woff2")
"""Inter, SIL Open Font License 1.1, shipped with Blender: a variable font; Blender draws its thin default."""


def plate(text: str, vehicle: Any, at_xz: tuple[float, float], end: int) -> Any:
    """A plate on the front (end = 1) or rear (-1) of a vehicle's object, as its child."""
    board = link(f"plate {text}", _board())
    ink = link(f"text {text}", letters(text, _LETTERS_M, "ink"))
    ink.rotation_euler = (math.pi / 2, 0, math.pi / 2)
    ink.location = (0.0075, 0, 0)
    ink.scale = (min(1.0, _LETTERS_WIDTH_M / max(ink.dimensions.x, 0.01)), 1, 1)
    ink.parent, board.parent = board, vehicle
    board.location = (at_xz[0] + end * 0.004, 0, at_xz[1])
    board.rotation_euler = (0, 0, 0 if end > 0 else math.pi)
    return board


def quad(at_xz: tuple[float, float], end: int) -> list[tuple[float, float, float]]:
    """Corners in vehicle axes: top left, top right, bottom right, bottom left, in reading direction."""
    x, z, half = at_xz[0] + end * 0.010, at_xz[1], end * WIDTH_M / 2
    left, right, up, down = -half, half, z + HEIGHT_M / 2, z - HEIGHT_M / 2
    return [(x, left, up), (x, right, up), (x, right, down), (x, left, down)]


def _board() -> Any:
    builder = MeshBuilder()
    builder.box((0, 0, 0), (0.012, WIDTH_M, HEIGHT_M), "plate", 0.004)
    for side in (1, -1):
        builder.box((0.006, 0, side * 0.051), (0.002, 0.505, 0.004), "ink", 0)
        builder.box((0.006, side * 0.251, 0), (0.002, 0.004, 0.105), "ink", 0)
    return builder.build("plate")


def letters(text: str, height_m: float, surface: str) -> Any:
    """A flat, centred mesh of the text in the x-y plane, with capitals of the given height."""
    mesh = _text(text, size=height_m / _capital())
    mesh.materials.clear()
    mesh.materials.append(material(surface))
    return mesh


@cache
def _capital() -> float:
    """Height of a capital at text size 1; Blender derives a font's size from all its glyphs."""
    heights = [vertex.co.y for vertex in _text("H", size=1.0).vertices]
    return max(heights) - min(heights)


def _text(text: str, size: float) -> Any:
    curve = bpy.data.curves.new("text", "FONT")
    curve.body, curve.font, curve.size = text, _font(), size
    curve.align_x = curve.align_y = "CENTER"
    scratch = link("text", curve)
    bpy.context.view_layer.update()
    mesh = evaluated_mesh(scratch)
    bpy.data.objects.remove(scratch)
    return mesh


def _font() -> Any:
    """The font of the letters; its file is in the temporary folder that Blender removes at its end."""
    path = Path(bpy.app.tempdir, "letters.ttf")
    if not path.exists():
        write_bold(_INTER, path)
    return bpy.data.fonts.load(str(path), check_existing=True)
