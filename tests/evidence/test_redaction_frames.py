"""Redaction of street pictures: rendered ones with known truth, and real ones that other detectors check."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from engine.detect.cards import ModelCard, find_card
from engine.detect.onnx import OnnxDetector
from engine.detect.stills import StillDetector, sensitive_card
from engine.evidence.stills import BoxPx, SeenObject, redact
from engine.tools.demo.city import FOOTAGE
from engine.types import Bytes8, VehicleClass
from tests.detect.test_onnx import data_card

SHIPPED = sensitive_card(find_card("ssd_mobilenet_v3_large"))
LEGIBLE_PX = 18.0
"""Width below which a plate cannot be read."""
GONE = 0.25
"""Largest share of the fine detail that may remain: no letter or face is visible."""


@dataclass(frozen=True)
class Picture:
    captured_s: float
    rgb: Bytes8


def fine(picture: Bytes8 | Image.Image, box: BoxPx) -> np.ndarray:
    """Fine detail of an area: second differences across."""
    left, top, right, bottom = (round(edge) for edge in box)
    grey = np.asarray(picture)[max(0, top) : bottom, max(0, left) : right].astype(float).mean(axis=2)
    return np.diff(grey, 2, axis=1)


def remaining(before: Bytes8, after: Image.Image, box: BoxPx) -> float:
    """Share of an area's fine detail that remains; detail that redaction adds does not count."""
    was, now = fine(before, box), fine(after, box)
    return float((was * now).sum() / (was * was).sum())


def find_objects(card: ModelCard, pictures: list[Bytes8]) -> list[list[tuple[VehicleClass, float, BoxPx]]]:
    """Class, score and box of every object that a detector finds in each picture."""
    with closing(OnnxDetector(card, 2)) as detector:
        found = StillDetector(detector, card.input)([Picture(0.0, rgb) for rgb in pictures])
    rows = zip(found.frame, found.class_id, found.score.tolist(), found.xyxy_px.tolist(), strict=True)
    by_picture: list[list[tuple[VehicleClass, float, BoxPx]]] = [[] for _ in pictures]
    for frame, class_id, score, box in rows:
        by_picture[frame].append((VehicleClass(class_id), score, tuple(box)))
    return by_picture


def redact_all(pictures: list[Bytes8], own: list[SeenObject | None]) -> list[Image.Image]:
    """As the evidence does, with the shipped detector."""
    seen = [[SeenObject(box, kind, score) for kind, score, box in found] for found in find_objects(SHIPPED, pictures)]
    return [redact(rgb, *pair) for rgb, pair in zip(pictures, zip(seen, own, strict=True), strict=True)]


# -- rendered


def rendered(clip: str, rows: list[int]) -> Iterator[tuple[Bytes8, dict[str, Any]]]:
    truth = json.loads((FOOTAGE / f"{clip}.truth.json").read_text(encoding="utf-8"))["frames"]
    with av.open(str(FOOTAGE / f"{clip}.mp4")) as video:
        for row, frame in enumerate(video.decode(video=0)):
            if row in rows:
                yield frame.to_ndarray(format="rgb24"), truth[row]


def plates(vehicle: dict[str, Any]) -> list[BoxPx]:
    """The box around its plate; empty if the plate is not legible."""
    plate = vehicle.get("plate")
    if not plate or plate["width_px"] < LEGIBLE_PX or vehicle["visible"] < 0.9:
        return []
    low, high = np.min(plate["quad_px"], axis=0), np.max(plate["quad_px"], axis=0)
    return [(*low.tolist(), *high.tolist())]


@pytest.fixture(scope="module")
def street() -> list[tuple[Bytes8, dict[str, Any]]]:
    """Frames of the demo with persons and legible plates."""
    rows = {"crossing": [40, 80, 120, 160], "kerbside": [60, 140, 220], "avenue": [60, 130]}
    return [found for clip, wanted in rows.items() for found in rendered(clip, wanted)]


def test_in_a_rendered_street_no_person_and_only_the_vehicles_own_plate_is_recognisable(street):
    pictures = [rgb for rgb, _ in street]
    own = [next((v for v in truth["vehicles"] if plates(v)), None) for _, truth in street]
    shown = redact_all(pictures, [v and SeenObject(tuple(v["xyxy_px"]), VehicleClass.CAR) for v in own])
    persons, others, owns = [], [], []
    for (rgb, truth), after, mine in zip(street, shown, own, strict=True):
        persons += [remaining(rgb, after, p["xyxy_px"]) for p in truth["persons"] if p["visible"] > 0.5]
        for vehicle in truth["vehicles"]:
            (owns if vehicle is mine else others).extend(remaining(rgb, after, box) for box in plates(vehicle))
    assert len(persons) >= 4
    assert len(others) >= 3
    assert len(owns) >= 3
    assert max(persons) < GONE
    assert max(others) < GONE
    assert min(owns) > 0.95


# -- real


def real(data: Path) -> list[Bytes8]:
    """Frames of three streets and a motorway, and three stills."""
    pictures = [np.asarray(Image.open(path).convert("RGB")) for path in sorted((data / "stills").glob("*.jpg"))]
    for path in sorted((data / "videos").glob("*.mp4")):
        with av.open(str(path)) as video:
            frames = (frame.to_ndarray(format="rgb24") for frame in video.decode(video=0))
            pictures += [rgb for row, rgb in enumerate(frames) if row in (10, 30, 50)]
    return pictures


@pytest.mark.data
@pytest.mark.parametrize("model", ["yolox", "picodet"])
def test_persons_that_another_detector_finds_in_a_real_street_are_redacted(data: Path, model: str):
    pictures = real(data)
    shown = redact_all(pictures, [None] * len(pictures))
    kept: list[float] = []
    for rgb, after, found in zip(pictures, shown, find_objects(data_card(data, model), pictures), strict=True):
        persons = (box for kind, score, box in found if kind is VehicleClass.PERSON and score > 0.6)
        kept += [remaining(rgb, after, box) for box in persons if box[3] - box[1] > 24]
    assert len(kept) >= 3
    assert np.mean(np.array(kept) < GONE) >= 0.9, kept


@pytest.mark.data
def test_plates_marked_by_hand_are_redacted_on_other_vehicles(data: Path):
    marked = [(path.with_suffix(".jpg"), path.read_text().split()) for path in (data / "plates").glob("*/*.txt")]
    small = sorted((file, mark) for file, mark in marked if int(mark[3]) < 150)
    pictures = [np.asarray(Image.open(file).convert("RGB")) for file, _ in small]
    boxes = [(x, y, x + w, y + h) for _, mark in small for x, y, w, h in [map(float, mark[1:5])]]
    shown = redact_all(pictures, [None] * len(pictures))
    kept = [remaining(*one) for one in zip(pictures, shown, boxes, strict=True)]
    assert len(kept) >= 10
    assert np.mean(np.array(kept) < GONE) >= 0.75, kept
