"""A scene as data: the structure of the TOML files in scenes/. An unknown key is an error that names its place.

Ground coordinates are metres, usually x right and y away from the camera. Headings and azimuths are degrees; headings
count from the x axis towards the y axis.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal

import msgspec

from footage.camera import Camera
from footage.motion import Mover, Route, SpeedProfile
from footage.scenery import Kerb, Label, Marking, Point, Row, Sign, Surface, Table

Body = Literal["sedan", "hatchback", "suv", "van", "truck", "bus", "motorcycle"]
Lamp = Literal["red", "amber", "green"]

CLASS_OF_BODY = {
    "sedan": "car",
    "hatchback": "car",
    "suv": "car",
    "van": "car",
    "truck": "truck",
    "bus": "bus",
    "motorcycle": "motorcycle",
}


class SceneError(ValueError):
    """A scene file is invalid; the message names the file and the place."""


class CameraTable(Table, frozen=True, kw_only=True):
    position_m: tuple[float, float, float]
    target_m: tuple[float, float, float]
    focal_length_mm: float
    sensor_width_mm: float = 36.0
    width_px: int = 1280
    height_px: int = 720


class Light(Table, frozen=True, kw_only=True):
    sun_elevation_deg: float = 38.0
    sun_azimuth_deg: float = 60.0
    """Clockwise from the y axis."""
    sky_strength: float = 0.12
    exposure: float = 0.0
    weather: Literal["clear", "overcast"] = "clear"
    road: Literal["dry", "wet"] = "dry"
    lamps: float = 0.25
    """Emission of the vehicles' head lamps."""


class Quality(Table, frozen=True, kw_only=True):
    background_samples: int = 64
    samples: int = 8
    noise: float = 0.008
    """Standard deviation of the sensor noise, relative to full scale."""
    crf: int = 20


class Zone(Table, frozen=True, kw_only=True):
    name: str
    kind: Literal[
        "measured", "lane", "bus_lane", "no_stopping", "shoulder", "crossing", "junction_box", "approach", "exit"
    ]
    polygon_m: list[Point]
    heading_deg: float | None = None
    """Legal direction of travel of a lane."""
    dwell_s: float = 3.0
    """Time after which standing in a no-stopping zone is an offence."""
    cross_signal: str | None = None
    """For a junction box: the signal during whose green no vehicle may stand here."""


class Turn(Table, frozen=True, kw_only=True):
    """A prohibited turn from one zone to another."""

    name: str
    from_zone: str
    to_zone: str


class Line(Table, frozen=True, kw_only=True):
    name: str
    kind: Literal["stop_line"]
    from_m: Point
    to_m: Point
    signal: str | None = None


class Phase(Table, frozen=True, kw_only=True):
    lamp: Lamp
    lasts_s: float


class Signal(Table, frozen=True, kw_only=True):
    """A signal head on its post; the phases repeat from t = 0 without end."""

    name: str
    position_m: Point
    height_m: float = 3.2
    facing_deg: float
    phases: list[Phase]


class RouteTable(Table, frozen=True, kw_only=True):
    name: str
    points_m: list[Point]
    corner_radius_m: float = 6.0


class _MoverTable(Table, frozen=True, kw_only=True):
    name: str
    route: str
    at_s: float = 0.0
    at_m: float = 0.0
    """Position along the route at the instant `at_s`."""
    speed_kmh: float | None = None
    """Constant speed; give either this or `profile`."""
    profile: tuple[tuple[float, float], ...] = ()
    """(instant in s, speed in km/h); linear between the instants, constant outside."""


class Vehicle(_MoverTable, frozen=True, kw_only=True):
    body: Body
    colour: str
    plate: str

    @property
    def class_name(self) -> str:
        return CLASS_OF_BODY[self.body]


class Person(_MoverTable, frozen=True, kw_only=True):
    coat: str = "blue"


class Expected(Table, frozen=True, kw_only=True):
    """An offence of the scene. Writing the truth fails if it is missing, or if there is an offence not listed here."""

    kind: str
    vehicle: str


class Place(Table, frozen=True, kw_only=True):
    """The (invented) place of the camera."""

    address: dict[str, str]
    direction: str
    latitude: float
    longitude: float


class Scene(Table, frozen=True, kw_only=True):
    name: str
    about: str
    fps: float
    duration_s: float
    seed: int = 1
    """Seed of the random scenery beside the road."""
    place: Place | None = None
    camera: CameraTable
    light: Light = Light()
    quality: Quality = Quality()
    limits_kmh: dict[str, float] = msgspec.field(default_factory=dict)
    surface: tuple[Surface, ...] = ()
    marking: tuple[Marking, ...] = ()
    kerb: tuple[Kerb, ...] = ()
    row: tuple[Row, ...] = ()
    sign: tuple[Sign, ...] = ()
    label: tuple[Label, ...] = ()
    zone: tuple[Zone, ...] = ()
    line: tuple[Line, ...] = ()
    prohibited_turn: tuple[Turn, ...] = ()
    signal: tuple[Signal, ...] = ()
    route: tuple[RouteTable, ...] = ()
    vehicle: tuple[Vehicle, ...] = ()
    person: tuple[Person, ...] = ()
    expected: tuple[Expected, ...] = ()

    @property
    def frame_count(self) -> int:
        return round(self.duration_s * self.fps)

    @property
    def lens(self) -> Camera:
        table = self.camera
        return Camera(
            table.position_m,
            table.target_m,
            table.focal_length_mm,
            table.sensor_width_mm,
            table.width_px,
            table.height_px,
        )

    def movers(self) -> dict[str, Mover]:
        """Movers of all vehicles and persons, by name."""
        routes = {table.name: Route(table.points_m, table.corner_radius_m) for table in self.route}
        return {table.name: _mover(table, routes[table.route]) for table in (*self.vehicle, *self.person)}


def _mover(table: _MoverTable, route: Route) -> Mover:
    steps = table.profile or [(table.at_s, table.speed_kmh or 0.0)]
    profile = SpeedProfile([t for t, _ in steps], [kmh / 3.6 for _, kmh in steps])
    return Mover(route, profile, table.at_s, table.at_m)


def _read(path: Path) -> dict[str, Any]:
    """The file's tables; with `like = "other"` they replace those of other.toml one by one."""
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    like = tables.pop("like", None)
    return _read(path.with_name(f"{like}.toml")) | tables if like else tables


def load(path: Path) -> Scene:
    """Read and check a scene file. Raises SceneError."""
    try:
        scene = msgspec.convert(_read(path), Scene)
        _check(scene)
    except (msgspec.MsgspecError, ValueError) as error:
        raise SceneError(f"{path}: {error}") from error
    return scene


def _check(scene: Scene) -> None:
    frames = scene.duration_s * scene.fps
    _require(abs(frames - round(frames)) < 1e-9, "duration_s must hold a whole number of frames")
    named = (scene.zone, scene.line, scene.signal, scene.route, [*scene.vehicle, *scene.person])
    for tables in named:
        names = [table.name for table in tables]
        _require(len(set(names)) == len(names), f"a name occurs twice in {names}")
    routes = {table.name for table in scene.route}
    for table in (*scene.vehicle, *scene.person):
        _require(table.route in routes, f"{table.name}: there is no route {table.route!r}")
        _require((table.speed_kmh is None) == bool(table.profile), f"{table.name}: give speed_kmh or profile")
    for signal in scene.signal:
        cycle = sum(phase.lasts_s for phase in signal.phases)
        _require(_divides(cycle, scene.duration_s), f"signal {signal.name}: its cycle does not divide duration_s")
    scene.movers()


def _divides(cycle_s: float, duration_s: float) -> bool:
    laps = duration_s / cycle_s
    return abs(laps - round(laps)) < 1e-9


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise ValueError(what)
