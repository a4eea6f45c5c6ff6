"""What is doubtful about a site's signals, and about the rules that obey them."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from engine.rules.evaluator import CameraContext
from engine.rules.path import RoadPlane
from engine.rules.signal_line import StopLine
from engine.site import Site
from engine.site.signals import RailCrossingRule, Signal, SignalLineRule

SMALLEST_PX = 2.5
"""A lens of a smaller radius is a few pixels that the codec smears."""


def signal_doubts(site: Site) -> list[str]:
    """Lenses that are drawn too small, or over each other."""
    return [f"signal {signal.name}: {doubt}" for signal in site.signals for doubt in _lamp_doubts(signal)]


def _lamp_doubts(signal: Signal) -> list[str]:
    small = [lamp.colour for lamp in signal.lamps if lamp.radius_px < SMALLEST_PX]
    doubts = [f"the {colour} lens is too small to be told reliably" for colour in small]
    for one, other in combinations(signal.lamps, 2):
        apart_px = float(np.hypot(*np.subtract(one.centre_px, other.centre_px)))
        if apart_px < one.radius_px + other.radius_px:
            doubts.append(f"the {one.colour} lens and the {other.colour} one overlap")
    return doubts


def line_doubts(scene: CameraContext, rule: SignalLineRule) -> list[str]:
    """A signal that can never convict, a zone that does not lie beyond the line."""
    wanted = {signal.name: signal for signal in scene.site.signals if signal.name in rule.signal}
    doubts = [
        f"signal {name} has no red lamp and no controller: it convicts nobody"
        for name, signal in wanted.items()
        if not signal.controller and "red" not in {lamp.colour for lamp in signal.lamps}
    ]
    zone = next(zone for zone in scene.site.zones if zone.name == rule.zone)
    if not StopLine(scene, rule, RoadPlane(scene, rule)).leads_to(zone.polygon_px):
        doubts.append(f"zone {rule.zone} does not lie beyond line {rule.line}: is the line drawn the other way round?")
    if isinstance(rule, RailCrossingRule) and not any(signal.controller for signal in wanted.values()):
        doubts.append("a barrier is known by a controller only: a closed one with dark lamps convicts nobody")
    return doubts
