"""Simulated traffic before simulated cameras: who keeps to the law is not accused, who does not is.

    python -m benchmarks traffic --json [--minutes 200] [--cameras 10]        (pip install eclipse-sumo)

Eclipse SUMO drives the vehicles (`benchmarks.street`), once dense and law-abiding, once with offenders of every kind
among thin traffic. Their cuboids are seen by a camera; the boxes get white noise of every edge, a wander of the lower
edge that is alike for half a second, as a detector's errors are, and losses: one in twenty, and whatever a nearer
vehicle hides. From there on everything is the engine's: tracker, speedometer, rulebook. The minutes are those of all
cameras together.
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
from benchmarks.street_seen import FPS, LOST, NOISE_PX, WANDER, Eyes, Street, simulated
from engine.app.sites import geometries
from engine.measure import GroundSpeedometer
from engine.rules import SiteRulebook, load_catalogue
from engine.track import KalmanTracker
from engine.types import Clock, Detections, Frames, Ints, Tracks, Violation

BATCH_S = 2
START_S = 1_780_290_000.0
DENSE_PER_HOUR, THIN_PER_HOUR = 1500, 150
OFFENDERS = 6
"""Of every kind, before every camera."""
SURELY_KMH = 76.0
"""A planted speeder who was held up below this is not counted."""


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
    parts = [one.rows(begin, count) for one in eyes]
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
