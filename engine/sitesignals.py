"""The signals of a site file: where their lamps are in the picture, and what the controller calls them.

A signal is what one stream of traffic obeys: a head of three lamps, an arrow section by itself, a pair of red lamps at
a level crossing. Two heads that show the same to the same lanes are two signals, and a rule names the one that is
seen better, or both.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from msgspec import Meta

from engine.config import Name, Strict

LampColour = Literal["red", "amber", "green"]


class Lamp(Strict, frozen=True):
    """One lens, as a circle in the picture. It may be drawn a little too small, never too large."""

    colour: LampColour
    centre_px: tuple[float, float]
    radius_px: Annotated[float, Meta(ge=1, le=200)]

    def __post_init__(self) -> None:
        if not all(math.isfinite(value) for value in self.centre_px):
            raise ValueError("a lamp's centre_px is not a number")


class Signal(Strict, frozen=True):
    """A signal: by its lamps in the picture, by its controller, or both; both must then agree."""

    name: Name
    lamps: tuple[Lamp, ...] = ()
    controller: Name | Literal[""] = ""
    """Which controller reports its phases; empty: none does."""
    group: str = ""
    """What that controller calls it (signal group)."""

    def __post_init__(self) -> None:
        if bool(self.controller) != bool(self.group):
            raise ValueError(f"signal {self.name}: controller and group go together")
        if not self.lamps and not self.controller:
            raise ValueError(f"signal {self.name}: has neither lamps nor a controller, nobody could tell its phase")
