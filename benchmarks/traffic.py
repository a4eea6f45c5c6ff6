"""Judge simulated traffic: count false cases of lawful vehicles, and found offenders.

    python -m benchmarks traffic --json [--minutes 200] [--cameras 10]        (pip install eclipse-sumo)

Eclipse SUMO drives the vehicles (`benchmarks.street`): once dense lawful traffic, once offenders of each kind in thin
traffic. A camera sees their cuboids. The boxes have white noise on each edge, and a slow error of the lower edge that
lasts about half a second, as with a real detector. One box in twenty is lost, and boxes behind a nearer vehicle. Then
the engine's tracker, speedometer and rulebook judge. The minutes are the sum of all cameras.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks import street
from benchmarks.machine import describe_machine
from benchmarks.street_seen import FPS, LOST, NOISE_PX, WANDER, NoisyDetector, SimulatedBoxes, simulate
from engine.measure import GroundSpeedometer, geometries
from engine.rules import SiteRulebook, load_catalogue
from engine.track import KalmanTracker
from engine.types import Clock, Detections, Frames, Ints, Tracks, Violation

BATCH_S = 2
START_S = 1_780_290_000.0
DENSE_PER_HOUR, THIN_PER_HOUR = 1500, 150
OFFENDERS = 6
"""Number of offenders of each kind in each camera."""
SURELY_KMH = 76.0
"""A planted speeder that traffic slowed below this does not count."""


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="traffic", description=__doc__)
    parser.add_argument("--minutes", type=int, default=200, help="simulated, sum of all cameras")
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
        "lawful": measure_lawful(options.cameras, seconds),
        "planted": measure_planted(options.cameras, seconds),
    }
    print(json.dumps(result, indent=2))
    return 0


def measure_lawful(cameras: int, seconds: int) -> dict[str, Any]:
    """Judge dense lawful traffic. Every case is a false one."""
    streets = [simulate(seed, seconds, DENSE_PER_HOUR, 0) for seed in range(cameras)]
    cases = judge(streets)
    return {
        "vehicles": sum(len(one.speed_mps) for one in streets),
        "boxes": sum(len(one.frame) for one in streets),
        "false_cases": len(cases),
        "by_kind": dict(Counter(kind for kind, _ in cases)),
    }


def measure_planted(cameras: int, seconds: int) -> dict[str, Any]:
    """Judge thin traffic with offenders: count found offenders and false cases by kind."""
    streets = [simulate(100 + seed, seconds, THIN_PER_HOUR, OFFENDERS) for seed in range(cameras)]
    truth = {(camera, name) for camera, one in enumerate(streets) for name in offenders(one)}
    cases = judge(streets)
    right = {vehicle for kind, vehicle in cases if vehicle in truth and vehicle[1].rpartition("-")[0] == kind}
    kinds = sorted({name.rpartition("-")[0] for _, name in truth})
    by_kind = {kind: _score(kind, truth, right, cases) for kind in kinds}
    wrong = Counter(kind for kind, vehicle in cases if vehicle not in right)
    return {"vehicles": sum(len(s.speed_mps) for s in streets), "kinds": by_kind, "false_by_kind": dict(wrong)}


Vehicle = tuple[int, str]


def _score(kind: str, truth: set[Vehicle], right: set[Vehicle], cases: Sequence[tuple[str, Vehicle]]) -> dict[str, Any]:
    there = [vehicle for vehicle in truth if vehicle[1].rpartition("-")[0] == kind]
    found = [vehicle for vehicle in there if vehicle in right]
    accused = sum(1 for name, _ in cases if name == kind)
    return {
        "offenders": len(there),
        "found": len(found),
        "cases": accused,
        "precision": round(len(found) / accused, 4) if accused else None,
        "recall": round(len(found) / len(there), 4) if there else None,
    }


def offenders(one: SimulatedBoxes) -> Iterator[str]:
    """Names of the planted vehicles that committed their offence."""
    for name, mps in one.speed_mps.items():
        kind, _, number = name.rpartition("-")
        if number.isdigit() and kind in street.KINDS and (kind != "speeding" or mps * 3.6 >= SURELY_KMH):
            yield name


def judge(streets: Sequence[SimulatedBoxes]) -> list[tuple[str, Vehicle]]:
    """Kind and vehicle of each case of the engine, with all cameras in one batch."""
    cameras = range(len(streets))
    sites = {camera: street.site() for camera in cameras}
    tracker, speedometer = KalmanTracker(), GroundSpeedometer(geometries(sites))
    book = SiteRulebook(sites, {camera: f"street-{camera}" for camera in cameras}, load_catalogue("kz"))
    detectors = [NoisyDetector(one, np.random.default_rng(camera)) for camera, one in enumerate(streets)]
    votes: dict[int, Counter[Vehicle]] = {}
    violations: list[Violation] = []
    for begin in range(0, streets[0].frames, BATCH_S * FPS):
        detections, vehicle = _batch(detectors, begin)
        tracks = tracker.track(detections)
        _vote(votes, detections, vehicle, tracks, streets)
        violations += book.judge(speedometer.measure(tracks)).violations
    return [(case.kind, votes[case.track].most_common(1)[0][0]) for case in violations]


def _batch(detectors: Sequence[NoisyDetector], begin: int) -> tuple[Detections, Ints]:
    """Detections of all cameras in the next frames, and the (D,) vehicle of each box."""
    count = BATCH_S * FPS
    frames = Frames(
        np.repeat(np.arange(len(detectors), dtype=np.int32), count),
        np.tile(START_S + (begin + np.arange(count)) / FPS, len(detectors)),
        np.tile(np.array([(street.CAMERA.width_px, street.CAMERA.height_px)], np.int32), (count * len(detectors), 1)),
        np.full(count * len(detectors), Clock.SYNCHRONISED, np.uint8),
    )
    parts = [one.rows(begin, count) for one in detectors]
    frame = [detectors[n].street.frame[rows] - begin + n * count for n, rows in enumerate(parts)]
    boxes = np.concatenate([detectors[n].boxes[rows] for n, rows in enumerate(parts)])
    detections = Detections(
        frames,
        np.concatenate(frame).astype(np.int32),
        boxes.astype(np.float32),
        np.full(len(boxes), 0.9, np.float32),
        np.concatenate([detectors[n].street.class_id[rows] for n, rows in enumerate(parts)]),
    )
    return detections, np.concatenate([detectors[n].street.vehicle[rows] for n, rows in enumerate(parts)])


def _vote(
    votes: dict[int, Counter[Vehicle]],
    detections: Detections,
    vehicle: Ints,
    tracks: Tracks,
    streets: Sequence[SimulatedBoxes],
) -> None:
    """Count the boxes of each vehicle in each track. The boxes of a track are equal to those of the detections."""
    seen = enumerate(zip(detections.frame.tolist(), detections.xyxy_px, strict=True))
    rows = {(frame, box.tobytes()): row for row, (frame, box) in seen}
    for frame, box, track, camera in zip(tracks.frame, tracks.xyxy_px, tracks.track, tracks.camera, strict=True):
        row = rows[int(frame), box.tobytes()]
        name = streets[int(camera)].names[vehicle[row]]
        votes.setdefault(int(track), Counter())[int(camera), name] += 1
