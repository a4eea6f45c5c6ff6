"""The kinds of violation that are judged here: each the site's rule and the file of this package that judges it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.rules.evaluator import CameraContext, RuleEvaluator
from engine.rules.kinds.bus_lane import BusLane
from engine.rules.kinds.junction_blocking import JunctionBlocking
from engine.rules.kinds.manoeuvre import Reversing, UTurn
from engine.rules.kinds.no_entry import NoEntry
from engine.rules.kinds.oncoming import OncomingLane
from engine.rules.kinds.overtaking import Overtaking
from engine.rules.kinds.position import Position
from engine.rules.kinds.red_light import RailCrossing, RedLight
from engine.rules.kinds.section_end import SectionEnd
from engine.rules.kinds.shoulder import Shoulder
from engine.rules.kinds.solid_line import SolidLine
from engine.rules.kinds.speeding import Speeding
from engine.rules.kinds.standing import Standing
from engine.rules.kinds.stop_line import OverStopLine
from engine.rules.kinds.suspicion import Suspicion
from engine.rules.kinds.turn import Turn
from engine.rules.kinds.wrong_lane import WrongLane
from engine.rules.kinds.wrong_way import WrongWay
from engine.rules.kinds.yielding import Yielding
from engine.site.looks import (
    LightsOffRule,
    NoInspectionRule,
    NoInsuranceRule,
    PermitExpiredRule,
    PhoneUseRule,
    PlateMissingRule,
    SeatbeltRule,
    SectionEndRule,
)
from engine.site.rules import (
    BusLaneRule,
    IllegalParkingRule,
    IllegalStopRule,
    MarkingRule,
    OncomingLaneRule,
    OvertakingRule,
    Rule,
    ShoulderRule,
    SpeedingRule,
    TurnRule,
    WrongWayRule,
    YieldRule,
)
from engine.site.signals import JunctionBlockingRule, RailCrossingRule, RedLightRule, StopLineRule

SIGNS = {"solid_line": SolidLine, "no_entry": NoEntry, "wrong_lane": WrongLane}
TURNS = {"turn": Turn, "u_turn": UTurn, "reversing": Reversing}
OVERTAKINGS = {"overtaking": Overtaking, "position": Position}


def _marking(scene: CameraContext, rule: MarkingRule) -> RuleEvaluator:
    return SIGNS[rule.sign](scene, rule)


def _turn(scene: CameraContext, rule: TurnRule) -> RuleEvaluator:
    return TURNS[rule.manoeuvre](scene, rule)


def _overtaking(scene: CameraContext, rule: OvertakingRule) -> RuleEvaluator:
    return OVERTAKINGS[rule.manoeuvre](scene, rule)


JUDGES: dict[type[Rule], Callable[[CameraContext, Any], RuleEvaluator]] = {
    SpeedingRule: Speeding,
    WrongWayRule: WrongWay,
    IllegalStopRule: Standing,
    IllegalParkingRule: Standing,
    OncomingLaneRule: OncomingLane,
    BusLaneRule: BusLane,
    ShoulderRule: Shoulder,
    MarkingRule: _marking,
    TurnRule: _turn,
    OvertakingRule: _overtaking,
    YieldRule: Yielding,
    RedLightRule: RedLight,
    StopLineRule: OverStopLine,
    RailCrossingRule: RailCrossing,
    JunctionBlockingRule: JunctionBlocking,
    SectionEndRule: SectionEnd,
    NoInspectionRule: Suspicion,
    NoInsuranceRule: Suspicion,
    PermitExpiredRule: Suspicion,
    PhoneUseRule: Suspicion,
    SeatbeltRule: Suspicion,
    LightsOffRule: Suspicion,
    PlateMissingRule: Suspicion,
}


def judge_of(scene: CameraContext, rule: Rule) -> RuleEvaluator:
    """Make a rule of a site ready to watch vehicles."""
    return JUDGES[type(rule)](scene, rule)


def judged_kinds() -> frozenset[str]:
    """The catalogue's keys of the kinds that are judged here."""
    return frozenset(str(rule.__struct_config__.tag) for rule in JUDGES)
