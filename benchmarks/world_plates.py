"""Read the plates of a rendered clip in single frames, by the width of the plate in the picture.

Each vehicle is read in some frames of each band of widths, without detector, tracker or a vote of several frames. For a
case, the engine votes over several frames.
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
MOST_VIEWS = 3
"""At most this number of frames of one vehicle in one band, evenly spread."""
LEAST_VISIBLE = 0.95


@dataclass(frozen=True, slots=True)
class PlateView:
    """A vehicle in a frame, with the true text of its plate."""

    frame: int
    xyxy_px: tuple[float, float, float, float]
    width_px: float
    text: str


def read_plates_by_width(clip: Path, truth: dict[str, Any]) -> dict[str, dict[str, float]]:
    """The `figures` by band of widths in pixels."""
    reader = TextPlateReader(TextNetworks(), load_forms())
    read: dict[str, list[tuple[str, str]]] = {f"{low}-{high}": [] for low, high in pairwise(BANDS_PX)}
    for band, view, picture in _seen(clip, list(choose_views(truth))):
        sighting = reader.read([VehicleView(0.0, picture, view.xyxy_px)])
        read[band].append((view.text, sighting.plate.text if sighting else ""))
    return {band: figures(texts) for band, texts in read.items() if texts}


def _seen(clip: Path, wanted: list[tuple[str, PlateView]]) -> Iterator[tuple[str, PlateView, Bytes8]]:
    """The chosen views with their pictures, (H, W, 3) u1 RGB."""
    with av.open(clip) as container:
        for number, frame in enumerate(container.decode(video=0)):
            here = [(band, view) for band, view in wanted if view.frame == number]
            picture = frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False) if here else None
            yield from ((band, view, picture) for band, view in here if picture is not None)


def choose_views(truth: dict[str, Any]) -> Iterator[tuple[str, PlateView]]:
    """At most MOST_VIEWS views of each vehicle in each band, with the name of the band."""
    views: dict[tuple[str, str], list[PlateView]] = {}
    for view, name in _whole(truth):
        for low, high in pairwise(BANDS_PX):
            if low <= view.width_px < high:
                views.setdefault((f"{low}-{high}", name), []).append(view)
    for (band, _), views_of_one in views.items():
        chosen = np.linspace(0, len(views_of_one) - 1, min(MOST_VIEWS, len(views_of_one))).round().astype(int)
        yield from ((band, views_of_one[k]) for k in chosen.tolist())


def _whole(truth: dict[str, Any]) -> Iterator[tuple[PlateView, str]]:
    """Each view of a whole vehicle with a visible plate, and the name of the vehicle."""
    texts = {vehicle["name"]: vehicle["plate"].replace(" ", "") for vehicle in truth["vehicles"]}
    for number, frame in enumerate(truth["frames"]):
        for row in frame["vehicles"]:
            if row["plate"] and row["visible"] >= LEAST_VISIBLE:
                width_px = row["plate"]["width_px"]
                yield PlateView(number, tuple(row["xyxy_px"]), width_px, texts[row["name"]]), row["name"]


def figures(texts: list[tuple[str, str]]) -> dict[str, float]:
    """Number of (true, read) texts, and the shares read exactly, within one character, and not at all."""

    def share(holds: list[bool]) -> float:
        return round(float(np.mean(holds)), 4)

    return {
        "n": len(texts),
        "exact": share([true == read for true, read in texts]),
        "within_one": share([distance(true, read) <= 1 for true, read in texts]),
        "none": share([not read for _, read in texts]),
    }
