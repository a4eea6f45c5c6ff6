"""Materials by name: plain ones from a table, textured ones from noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bpy

Colour = tuple[float, float, float]

COLOURS: dict[str, Colour] = {
    "white": (0.78, 0.78, 0.76),
    "silver": (0.42, 0.43, 0.45),
    "black": (0.012, 0.012, 0.014),
    "grey": (0.10, 0.105, 0.11),
    "red": (0.40, 0.015, 0.015),
    "blue": (0.02, 0.07, 0.28),
    "beige": (0.42, 0.36, 0.26),
    "green": (0.03, 0.14, 0.07),
    "yellow": (0.75, 0.48, 0.03),
    "navy": (0.012, 0.025, 0.08),
    "brown": (0.09, 0.045, 0.025),
}
"""Linear RGB of the colours of vehicles and coats."""

_PLAIN: dict[str, dict[str, Any]] = {
    "paint": {"Roughness": 0.35, "Metallic": 0.25, "Coat Weight": 1.0, "Coat Roughness": 0.03},
    "cloth": {"Roughness": 0.9},
    "glass": {"Base Color": (0.012, 0.015, 0.017), "Roughness": 0.02, "Specular IOR Level": 0.8},
    "rubber": {"Base Color": (0.018, 0.018, 0.018), "Roughness": 0.8},
    "rim": {"Base Color": (0.55, 0.56, 0.58), "Roughness": 0.25, "Metallic": 1.0},
    "black": {"Base Color": (0.012, 0.012, 0.013), "Roughness": 0.45},
    "dark": {"Base Color": (0.004, 0.004, 0.004), "Roughness": 0.9},
    "chrome": {"Base Color": (0.8, 0.8, 0.82), "Roughness": 0.12, "Metallic": 1.0},
    "skin": {"Base Color": (0.45, 0.25, 0.17), "Roughness": 0.6},
    "white": {"Base Color": (0.75, 0.75, 0.73), "Roughness": 0.4, "Coat Weight": 0.4},
    "grey": {"Base Color": (0.25, 0.25, 0.26), "Roughness": 0.6},
    "plate": {"Base Color": (0.85, 0.85, 0.83), "Roughness": 0.4},
    "ink": {"Base Color": (0.01, 0.01, 0.01), "Roughness": 0.5},
    "sign_blue": {"Base Color": (0.01, 0.06, 0.42), "Roughness": 0.4},
    "sign_red": {"Base Color": (0.55, 0.01, 0.012), "Roughness": 0.4},
    "indicator": {"Base Color": (0.8, 0.25, 0.02), "Roughness": 0.15, "Coat Weight": 1.0},
    "head_lamp": {
        "Base Color": (0.85, 0.87, 0.9),
        "Roughness": 0.08,
        "Metallic": 0.4,
        "Coat Weight": 1.0,
        "Emission Color": (1.0, 0.97, 0.9),
        "Emission Strength": 0.25,
    },
    "tail_lamp": {
        "Base Color": (0.45, 0.006, 0.008),
        "Roughness": 0.12,
        "Coat Weight": 1.0,
        "Emission Color": (1.0, 0.02, 0.01),
        "Emission Strength": 0.15,
    },
    "lamp_red": {"Base Color": (0.3, 0.0, 0.0), "Emission Color": (1.0, 0.03, 0.01), "Emission Strength": 9.0},
    "lamp_amber": {"Base Color": (0.3, 0.1, 0.0), "Emission Color": (1.0, 0.40, 0.01), "Emission Strength": 9.0},
    "lamp_green": {"Base Color": (0.0, 0.3, 0.1), "Emission Color": (0.02, 1.0, 0.35), "Emission Strength": 7.0},
}

_PAINTED = {"paint", "cloth"}
"""Materials that take the colour of their object."""

_NOISY: dict[str, tuple[Colour, Colour, float, float, float]] = {
    "grass": ((0.035, 0.06, 0.012), (0.11, 0.12, 0.04), 3.2, 0.95, 0.9),
    "concrete": ((0.26, 0.25, 0.24), (0.40, 0.39, 0.37), 6.0, 0.85, 0.2),
    "paving": ((0.20, 0.19, 0.18), (0.28, 0.27, 0.26), 5.0, 0.85, 0.3),
    "leaves": ((0.012, 0.03, 0.006), (0.06, 0.11, 0.025), 14.0, 0.7, 0.6),
    "bark": ((0.04, 0.03, 0.02), (0.10, 0.08, 0.06), 20.0, 0.9, 0.0),
    "line_white": ((0.20, 0.20, 0.20), (0.62, 0.62, 0.60), 9.0, 0.6, 0.0),
    "line_yellow": ((0.25, 0.17, 0.03), (0.62, 0.42, 0.04), 9.0, 0.6, 0.0),
}
"""Dark and light colour, scale of the noise per metre, roughness, bump."""


def material(name: str) -> Any:
    """The material with this name, made at its first use."""
    found = bpy.data.materials.get(name)
    return found or _make(name)


def _make(name: str) -> Any:
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    if name in _PLAIN:
        _plain(made, _PLAIN[name], painted=name in _PAINTED)
    elif name in _NOISY:
        _noisy(made, *_NOISY[name])
    else:
        _RECIPES[name](made)
    return made


def _plain(made: Any, inputs: dict[str, Any], painted: bool) -> None:
    shader = made.node_tree.nodes["Principled BSDF"]
    for key, value in inputs.items():
        shader.inputs[key].default_value = (*value, 1.0) if isinstance(value, tuple) else value
    if painted:
        info = made.node_tree.nodes.new("ShaderNodeObjectInfo")
        made.node_tree.links.new(info.outputs["Color"], shader.inputs["Base Color"])


class _Graph:
    """The nodes of a material, with a method for each operation of the recipes."""

    def __init__(self, made: Any) -> None:
        self.nodes, self._links = made.node_tree.nodes, made.node_tree.links
        self.shader = self.nodes["Principled BSDF"]
        self.coordinates = self.nodes.new("ShaderNodeTexCoord").outputs["Object"]

    def link(self, source: Any, target: Any) -> None:
        self._links.new(source, target)

    def noise(self, scale: float, detail: float, where: Any = None) -> Any:
        node = self.nodes.new("ShaderNodeTexNoise")
        node.inputs["Scale"].default_value, node.inputs["Detail"].default_value = scale, detail
        self.link(where or self.coordinates, node.inputs["Vector"])
        return node.outputs["Fac"]

    def ramp(self, factor: Any, low: tuple[float, Colour], high: tuple[float, Colour]) -> Any:
        node = self.nodes.new("ShaderNodeValToRGB")
        for stop, (position, colour) in zip(node.color_ramp.elements, (low, high), strict=True):
            stop.position, stop.color = position, (*colour, 1.0)
        self.link(factor, node.inputs["Fac"])
        return node.outputs["Color"]

    def bump(self, height: Any, strength: float, distance_m: float) -> None:
        node = self.nodes.new("ShaderNodeBump")
        node.inputs["Strength"].default_value, node.inputs["Distance"].default_value = strength, distance_m
        self.link(height, node.inputs["Height"])
        self.link(node.outputs["Normal"], self.shader.inputs["Normal"])

    def stretched(self, scale: tuple[float, float, float]) -> Any:
        node = self.nodes.new("ShaderNodeMapping")
        node.inputs["Scale"].default_value = scale
        self.link(self.coordinates, node.inputs["Vector"])
        return node.outputs["Vector"]


def _noisy(made: Any, dark: Colour, light: Colour, scale: float, roughness: float, bump: float) -> None:
    graph = _Graph(made)
    noise = graph.noise(scale, 8.0)
    graph.link(graph.ramp(noise, (0.35, dark), (0.65, light)), graph.shader.inputs["Base Color"])
    graph.shader.inputs["Roughness"].default_value = roughness
    if bump:
        graph.bump(noise, bump, 0.1)


def _asphalt(made: Any) -> Any:
    """Grey patches, elongated along the road, multiplied by fine grain."""
    graph = _Graph(made)
    patches = graph.noise(1.2, 5.0, graph.stretched((0.9, 0.05, 1.0)))
    grain = graph.noise(60.0, 6.0)
    product = graph.nodes.new("ShaderNodeMix")
    product.data_type, product.blend_type = "RGBA", "MULTIPLY"
    product.inputs["Factor"].default_value = 1.0
    coarse = graph.ramp(patches, (0.3, (0.055, 0.055, 0.058)), (0.7, (0.115, 0.113, 0.11)))
    graph.link(coarse, product.inputs["A"])
    graph.link(graph.ramp(grain, (0.25, (0.6,) * 3), (0.8, (1.35, 1.33, 1.3))), product.inputs["B"])
    graph.link(product.outputs["Result"], graph.shader.inputs["Base Color"])
    graph.bump(grain, 0.25, 0.01)
    graph.shader.inputs["Roughness"].default_value = 0.78
    return graph


def _wet_asphalt(made: Any) -> None:
    """Asphalt under a film of water that is deeper in the hollows."""
    graph = _asphalt(made)
    hollows = graph.noise(0.35, 4.0)
    graph.link(graph.ramp(hollows, (0.42, (0.16,) * 3), (0.6, (0.5,) * 3)), graph.shader.inputs["Roughness"])
    graph.shader.inputs["Coat Weight"].default_value = 0.5
    graph.shader.inputs["Coat Roughness"].default_value = 0.12


def _facade(colour: Colour, window_m: float) -> Callable[[Any], None]:
    """Rows of windows: bricks of glass in mortar of plaster."""

    def recipe(made: Any) -> None:
        graph = _Graph(made)
        bricks = graph.nodes.new("ShaderNodeTexBrick")
        bricks.offset = 0.0
        sizes = {"Scale": 1.0, "Brick Width": window_m, "Row Height": 3.0, "Mortar Size": 0.5, "Mortar Smooth": 0.0}
        for key, value in sizes.items():
            bricks.inputs[key].default_value = value
        for key, rgb in {"Color1": (0.03, 0.04, 0.05), "Color2": (0.06, 0.07, 0.09), "Mortar": colour}.items():
            bricks.inputs[key].default_value = (*rgb, 1.0)
        graph.link(_unrolled(graph), bricks.inputs["Vector"])
        graph.link(bricks.outputs["Color"], graph.shader.inputs["Base Color"])
        graph.link(
            graph.ramp(bricks.outputs["Fac"], (0.0, (0.05,) * 3), (1.0, (0.8,) * 3)), graph.shader.inputs["Roughness"]
        )

    return recipe


def _unrolled(graph: _Graph) -> Any:
    """(x + y, z): coordinates that run around the walls of a building."""
    parts, total = graph.nodes.new("ShaderNodeSeparateXYZ"), graph.nodes.new("ShaderNodeMath")
    graph.link(graph.coordinates, parts.inputs[0])
    for k in (0, 1):
        graph.link(parts.outputs[k], total.inputs[k])
    wall = graph.nodes.new("ShaderNodeCombineXYZ")
    graph.link(total.outputs[0], wall.inputs[0])
    graph.link(parts.outputs[2], wall.inputs[1])
    return wall.outputs[0]


FACADES = ("facade_sand", "facade_white", "facade_brick", "facade_ochre", "facade_slate")

_RECIPES: dict[str, Callable[[Any], Any]] = {
    "asphalt": _asphalt,
    "wet_asphalt": _wet_asphalt,
    "facade_sand": _facade((0.45, 0.40, 0.33), 2.4),
    "facade_white": _facade((0.50, 0.48, 0.45), 3.2),
    "facade_brick": _facade((0.35, 0.22, 0.17), 1.9),
    "facade_ochre": _facade((0.55, 0.50, 0.40), 2.4),
    "facade_slate": _facade((0.40, 0.42, 0.45), 3.2),
}
