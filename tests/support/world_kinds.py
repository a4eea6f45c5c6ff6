"""For every kind that is judged: a guilty drive and its innocent twin, the same scene with one fact changed.

`tests/app/test_world_kinds.py` runs them through the whole engine; the page of the rules lists them. A new kind is a
row, or several, of `WORLD`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from engine.rules.kinds.bus_lane import BusLaneRule
from engine.rules.kinds.fail_to_yield_pedestrian import YieldRule
from engine.rules.kinds.junction_blocking import JunctionBlockingRule
from engine.rules.kinds.lights_off import LightsOffRule
from engine.rules.kinds.no_inspection import NoInspectionRule
from engine.rules.kinds.no_insurance import NoInsuranceRule
from engine.rules.kinds.oncoming_lane import OncomingLaneRule
from engine.rules.kinds.overtaking_or_position import OvertakingRule
from engine.rules.kinds.permit_expired import PermitExpiredRule
from engine.rules.kinds.phone_use import PhoneUseRule
from engine.rules.kinds.plate_missing import PlateMissingRule
from engine.rules.kinds.prohibited_turn import TurnRule
from engine.rules.kinds.rail_crossing import RailCrossingRule
from engine.rules.kinds.red_light import RedLightRule
from engine.rules.kinds.seatbelt import SeatbeltRule
from engine.rules.kinds.shoulder_or_sidewalk import ShoulderRule
from engine.rules.kinds.sign_or_marking import MarkingRule
from engine.rules.kinds.stop_line import StopLineRule
from engine.site import Line, Signal, Site, Zone
from engine.types import Phase, VehicleClass
from tests.support.road import (
    KERB,
    KMH,
    NO_PARKING,
    NO_STOPPING,
    ROAD,
    SPEEDING,
    WRONG_WAY,
    Vehicle,
    Walker,
    Way,
    along,
    area,
    project,
    site,
    still,
    straight,
    walking,
)
from tests.support.world import FPS, Phases, Sees, Traffic


@dataclass(frozen=True, kw_only=True)
class Twins:
    """A guilty scene and an innocent one."""

    kind: str
    name: str
    """Of the pair; unlike any other's."""
    fact: str
    """What the innocent does otherwise."""
    where: Callable[[], Site]
    guilty: Traffic
    innocent: Traffic
    outcome: str = "fine"
    lasts_s: float = 10.0
    fps: int = FPS
    innocent_where: Callable[[], Site] | None = None
    """Where the changed fact is one of the site."""
    phases: Phases = field(default_factory=dict)
    innocent_phases: Phases | None = None
    """What the signals show to the innocent, where that is the changed fact."""
    sees: Sees = field(default_factory=Sees)
    innocent_sees: Sees | None = None
    """What the second look finds of the innocent, where that is the changed fact."""


OWN, OTHER = area(0.3, 14, 6, 105), area(-6, 14, -0.3, 105)
ZONES = (
    ROAD,
    KERB,
    Zone(name="own", polygon_px=OWN),
    Zone(name="other", polygon_px=OTHER),
    Zone(name="lane", polygon_px=area(2.5, 14, 6, 90)),
    Zone(name="beyond", polygon_px=area(2.5, 40, 6, 90)),
    Zone(name="approach", polygon_px=area(0, 14, 6, 36)),
    Zone(name="left-lane", polygon_px=area(-6, 14, -0.2, 40)),
    Zone(name="left", polygon_px=area(-24, 44, -7, 64)),
    Zone(name="right", polygon_px=area(6, 48, 20, 66)),
    Zone(name="square", polygon_px=area(-12, 14, 12, 80)),
    Zone(name="junction", polygon_px=area(-12, 42, 12, 70)),
    Zone(name="zebra", polygon_px=area(-6, 30, 6, 34)),
)
LINES = (
    Line(name="middle", from_px=project(0, 22), to_px=project(0, 70)),
    Line(name="stop", from_px=project(7, 40), to_px=project(-7, 40)),
)
SIGNALS = tuple(Signal(name=name, controller="c", group=name) for name in ("main", "cross"))
RED, GREEN = {"main": [(Phase.RED, -5.0)]}, {"main": [(Phase.GREEN, -5.0)]}
CROSS_GREEN, CROSS_RED = {"cross": [(Phase.GREEN, -5.0)]}, {"cross": [(Phase.RED, -5.0)]}
AHEAD, BACK = (project(3, 30), project(3, 60)), (project(-3, 60), project(-3, 30))


def road(*rules) -> Callable[[], Site]:
    """The site of a scene, made when it is needed."""
    return lambda: site(*rules, zones=ZONES, lines=LINES, signals=SIGNALS)


def one(way: Way, **facts: object) -> Traffic:
    """A single vehicle."""
    return Traffic([Vehicle(track=1, way=way, **facts)])


def halts(x: float, y: float, at_s: float, leaves_s: float) -> Way:
    """Drives up, stands, and drives on."""
    return lambda t: (x, y + min(0.0, 8 * (t - at_s)) + max(0.0, 6 * (t - leaves_s)))


def about(until_deg: float) -> Way:
    """Up the right side and round to the left, as far as told."""
    radius_m, at_m, mps = 5.0, 36.0, 6.0

    def way(t: float) -> tuple[float, float]:
        done = mps * t - (at_m - 16)
        angle = min(max(done, 0.0) / radius_m, math.radians(until_deg))
        rest = max(0.0, done - angle * radius_m)
        x, y = radius_m * math.cos(angle), at_m + min(done, 0.0) + radius_m * math.sin(angle)
        return x - rest * math.sin(angle), y + rest * math.cos(angle)

    return way


def backs(back_m: float) -> Way:
    """Forwards for 20 m, then back."""
    return lambda t: (2.0, 24 + min(20.0, 5 * t) - min(back_m, max(0.0, 3 * (t - 5))))


CHANGES = along((2.5, 16), (2.5, 35), (-2.5, 51), (-2.5, 200), kmh=40)
PASSES = along((3, 16), (3, 26), (-3, 38), (-3, 68), (3, 80), (3, 200), kmh=55)
SLOW = Vehicle(track=2, way=straight(3, 34, 25))
STANDS = Vehicle(track=2, way=still(3, 52))
COMES = straight(0, 74, -45)
ONTO_S = (74 - 34) / (45 / KMH)
STEPS_OUT = Walker(way=walking(-2 - 1.4 * ONTO_S, 32, 1.4))
HAS_PASSED = Walker(way=walking(4.5 - 1.4 * ONTO_S, 32, 1.4))
TURNS_LEFT = along((3, 16), (3, 44), (-2, 54), (-40, 54), kmh=25)

WORLD: tuple[Twins, ...] = (
    Twins(
        kind="speeding",
        name="limit",
        fact="drives 64 km/h where 60 are allowed, not 90",
        where=road(SPEEDING),
        guilty=one(straight(2, 10, 90)),
        innocent=one(straight(2, 10, 64)),
    ),
    Twins(
        kind="wrong_way",
        name="against the arrow",
        fact="drives along the arrow",
        where=road(WRONG_WAY),
        guilty=one(straight(0, 90, -40)),
        innocent=one(straight(0, 16, 40)),
        outcome="officer",
    ),
    Twins(
        kind="illegal_stop",
        name="dwell",
        fact="drives on after 10 s, before the dwell of 20",
        where=road(NO_STOPPING),
        guilty=one(halts(4.5, 35, 3, 40)),
        innocent=one(halts(4.5, 35, 3, 13)),
        lasts_s=30.0,
    ),
    Twins(
        kind="illegal_parking",
        name="longer than a stop",
        fact="drives on after less than 5 minutes",
        where=road(NO_PARKING),
        guilty=one(still(4.5, 30)),
        innocent=one(still(4.5, 30), end_s=290.0),
        lasts_s=340.0,
        fps=2,
    ),
    Twins(
        kind="oncoming_lane",
        name="other side",
        fact="keeps to the own side",
        where=road(OncomingLaneRule(name="keep-right", zone="other", direction_px=BACK)),
        guilty=one(straight(-3, 16, 40)),
        innocent=one(straight(3, 16, 40)),
        outcome="officer",
    ),
    Twins(
        kind="sign_or_marking",
        name="solid line",
        fact="a vehicle stands in the way and is passed",
        where=road(MarkingRule(name="solid", zone="road", sign="solid_line", line="middle")),
        guilty=one(CHANGES),
        innocent=Traffic([Vehicle(track=1, way=CHANGES), STANDS]),
    ),
    Twins(
        kind="sign_or_marking",
        name="no entry",
        fact="stays beside the entry",
        where=road(MarkingRule(name="brick", zone="beyond", sign="no_entry")),
        guilty=one(straight(4.2, 18, 40)),
        innocent=one(straight(0, 18, 40)),
    ),
    Twins(
        kind="sign_or_marking",
        name="wrong lane",
        fact="takes the right lane for the right exit",
        where=road(MarkingRule(name="lane", zone="left-lane", sign="wrong_lane", line="stop", exits=("right",))),
        guilty=one(along((-3, 16), (-3, 44), (14, 58), (40, 60), kmh=25)),
        innocent=one(along((3, 16), (3, 44), (14, 58), (40, 60), kmh=25)),
    ),
    Twins(
        kind="bus_lane",
        name="class",
        fact="is a bus",
        where=road(BusLaneRule(name="bus", zone="lane")),
        guilty=one(straight(4.2, 18, 40)),
        innocent=one(straight(4.2, 18, 40), class_of=lambda t: VehicleClass.BUS),
    ),
    Twins(
        kind="bus_lane",
        name="hours",
        fact="drives when the lane is open to all",
        where=road(BusLaneRule(name="bus", zone="lane", hours="07:00-20:00")),
        innocent_where=road(BusLaneRule(name="bus", zone="lane", hours="13:00-20:00")),
        guilty=one(straight(4.2, 18, 40)),
        innocent=one(straight(4.2, 18, 40)),
    ),
    Twins(
        kind="shoulder_or_sidewalk",
        name="pulling over",
        fact="pulls over and halts",
        where=road(ShoulderRule(name="shoulder", zone="lane")),
        guilty=one(straight(4.2, 18, 40)),
        innocent=one(lambda t: (4.2, 18 + min(30.0, 9 * t))),
    ),
    Twins(
        kind="prohibited_turn",
        name="turn",
        fact="goes straight on",
        where=road(TurnRule(name="no-left", zone="approach", exits=("left",))),
        guilty=one(TURNS_LEFT),
        innocent=one(straight(3, 16, 25)),
    ),
    Twins(
        kind="prohibited_turn",
        name="u_turn",
        fact="turns off, not about",
        where=road(TurnRule(name="no-about", zone="square", manoeuvre="u_turn")),
        guilty=one(about(180.0)),
        innocent=one(about(90.0)),
        lasts_s=12.0,
    ),
    Twins(
        kind="prohibited_turn",
        name="reversing",
        fact="backs up 3 m, as into a parking space",
        where=road(TurnRule(name="no-back", zone="square", manoeuvre="reversing")),
        guilty=one(backs(14.0)),
        innocent=one(backs(3.0)),
        lasts_s=12.0,
    ),
    Twins(
        kind="overtaking_or_position",
        name="overtaking",
        fact="passes one that stands",
        where=road(
            OvertakingRule(
                name="no-overtaking", zone="other", own_zone="own", manoeuvre="overtaking", direction_px=AHEAD
            )
        ),
        guilty=Traffic([Vehicle(track=1, way=PASSES), SLOW]),
        innocent=Traffic([Vehicle(track=1, way=PASSES), STANDS]),
    ),
    Twins(
        kind="overtaking_or_position",
        name="position",
        fact="drives beside the closed part",
        where=road(OvertakingRule(name="island", zone="lane", manoeuvre="position")),
        guilty=one(straight(4.2, 18, 40)),
        innocent=one(straight(0, 18, 40)),
    ),
    Twins(
        kind="fail_to_yield_pedestrian",
        name="in the way",
        fact="the person has passed and walks away",
        where=road(YieldRule(name="zebra", zone="zebra")),
        guilty=Traffic([Vehicle(track=1, way=COMES)], [STEPS_OUT]),
        innocent=Traffic([Vehicle(track=1, way=COMES)], [HAS_PASSED]),
    ),
    Twins(
        kind="fail_to_yield_pedestrian",
        name="slows",
        fact="stops before the crossing",
        where=road(YieldRule(name="zebra", zone="zebra")),
        guilty=Traffic([Vehicle(track=1, way=COMES)], [STEPS_OUT]),
        innocent=Traffic([Vehicle(track=1, way=lambda t: (0, max(36.5, 74 - 12.5 * t)))], [STEPS_OUT]),
    ),
    Twins(
        kind="red_light",
        name="red",
        fact="the signal shows green",
        where=road(RedLightRule(name="red", zone="junction", line="stop", signal=("main",))),
        guilty=one(straight(0, 17, 50)),
        innocent=one(straight(0, 17, 50)),
        phases=RED,
        innocent_phases=GREEN,
    ),
    Twins(
        kind="stop_line",
        name="beyond the line",
        fact="stops before the line",
        where=road(StopLineRule(name="over", zone="junction", line="stop", signal=("main",), beyond_m=0.0)),
        guilty=one(lambda t: (0.0, min(40.0, 17 + 10 * t))),
        innocent=one(lambda t: (0.0, min(33.0, 17 + 10 * t))),
        phases=RED,
    ),
    Twins(
        kind="rail_crossing",
        name="closed",
        fact="the crossing is open: its lamps are dark",
        where=road(RailCrossingRule(name="rail", zone="junction", line="stop", signal=("main",))),
        guilty=one(straight(0, 17, 50)),
        innocent=one(straight(0, 17, 50)),
        phases={"main": [(Phase.RED_FLASHING, -5.0)]},
        innocent_phases={"main": [(Phase.DARK, -5.0)]},
    ),
    Twins(
        kind="junction_blocking",
        name="cross traffic",
        fact="the cross traffic has red",
        where=road(JunctionBlockingRule(name="box", zone="junction", cross_signal="cross", dwell_s=5.0)),
        guilty=one(lambda t: (0.0, min(50.0, 17 + 8 * t))),
        innocent=one(lambda t: (0.0, min(50.0, 17 + 8 * t))),
        phases=CROSS_GREEN,
        innocent_phases=CROSS_RED,
        lasts_s=16.0,
    ),
    Twins(
        kind="no_inspection",
        name="expired",
        fact="the inspection is valid until tomorrow",
        where=road(NoInspectionRule(name="papers", zone="road", at_least_px=60.0)),
        guilty=one(COMES),
        innocent=one(COMES),
        sees=Sees(papers="2026-05-01,2027-01-01,2027-01-01"),
        innocent_sees=Sees(papers="2026-06-02,2027-01-01,2027-01-01"),
    ),
    Twins(
        kind="no_insurance",
        name="none",
        fact="the registry does not know whether there is one",
        where=road(NoInsuranceRule(name="papers", zone="road", at_least_px=60.0)),
        guilty=one(COMES),
        innocent=one(COMES),
        sees=Sees(papers="2027-01-01,none,2027-01-01"),
        innocent_sees=Sees(papers="2027-01-01,,2027-01-01"),
    ),
    Twins(
        kind="permit_expired",
        name="expired",
        fact="the permit is valid today",
        where=road(PermitExpiredRule(name="papers", zone="road", at_least_px=60.0)),
        guilty=one(COMES),
        innocent=one(COMES),
        outcome="officer",
        sees=Sees(papers="2027-01-01,2027-01-01,2026-05-31"),
        innocent_sees=Sees(papers="2027-01-01,2027-01-01,2026-06-01"),
    ),
    *(
        Twins(
            kind=kind,
            name="classified",
            fact="the classifier does not see it",
            where=road(rule(name="cabin", zone="road", at_least_px=60.0)),
            guilty=one(COMES),
            innocent=one(COMES),
            outcome="officer",
            sees=Sees(light=250, classified=kind),
            innocent_sees=Sees(light=96, classified=kind),
        )
        for kind, rule in {
            "phone_use": PhoneUseRule,
            "seatbelt": SeatbeltRule,
            "lights_off": LightsOffRule,
            "plate_missing": PlateMissingRule,
        }.items()
    ),
)
