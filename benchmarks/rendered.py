"""Ground truth of a rendered clip, by capture time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import hota
from engine.signals import Change, Report
from engine.types import Phase

START_S = datetime(2026, 6, 1, 6, 0, tzinfo=UTC).timestamp()
"""Capture time of every clip's first frame."""
SAME_IOU = 0.4
"""Smallest IoU of a box with its vehicle. A box belongs to the vehicle with the largest IoU."""
LEAST_VISIBLE, LEAST_SIDE_PX = 0.5, 24.0
"""In frames where a vehicle is less visible or smaller than this, it does not count for tracking."""
Box = Sequence[float]


@dataclass(frozen=True, slots=True)
class ClipTruth:
    """The truth file of a clip."""

    document: dict[str, Any]

    @classmethod
    def of(cls, file: Path) -> ClipTruth:
        """Read a truth file."""
        return cls(json.loads(file.read_text()))

    def frame_at(self, captured_s: float) -> int:
        """Number of the frame at a capture time."""
        return round((captured_s - START_S) * float(self.document["fps"]))

    def vehicles_at(self, captured_s: float) -> list[dict[str, Any]]:
        """The true vehicles in the frame at a capture time; empty outside the clip."""
        frames, index = self.document["frames"], self.frame_at(captured_s)
        return list(frames[index]["vehicles"]) if 0 <= index < len(frames) else []

    def vehicle_of(self, box: Box, captured_s: float) -> str | None:
        """Name and lap of the vehicle with the largest IoU; None if the IoU is below SAME_IOU."""
        vehicles = self.vehicles_at(captured_s)
        best = max(vehicles, key=lambda vehicle: iou(box, vehicle["xyxy_px"]), default=None)
        if best is None or iou(box, best["xyxy_px"]) < SAME_IOU:
            return None
        return key_of(best)

    def plate_of(self, vehicle: str) -> str:
        """Text of the vehicle's plate, without spaces; empty for an unknown vehicle."""
        texts = {row["name"]: row["plate"] for row in self.document["vehicles"]}
        return str(texts.get(vehicle, "")).replace(" ", "")

    def mean_speed_mps(self, vehicle: str, began_s: float, ended_s: float) -> float:
        """Mean speed over the frames from `began_s` to `ended_s`; nan if the vehicle is in none of them."""
        span = np.arange(began_s, ended_s + 1e-6, 1 / self.document["fps"])
        speeds = [row["speed_mps"] for at_s in span for row in self.vehicles_at(at_s) if key_of(row) == vehicle]
        return float(np.mean(speeds)) if speeds else float("nan")

    def reports(self) -> Iterator[Report]:
        """One report of all signal phases at the end of the clip; no report for a clip without signals."""
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
        """(kind, vehicle) of each offence that is complete in the clip."""
        length_s = self.document["duration_s"]
        return {
            (offence["kind"], offence["vehicle"])
            for offence in self.document["violations"]
            if offence["began_s"] >= 0 and offence["ended_s"] <= length_s
        }

    def marked(self, captured_s: Sequence[float]) -> hota.MarkedBoxes:
        """The true boxes of the analysed frames. Small and mostly hidden vehicles are not scored."""
        rows = [(self.frame_at(at_s), row) for at_s in captured_s for row in self.vehicles_at(at_s)]
        numbers = {name: number for number, name in enumerate(sorted({key_of(row) for _, row in rows}))}
        return hota.MarkedBoxes(
            np.array([frame for frame, _ in rows], np.int64),
            np.array([numbers[key_of(row)] for _, row in rows], np.int64),
            np.array([row["xyxy_px"] for _, row in rows], np.float64).reshape(-1, 4),
            np.array([_counts(row) for _, row in rows], np.bool_),
        )


def key_of(vehicle: dict[str, Any]) -> str:
    """Name and lap: each passage of a vehicle has its own key."""
    return f"{vehicle['name']}#{vehicle['lap']}"


def _counts(vehicle: dict[str, Any]) -> bool:
    left, top, right, bottom = vehicle["xyxy_px"]
    return bool(vehicle["visible"] >= LEAST_VISIBLE and min(right - left, bottom - top) >= LEAST_SIDE_PX)


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes: left, top, right, bottom."""
    across, down = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if across <= 0 or down <= 0:
        return 0.0
    both = across * down
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)
