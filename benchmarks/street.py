"""A street for the traffic simulator: its network, its traffic, and the site of a camera above it.

Northbound (away from the camera) there are a bus lane, two lanes and a shoulder; southbound two lanes. Coordinates are
in metres: x to the right, y away from the camera. Offenders drive on their own edges on top of the street, because the
simulator does not drive against the direction of an edge.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.rules.kinds.bus_lane import BusLaneRule
from engine.rules.kinds.illegal_stop import IllegalStopRule
from engine.rules.kinds.oncoming_lane import OncomingLaneRule
from engine.rules.kinds.shoulder_or_sidewalk import ShoulderRule
from engine.rules.kinds.sign_or_marking import MarkingRule
from engine.rules.kinds.speeding import SpeedingRule
from engine.rules.kinds.wrong_way import WrongWayRule
from engine.site import Calibration, Certificate, Limit, Line, Place, Rule, Site, Zone
from engine.types import Floats, VehicleClass
from footage.camera import Camera, transform

CAMERA = Camera((4.0, 0.0, 9.0), (4.0, 36.0, 0.0), 30.0, 36.0, 1280, 720)
LIMIT_KMH = 60.0
BUS_X, RIGHT_X, LEFT_X, SHOULDER_X = 8.75, 5.25, 1.75, 12.0
LINE_X = 3.5
"""The solid line between the two lanes northbound."""


@dataclass(frozen=True, slots=True)
class VehicleShape:
    """Class and size of a vehicle type of the simulator."""

    class_id: VehicleClass
    size_m: tuple[float, float, float]
    """Width, length, height."""


BODIES = {
    "car": VehicleShape(VehicleClass.CAR, (1.8, 4.5, 1.5)),
    "van": VehicleShape(VehicleClass.CAR, (2.0, 5.3, 2.0)),
    "lorry": VehicleShape(VehicleClass.TRUCK, (2.5, 9.0, 3.6)),
    "bus": VehicleShape(VehicleClass.BUS, (2.5, 11.5, 3.2)),
    "motorcycle": VehicleShape(VehicleClass.MOTORCYCLE, (0.8, 2.1, 1.5)),
}
_LAWFUL = {"car": 0.72, "van": 0.1, "lorry": 0.1, "motorcycle": 0.08}
"""Shares of the traffic. Buses have their own flow."""
_OFFENDERS: dict[str, tuple[str, float, str]] = {
    "speeding": ("up", 25.0, 'departLane="2"'),
    "wrong_way": ("against", 11.0, ""),
    "oncoming_lane": ("other", 12.0, ""),
    "sign_or_marking": ("weave", 13.0, ""),
    "bus_lane": ("bus", 13.0, ""),
    "shoulder_or_sidewalk": ("shoulder", 12.0, ""),
    "illegal_stop": ("kerb", 10.0, ""),
}
"""Route, speed (m/s) and further attributes for the simulator, by kind."""
KINDS = tuple(_OFFENDERS)
"""Kinds of offenders. The name of an offender is its kind and a number."""


def _along(x: float, name: str, start: str, end: str, *shape: tuple[float, float]) -> str:
    points = " ".join(f"{a},{b}" for a, b in shape or ((x, -250.0), (x, 450.0)))
    return f'<edge id="{name}" from="{start}" to="{end}" numLanes="1" speed="40" shape="{points}" spreadType="center"/>'


def _edges() -> str:
    plain = 'speed="16.67" spreadType="right"'
    nodes = {"up0": ("S", "A"), "up1": ("A", "B"), "up2": ("B", "N")}
    lanes = (
        '<lane index="0" allow="bus"{}/>',
        '<lane index="1" disallow="bus"{}/>',
        '<lane index="2" disallow="bus"{}/>',
    )
    up = []
    for name, (start, end) in nodes.items():
        keep = ' changeLeft="custom2" changeRight="custom2"' if name == "up1" else ""
        inner = "".join(lane.format(keep) for lane in lanes)
        up.append(f'<edge id="{name}" from="{start}" to="{end}" numLanes="3" {plain}>{inner}</edge>')
    down = f'<edge id="down" from="N" to="S" numLanes="2" {plain}/>'
    ghosts = [
        _along(RIGHT_X, "against", "gN0", "gS0", (RIGHT_X, 450.0), (RIGHT_X, -250.0)),
        _along(-LEFT_X, "other", "gS1", "gN1"),
        _along(BUS_X, "bus", "gS2", "gN2"),
        _along(SHOULDER_X, "shoulder", "gS3", "gN3"),
        _along(SHOULDER_X, "kerb", "gS5", "gN5"),
        _along(0, "weave", "gS4", "gN4", *((RIGHT_X, -250.0), (RIGHT_X, 34.0), (LEFT_X, 50.0), (LEFT_X, 450.0))),
    ]
    return "<edges>" + "".join([*up, down, *ghosts]) + "</edges>"


def _nodes() -> str:
    main: list[tuple[str, float, float]] = [("S", 0, -250), ("A", 0, -60), ("B", 0, 85), ("N", 0, 450)]
    ends = {0: RIGHT_X, 1: -LEFT_X, 2: BUS_X, 3: SHOULDER_X, 4: RIGHT_X, 5: SHOULDER_X}
    main += [(f"gS{n}", x, -250 - n) for n, x in ends.items()]
    main += [(f"gN{n}", LEFT_X if n == 4 else x, 450 + n) for n, x in ends.items()]
    return "<nodes>" + "".join(f'<node id="{n}" x="{x}" y="{y}" type="priority"/>' for n, x, y in main) + "</nodes>"


def write_network(folder: Path) -> tuple[Path, Path]:
    """Write the nodes and edges for netconvert."""
    nodes, edges = folder / "street.nod.xml", folder / "street.edg.xml"
    nodes.write_text(_nodes(), encoding="utf-8")
    edges.write_text(_edges(), encoding="utf-8")
    return nodes, edges


def write_demand(folder: Path, seconds: int, per_hour: int, offenders: int) -> Path:
    """Write the traffic: `per_hour` lawful vehicles a direction, and `offenders` of each kind at even intervals."""
    lines = [_type(name, body) for name, body in BODIES.items()]
    lines += ['<route id="up" edges="up0 up1 up2"/>', '<route id="down" edges="down"/>']
    lines += [f'<route id="{r}" edges="{r}"/>' for r in ("against", "other", "bus", "shoulder", "kerb", "weave")]
    for way in ("up", "down"):
        for name, share in _LAWFUL.items():
            lines.append(_flow(f"{way}-{name}", name, way, seconds, per_hour * share))
    lines.append(_flow("up-bus", "bus", "up", seconds, 30))
    planted = [_planted(kind, n, seconds, offenders) for kind in _OFFENDERS for n in range(offenders)]
    lines += [text for _, text in sorted(planted)]
    path = folder / "street.rou.xml"
    path.write_text("<routes>" + "\n".join(lines) + "</routes>", encoding="utf-8")
    return path


def _type(name: str, body: VehicleShape) -> str:
    width, length, _ = body.size_m
    kind = "bus" if name == "bus" else "motorcycle" if name == "motorcycle" else "passenger"
    fastest = 13.5 if name in ("lorry", "bus") else 30
    factor = 'speedFactor="normc(0.92,0.06,0.75,1.05)"'
    size = f'length="{length}" width="{width}" maxSpeed="{fastest}"'
    return f'<vType id="{name}" vClass="{kind}" {size} {factor} sigma="0.6" lcKeepRight="0.2"/>'


def _flow(name: str, kind: str, route: str, seconds: int, per_hour: float) -> str:
    lane = 'departLane="0"' if kind == "bus" else 'departLane="best"'
    rate = f'probability="{per_hour / 3600:.5f}"'
    return (
        f'<flow id="{name}" type="{kind}" route="{route}" begin="0" end="{seconds}" {rate} {lane} departSpeed="max"/>'
    )


def _planted(kind: str, number: int, seconds: int, offenders: int) -> tuple[float, str]:
    """Departure of an offender in seconds, and its element for the simulator.

    Standing offenders come in the second half of the time: passing a standing vehicle excuses other offences.
    """
    route, mps, extra = _OFFENDERS[kind]
    moving = [name for name in _OFFENDERS if name != "illegal_stop"]
    share = (number + (moving.index(kind) / len(moving) if kind in moving else 0.5)) / max(1, offenders)
    at_s = (0.5 * share if kind in moving else 0.5 + 0.5 * share) * (seconds - 120)
    type_id = f"{kind}-{number}"
    pace = f'maxSpeed="{mps}" speedFactor="1.6" speedDev="0" sigma="0.1"'
    vtype = f'<vType id="{type_id}" vClass="passenger" length="4.5" width="1.8" {pace}/>'
    stop = '<stop lane="kerb_0" endPos="300" duration="30"/>' if route == "kerb" else ""
    vehicle = f'<vehicle id="{type_id}" type="{type_id}" route="{route}" depart="{at_s:.1f}" departSpeed="max" {extra}>'
    return at_s, f"{vtype}{vehicle}{stop}</vehicle>"


def _area(left: float, near: float, right: float, far: float) -> tuple[tuple[float, float], ...]:
    return _pixels((left, near), (right, near), (right, far), (left, far))


def _pixels(*points_m: tuple[float, float]) -> tuple[tuple[float, float], ...]:
    return tuple((float(u), float(v)) for u, v in transform(CAMERA.ground_to_image, points_m))


def site() -> Site:
    """The site that an operator would draw for the street."""
    near, far = 16.0, 62.0
    return Site(
        name="street",
        image_size_px=(CAMERA.width_px, CAMERA.height_px),
        place=Place(address={"en": "Simulated street"}),
        valid_from=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        calibration=Calibration(
            id="exact",
            made=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
            expires=dt.datetime(2027, 1, 1, tzinfo=dt.UTC),
            image_to_ground=tuple(map(tuple, CAMERA.image_to_ground.tolist())),  # type: ignore[arg-type]
            residual_m=0.01,
            area_px=_area(-8, near, 15, 70),
            camera_m=CAMERA.position_m,
        ),
        certificate=Certificate(
            number="SIM", issued=dt.datetime(2026, 1, 1, tzinfo=dt.UTC), expires=dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
        ),
        zones=(
            Zone(name="street", polygon_px=_area(-8, near, 15, 70)),
            Zone(name="up", polygon_px=_area(0.3, near, 6.8, far)),
            Zone(name="down", polygon_px=_area(-6.8, near, -0.4, far)),
            Zone(name="bus", polygon_px=_area(7.4, near, 10.2, far)),
            Zone(name="shoulder", polygon_px=_area(11.0, near, 13.5, far)),
        ),
        lines=(Line(name="solid", from_px=_pixels((LINE_X, 22))[0], to_px=_pixels((LINE_X, 60))[0]),),
        limits=(Limit(kmh=LIMIT_KMH),),
        rules=_rules(),
    )


def _rules() -> tuple[Rule, ...]:
    north, south = _pixels((0, 25), (0, 45)), _pixels((0, 45), (0, 25))
    return (
        SpeedingRule(name="limit", zone="street", tolerance_kmh=1.0),
        WrongWayRule(name="up-only", zone="up", direction_px=(north[0], north[1])),
        OncomingLaneRule(name="keep-right", zone="down", direction_px=(south[0], south[1])),
        MarkingRule(name="solid", zone="up", sign="solid_line", line="solid"),
        BusLaneRule(name="buses", zone="bus"),
        ShoulderRule(name="shoulder", zone="shoulder", pull_over_m=40.0),
        IllegalStopRule(name="kerb", zone="shoulder", dwell_s=20.0),
    )


def corners(front_m: Floats, heading: Floats, size_m: Floats) -> Floats:
    """(V, 8, 3) corners of vehicles with fronts (V, 2), headings (V, 2), and (V, 3) widths, lengths and heights, m."""
    width, length, height = size_m.T
    side = np.stack([-heading[:, 1], heading[:, 0]], axis=1)
    found = [
        np.column_stack([front_m + side * (s * width / 2)[:, None] - heading * (b * length)[:, None], height * top])
        for s in (-1, 1)
        for b in (0, 1)
        for top in (0, 1)
    ]
    return np.stack(found, axis=1)


def heading_of(angle_deg: Floats) -> Floats:
    """(V, 2) unit vectors of (V,) angles, in degrees clockwise from north."""
    radians = np.radians(angle_deg)
    return np.stack([np.sin(radians), np.cos(radians)], axis=1)
