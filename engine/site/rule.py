"""What the rules of a site file have in common. The struct of each kind stands in `engine.rules.kinds`."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from msgspec import Meta

from engine.config import Name, Strict

PointPx = tuple[float, float]
ClassName = Literal["car", "truck", "bus", "motorcycle", "bicycle"]
HoursText = Annotated[str, Meta(pattern=r"^(([01]\d|2[0-3]):[0-5]\d-(([01]\d|2[0-3]):[0-5]\d|24:00))?$")]
"""Local time `HH:MM-HH:MM`, may pass midnight; empty: always."""


class Rule(Strict, frozen=True, kw_only=True, tag_field="kind"):
    """One rule of a site. The tag of a subclass is the catalogue's name of its kind.

    A rule names a zone, and may name lines, signals and more zones. It lists them in `zones`, `lines` and `signals`, so
    that a site can refuse a name that it does not define.
    """

    name: Name
    zone: str
    """The zone in which the rule is watched."""
    classes: tuple[ClassName, ...] = ()
    """Empty: every class that the catalogue names for the kind."""
    hours: HoursText = ""
    variant: str = ""
    """Selects a part of the kind's article by its `variant` in the catalogue; empty: the ordinary part."""
    exempt_plates: tuple[str, ...] = ()
    """Plates that the rule does not hold for, Latin capitals and digits without spaces. They are applied after the
    plate is read; the rulebook knows no plate."""

    @property
    def zones(self) -> tuple[str, ...]:
        """Names of all zones that the rule uses."""
        return (self.zone,)

    @property
    def lines(self) -> tuple[str, ...]:
        """Names of all lines that the rule uses."""
        return ()

    @property
    def signals(self) -> tuple[str, ...]:
        """Names of all signals that the rule uses."""
        return ()

    @property
    def points_px(self) -> tuple[PointPx, ...]:
        """Points that are drawn in the rule itself."""
        return ()


def require_arrow(rule: Rule, arrow_px: tuple[PointPx, PointPx]) -> None:
    """Raise ValueError if the arrow `direction_px` of a rule has no length."""
    if not math.dist(*arrow_px) > 0:
        raise ValueError(f"rule {rule.name}: direction_px has no length")
