"""A junction with signals, seen from above the road that leads to it: for the rules about signals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from engine.metrics import Metrics
from engine.rules.kinds.junction_blocking import JunctionBlockingRule
from engine.rules.kinds.rail_crossing import RailCrossingRule
from engine.rules.kinds.red_light import RedLightRule
from engine.rules.kinds.stop_line import StopLineRule
from engine.signals import Change, Report, SignalBook
from engine.site import Line, Rule, Signal, Site, Zone
from engine.types import Clock, Phase, Violation
from tests.support import road
from tests.support.road import KMH, NOON_S, Trajectory, area, project, site, straight

LINE_M = 40.0
STOP = Line(name="stop", from_px=project(6, LINE_M), to_px=project(-6, LINE_M))
TOWARDS = Line(name="towards", from_px=project(-6, LINE_M), to_px=project(6, LINE_M))
BEYOND = Zone(name="beyond", polygon_px=area(-12, LINE_M + 2, 12, LINE_M + 30))
NEARER = Zone(name="nearer", polygon_px=area(-7, 14, 7, LINE_M - 6))
RED_LIGHT = RedLightRule(name="red", zone="beyond", line="stop", signal=("main",))
STOP_LINE = StopLineRule(name="over", zone="beyond", line="stop", signal=("main",), beyond_m=0.0)
RAIL = RailCrossingRule(name="rail", zone="beyond", line="stop", signal=("main",))
BOX = JunctionBlockingRule(name="box", zone="beyond", cross_signal="cross", dwell_s=5.0)
SIGNALS = tuple(Signal(name=name, controller="c", group=name) for name in ("main", "cross", "arrow"))
CROSSED_S = (LINE_M - 17.0 - 4.5) / (50 / KMH)
"""When the front of `runner` is over the line."""
Phases = Mapping[str, Sequence[tuple[Phase, float]]]
"""The phases of a controller's groups, each from a second of the drive on."""


def junction(*rules: Rule, lines: tuple[Line, ...] = (STOP, TOWARDS)) -> Site:
    """The road with a junction beyond its line."""
    return msgspec.structs.replace(site(lines=lines, zones=(BEYOND, NEARER), signals=SIGNALS), rules=rules)


def runner(kmh: float = 50.0, x: float = 0.0) -> Trajectory:
    """Drives away from the camera, over the line and on."""
    return straight(x, 17.0, kmh)


def stops_at(y_m: float, kmh: float = 36.0) -> Trajectory:
    """Drives away from the camera and stands with its rear there."""
    return lambda t: (0, min(y_m, 17.0 + kmh / KMH * t))


def book(where: Site, phases: Phases, until_s: float = 60.0) -> SignalBook:
    """A book with the phases of the signals; before the first phase of a signal, nothing is known."""
    signals = SignalBook({0: where}, {0: "cam"}, Metrics())
    signals._cameras[0].clock = Clock.SYNCHRONISED
    changes = [Change(name, phase, NOON_S + at) for name, run in phases.items() for phase, at in run]
    signals.report(Report("c", 1, NOON_S + until_s, tuple(changes)))
    return signals


def drive(
    where: Site, path: Trajectory, main: Sequence[tuple[Phase, float]], others: Phases | None = None, **facts: object
) -> list[Violation]:
    """As `road.drive`; `main` and `others` are the phases of the signals."""
    return road.drive(where, path, signals=book(where, {"main": main, **(others or {})}), **facts)


RED = [(Phase.GREEN, -20.0), (Phase.AMBER, -8.0), (Phase.RED, -5.0)]
GREEN = [(Phase.RED, -20.0), (Phase.GREEN, -5.0)]
JUNCTION = junction(RED_LIGHT)
