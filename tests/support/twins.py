"""Twins: for every kind a guilty drive and an innocent one, the same scene with one fact changed.

Every `tests/rules/kinds/test_<kind>.py` holds the `TWINS` of its kind; `tests/app/test_world_kinds.py` runs them
through the whole engine, docs/rules.md lists them.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from engine.site import Line, Rule, Signal, Site, Zone
from engine.types import Outcome, Phase
from tests.support.road import KERB, ROAD, Trajectory, Vehicle, area, project, site, still, straight
from tests.support.world import FPS, Phases, Sees, Traffic

KINDS = Path(__file__).parents[1] / "rules" / "kinds"


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
    outcome: str = Outcome.FINE
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
MAIN_RED, MAIN_GREEN = {"main": [(Phase.RED, -5.0)]}, {"main": [(Phase.GREEN, -5.0)]}
AHEAD, BACK = (project(3, 30), project(3, 60)), (project(-3, 60), project(-3, 30))
SLOW = Vehicle(track=2, path=straight(3, 34, 25))
STANDS = Vehicle(track=2, path=still(3, 52))
COMES = straight(0, 74, -45)
"""Onto the crossing, from beyond it, 3.2 s after the start."""


def scene(*rules: Rule) -> Callable[[], Site]:
    """The site of a scene, made when it is needed."""
    return lambda: site(*rules, zones=ZONES, lines=LINES, signals=SIGNALS)


def single(path: Trajectory, **facts: object) -> Traffic:
    """A single vehicle."""
    return Traffic([Vehicle(track=1, path=path, **facts)])


def looked_at(
    kind: str, rule: type[Rule], name: str, fact: str, sees: Sees, innocent_sees: Sees, outcome: str
) -> Twins:
    """Twins of a kind that a second look decides: it finds something else of the innocent."""
    return Twins(
        kind=kind,
        name=name,
        fact=fact,
        where=scene(rule(name=name, zone="road", at_least_px=60.0)),
        guilty=single(COMES),
        innocent=single(COMES),
        outcome=outcome,
        sees=sees,
        innocent_sees=innocent_sees,
    )


def classified(kind: str, rule: type[Rule]) -> Twins:
    """Twins of a kind that a classifier decides: it sees the offence only if the picture is bright."""
    fact = "the classifier does not see it"
    sees = Sees(light=250, classified=kind), Sees(light=96, classified=kind)
    return looked_at(kind, rule, "classified", fact, *sees, Outcome.OFFICER)


def find_twins() -> tuple[Twins, ...]:
    """The twins of all kinds."""
    modules = (
        importlib.import_module(f"tests.rules.kinds.{found.name}") for found in pkgutil.iter_modules([str(KINDS)])
    )
    return tuple(twins for module in modules for twins in getattr(module, "TWINS", ()))
