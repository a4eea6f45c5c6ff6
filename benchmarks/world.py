"""Run the whole engine on rendered clips and compare its results with the exact truth.

    python -m benchmarks world [--clips NAME ...] --json

The engine plays every clip of the demo with a site and a truth file. A track belongs to the true vehicle that most of
its boxes overlap (IoU of at least 0.4). A speed counts if the engine states it as measured; its error is the difference
from the true mean speed over the same time. The coverage is the share of true speeds within 1.96 stated standard
uncertainties. HOTA (Luiten et al., IJCV 2021) compares all tracks with the vehicles that are at least half visible and
24 px large. A case is right if the truth contains an offence of that kind by that vehicle; an offence is found if there
is a case for it. A case names an owner if the confidence of its plate is at least that of the configuration.
`world_plates` also reads plates in single frames of the clip that shows them large enough. --models compares the public
detectors of `benchmarks/cards` whose files are in the folder.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np

from benchmarks import hota
from benchmarks.machine import describe_machine
from benchmarks.mot import TrackingResult
from benchmarks.rendered import SAME_IOU, START_S, ClipTruth
from benchmarks.world_plates import read_plates_by_width
from engine.app import logs
from engine.app.stage_set import open_stages
from engine.config import CameraConfig, DetectorConfig, EngineConfig
from engine.detect.cards import load_card
from engine.ingest import FileSource
from engine.ledger import SqlLedger
from engine.metrics import Metrics
from engine.pipeline.loop import Pipeline
from engine.rules import load_site
from engine.signals import SignalBook
from engine.tools.demo.city import FOOTAGE, city_config, file_camera
from engine.types import KMH, Entry, Measurable, Motion

CARDS = Path(__file__).parent / "cards"
CLOSE_UP = "plates"
"""The clip with readable plates. In other clips the plates are small, and the fill of some letters is wrong."""
NOTHING = hota.Counts(*np.zeros((4, len(hota.THRESHOLDS))))


@dataclass(slots=True)
class Observer:
    """Collects the motion of each batch: the boxes and the speed of each track, and the true vehicle of each box."""

    truth: ClipTruth
    votes: dict[int, Counter[str | None]] = field(default_factory=dict)
    speeds: dict[int, tuple[float, float, float, float]] = field(default_factory=dict)
    """(speed m/s, sigma m/s, began s, ended s) by track."""
    analysed_s: list[float] = field(default_factory=list)
    """Capture times of the frames."""
    seen: list[tuple[int, int, list[float]]] = field(default_factory=list)
    """(frame, track, box) of each sighting."""

    def __call__(self, motion: Motion) -> None:
        tracks = motion.tracks
        self.analysed_s += tracks.frames.captured_s.tolist()
        for track, box, captured_s in zip(tracks.track, tracks.xyxy_px, tracks.captured_s, strict=True):
            vehicle = self.truth.vehicle_of(box.tolist(), float(captured_s))
            self.seen.append((self.truth.frame_at(float(captured_s)), int(track), box.tolist()))
            self.votes.setdefault(int(track), Counter())[vehicle] += 1
        speeds = motion.speeds
        for row in np.flatnonzero(speeds.measurable == Measurable.YES):
            stated = speeds.speed_mps[row], speeds.sigma_mps[row], speeds.began_s[row], speeds.ended_s[row]
            self.speeds[int(speeds.track[row])] = tuple(map(float, stated))  # type: ignore[assignment]

    def errors(self) -> list[tuple[float, float]]:
        """(error, sigma) in km/h of each measured track that belongs to a true vehicle."""
        found = []
        for track, (speed_mps, sigma_mps, began_s, ended_s) in self.speeds.items():
            vehicle = self.votes[track].most_common(1)[0][0]
            if vehicle is not None:
                true_mps = self.truth.mean_speed_mps(vehicle, began_s, ended_s)
                found.append(((speed_mps - true_mps) * KMH, sigma_mps * KMH))
        return [pair for pair in found if np.isfinite(pair[0])]

    def tracking(self) -> hota.Counts:
        """HOTA counts of the tracks, in the analysed frames."""
        frame, identity, boxes = zip(*self.seen, strict=True) if self.seen else ((), (), ())
        tracked = TrackingResult(
            np.array(frame, np.int64),
            np.array(identity, np.int64),
            np.array(boxes, np.float64).reshape(-1, 4),
            np.ones(len(frame)),
        )
        return hota.count(self.truth.marked(self.analysed_s), tracked)


@dataclass(slots=True)
class Score:
    """Counts and errors of one clip or of several clips."""

    right: int = 0
    wrong: int = 0
    found: int = 0
    offences: int = 0
    named: int = 0
    misnamed: int = 0
    errors: list[tuple[float, float]] = field(default_factory=list)
    tracking: hota.Counts = NOTHING

    def __add__(self, other: Score) -> Score:
        return Score(
            self.right + other.right,
            self.wrong + other.wrong,
            self.found + other.found,
            self.offences + other.offences,
            self.named + other.named,
            self.misnamed + other.misnamed,
            self.errors + other.errors,
            self.tracking + other.tracking,
        )

    def as_dict(self) -> dict[str, float | int | None]:
        """Figures for the result; None if there is nothing to compute a figure from."""
        errors, sigmas = np.array(self.errors).reshape(-1, 2).T
        off = np.abs(errors)
        some = len(off) > 0
        return {
            "precision": round(self.right / (self.right + self.wrong), 4) if self.right + self.wrong else None,
            "recall": round(self.found / self.offences, 4) if self.offences else None,
            "cases": self.right + self.wrong,
            "offences": self.offences,
            "owners_named": self.named,
            "owners_misnamed": self.misnamed,
            "speeds": len(off),
            "speed_mean_kmh": round(float(off.mean()), 3) if some else None,
            "speed_p95_kmh": round(float(np.quantile(off, 0.95)), 3) if some else None,
            "speed_worst_kmh": round(float(off.max()), 3) if some else None,
            "speed_bias_kmh": round(float(errors.mean()), 3) if some else None,
            "coverage_95": round(float((off <= 1.96 * sigmas).mean()), 4) if some else None,
            "hota": round(self.tracking.summary()["HOTA"], 2),
        }


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="world", description=__doc__)
    parser.add_argument("--clips", nargs="+", metavar="NAME", help="names of clips; default: all")
    parser.add_argument("--card", default="ssd_mobilenet_v3_large", help="model card: a name or a file")
    parser.add_argument("--models", type=Path, help="folder with the model files of public detectors")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    logs.configure(level="warning")
    cameras = [camera for camera in filmed_cameras() if options.clips is None or camera.name in options.clips]
    clips = {camera.name: play(camera, options.card) for camera in cameras}
    result = {
        "machine": describe_machine(),
        "parameters": {"card": options.card, "same_iou": SAME_IOU},
        "clips": {name: score.as_dict() for name, score in clips.items()},
        "total": sum(clips.values(), Score()).as_dict(),
        "plates_by_width_px": plates_of(CLOSE_UP) if CLOSE_UP in clips else {},
        "cards": {
            card: sum((play(camera, file) for camera in cameras), Score()).as_dict()
            for card, file in (public_cards(options.models) if options.models else ())
        },
    }
    print(json.dumps(result, indent=2))
    return 0


def public_cards(models: Path) -> Iterator[tuple[str, str]]:
    """Name and card file of each public detector with a model file in `models`."""
    with tempfile.TemporaryDirectory() as folder:
        for card in sorted(CARDS.glob("*.toml")):
            model = load_card(card).file.name
            if (models / model).exists():
                (Path(folder) / model).symlink_to((models / model).resolve())
                yield card.stem, shutil.copy(card, folder)


def filmed_cameras() -> list[CameraConfig]:
    """The cameras of the demo with a truth file."""
    return [file_camera(camera.name) for camera in city_config("", Path()).cameras if truth_file(camera.name).exists()]


def plates_of(clip: str) -> dict[str, dict[str, float]]:
    """The readings of plates in single frames of a clip, by band of widths."""
    return read_plates_by_width(FOOTAGE / f"{clip}.mp4", json.loads(truth_file(clip).read_text()))


def truth_file(clip: str) -> Path:
    """Path of the truth file of a clip."""
    return FOOTAGE / f"{clip}.truth.json"


def play(camera: CameraConfig, card: str) -> Score:
    """Play the clip of a camera through the whole engine, and compare the results with its truth."""
    truth = ClipTruth.of(truth_file(camera.name))
    observer, metrics = Observer(truth), Metrics()
    with tempfile.TemporaryDirectory() as state, closing(SqlLedger(Path(state) / "ledger.db")) as ledger:
        config = EngineConfig(cameras=(camera,), state=Path(state), detector=DetectorConfig(card=card))
        site = load_site(camera.site)
        signals = SignalBook({0: site}, config.camera_names, metrics)
        for report in truth.reports():
            signals.report(report)
        with open_stages(config, [site], ledger, metrics, signals) as stages:
            pipeline = Pipeline(stages, config.camera_names, metrics, watch=observer)
            recording = FileSource(0, camera, metrics, start_s=START_S, realtime=False).read()
            entries = [entry for step in pipeline.play(recording) for entry in step]
    return score(entries, truth, observer, config.plates.least_confidence)


def score(entries: Sequence[Entry], truth: ClipTruth, observer: Observer, least_confidence: float) -> Score:
    """Compare the cases, speeds and tracks of one clip with its truth."""
    accused = [(entry.case.kind, vehicle_of(entry, truth)) for entry in entries]
    right = [one for one in accused if one in truth.offences]
    plates = [confident_plate(entry, least_confidence) for entry in entries]
    owners = [(plate, truth.plate_of(vehicle)) for plate, (_, vehicle) in zip(plates, accused, strict=True) if plate]
    return Score(
        right=len(set(right)),
        wrong=len(accused) - len(set(right)),
        found=len(set(right)),
        offences=len(truth.offences),
        named=len(owners),
        misnamed=sum(plate != true for plate, true in owners),
        errors=observer.errors(),
        tracking=observer.tracking(),
    )


def confident_plate(entry: Entry, least_confidence: float) -> str:
    """The plate of the case; empty if it was not read, or its confidence is too low to name an owner."""
    plate = msgspec.json.decode(entry.case.document).get("plate")
    return str(plate["text"]) if plate and plate["confidence"] >= least_confidence else ""


def vehicle_of(entry: Entry, truth: ClipTruth) -> str:
    """Name of the true vehicle on the trajectory of the case; "nobody" if there is none."""
    votes: Counter[str] = Counter()
    for point in msgspec.json.decode(entry.case.document)["trajectory"]:
        captured_s = datetime.fromisoformat(point["captured"]).timestamp()
        votes[truth.vehicle_of(point["xyxy_px"], captured_s) or "nobody"] += 1
    return votes.most_common(1)[0][0].partition("#")[0]
