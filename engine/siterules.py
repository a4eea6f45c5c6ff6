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


AnyRule = SpeedingRule | WrongWayRule | IllegalStopRule | IllegalParkingRule


def _require_arrow(rule: Rule, arrow_px: tuple[PointPx, PointPx]) -> None:
    if not math.dist(*arrow_px) > 0:
        raise ValueError(f"rule {rule.name}: direction_px has no length")
