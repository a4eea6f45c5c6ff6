"""Surfaces, markings and objects of a scene, as its file describes them."""

from __future__ import annotations

from typing import Literal

import msgspec

Point = tuple[float, float]


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Surface(Table, frozen=True, kw_only=True):
    material: Literal["asphalt", "paving", "grass", "concrete"]
    polygon_m: list[Point]
    height_m: float = 0.0


class Marking(Table, frozen=True, kw_only=True):
    """A painted line; a zebra crossing is a wide line with short dashes."""

    from_m: Point
    to_m: Point
    width_m: float = 0.12
    dash_m: float = 0.0
    """Length of the dashes; 0 for a solid line."""
    gap_m: float = 0.0
    colour: Literal["white", "yellow"] = "white"


class Kerb(Table, frozen=True, kw_only=True):
    from_m: Point
    to_m: Point
    height_m: float = 0.15


class Row(Table, frozen=True, kw_only=True):
    """Objects along a line: one every `spacing_m`, shifted and turned at random by up to `jitter_m`."""

    of: Literal["tree", "street_lamp", "building"]
    from_m: Point
    to_m: Point
    spacing_m: float
    jitter_m: float = 0.0
    facing_deg: float = 0.0


class Sign(Table, frozen=True, kw_only=True):
    """A no-stopping sign on a post."""

    position_m: Point
    facing_deg: float


class Label(Table, frozen=True, kw_only=True):
    """Letters painted on the road."""

    text: str
    position_m: Point
    height_m: float
    heading_deg: float
    """The letters are upright for a driver with this heading."""
    width: float = 0.5
    """Width relative to the normal shape: letters on roads are elongated."""
