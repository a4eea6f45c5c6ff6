"""The kinds of violation that are judged here: each the site's rule and the file that judges it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.rules.junction_blocking import JunctionBlocking
from engine.rules.kind import Judge, Scene
from engine.rules.red_light import RailCrossing, RedLight
from engine.rules.speeding import Speeding
from engine.rules.standing import Standing
from engine.rules.stop_line import OverStopLine
from engine.rules.wrong_way import WrongWay
from engine.site import IllegalParkingRule, IllegalStopRule, Rule, SpeedingRule, WrongWayRule
from engine.sitesignals import JunctionBlockingRule, RailCrossingRule, RedLightRule, StopLineRule

JUDGES: dict[type[Rule], Callable[[Scene, Any], Judge]] = {
    SpeedingRule: Speeding,
    WrongWayRule: WrongWay,
    IllegalStopRule: Standing,
    IllegalParkingRule: Standing,
    RedLightRule: RedLight,
    StopLineRule: OverStopLine,
    RailCrossingRule: RailCrossing,
    JunctionBlockingRule: JunctionBlocking,
}


def judge_of(scene: Scene, rule: Rule) -> Judge:
    """Make a rule of a site ready to watch vehicles."""
    return JUDGES[type(rule)](scene, rule)


def judged_kinds() -> frozenset[str]:
    """The catalogue's keys of the kinds that are judged here."""
    return frozenset(str(rule.__struct_config__.tag) for rule in JUDGES)
