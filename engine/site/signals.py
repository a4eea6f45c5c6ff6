"""The signals of a site file: where their lamps are in the picture, and what the controller calls them.

A signal is what one stream of traffic obeys: a head of three lamps, an arrow section by itself, a pair of red lamps at
a level crossing. Two heads that show the same to the same lanes are two signals, and a rule names the one that is
seen better, or both. Below them stand the rules about what a signal says.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from msgspec import Meta

from engine.config import Name, Positive, Strict
from engine.site.rules import Rule

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


class SignalLineRule(Rule, frozen=True, kw_only=True):
    """What the rules about a line before a signal have in common; the zone is where a vehicle gets to beyond it."""

    line: str
    """The stop line, drawn so that going on is from its left to its right."""
    signal: Annotated[tuple[str, ...], Meta(min_length=1)]
    """What the line obeys: all of these must say so, and none of them something else."""
    unless: tuple[str, ...] = ()
    """Sections (an arrow) that allow the movement by themselves: each must surely not be green."""
    grace_s: Annotated[float, Meta(ge=0)] = 0.5
    """The signal must have prohibited for so long before the vehicle can have reached the line."""

    @property
    def lines(self) -> tuple[str, ...]:
        return (self.line,)

    @property
    def signals(self) -> tuple[str, ...]:
        return (*self.signal, *self.unless)


class RedLightRule(SignalLineRule, frozen=True, kw_only=True, tag="red_light"):
    """Crosses the line on red and goes on into the zone."""


class StopLineRule(SignalLineRule, frozen=True, kw_only=True, tag="stop_line"):
    """Crosses the line on red and stands beyond it, without going on into the zone."""

    stand_s: Positive = 1.0
    """Counts as standing after this long."""
    beyond_m: Annotated[float, Meta(ge=0)] = 0.7
    """Its front is surely so far over the line. Seen from behind, its length is taken as that of the shortest ordinary
    vehicle of its class; the default allows for microcars."""


class RailCrossingRule(SignalLineRule, frozen=True, kw_only=True, tag="rail_crossing"):
    """Crosses the line before a level crossing that is closed, and goes on into the zone."""


class JunctionBlockingRule(Rule, frozen=True, kw_only=True, tag="junction_blocking"):
    """Stands inside the junction while the cross traffic has green."""

    cross_signal: str
    """What the cross traffic obeys."""
    dwell_s: Positive = 5.0
    """Stands at least this long while that is green."""
    still_m: Positive = 1.0
    """Counts as standing while it stays within this distance, and what a pixel at its foot is worth besides: in a queue
    that moves up by a step it blocks all the same, and a large box far away is drawn with less care."""

    @property
    def signals(self) -> tuple[str, ...]:
        return (self.cross_signal,)


AnySignalRule = RedLightRule | StopLineRule | RailCrossingRule | JunctionBlockingRule
