"""A road under a known camera, for the tests of the rules: exact geometry, vehicles on given paths, boxes with noise.

The camera hangs 8 m above the origin of the ground and looks along y, tilted down. Vehicles are cuboids; their boxes
are what a faultless detector would draw, plus Gaussian noise of every edge.
"""

from __future__ import annotations

import datetime as dt
import functools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.rules import Catalogue, SiteRulebook, load_catalogue
from engine.rules.evaluator import Phases
from engine.rules.kinds.illegal_parking import IllegalParkingRule
from engine.rules.kinds.illegal_stop import IllegalStopRule
from engine.rules.kinds.speeding import SpeedingRule
from engine.rules.kinds.wrong_way import WrongWayRule
from engine.site import Calibration, Certificate, Limit, Line, Place, Rule, Signal, Site, Zone
from engine.types import Clock, Findings, Frames, Measurable, Motion, Persons, Speeds, Tracks, VehicleClass, Violation

NOON_S = dt.datetime(2026, 6, 1, 7, 0, tzinfo=dt.UTC).timestamp()
"""12:00 in Almaty (UTC+5)."""
SIZE_PX = (1280, 720)
HEIGHT_M, TILT, FOCAL_PX = 8.0, math.radians(15), 1000.0
KMH = 3.6

Trajectory = Callable[[float], tuple[float, float]]
"""Seconds since the start to the middle of the vehicle's front or rear end on the ground, metres."""


def project(x: float, y: float, z: float = 0.0) -> tuple[float, float]:
    """A point above the ground to image pixels."""
    drop = HEIGHT_M - z
    depth = y * math.cos(TILT) + drop * math.sin(TILT)
    down = drop * math.cos(TILT) - y * math.sin(TILT)
    return SIZE_PX[0] / 2 + FOCAL_PX * x / depth, SIZE_PX[1] / 2 + FOCAL_PX * down / depth


def image_to_ground() -> np.ndarray:
    """(3, 3) the exact inverse of `project` on the ground."""
    cosine, sine, (width, height) = math.cos(TILT), math.sin(TILT), SIZE_PX
    up = np.array([[0, cosine, HEIGHT_M * sine], [0, -sine, HEIGHT_M * cosine], [1.0, 0, 0]])
    depth, down, right = up
    ground_to_image = np.stack([width / 2 * depth + FOCAL_PX * right, height / 2 * depth + FOCAL_PX * down, depth])
    return np.linalg.inv(ground_to_image)


def on_ground(point_px: np.ndarray) -> np.ndarray:
    """(P, 2) image points to metres."""
    mapped = np.hstack([point_px, np.ones((len(point_px), 1))]) @ image_to_ground().T
    return mapped[:, :2] / mapped[:, 2:]


def area(left: float, near: float, right: float, far: float) -> tuple[tuple[float, float], ...]:
    """A rectangle of the road as a polygon in the image."""
    return tuple(project(x, y) for x, y in ((left, near), (right, near), (right, far), (left, far)))


ROAD = Zone(name="road", polygon_px=area(-6, 14, 6, 110))
KERB = Zone(name="kerb", polygon_px=area(3, 14, 6, 110))
FAR_HALF = Zone(name="far", polygon_px=area(-6, 60, 6, 110))
CALIBRATION = Calibration(
    id="cal-1",
    made=dt.datetime(2026, 1, 10, tzinfo=dt.UTC),
    expires=dt.datetime(2027, 1, 10, tzinfo=dt.UTC),
    image_to_ground=tuple(map(tuple, image_to_ground().tolist())),
    residual_m=0.02,
    area_px=area(-7, 12.5, 7, 115),
    camera_m=(0.0, 0.0, HEIGHT_M),
)
CERTIFICATE = Certificate(
    number="KZ-17", issued=dt.datetime(2026, 2, 1, tzinfo=dt.UTC), expires=dt.datetime(2027, 2, 1, tzinfo=dt.UTC)
)
SPEEDING = SpeedingRule(name="speed", zone="road", tolerance_kmh=1.0)
WRONG_WAY = WrongWayRule(name="oneway", zone="road", direction_px=(project(0, 30), project(0, 60)))
NO_STOPPING = IllegalStopRule(name="nostop", zone="kerb", dwell_s=20.0)
NO_PARKING = IllegalParkingRule(name="nopark", zone="kerb", dwell_s=330.0)
LIMIT = Limit(kmh=60.0)
CAR_M, LORRY_M = (1.8, 4.5, 1.5), (2.5, 9.0, 3.6)
"""Width, length, height."""


def site(*rules: Rule, **changes: object) -> Site:
    """The road with these rules."""
    facts: dict[str, object] = {
        "name": "test-road",
        "image_size_px": SIZE_PX,
        "place": Place(address={"en": "Test road"}),
        "valid_from": dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        "calibration": CALIBRATION,
        "certificate": CERTIFICATE,
        "zones": (ROAD, KERB, FAR_HALF),
        "limits": (LIMIT,),
        "rules": rules,
    }
    return Site(**{**facts, **changes})


ZONES = tuple(
    Zone(name=name, polygon_px=area(*corners))
    for name, corners in {
        "road": (-6, 14, 6, 110),
        "kerb": (3, 14, 6, 110),
        "own": (0.3, 14, 6, 105),
        "other": (-6, 14, -0.3, 105),
        "lane": (2.5, 14, 6, 90),
        "entry": (2.5, 14, 6, 60),
        "side-street": (6.5, 60, 16, 80),
        "beyond": (2.5, 40, 6, 90),
        "approach": (0, 14, 6, 36),
        "left-lane": (-6, 14, -0.2, 40),
        "left": (-24, 44, -7, 64),
        "right": (6, 48, 20, 66),
        "square": (-12, 14, 12, 80),
        "strip": (-6, 50, 6, 51.6),
        "street": (-6, 50, 6, 80),
        "junction": (-12, 42, 12, 70),
        "zebra": (-6, 30, 6, 34),
    }.items()
)
LINES = (
    Line(name="middle", from_px=project(0, 22), to_px=project(0, 70)),
    Line(name="stop", from_px=project(7, 40), to_px=project(-7, 40)),
)
SIGNALS = tuple(Signal(name=name, controller="c", group=name) for name in ("main", "cross"))


def scene(*rules: Rule, **changes: object) -> Site:
    """The road with the zones, lines and signals that the tests of the kinds share."""
    return site(*rules, **({"zones": ZONES, "lines": LINES, "signals": SIGNALS} | changes))


@dataclass(frozen=True, kw_only=True)
class Vehicle:
    """One vehicle, which the tracker sees as one track."""

    track: int
    path: Trajectory
    begin_s: float = 0.0
    end_s: float = math.inf
    class_of: Callable[[float], VehicleClass] = lambda t: VehicleClass.CAR
    size_m: tuple[float, float, float] = CAR_M
    """Width, length, height."""
    box_of: Callable[[float, np.ndarray], np.ndarray] = lambda t, box: box
    """The detector's box for the true box."""

    def box(self, t: float) -> np.ndarray:
        x, y = self.path(t)
        width, length, height = self.size_m
        corners = [(x + i * width / 2, y + j * length, z) for i in (-1, 1) for j in (0, 1) for z in (0, height)]
        points = np.array([project(*corner) for corner in corners])
        return self.box_of(t, np.concatenate([points.min(axis=0), points.max(axis=0)]))


@dataclass(frozen=True, kw_only=True)
class Walker:
    """A pedestrian: boxes without identity."""

    path: Trajectory
    begin_s: float = 0.0
    end_s: float = math.inf

    def box(self, t: float) -> np.ndarray:
        x, y = self.path(t)
        points = np.array([project(x + side, y, z) for side in (-0.3, 0.3) for z in (0.0, 1.75)])
        return np.concatenate([points.min(axis=0), points.max(axis=0)])


def walking(x: float, y: float, mps: float) -> Trajectory:
    """Across the road from x to the right; to the left if mps is negative."""
    return lambda t: (x + mps * t, y)


def along(*points_m: tuple[float, float], kmh: float) -> Trajectory:
    """From point to point at a steady speed, then straight on."""
    corners = np.array(points_m, float)
    legs = np.hypot(*np.diff(corners, axis=0).T)
    marks = np.concatenate([[0.0], np.cumsum(legs)])

    def path(t: float) -> tuple[float, float]:
        done = kmh / KMH * t
        leg = min(int(np.searchsorted(marks, done, "right")) - 1, len(legs) - 1)
        x, y = corners[leg] + (done - marks[leg]) / legs[leg] * (corners[leg + 1] - corners[leg])
        return float(x), float(y)

    return path


def still(x: float, y: float) -> Trajectory:
    return lambda t: (x, y)


def straight(x: float, y: float, kmh: float) -> Trajectory:
    """Along the road from y away from the camera; towards it if kmh is negative."""
    return lambda t: (x, y + kmh / KMH * t)


def true_speed(vehicle: Vehicle, t_s: Sequence[float]) -> tuple[float, float, Measurable]:
    """The result of a good speedometer: the mean speed, with less uncertainty on a longer stretch."""
    if len(t_s) < 6:
        return math.nan, math.nan, Measurable.TOO_SHORT
    length, lasted = math.dist(vehicle.path(t_s[0]), vehicle.path(t_s[-1])), t_s[-1] - t_s[0]
    return length / lasted, 0.25 / lasted, Measurable.YES


@dataclass(kw_only=True)
class Drive:
    """Vehicles before one camera, batch by batch."""

    vehicles: Sequence[Vehicle]
    lasts_s: float
    walkers: Sequence[Walker] = ()
    camera: int = 0
    start_s: float = NOON_S
    fps: float = 8.0
    noise_px: float = 0.7
    size_px: tuple[int, int] = SIZE_PX
    clock_of: Callable[[float], Clock] = lambda t: Clock.SYNCHRONISED
    speed_of: Callable[[Vehicle, Sequence[float]], tuple[float, float, Measurable]] = true_speed
    seen: dict[int, list[float]] = field(default_factory=dict)
    """Times of the sightings of every track so far."""

    def batches(self, batch_s: float = 2.0) -> Iterable[Motion]:
        rng = np.random.default_rng(7 + self.camera)
        times = np.arange(0, self.lasts_s, 1 / self.fps)
        reported: set[int] = set()
        for begin in np.arange(0, self.lasts_s + 2 * batch_s, batch_s):
            now = times[(times >= begin) & (times < begin + batch_s)]
            gone = {v.track for v in self.vehicles if min(v.end_s, self.lasts_s) + 1 < begin} - reported
            reported |= gone
            yield self._motion(now, sorted(gone), rng)

    def _motion(self, now: np.ndarray, gone: list[int], rng: np.random.Generator) -> Motion:
        rows = [(f, v, float(t)) for f, t in enumerate(now) for v in self.vehicles if v.begin_s <= t < v.end_s]
        boxes = np.array([v.box(t) for _, v, t in rows]).reshape(-1, 4)
        boxes += rng.normal(0, self.noise_px, boxes.shape)
        frames = Frames(
            np.full(len(now), self.camera, np.int32),
            self.start_s + now,
            np.tile(np.array(self.size_px, np.int32), (len(now), 1)),
            np.array([self.clock_of(float(t)) for t in now], np.uint8),
        )
        tracks = Tracks(
            frames,
            np.array([f for f, _, _ in rows], np.int32),
            np.array([v.track for _, v, _ in rows], np.int64),
            boxes.astype(np.float32),
            np.full(len(rows), 0.9, np.float32),
            np.array([v.class_of(t) for _, v, t in rows], np.int32),
            np.array(gone, np.int64),
            self._persons(now, rng),
        )
        for _, vehicle, t in rows:
            self.seen.setdefault(vehicle.track, []).append(t)
        nothing = np.full((len(rows), 2), np.nan)
        return Motion(
            tracks,
            on_ground(tracks.foot_px),
            nothing,
            nothing[:, 0],
            self._speeds({v.track for _, v, _ in rows}),
            on_ground(tracks.persons.foot_px),
        )

    def _persons(self, now: np.ndarray, rng: np.random.Generator) -> Persons:
        rows = [(f, w, float(t)) for f, t in enumerate(now) for w in self.walkers if w.begin_s <= t < w.end_s]
        boxes = np.array([w.box(t) for _, w, t in rows]).reshape(-1, 4)
        boxes += rng.normal(0, self.noise_px, boxes.shape)
        return Persons(np.array([f for f, _, _ in rows], np.int32), boxes.astype(np.float32))

    def _speeds(self, tracks: set[int]) -> Speeds:
        known = sorted((v for v in self.vehicles if v.track in tracks), key=lambda v: v.track)
        rows = [(v.track, *self.speed_of(v, t), t[0], t[-1]) for v in known for t in (self.seen[v.track],)]
        track, speed, sigma, why, began, ended = np.array(rows, np.float64).reshape(-1, 6).T
        length, nothing = speed * (ended - began), np.zeros(len(known))
        times = self.start_s + began, self.start_s + ended
        return Speeds(track.astype(np.int64), speed, sigma, why.astype(np.uint8), *times, length, nothing)


KZ = load_catalogue("kz")


def found(
    where: Site,
    *vehicles: Vehicle,
    catalogue: Catalogue | None = None,
    signals: Phases | None = None,
    batch_s: float = 2.0,
    **drive: object,
) -> list[Findings]:
    """The findings of every batch of a drive; `signals` knows the phases."""
    book = SiteRulebook({0: where}, {0: "cam"}, catalogue or KZ, signals=signals)
    return [book.judge(motion) for motion in Drive(vehicles=vehicles, **drive).batches(batch_s)]


def judged(where: Site, *vehicles: Vehicle, **facts: object) -> list[Violation]:
    """All violations of a drive; `facts` as of `found`."""
    return [violation for findings in found(where, *vehicles, **facts) for violation in findings.violations]


def drive(where: Site | Rule, path: Trajectory, *others: Vehicle, **facts: object) -> list[Violation]:
    """All violations of a vehicle and others on a site or scene; `facts` are of the vehicle, or as of `found`."""
    own = {name: facts.pop(name) for name in Vehicle.__dataclass_fields__ if name in facts}
    place = scene(where) if isinstance(where, Rule) else where
    return judged(place, Vehicle(track=1, path=path, **own), *others, **({"lasts_s": 8.0} | facts))


INSIDE, BESIDE = 4.2, 0.0
"""Sides of the road: in the lane at its edge, and out of it."""
drive_in = functools.partial(drive, lasts_s=12.0)


def arrives(x: float, y: float, at_s: float, leaves_s: float = 1e9) -> Trajectory:
    """Drives up from behind at 8 m/s, stands at (x, y) from `at_s`, drives on at 5 m/s."""
    return lambda t: (x, y + min(0.0, 8 * (t - at_s)) + max(0.0, 5 * (t - leaves_s)))


def stay(path: Trajectory, where: Site | None = None, **facts: object) -> list[Violation]:
    """As `drive`, where stopping is forbidden, for 40 s."""
    return drive(where or site(NO_STOPPING), path, **({"lasts_s": 40.0} | facts))
