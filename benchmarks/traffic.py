"""Simulated traffic before simulated cameras: who keeps to the law is not accused, who does not is.

    python -m benchmarks traffic --json [--minutes 200] [--cameras 10]

Eclipse SUMO drives the vehicles (`benchmarks.street`), once dense and law-abiding, once with offenders of every kind
among thin traffic. Their cuboids are seen by a camera; the boxes get white noise of every edge, a wander of the lower
edge that is alike for half a second, as a detector's errors are, and losses: one in twenty, and whatever a nearer
vehicle hides. From there on everything is the engine's: tracker, speedometer, rulebook. The minutes are those of all
cameras together.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import lfilter

from benchmarks import street
from benchmarks.machine import describe_machine
from engine.build import geometries
from engine.measure import GroundSpeedometer
from engine.rules import SiteRulebook, load_catalogue
from engine.track import KalmanTracker
from engine.types import Clock, Detections, Flags, Floats, Frames, Ints, Ints32, Tracks, Violation
from kernels.occlusion import hidden_share

FPS = 8
BATCH_S = 2
START_S = 1_780_290_000.0
NOISE_PX = 1.0
WANDER = 0.015
"""Standard deviation of the lower edge's wander, as a share of the box's height."""
WANDER_S = 0.5
LOST = 0.05
HIDDEN = 0.6
"""A box of which a nearer one covers this share is not found."""
SEEN_M = (8.0, 90.0)
"""The stretch of the street that is looked at."""
SMALLEST_PX = 8.0
DENSE_PER_HOUR, THIN_PER_HOUR = 1500, 150
OFFENDERS = 6
"""Of every kind, before every camera."""
SURELY_KMH = 76.0
"""A planted speeder who was held up below this is not counted."""


class SimulatorError(Exception):
    """The simulator refused its input."""


@dataclass(frozen=True, slots=True)
class Street:
    """What one camera is sent: boxes of vehicles, ordered by frame."""

    frames: int
    frame: Ints32
    """(D,) i4"""
    xyxy_px: Floats
    """(D, 4) f8, before noise."""
    vehicle: Ints
    """(D,) i8: row of `names`."""
    class_id: Ints32
    names: list[str]
    speed_mps: dict[str, float]
    """Mean speed of every vehicle where it is measured."""


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="traffic", description=__doc__)
    parser.add_argument("--minutes", type=int, default=200, help="simulated, of all cameras together")
    parser.add_argument("--cameras", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    seconds = options.minutes * 60 // options.cameras
    result = {
        "machine": describe_machine(),
        "parameters": {
            "minutes": options.minutes,
            "cameras": options.cameras,
            "fps": FPS,
            "noise_px": NOISE_PX,
            "wander": WANDER,
            "lost": LOST,
            "vehicles_per_hour_and_direction": {"lawful": DENSE_PER_HOUR, "planted": THIN_PER_HOUR},
        },
        "lawful": lawful(options.cameras, seconds),
        "planted": planted(options.cameras, seconds),
    }
    print(json.dumps(result, indent=2))
    return 0


def lawful(cameras: int, seconds: int) -> dict[str, Any]:
    """Dense traffic that keeps to the law: every case is a false one."""
    streets = [simulated(seed, seconds, DENSE_PER_HOUR, 0) for seed in range(cameras)]
    cases = judged(streets)
    return {
        "vehicles": sum(len(one.speed_mps) for one in streets),
        "boxes": sum(len(one.frame) for one in streets),
        "false_cases": len(cases),
        "by_kind": dict(Counter(kind for kind, _ in cases)),
    }


def planted(cameras: int, seconds: int) -> dict[str, Any]:
    """Offenders among thin traffic: which were found, and who else was accused."""
    streets = [simulated(100 + seed, seconds, THIN_PER_HOUR, OFFENDERS) for seed in range(cameras)]
    truth = {(camera, name) for camera, one in enumerate(streets) for name in offenders(one)}
    cases = judged(streets)
    right = {who for kind, who in cases if who in truth and who[1].rpartition("-")[0] == kind}
    kinds = sorted({name.rpartition("-")[0] for _, name in truth})
    by_kind = {kind: _score(kind, truth, right, cases) for kind in kinds}
    wrong = Counter(kind for kind, who in cases if who not in right)
    return {"vehicles": sum(len(s.speed_mps) for s in streets), "kinds": by_kind, "false_by_kind": dict(wrong)}


Who = tuple[int, str]


def _score(kind: str, truth: set[Who], right: set[Who], cases: Sequence[tuple[str, Who]]) -> dict[str, Any]:
    there = [who for who in truth if who[1].rpartition("-")[0] == kind]
    found = [who for who in there if who in right]
    told = sum(1 for name, _ in cases if name == kind)
    return {
        "offenders": len(there),
        "found": len(found),
        "cases": told,
        "precision": round(len(found) / told, 4) if told else None,
        "recall": round(len(found) / len(there), 4) if there else None,
    }


def offenders(one: Street) -> Iterator[str]:
    """Names of the planted that did what they were planted for."""
    for name, mps in one.speed_mps.items():
        kind, _, number = name.rpartition("-")
        if number.isdigit() and kind in street.KINDS and (kind != "speeding" or mps * 3.6 >= SURELY_KMH):
            yield name


def simulated(seed: int, seconds: int, per_hour: int, planted_each: int) -> Street:
    """Let the simulator drive, and see it from the camera."""
    with tempfile.TemporaryDirectory() as folder:
        return _seen(_driven(Path(folder), seed, seconds, per_hour, planted_each), seconds)


def _driven(folder: Path, seed: int, seconds: int, per_hour: int, planted_each: int) -> Path:
    """Floating-car data of a run. Raises SimulatorError with what the simulator said."""
    import sumo  # of the `bench` extra

    binaries, net, out = Path(sumo.SUMO_HOME) / "bin", folder / "street.net.xml", folder / "fcd.xml"
    nodes, edges = street.network(folder)
    routes = street.demand(folder, seconds, per_hour, planted_each)
    _run(binaries / "netconvert", "-n", nodes, "-e", edges, "-o", net, "--offset.disable-normalization")
    _run(
        *(binaries / "sumo", "-n", net, "-r", routes, "--fcd-output", out, "--fcd-output.attributes", "x,y,angle,type"),
        *("--step-length", 1 / FPS, "--end", seconds, "--seed", seed, "--lanechange.duration", 3),
        *("--collision.action", "none", "--time-to-teleport", -1, "--no-step-log", "--no-warnings"),
    )
    return out


def _run(*command: object) -> None:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        raise SimulatorError(f"{command[0]}: {done.stderr or done.stdout}")


def _seen(fcd: Path, seconds: int) -> Street:
    frame, names, types, place = _rows(fcd)
    known: dict[str, int] = {}
    vehicle = np.array([known.setdefault(name, len(known)) for name in names], np.int64)
    bodies = [street.BODIES.get(kind, street.BODIES["car"]) for kind in types]
    size_m = np.array([body.size_m for body in bodies]).reshape(-1, 3)
    solid = street.corners(place[:, :2], street.heading_of(place[:, 2]), size_m)
    pixels, depth = street.CAMERA.project(solid.reshape(-1, 3))
    pixels = pixels.reshape(-1, 8, 2)
    ahead = (depth.reshape(-1, 8) > 1.0).all(axis=1)
    boxes = np.concatenate([pixels.min(axis=1), pixels.max(axis=1)], axis=1)
    shown = ahead & _in_picture(boxes)
    return Street(
        frames=seconds * FPS,
        frame=frame[shown],
        xyxy_px=boxes[shown],
        vehicle=vehicle[shown],
        class_id=np.array([body.class_id for body in bodies], np.int32)[shown],
        names=list(known),
        speed_mps=_speeds(frame[shown], place[shown], vehicle[shown], list(known)),
    )


def _rows(fcd: Path) -> tuple[Ints32, list[str], list[str], Floats]:
    """Frame, name, type and (x, y, angle) of every vehicle on the stretch, frame by frame."""
    frame, names, types, place = [], [], [], []
    for _, element in ET.iterparse(fcd):
        if element.tag == "timestep":
            number = round(float(element.attrib["time"]) * FPS)
            for one in element:
                x, y, angle = (float(one.attrib[key]) for key in ("x", "y", "angle"))
                if SEEN_M[0] <= y <= SEEN_M[1]:
                    frame.append(number)
                    names.append(one.attrib["id"])
                    types.append(one.attrib["type"])
                    place.append((x, y, angle))
            element.clear()
    return np.array(frame, np.int32), names, types, np.array(place).reshape(-1, 3)


def _in_picture(boxes: Floats) -> Flags:
    width, height = street.CAMERA.width_px, street.CAMERA.height_px
    cut = boxes.clip(0, [width, height, width, height])
    return np.asarray((cut[:, 2:] - cut[:, :2] > SMALLEST_PX).all(axis=1))


def _speeds(frame: Ints32, place: Floats, vehicle: Ints, names: Sequence[str]) -> dict[str, float]:
    """Mean speed of every vehicle between the first and the last time that it was seen."""
    order = np.lexsort((frame, vehicle))
    first = np.flatnonzero(np.r_[True, np.diff(vehicle[order]) != 0])
    last = np.r_[first[1:], len(order)] - 1
    lasted_s = (frame[order[last]] - frame[order[first]]) / FPS
    way_m = np.hypot(*(place[order[last], :2] - place[order[first], :2]).T)
    mean = way_m / np.maximum(lasted_s, 1e-9)
    return {names[vehicle[order[row]]]: float(mps) for row, mps in zip(first, mean, strict=True)}


@dataclass(slots=True)
class Eyes:
    """A detector before one camera: noise, wander and losses on the true boxes."""

    street: Street
    rng: np.random.Generator
    boxes: Floats = field(init=False)
    found: Flags = field(init=False)

    def __post_init__(self) -> None:
        one, size = self.street, [street.CAMERA.width_px, street.CAMERA.height_px] * 2
        noisy = one.xyxy_px + self.rng.normal(0, NOISE_PX, one.xyxy_px.shape)
        noisy[:, 3] += self._wander() * (one.xyxy_px[:, 3] - one.xyxy_px[:, 1])
        self.boxes = noisy.clip(0, size)
        hidden = np.empty(len(one.frame))
        hidden_share(one.frame, one.xyxy_px.astype(np.float32), hidden)
        whole = (self.boxes[:, 2:] - self.boxes[:, :2] > 2.0).all(axis=1)
        self.found = whole & (hidden < HIDDEN) & (self.rng.random(len(hidden)) >= LOST)

    def _wander(self) -> Floats:
        """(D,) an Ornstein-Uhlenbeck process a vehicle, of unit variance times `WANDER`."""
        order = np.lexsort((self.street.frame, self.street.vehicle))
        keep = np.exp(-1 / (FPS * WANDER_S))
        pushes = self.rng.normal(0, np.sqrt(1 - keep**2), len(order))
        out = np.empty(len(order))
        out[order] = lfilter([1.0], [1.0, -keep], pushes)
        return out * WANDER


def judged(streets: Sequence[Street]) -> list[tuple[str, Who]]:
    """Kind and vehicle of everything that the engine tells, all cameras in one batch."""
    cameras = range(len(streets))
    sites = {camera: street.site() for camera in cameras}
    tracker, speedometer = KalmanTracker(), GroundSpeedometer(geometries(sites))
    book = SiteRulebook(sites, {camera: f"street-{camera}" for camera in cameras}, load_catalogue("kz"))
    eyes = [Eyes(one, np.random.default_rng(camera)) for camera, one in enumerate(streets)]
    votes: dict[int, Counter[Who]] = {}
    told: list[Violation] = []
    for begin in range(0, streets[0].frames, BATCH_S * FPS):
        detections, vehicle = _batch(eyes, begin)
        tracks = tracker.track(detections)
        _vote(votes, detections, vehicle, tracks, streets)
        told += book.judge(speedometer.measure(tracks))
    return [(case.kind, votes[case.track].most_common(1)[0][0]) for case in told]


def _batch(eyes: Sequence[Eyes], begin: int) -> tuple[Detections, Ints]:
    """What all cameras see in the next frames, and which vehicle every box is of."""
    count = BATCH_S * FPS
    frames = Frames(
        np.repeat(np.arange(len(eyes), dtype=np.int32), count),
        np.tile(START_S + (begin + np.arange(count)) / FPS, len(eyes)),
        np.tile(np.array([(street.CAMERA.width_px, street.CAMERA.height_px)], np.int32), (count * len(eyes), 1)),
        np.full(count * len(eyes), Clock.SYNCHRONISED, np.uint8),
    )
    parts = [_rows_of(one, begin, count) for one in eyes]
    frame = [eyes[n].street.frame[rows] - begin + n * count for n, rows in enumerate(parts)]
    boxes = np.concatenate([eyes[n].boxes[rows] for n, rows in enumerate(parts)])
    detections = Detections(
        frames,
        np.concatenate(frame).astype(np.int32),
        boxes.astype(np.float32),
        np.full(len(boxes), 0.9, np.float32),
        np.concatenate([eyes[n].street.class_id[rows] for n, rows in enumerate(parts)]),
    )
    return detections, np.concatenate([eyes[n].street.vehicle[rows] for n, rows in enumerate(parts)])


def _rows_of(one: Eyes, begin: int, count: int) -> Ints:
    first, last = np.searchsorted(one.street.frame, [begin, begin + count])
    return np.flatnonzero(one.found[first:last]) + first


def _vote(
    votes: dict[int, Counter[Who]], detections: Detections, vehicle: Ints, tracks: Tracks, streets: Sequence[Street]
) -> None:
    """A track's boxes are the detections' own: which vehicle has most of them?"""
    seen = enumerate(zip(detections.frame.tolist(), detections.xyxy_px, strict=True))
    rows = {(frame, box.tobytes()): row for row, (frame, box) in seen}
    for frame, box, track, camera in zip(tracks.frame, tracks.xyxy_px, tracks.track, tracks.camera, strict=True):
        row = rows[int(frame), box.tobytes()]
        who = int(camera), streets[int(camera)].names[vehicle[row]]
        votes.setdefault(int(track), Counter())[who] += 1
