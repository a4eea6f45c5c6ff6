"""The whole engine against rendered footage with exact truth.

    python -m benchmarks world --json

Every clip of the demo that has a site and a truth file is played through the engine as it stands. A track is given to
the true vehicle that most of its boxes overlap (IoU of at least 0.4). A speed counts when the engine states it as
measured; its error is against the true mean speed over the very stretch that the engine names; the coverage is the
share of truths within 1.96 stated standard uncertainties. A case is right when the truth holds an offence of that kind
of that vehicle; an offence is found when there is a case of it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks.machine import describe_machine
from engine import logs
from engine.build import open_stages
from engine.config import CameraConfig, DetectorConfig, EngineConfig
from engine.demo.city import FOOTAGE, city_config
from engine.ingest import FileSource
from engine.metrics import Metrics
from engine.pipeline import Pipeline
from engine.register import SqlRegister
from engine.signals import Change, Report, SignalBook
from engine.site import load_site
from engine.types import Entry, Measurable, Motion, Phase

START_S = datetime(2026, 6, 1, 6, 0, tzinfo=UTC).timestamp()
SAME_IOU = 0.4
MPS_TO_KMH = 3.6
Box = Sequence[float]


@dataclass(slots=True)
class Truth:
    """A clip's truth file, asked by capture time."""

    document: dict[str, Any]

    def vehicles_at(self, captured_s: float) -> list[dict[str, Any]]:
        frames = self.document["frames"]
        index = round((captured_s - START_S) * self.document["fps"])
        return list(frames[index]["vehicles"]) if 0 <= index < len(frames) else []

    def vehicle_of(self, box: Box, captured_s: float) -> str | None:
        """The vehicle (and lap) that the box overlaps most; None where that is too little."""
        vehicles = self.vehicles_at(captured_s)
        best = max(vehicles, key=lambda vehicle: iou(box, vehicle["xyxy_px"]), default=None)
        if best is None or iou(box, best["xyxy_px"]) < SAME_IOU:
            return None
        return key_of(best)

    def mean_speed_mps(self, vehicle: str, began_s: float, ended_s: float) -> float:
        """Over the frames from `began_s` to `ended_s`; nan where it is in none of them."""
        span = np.arange(began_s, ended_s + 1e-6, 1 / self.document["fps"])
        speeds = [row["speed_mps"] for at_s in span for row in self.vehicles_at(at_s) if key_of(row) == vehicle]
        return float(np.mean(speeds)) if speeds else float("nan")

    def reports(self) -> Iterator[Report]:
        """What the scene's controller says of the signals that no lamp tells: one report at the end of the clip."""
        signals, length_s = self.document["signals"], self.document["duration_s"]
        changes = tuple(
            Change(signal["name"], Phase[phase["lamp"].upper()], START_S + phase["from_s"])
            for signal in signals
            for phase in signal["phases"]
        )
        if signals:
            yield Report(self.document["scene"], 1, START_S + length_s, changes)

    @property
    def offences(self) -> set[tuple[str, str]]:
        """(kind, vehicle) of what can be seen whole in the clip."""
        length_s = self.document["duration_s"]
        return {
            (offence["kind"], offence["vehicle"])
            for offence in self.document["violations"]
            if offence["began_s"] >= 0 and offence["ended_s"] <= length_s
        }


def key_of(vehicle: dict[str, Any]) -> str:
    """Name and lap: a vehicle that comes by twice is two."""
    return f"{vehicle['name']}#{vehicle['lap']}"


@dataclass(slots=True)
class Observer:
    """Hears the motion of every batch; knows at the end which track was whom, and how fast it was said to be."""

    truth: Truth
    votes: dict[int, Counter[str | None]] = field(default_factory=dict)
    speeds: dict[int, tuple[float, float, float, float]] = field(default_factory=dict)
    """(speed, sigma, began, ended) by track."""

    def __call__(self, motion: Motion) -> None:
        tracks = motion.tracks
        for track, box, captured_s in zip(tracks.track, tracks.xyxy_px, tracks.captured_s, strict=True):
            vehicle = self.truth.vehicle_of(box.tolist(), float(captured_s))
            self.votes.setdefault(int(track), Counter())[vehicle] += 1
        speeds = motion.speeds
        for row in np.flatnonzero(speeds.measurable == Measurable.YES):
            stated = speeds.speed_mps[row], speeds.sigma_mps[row], speeds.began_s[row], speeds.ended_s[row]
            self.speeds[int(speeds.track[row])] = tuple(map(float, stated))  # type: ignore[assignment]

    def errors(self) -> list[tuple[float, float]]:
        """(error, sigma) in km/h of every measured track that is a vehicle of the truth."""
        found = []
        for track, (speed_mps, sigma_mps, began_s, ended_s) in self.speeds.items():
            vehicle = self.votes[track].most_common(1)[0][0]
            if vehicle is not None:
                true_mps = self.truth.mean_speed_mps(vehicle, began_s, ended_s)
                found.append(((speed_mps - true_mps) * MPS_TO_KMH, sigma_mps * MPS_TO_KMH))
        return [pair for pair in found if np.isfinite(pair[0])]


@dataclass(slots=True)
class Score:
    """What one clip, or all of them, came to."""

    right: int = 0
    wrong: int = 0
    found: int = 0
    offences: int = 0
    errors: list[tuple[float, float]] = field(default_factory=list)

    def __add__(self, other: Score) -> Score:
        return Score(
            self.right + other.right,
            self.wrong + other.wrong,
            self.found + other.found,
            self.offences + other.offences,
            self.errors + other.errors,
        )

    def as_dict(self) -> dict[str, float | int | None]:
        errors, sigmas = np.array(self.errors).reshape(-1, 2).T
        off = np.abs(errors)
        some = len(off) > 0
        return {
            "precision": round(self.right / (self.right + self.wrong), 4) if self.right + self.wrong else None,
            "recall": round(self.found / self.offences, 4) if self.offences else None,
            "cases": self.right + self.wrong,
            "offences": self.offences,
            "speeds": len(off),
            "speed_mean_kmh": round(float(off.mean()), 3) if some else None,
            "speed_p95_kmh": round(float(np.quantile(off, 0.95)), 3) if some else None,
            "speed_worst_kmh": round(float(off.max()), 3) if some else None,
            "speed_bias_kmh": round(float(errors.mean()), 3) if some else None,
            "coverage_95": round(float((off <= 1.96 * sigmas).mean()), 4) if some else None,
        }


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="world", description=__doc__)
    parser.add_argument("--card", default="ssd_mobilenet_v3_large", help="model card: a shipped name or a file")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    logs.configure(level="warning")
    clips = {camera.name: play(camera, options.card) for camera in filmed_cameras()}
    total = sum(clips.values(), Score())
    result = {
        "machine": describe_machine(),
        "parameters": {"card": options.card, "same_iou": SAME_IOU},
        "clips": {name: score.as_dict() for name, score in clips.items()},
        "total": total.as_dict(),
    }
    print(json.dumps(result, indent=2))
    return 0


def filmed_cameras() -> list[CameraConfig]:
    """The demo's cameras whose own clip has a truth."""
    cameras = [camera for camera in city_config("", Path()).cameras if truth_file(camera.name).exists()]
    return [msgspec.structs.replace(camera, url=str(FOOTAGE / f"{camera.name}.mp4")) for camera in cameras]


def truth_file(clip: str) -> Path:
    return FOOTAGE / f"{clip}.truth.json"


def play(camera: CameraConfig, card: str) -> Score:
    """The clip through the whole engine, and how its cases and speeds compare with the truth."""
    truth = Truth(json.loads(truth_file(camera.name).read_text()))
    observer, metrics = Observer(truth), Metrics()
    with tempfile.TemporaryDirectory() as state, closing(SqlRegister(Path(state) / "register.db")) as register:
        config = EngineConfig(cameras=(camera,), state=Path(state), detector=DetectorConfig(card=card))
        site = load_site(camera.site)
        signals = SignalBook({0: site}, config.camera_names, metrics)
        for report in truth.reports():
            signals.report(report)
        with open_stages(config, [site], register, metrics, signals) as stages:
            pipeline = Pipeline(stages, config.camera_names, metrics, watch=observer)
            recording = FileSource(0, camera, metrics, start_s=START_S, realtime=False).read()
            entries = [entry for step in pipeline.play(recording) for entry in step]
    return score(entries, truth, observer)


def score(entries: Iterable[Entry], truth: Truth, observer: Observer) -> Score:
    accused = [(entry.case.kind, vehicle_of(entry, truth)) for entry in entries]
    right = [one for one in accused if one in truth.offences]
    return Score(
        right=len(set(right)),
        wrong=len(accused) - len(set(right)),
        found=len(set(right)),
        offences=len(truth.offences),
        errors=observer.errors(),
    )


def vehicle_of(entry: Entry, truth: Truth) -> str:
    """Name of the vehicle that the case's trajectory follows; `nobody` where it follows none."""
    votes: Counter[str] = Counter()
    for point in msgspec.json.decode(entry.case.document)["trajectory"]:
        captured_s = datetime.fromisoformat(point["captured"]).timestamp()
        votes[truth.vehicle_of(point["xyxy_px"], captured_s) or "nobody"] += 1
    return votes.most_common(1)[0][0].partition("#")[0]


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes: left, top, right, bottom."""
    across, down = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if across <= 0 or down <= 0:
        return 0.0
    both = across * down
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)
