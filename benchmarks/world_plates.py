"""How many of a rendered clip's plates are read, by how wide they stand in the picture.

Every vehicle is looked at once a band of widths, in the frame where its plate is widest within the band, by itself: no
vote of several frames, and no tracker or detector between. The engine's own reading of a case votes over several.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np

from engine.plates import load_forms
from engine.plates.network import TextNetworks
from engine.plates.reader import TextPlateReader
from engine.plates.vote import distance
from engine.types import VehicleView

BANDS_PX = (25, 40, 55, 70, 90, 200)
LEAST_VISIBLE = 0.95


@dataclass(frozen=True, slots=True)
class Look:
    """A vehicle whose plate shall be read in a frame."""

    frame: int
    xyxy_px: tuple[float, float, float, float]
    width_px: float
    text: str


def plates_by_width(clips: dict[Path, dict[str, Any]]) -> dict[str, dict[str, float]]:
    """By band of widths in pixels: `n` plates, and the shares read exactly, within one character, and not at all."""
    reader = TextPlateReader(TextNetworks(), load_forms())
    read: dict[str, list[tuple[str, str]]] = {f"{low}-{high}": [] for low, high in pairwise(BANDS_PX)}
    for clip, truth in clips.items():
        for band, look, picture in _looks(clip, truth):
            sighting = reader.read([VehicleView(0.0, picture, look.xyxy_px)])
            read[band].append((look.text, sighting.plate.text if sighting else ""))
    return {band: _figures(texts) for band, texts in read.items() if texts}


def _looks(clip: Path, truth: dict[str, Any]) -> Iterator[tuple[str, Look, np.ndarray]]:
    wanted: dict[int, list[tuple[str, Look]]] = {}
    for low, high in pairwise(BANDS_PX):
        for look in _widest(truth, low, high):
            wanted.setdefault(look.frame, []).append((f"{low}-{high}", look))
    with av.open(clip) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number in wanted:
                picture = frame.to_ndarray(format="rgb24")
                yield from ((band, look, picture) for band, look in wanted[number])


def _widest(truth: dict[str, Any], low_px: float, high_px: float) -> Iterator[Look]:
    """Of every vehicle its widest plate within the band."""
    texts = {vehicle["name"]: vehicle["plate"].replace(" ", "") for vehicle in truth["vehicles"] if vehicle["plate"]}
    best: dict[str, Look] = {}
    for number, frame in enumerate(truth["frames"]):
        for row in frame["vehicles"]:
            width_px = row["plate"]["width_px"] if row.get("plate") and row["visible"] >= LEAST_VISIBLE else 0.0
            if low_px <= width_px < high_px and row["name"] in texts:
                known = best.get(row["name"])
                if known is None or known.width_px < width_px:
                    best[row["name"]] = Look(number, tuple(row["xyxy_px"]), width_px, texts[row["name"]])
    yield from best.values()


def _figures(texts: list[tuple[str, str]]) -> dict[str, float]:
    def share(holds: list[bool]) -> float:
        return round(float(np.mean(holds)), 4)

    return {
        "n": len(texts),
        "exact": share([true == said for true, said in texts]),
        "within_one": share([distance(true, said) <= 1 for true, said in texts]),
        "none": share([not said for _, said in texts]),
    }
