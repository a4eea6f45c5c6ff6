"""The signals of a site file: where their lamps are in the picture, and the controller's name for each signal.

A signal is what one stream of traffic obeys: a head of three lamps, a separate arrow section, a pair of red lamps at a
level crossing. Two heads that show the same phase to the same lanes are two signals; a rule names the one that the
camera sees better, or both.
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
    """A signal, known by its lamps in the picture, by its controller, or by both; then both must agree."""

    name: Name
    lamps: tuple[Lamp, ...] = ()
    controller: Name | Literal[""] = ""
    """The controller that reports its phases; empty: no controller does."""
    group: str = ""
    """The signal group in that controller."""

    def __post_init__(self) -> None:
        if bool(self.controller) != bool(self.group):
            raise ValueError(f"signal {self.name}: controller and group go together")
        if not self.lamps and not self.controller:
            raise ValueError(f"signal {self.name}: has neither lamps nor a controller, its phase cannot be known")
