"""Measure accuracy and speed of the tracker on detections in MOTChallenge text files.

    python -m benchmarks track --data DIR --out RESULTS [--peers] [--json]

DIR contains NNNN/det.txt (frame, -1, x, y, w, h, score), and NNNN/gt.txt for HOTA. Each sequence is a camera. All
cameras are tracked together in batches of --batch-s seconds, as if their key frames were that far apart. The command
writes RESULTS/NNNN.txt, and with --peers RESULTS/<tracker>/NNNN.txt. CPU seconds are those of the process in calls to
the tracker, the best of --repeat runs. The same is measured for one camera with 100 vehicles in each frame; `load` is
the share of a core for 300 cameras with 30 vehicles each at 12.5 Hz.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Iterable
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.hota import MarkedBoxes, count, read_truth
from benchmarks.machine import describe_machine
from benchmarks.mot import (
    MARGIN_MIDPOINT,
    MARGIN_SCALE,
    DetectionSequence,
    TrackingResult,
    read_sequences,
    write_result,
)
from benchmarks.track_peers import PEERS, run_peer
from engine.track import KalmanTracker, TrackerParameters
from engine.types import Detections, Frames, Tracks, VehicleClass

PICTURE_PX = (1242, 375)
"""Picture size of KITTI; the files do not contain it."""
CROWD = 100
"""Number of vehicles in each frame of the crowd."""
LOAD = {"cameras": 300, "vehicles": 30, "rate_hz": 12.5, "batch_s": 2.0}


def main(argv: list[str]) -> int:
    """Run the benchmark. Returns 2 if the data is missing or malformed."""
    options = _parse(argv)
    try:
        sequences = read_sequences(options.data)
        truths = [_truth(options.data / sequence.name / "gt.txt") for sequence in sequences]
    except (OSError, ValueError) as error:
        print(f"track: {error}")
        return 2
    report = _report(options, sequences, truths)
    print(json.dumps(report, indent=1) if options.json else _text(report))
    return 0


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks track")
    parser.add_argument("--data", type=Path, required=True, help="folder with NNNN/det.txt")
    parser.add_argument("--out", type=Path, required=True, help="folder for NNNN.txt")
    parser.add_argument("--peers", action="store_true", help="also run the published trackers")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--rate-hz", type=float, default=10.0, help="frames a second of the sequences (default 10)")
    parser.add_argument("--batch-s", type=float, default=2.0, help="seconds of every camera in a batch (default 2)")
    parser.add_argument("--repeat", type=int, default=3, help="number of timed runs; the best counts (default 3)")
    return parser.parse_args(argv)


def _report(
    options: argparse.Namespace, sequences: list[DetectionSequence], truths: list[MarkedBoxes | None]
) -> dict[str, Any]:
    work = {"frames": sum(one.frames for one in sequences), "detections": sum(len(one.frame) for one in sequences)}
    crowd = _crowd(options.rate_hz)
    results, spent_s = _run_qyran(options, sequences)
    _write(options.out, sequences, results)
    crowded = {"crowd_frames_per_cpu_s": round(crowd.frames / _run_qyran(options, [crowd])[1])}
    trackers = {"qyran": _row(work, results, truths, spent_s) | crowded}
    for peer in PEERS if options.peers else ():
        if peer.installed is None:
            trackers[peer.name] = {"missing": f"not installed: pip install {peer.package}"}
            continue
        runs = [run_peer(peer, sequences, options.rate_hz) for _ in range(options.repeat)]
        results, spent_s = runs[0][0], min(run[1] for run in runs)
        _write(options.out / peer.name.replace(" ", "_"), sequences, results)
        crowd_s = run_peer(peer, [crowd], options.rate_hz)[1]
        extra = {
            "crowd_frames_per_cpu_s": round(crowd.frames / crowd_s),
            "version": peer.installed,
            "min_score": peer.min_score,
            "shift": peer.shift,
        }
        trackers[peer.name] = _row(work, results, truths, spent_s) | extra
    settings = {"rate_hz": options.rate_hz, "batch_s": options.batch_s, "repeat": options.repeat}
    margins = {"margin_midpoint": MARGIN_MIDPOINT, "margin_scale": MARGIN_SCALE}
    parameters = dataclasses.asdict(TrackerParameters()) | settings | margins
    load = _load(options.repeat)
    return {
        "machine": describe_machine(),
        "work": work | {"sequences": len(sequences)},
        "parameters": parameters,
        "trackers": trackers,
        "load": load,
    }


def _row(
    work: dict[str, int], results: list[TrackingResult], truths: list[MarkedBoxes | None], spent_s: float
) -> dict[str, Any]:
    speed = {
        "cpu_s": round(spent_s, 5),
        "frames_per_cpu_s": round(work["frames"] / spent_s),
        "updates_per_cpu_s": round(work["detections"] / spent_s),
    }
    if any(truth is None for truth in truths):
        return speed
    counts = [count(truth, result) for truth, result in zip(truths, results, strict=True) if truth is not None]
    return speed | reduce(add, counts).summary()


def _truth(file: Path) -> MarkedBoxes | None:
    return read_truth(file) if file.is_file() else None


def _write(folder: Path, sequences: list[DetectionSequence], results: list[TrackingResult]) -> None:
    for sequence, result in zip(sequences, results, strict=True):
        write_result(folder / f"{sequence.name}.txt", result)


def _run_qyran(options: argparse.Namespace, sequences: list[DetectionSequence]) -> tuple[list[TrackingResult], float]:
    """The results, and the CPU seconds of the best run. The first run compiles and does not count."""
    length = max(1, round(options.batch_s * options.rate_hz))
    longest = max(one.frames for one in sequences)
    batches = [_batch(sequences, begin, begin + length, options.rate_hz) for begin in range(0, longest, length)]
    tracked, _ = _run_timed(KalmanTracker(), batches)
    spent_s = min(_run_timed(KalmanTracker(), batches)[1] for _ in range(options.repeat))
    return [_of_camera(tracked, camera, options.rate_hz) for camera in range(len(sequences))], spent_s


def _run_timed(tracker: KalmanTracker, batches: Iterable[Detections]) -> tuple[list[Tracks], float]:
    began_s = time.process_time()
    tracked = [tracker.track(batch) for batch in batches]
    return tracked, time.process_time() - began_s


def _batch(sequences: list[DetectionSequence], begin: int, end: int, rate_hz: float) -> Detections:
    """Frames `begin` to `end - 1` of each sequence. The index of a sequence is its camera."""
    parts = [(one, slice(*np.searchsorted(one.frame, (begin, end)))) for one in sequences]
    counts = [max(0, min(end, one.frames) - begin) for one in sequences]
    offset = np.cumsum([0, *counts])
    at = np.concatenate([begin + np.arange(many) for many in counts])
    xyxy_px = np.concatenate([one.xyxy_px[rows] for one, rows in parts])
    return Detections(
        frames=_frames(np.repeat(np.arange(len(sequences)), counts), at / rate_hz, PICTURE_PX),
        frame=np.concatenate([one.frame[rows] - begin + offset[i] for i, (one, rows) in enumerate(parts)]).astype("i4"),
        xyxy_px=np.clip(xyxy_px, 0, np.tile(PICTURE_PX, 2)).astype(np.float32),
        score=np.concatenate([one.score[rows] for one, rows in parts]).astype(np.float32),
        class_id=np.full(len(xyxy_px), VehicleClass.CAR, np.int32),
    )


def _frames(camera: Any, captured_s: Any, size_px: tuple[int, int]) -> Frames:
    return Frames(
        camera=np.asarray(camera, np.int32),
        captured_s=np.asarray(captured_s, np.float64),
        size_px=np.tile(np.array([size_px], np.int32), (len(camera), 1)),
        clock=np.ones(len(camera), np.uint8),
    )


def _of_camera(tracked: list[Tracks], camera: int, rate_hz: float) -> TrackingResult:
    mine = [(tracks, tracks.camera == camera) for tracks in tracked]
    return TrackingResult(
        np.concatenate([np.rint(tracks.captured_s[rows] * rate_hz) for tracks, rows in mine]).astype(np.int64),
        np.concatenate([tracks.track[rows] for tracks, rows in mine]),
        np.concatenate([tracks.xyxy_px[rows] for tracks, rows in mine]).astype(np.float64),
        np.concatenate([tracks.score[rows] for tracks, rows in mine]).astype(np.float64),
    )


def _crowd(rate_hz: float) -> DetectionSequence:
    """Rows of slow vehicles, with noise of one pixel."""
    frames = 200
    frame, vehicle = np.divmod(np.arange(frames * CROWD), CROWD)
    corner = np.stack([60.0 * (vehicle % 20), 70.0 * (vehicle // 20)], axis=1)
    corner[:, 0] += 2.0 * frame / rate_hz
    corner += np.random.default_rng(0).normal(0, 1, corner.shape)
    return DetectionSequence(
        "crowd", frames, frame, np.concatenate([corner, corner + 45.0], axis=1), np.full(len(frame), 0.9)
    )


def _load(repeat: int) -> dict[str, float]:
    """Share of one core for LOAD."""
    tracker, began_s = KalmanTracker(), 0.0
    spent_s = []
    for _ in range(repeat + 1):
        spent_s.append(_run_timed(tracker, [_district(began_s)])[1])
        began_s += LOAD["batch_s"]
    return LOAD | {"cores": round(min(spent_s[1:]) / LOAD["batch_s"], 4)}


def _district(began_s: float) -> Detections:
    """One batch of LOAD: vehicles in lanes, with noise of one pixel."""
    cameras, vehicles = int(LOAD["cameras"]), int(LOAD["vehicles"])
    length = int(LOAD["rate_hz"] * LOAD["batch_s"])
    captured_s = np.tile(began_s + np.arange(length) / LOAD["rate_hz"], cameras)
    frame = np.repeat(np.arange(len(captured_s)), vehicles)
    lane = np.tile(np.arange(vehicles), len(captured_s))
    corner = np.stack([60.0 * lane + 20.0 * captured_s[frame], 100.0 + 70.0 * (lane * 7 % 13)], axis=1)
    corner += np.random.default_rng(0).normal(0, 1, corner.shape)
    return Detections(
        frames=_frames(np.repeat(np.arange(cameras), length), captured_s, (1920, 1080)),
        frame=frame.astype(np.int32),
        xyxy_px=np.concatenate([corner, corner + np.array([90.0, 70.0])], axis=1).astype(np.float32),
        score=np.full(len(frame), 0.9, np.float32),
        class_id=np.zeros(len(frame), np.int32),
    )


def _text(report: dict[str, Any]) -> str:
    lines = [f"{'':24}{'HOTA':>8}{'DetA':>8}{'AssA':>8}{'frames/CPU s':>14}{'updates/CPU s':>15}{'of 100/CPU s':>14}"]
    for name, row in report["trackers"].items():
        if "missing" in row:
            lines.append(f"{name:24}{row['missing']}")
            continue
        scores = "".join(f"{row[key]:8.2f}" if key in row else f"{'-':>8}" for key in ("HOTA", "DetA", "AssA"))
        lines.append(
            f"{name:24}{scores}{row['frames_per_cpu_s']:14,}{row['updates_per_cpu_s']:15,}"
            f"{row['crowd_frames_per_cpu_s']:14,}"
        )
    load = report["load"]
    lines.append(
        f"{load['cameras']} cameras x {load['vehicles']} vehicles x {load['rate_hz']} Hz: {load['cores']} cores"
    )
    return "\n".join(lines)
