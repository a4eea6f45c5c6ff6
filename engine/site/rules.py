"""The rules of a site file: one struct a kind. What a kind means and how it is judged is in `engine.rules`.

Every rule names the zone in which it is watched; what else it names (lines, more zones, arrows) it tells by `lines`,
`zones`, `signals` and `points_px`, so that a site can refuse what is not there.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from msgspec import Meta

from engine.config import Name, Positive, Strict

PointPx = tuple[float, float]
ClassName = Literal["car", "truck", "bus", "motorcycle", "bicycle"]
HoursText = Annotated[str, Meta(pattern=r"^(([01]\d|2[0-3]):[0-5]\d-(([01]\d|2[0-3]):[0-5]\d|24:00))?$")]
"""Local time `HH:MM-HH:MM`, may pass midnight; empty: always."""


class Rule(Strict, frozen=True, kw_only=True, tag_field="kind"):
    """What every rule of a site has in common."""

    name: Name
    zone: str
    """The zone in which it is watched."""
    classes: tuple[ClassName, ...] = ()
    """Empty: every class that the kind is about."""
    hours: HoursText = ""
    variant: str = ""
    """Which part of the kind's article, by the catalogue's word for it; empty: the ordinary one."""
    exempt_plates: tuple[str, ...] = ()
    """Plates that the rule does not hold for, Latin capitals and digits without spaces; applied where plates are
    read, never by the rulebook, which knows no plate."""

    @property
    def zones(self) -> tuple[str, ...]:
        """Names of all zones that the rule speaks of."""
        return (self.zone,)

    @property
    def lines(self) -> tuple[str, ...]:
        """Names of all lines that the rule speaks of."""
        return ()

    @property
    def signals(self) -> tuple[str, ...]:
        """Names of all signals that the rule speaks of."""
        return ()

    @property
    def points_px(self) -> tuple[PointPx, ...]:
        """Points that are drawn in the rule itself."""
        return ()


class SpeedingRule(Rule, frozen=True, kw_only=True, tag="speeding"):
    """Faster than the limit in force for the class (measured)."""

    tolerance_kmh: Annotated[float, Meta(ge=0)] = 0.0
    """Taken off the measured speed before 3 sigma are, in favour of the driver."""


class WrongWayRule(Rule, frozen=True, kw_only=True, tag="wrong_way"):
    """Against the legal direction."""

    direction_px: tuple[PointPx, PointPx]
    """An arrow in the image, tail and head: the legal direction in the zone."""
    within_deg: Annotated[float, Meta(gt=90, le=180)] = 120.0
    """Guilty only beyond this angle to the legal direction."""
    at_least_m: Positive = 8.0
    """And only over this stretch of road."""
    at_least_s: Positive = 0.5

    def __post_init__(self) -> None:
        _require_arrow(self, self.direction_px)

    @property
    def points_px(self) -> tuple[PointPx, ...]:
        return self.direction_px


class IllegalStopRule(Rule, frozen=True, kw_only=True, tag="illegal_stop"):
    """Stands where stopping is forbidden. A halt of up to 5 minutes is a stop, a longer one parking."""

    dwell_s: Positive
    """Stands at least this long."""
    still_m: Positive = 0.5
    """Counts as standing while it stays within this distance, and what a pixel at its foot is worth besides."""


class IllegalParkingRule(IllegalStopRule, frozen=True, kw_only=True, tag="illegal_parking"):
    """Stands where parking is forbidden, for longer than a stop."""


class OncomingLaneRule(WrongWayRule, frozen=True, kw_only=True, tag="oncoming_lane"):
    """Drives on the oncoming side of a two-way road: the zone is that side, the arrow its legal direction."""

    at_least_m: Positive = 15.0
    at_least_s: Positive = 1.0
    obstacle_m: Positive = 30.0
    """Not told where a vehicle stood within this distance: it may have been passed."""


class LaneRule(Rule, frozen=True, kw_only=True):
    """Drives in an area that is not for it."""

    at_least_m: Positive = 20.0
    """Guilty only over this way driven in the zone."""
    at_least_s: Positive = 1.5
    """And for this long."""
    open_zones: tuple[str, ...] = ()
    """Parts of the zone in which driving is allowed: dashed entries, accesses to premises. They do not count."""


class BusLaneRule(LaneRule, frozen=True, kw_only=True, tag="bus_lane"):
    """Drives in the lane for buses; who may is whom `classes` and the catalogue do not name, and `exempt_plates`."""

    turn_offs: tuple[str, ...] = ()
    """Zones behind the lane that may be reached through it: who ends there has used it for turning off."""
    turn_off_m: Positive = 60.0
    """Nobody needs more of the lane than this to turn off."""

    @property
    def zones(self) -> tuple[str, ...]:
        return (self.zone, *self.open_zones, *self.turn_offs)


class ShoulderRule(LaneRule, frozen=True, kw_only=True, tag="shoulder_or_sidewalk"):
    """Drives on the shoulder or the footway."""

    at_least_m: Positive = 12.0
    pull_over_m: Positive = 50.0
    """Who halts there after less than this, or starts from a halt, has pulled over and is not told."""

    @property
    def zones(self) -> tuple[str, ...]:
        return (self.zone, *self.open_zones)


class MarkingRule(Rule, frozen=True, kw_only=True, tag="sign_or_marking"):
    """Crosses a solid line; or enters where there is no entry; or leaves a lane for where it does not lead."""

    sign: Literal["solid_line", "no_entry", "wrong_lane"]
    line: str = ""
    """solid_line: the line. no_entry: the place of the sign, passed forward by who enters; empty: any border of the
    zone. wrong_lane: the end of the lane, passed forward."""
    passing: Literal["both", "forward", "back"] = "both"
    """Which way a solid line must not be crossed: a broken line beside it opens the other."""
    exits: tuple[str, ...] = ()
    """wrong_lane: zones that must not be reached from the lane."""
    within_s: Positive = 30.0
    """wrong_lane: from the end of the lane to the exit at most."""
    clear_m: Positive = 0.6
    """solid_line: the middle of the vehicle must have been so far from the line on either side."""
    obstacle_m: Positive = 30.0
    """solid_line: not told where a vehicle stood within this distance: it may have been passed."""
    at_least_m: Positive = 8.0
    """no_entry: goes on into the zone for this far."""
    at_least_s: Positive = 0.5

    def __post_init__(self) -> None:
        if self.sign in ("solid_line", "wrong_lane") and not self.line:
            raise ValueError(f"rule {self.name}: {self.sign} needs a line")
        if (self.sign == "wrong_lane") != bool(self.exits):
            raise ValueError(f"rule {self.name}: exits belong to wrong_lane, and wrong_lane needs some")

    @property
    def zones(self) -> tuple[str, ...]:
        return (self.zone, *self.exits)

    @property
    def lines(self) -> tuple[str, ...]:
        return (self.line,) if self.line else ()


class TurnRule(Rule, frozen=True, kw_only=True, tag="prohibited_turn"):
    """Turns where that is forbidden: from the zone to an exit; or about, or backwards, inside the zone."""

    manoeuvre: Literal["turn", "u_turn", "reversing"] = "turn"
    exits: tuple[str, ...] = ()
    """turn: zones that must not be reached from the zone."""
    within_s: Positive = 30.0
    """turn: from leaving the zone to entering the exit at most."""
    at_least_deg: Annotated[float, Meta(ge=120, le=180)] = 150.0
    """u_turn: change of heading."""
    at_least_m: Positive = 6.0
    """u_turn, reversing: way driven in the new direction."""
    approach_m: Positive = 5.0
    """u_turn, reversing: way seen in the old direction; without it nobody knows where the front is."""

    def __post_init__(self) -> None:
        if (self.manoeuvre == "turn") != bool(self.exits):
            raise ValueError(f"rule {self.name}: exits belong to a turn, and a turn needs some")

    @property
    def zones(self) -> tuple[str, ...]:
        return (self.zone, *self.exits)


class OvertakingRule(Rule, frozen=True, kw_only=True, tag="overtaking_or_position"):
    """Overtakes where that is forbidden; or drives on a part of the carriageway that is not for driving."""

    manoeuvre: Literal["overtaking", "position"]
    direction_px: tuple[PointPx, PointPx] | None = None
    """overtaking: an arrow in the image along the own side of the road; the zone is the oncoming side."""
    own_zone: str = ""
    """overtaking: the own side of the road."""
    clear_m: Positive = 2.0
    """overtaking: so far behind the other before, and so far before it after."""
    moving_kmh: Positive = 10.0
    """overtaking: whoever is slower is an obstacle, not overtaken."""
    at_least_m: Positive = 20.0
    """position: way driven in the zone."""
    at_least_s: Positive = 1.5

    def __post_init__(self) -> None:
        if {self.manoeuvre == "overtaking"} != {self.direction_px is not None, bool(self.own_zone)}:
            raise ValueError(f"rule {self.name}: direction_px and own_zone belong to overtaking, which needs both")
        if self.direction_px is not None:
            _require_arrow(self, self.direction_px)

    @property
    def zones(self) -> tuple[str, ...]:
        return (self.zone, self.own_zone) if self.own_zone else (self.zone,)

    @property
    def points_px(self) -> tuple[PointPx, ...]:
        return self.direction_px or ()


class YieldRule(Rule, frozen=True, kw_only=True, tag="fail_to_yield_pedestrian"):
    """Drives onto a crossing, the zone, while somebody on it is in the way, and does not slow."""

    path_m: Positive = 3.5
    """Somebody is in the way who is no farther to either side of the vehicle's middle, and does not walk away."""
    seen_s: Positive = 0.4
    """Somebody must have been on the crossing for this long before the vehicle is."""
    at_least_kmh: Positive = 15.0
    """Who comes slower has given way, or waits to see whether he must."""
    slows_by: Annotated[float, Meta(gt=0, lt=1)] = 0.25
    """So has who takes this share off the speed of the approach."""


AnyRule = (
    SpeedingRule
    | WrongWayRule
    | IllegalStopRule
    | IllegalParkingRule
    | OncomingLaneRule
    | BusLaneRule
    | ShoulderRule
    | MarkingRule
    | TurnRule
    | OvertakingRule
    | YieldRule
)


def _require_arrow(rule: Rule, arrow_px: tuple[PointPx, PointPx]) -> None:
    if not math.dist(*arrow_px) > 0:
        raise ValueError(f"rule {rule.name}: direction_px has no length")
