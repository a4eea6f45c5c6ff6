"""How many of a rendered clip's plates are read, by how wide they stand in the picture.

Every vehicle is looked at in some frames a band of widths, each by itself: no vote of several frames, and no tracker or
detector between. The engine's own reading of a case votes over several.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np

from engine.identify.plates import load_forms
from engine.identify.plates.network import TextNetworks
from engine.identify.plates.reader import TextPlateReader
from engine.identify.plates.vote import distance
from engine.types import Bytes8, VehicleView

BANDS_PX = (40, 50, 60, 70, 80, 90, 110)
LOOKS = 3
"""Frames of one vehicle in one band at the most, evenly spread."""
LEAST_VISIBLE = 0.95


@dataclass(frozen=True, slots=True)
class Look:
    """A vehicle whose plate shall be read in a frame."""

    frame: int
    xyxy_px: tuple[float, float, float, float]
    width_px: float
    text: str


def plates_by_width(clip: Path, truth: dict[str, Any]) -> dict[str, dict[str, float]]:
    """By band of widths in pixels: `n` looks, and the shares read exactly, within one character, and not at all."""
    reader = TextPlateReader(TextNetworks(), load_forms())
    read: dict[str, list[tuple[str, str]]] = {f"{low}-{high}": [] for low, high in pairwise(BANDS_PX)}
    for band, look, picture in _seen(clip, list(looks(truth))):
        sighting = reader.read([VehicleView(0.0, picture, look.xyxy_px)])
        read[band].append((look.text, sighting.plate.text if sighting else ""))
    return {band: figures(texts) for band, texts in read.items() if texts}


def _seen(clip: Path, wanted: list[tuple[str, Look]]) -> Iterator[tuple[str, Look, Bytes8]]:
    """The looks with their pictures: (H, W, 3) u1 RGB."""
    with av.open(clip) as container:
        for number, frame in enumerate(container.decode(video=0)):
            here = [(band, look) for band, look in wanted if look.frame == number]
            picture = frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False) if here else None
            yield from ((band, look, picture) for band, look in here if picture is not None)


def looks(truth: dict[str, Any]) -> Iterator[tuple[str, Look]]:
    """Every vehicle with its band, in a few frames of each."""
    ways: dict[tuple[str, str], list[Look]] = {}
    for look, name in _whole(truth):
        for low, high in pairwise(BANDS_PX):
            if low <= look.width_px < high:
                ways.setdefault((f"{low}-{high}", name), []).append(look)
    for (band, _), way in ways.items():
        chosen = np.linspace(0, len(way) - 1, min(LOOKS, len(way))).round().astype(int)
        yield from ((band, way[k]) for k in chosen.tolist())


def _whole(truth: dict[str, Any]) -> Iterator[tuple[Look, str]]:
    """Every sight of a whole vehicle with its plate, and the vehicle's name."""
    texts = {vehicle["name"]: vehicle["plate"].replace(" ", "") for vehicle in truth["vehicles"]}
    for number, frame in enumerate(truth["frames"]):
        for row in frame["vehicles"]:
            if row["plate"] and row["visible"] >= LEAST_VISIBLE:
                width_px = row["plate"]["width_px"]
                yield Look(number, tuple(row["xyxy_px"]), width_px, texts[row["name"]]), row["name"]


def figures(texts: list[tuple[str, str]]) -> dict[str, float]:
    """Of (true, read) texts: how many, and the shares read exactly, within one character, and not at all."""

    def share(holds: list[bool]) -> float:
        return round(float(np.mean(holds)), 4)

    return {
        "n": len(texts),
        "exact": share([true == said for true, said in texts]),
        "within_one": share([distance(true, said) <= 1 for true, said in texts]),
        "none": share([not said for _, said in texts]),
    }
