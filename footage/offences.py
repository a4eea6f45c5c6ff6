"""The offences of a scene, found in its exact kinematics, independently of the engine.

Every judge examines the whole finely sampled path of one vehicle and returns its offences. Instants are in seconds of
the clip; they may be below 0 or beyond its duration if the vehicle is on its route when the clip starts or ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from footage.bodies import Body
from footage.motion import Mover
from footage.scene import Line, Scene, Zone
from footage.states import lamp_at, laps
from footage.ways import STEP_S, Flags, Offence, Way, inside, runs, way

_STILL_MPS = 0.3
_SPEEDING_TIERS = ((60.0, "60+", "592 p.3-1"), (40.0, "40-60", "592 p.3"), (20.0, "20-40", "592 p.2"))
_LEAST_OVER_KMH = 10.0


def offences(scene: Scene, movers: dict[str, Mover], bodies: dict[str, Body]) -> list[Offence]:
    """All offences, by decisive instant. Raises ValueError unless they are those that the scene expects."""
    ways = [way(vehicle, movers[vehicle.name], bodies[vehicle.body]) for vehicle in scene.vehicle]
    found = [offence for one in ways for judge in _JUDGES for offence in judge(scene, one)]
    meant, really = ({(x.kind, x.vehicle) for x in group} for group in (scene.expected, found))
    if meant != really:
        raise ValueError(
            f"{scene.name}: expected but not there {meant - really}, there but not expected {really - meant}"
        )
    return sorted(found, key=lambda offence: offence.decisive_s)


def _steps(seconds: float) -> int:
    return round(seconds / STEP_S)


def _zones(scene: Scene, kind: str) -> Iterator[Zone]:
    return (zone for zone in scene.zone if zone.kind == kind)


def speeding(scene: Scene, way: Way) -> Iterator[Offence]:
    """CAO 592: the mean speed in the measured zone is at least 10 km/h above the limit of the class."""
    limit = scene.limits_kmh.get(way.vehicle.class_name)
    for zone in _zones(scene, "measured"):
        within = inside(zone.polygon_m, way.xy_m)
        if limit is None or not within.any():
            continue
        kmh = float(way.speed_mps[within].mean()) * 3.6
        over = round(kmh - limit, 3)
        if over >= _LEAST_OVER_KMH:
            tier, article = next(
                ((t, a) for above, t, a in _SPEEDING_TIERS if _in_tier(over, above)), ("10-20", "592 p.1")
            )
            middle = int(np.flatnonzero(within).mean())
            numbers: dict[str, float | str] = {
                "speed_kmh": round(kmh, 3),
                "limit_kmh": limit,
                "over_kmh": over,
                "tier": tier,
            }
            yield way.offence("speeding", article, within, middle, zone=zone.name, **numbers)


def _in_tier(over_kmh: float, above_kmh: float) -> bool:
    """Exactly 20 or 40 km/h above the limit belongs to the lower tier, exactly 60 to the highest."""
    return over_kmh >= above_kmh if above_kmh == _SPEEDING_TIERS[0][0] else over_kmh > above_kmh


def wrong_way(scene: Scene, way: Way) -> Iterator[Offence]:
    """CAO 596 p.3: drives against the lane's legal direction for at least a second."""
    for zone in _zones(scene, "lane"):
        if zone.heading_deg is not None:
            against = np.cos(way.heading_rad - np.radians(zone.heading_deg)) < -0.5
            wrong = against & inside(zone.polygon_m, way.xy_m) & (way.speed_mps > _STILL_MPS)
            for run in runs(wrong, _steps(1.0)):
                yield way.offence("wrong_way", "596 p.3", run, int(np.argmax(run)), zone=zone.name)


def illegal_stop(scene: Scene, way: Way) -> Iterator[Offence]:
    """CAO 597 p.1: stands in a no-stopping zone for at least its dwell."""
    for zone in _zones(scene, "no_stopping"):
        standing = inside(zone.polygon_m, way.xy_m) & (way.speed_mps < _STILL_MPS)
        for run in runs(standing, _steps(zone.dwell_s)):
            at = int(np.argmax(run)) + _steps(zone.dwell_s)
            yield way.offence("illegal_stop", "597 p.1", run, at - 1, zone=zone.name, stood_s=_lasted(run))


def _lasted(run: Flags) -> float:
    return round(float(run.sum()) * STEP_S, 2)


def bus_lane(scene: Scene, way: Way) -> Iterator[Offence]:
    """CAO 601 p.1: drives in the bus lane for at least two seconds and is not a bus."""
    return _driving_in(scene, way, "bus_lane", "bus_lane", "601 p.1")


def shoulder(scene: Scene, way: Way) -> Iterator[Offence]:
    """CAO 596 p.1: drives on the shoulder for at least two seconds."""
    return _driving_in(scene, way, "shoulder", "shoulder_or_sidewalk", "596 p.1")


def _driving_in(scene: Scene, way: Way, zone_kind: str, kind: str, article: str) -> Iterator[Offence]:
    for zone in _zones(scene, zone_kind):
        allowed = kind == "bus_lane" and way.vehicle.class_name == "bus"
        within = inside(zone.polygon_m, way.xy_m) & (way.speed_mps > _STILL_MPS)
        for run in () if allowed else runs(within, _steps(2.0)):
            yield way.offence(kind, article, run, int(np.argmax(run)) + _steps(2.0) - 1, zone=zone.name)


def signals(scene: Scene, way: Way) -> Iterator[Offence]:
    """CAO 599 p.1 and 601 p.1: the nose crosses the stop line on red; the vehicle drives on or stops beyond it."""
    for line in scene.line:
        at = _crossing(way, line)
        if at is None or not line.signal or _lamp(scene, line.signal, way.time_s[at]) != "red":
            continue
        after = np.arange(len(way.time_s)) >= at
        halts = after & (way.speed_mps < _STILL_MPS)
        travelled = np.linalg.norm(way.xy_m - way.xy_m[at], axis=1)
        stops_m = float(travelled[np.argmax(halts)]) if halts.any() else np.inf
        on_red = next(runs(after & _while_red(scene, line.signal, way), 1))
        names = {"line": line.name, "signal": line.signal}
        if stops_m < _OVERRUN_M:
            yield way.offence(
                "stop_line",
                "601 p.1",
                on_red & ~_gone_on(halts),
                int(np.argmax(halts)),
                overrun_m=round(stops_m, 2),
                **names,
            )
        else:
            yield way.offence("red_light", "599 p.1", after & (travelled < _OVERRUN_M), at, **names)


def _gone_on(halts: Flags) -> Flags:
    """True for samples later than a second after the halt: the offence is complete by then."""
    return np.asarray(np.arange(len(halts)) > np.argmax(halts) + _steps(1.0))


_OVERRUN_M = 7.0
"""A vehicle that stops within this distance after the line has overrun it; otherwise it has run the red light."""


def _while_red(scene: Scene, signal: str, way: Way) -> Flags:
    return np.array([_lamp(scene, signal, t) == "red" for t in way.time_s.tolist()])


def _lamp(scene: Scene, name: str, time_s: float) -> str:
    signal = next(signal for signal in scene.signal if signal.name == name)
    return lamp_at(signal, time_s % scene.duration_s)


def _crossing(way: Way, line: Line) -> int | None:
    """Index of the first sample at which the nose has crossed the line, in either direction; None if never."""
    a, b = np.array(line.from_m), np.array(line.to_m)
    along = (b - a) / np.linalg.norm(b - a)
    offset = way.nose_m - a
    side = along[0] * offset[:, 1] - along[1] * offset[:, 0]
    share = offset @ along / np.linalg.norm(b - a)
    crossed = (np.sign(side[1:]) != np.sign(side[:-1])) & (share[1:] > 0) & (share[1:] < 1)
    return int(np.argmax(crossed)) + 1 if crossed.any() else None


def prohibited_turn(scene: Scene, way: Way) -> Iterator[Offence]:
    """CAO 595: drives from one zone to another to which the turn is prohibited."""
    zones = {zone.name: zone for zone in scene.zone}
    for turn in scene.prohibited_turn:
        first, last = (inside(zones[name].polygon_m, way.xy_m) for name in (turn.from_zone, turn.to_zone))
        if first.any() and last.any() and np.argmax(first) < np.argmax(last):
            between = np.zeros(len(first), bool)
            between[np.argmax(first) : np.argmax(last) + 1] = True
            yield way.offence("prohibited_turn", "595", between, int(np.argmax(last)), turn=turn.name)


def junction_blocking(scene: Scene, way: Way) -> Iterator[Offence]:
    """CAO 594 p.1: stands in the junction for at least three seconds while the cross traffic has green."""
    for zone in _zones(scene, "junction_box"):
        if zone.cross_signal:
            name = zone.cross_signal
            green = np.array([_lamp(scene, name, t) == "green" for t in way.time_s.tolist()])
            blocking = inside(zone.polygon_m, way.xy_m) & (way.speed_mps < _STILL_MPS) & green
            for run in runs(blocking, _steps(3.0)):
                at = int(np.argmax(run)) + _steps(3.0) - 1
                yield way.offence("junction_blocking", "594 p.1", run, at, zone=zone.name, stood_s=_lasted(run))


def not_yielding(scene: Scene, way: Way) -> Iterator[Offence]:
    """CAO 600 p.1: drives onto a crossing while a pedestrian on it is near its path (within 5 m to either side)."""
    movers = scene.movers()
    for zone in _zones(scene, "crossing"):
        on = inside(zone.polygon_m, way.nose_m) & (way.speed_mps > _STILL_MPS)
        if not on.any():
            continue
        at = int(np.argmax(on))
        walkers = [
            pose
            for person in scene.person
            for _, pose in laps(movers[person.name], float(way.time_s[at]), scene.duration_s)
            if inside(zone.polygon_m, np.array([[pose.x_m, pose.y_m]]))[0]
        ]
        heading = way.heading_rad[at]
        sideways = [
            abs(-np.sin(heading) * (p.x_m - way.xy_m[at, 0]) + np.cos(heading) * (p.y_m - way.xy_m[at, 1]))
            for p in walkers
        ]
        if sideways and min(sideways) < 5.0:
            details = {
                "distance_m": round(float(min(sideways)), 2),
                "speed_kmh": round(float(way.speed_mps[at]) * 3.6, 1),
            }
            yield way.offence("fail_to_yield_pedestrian", "600 p.1", on, at, zone=zone.name, **details)


_JUDGES: tuple[Callable[[Scene, Way], Iterator[Offence]], ...] = (
    speeding,
    wrong_way,
    illegal_stop,
    bus_lane,
    shoulder,
    signals,
    prohibited_turn,
    junction_blocking,
    not_yielding,
)
