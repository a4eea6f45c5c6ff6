"""Reading of number plates on photos whose text is known.

    python -m benchmarks plates --data DIR [--json] [--reliability]

Reads every folder below DIR that holds NAME.jpg beside NAME.txt, a line of `file x y width height TEXT` with tabs; each
folder is a set. The reader gets the whole photo as the vehicle, as it would get the cut of a vehicle from a frame; the
box is truth and only says whether the plate was found where it is. `exact`, `within_one` (one character changed, added
or dropped at the most) and `none` (nothing read) are shares from 0 to 1 of the photos; `exact` compares the texts as
they stand, letter O and digit 0 included. `exact_but_twins` takes O for 0 and I for 1, which some labels do too.

--reliability reads every photo made worse besides, fits the curve of `engine.identify.plates.confidence` to the readings, and
compares what it says of photos that were left out of its fit with the share that was right.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import pages
from benchmarks.machine import describe_machine
from benchmarks.plates_reliability import reliability
from engine.identify.plates import load_forms
from engine.identify.plates.network import TextNetworks
from engine.identify.plates.reader import TextPlateReader
from engine.identify.plates.vote import distance
from engine.types import BoxPx, PlateSighting, VehicleView

PAGE = pages.ROOT / "docs" / "plates.md"


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo and what is true of its plate."""

    path: Path
    xyxy_px: BoxPx
    text: str

    def load(self) -> Image.Image:
        return Image.open(self.path).convert("RGB")


@dataclass(frozen=True, slots=True)
class Read:
    """What came of a photo."""

    photo: Photo
    sighting: PlateSighting | None

    @property
    def text(self) -> str:
        return self.sighting.plate.text if self.sighting else ""

    @property
    def located(self) -> bool:
        """Does the box that was read hold the middle of the true one?"""
        if self.sighting is None:
            return False
        left, top, right, bottom = self.sighting.xyxy_px
        x, y = np.reshape(self.photo.xyxy_px, (2, 2)).mean(axis=0)
        return bool(left <= x <= right and top <= y <= bottom)


def main(argv: list[str]) -> int:
    """Run the benchmark; 2 if there is no data."""
    options = _parse(argv)
    try:
        sets = find_sets(options.data)
    except (OSError, ValueError) as error:
        print(f"plates: {error}")
        return 2
    report = run(sets, with_reliability=options.reliability)
    print(json.dumps(report, indent=1) if options.json else _text(report))
    return 0


def run(sets: dict[str, list[Photo]], *, with_reliability: bool = False) -> dict[str, Any]:
    """Read all sets, in one process."""
    networks, forms = TextNetworks(), load_forms()
    reader = TextPlateReader(networks, forms)
    began_s = time.process_time()
    found = {
        name: [Read(photo, reader.read([view(photo.load())])) for photo in photos] for name, photos in sets.items()
    }
    spent_s = time.process_time() - began_s
    everything = [one for reads in found.values() for one in reads]
    report: dict[str, Any] = {
        "machine": describe_machine(),
        "total": figures(everything),
        "sets": {name: figures(reads) for name, reads in found.items()},
        "cpu_s_per_photo": round(spent_s / len(everything), 3),
    }
    if with_reliability:
        photos = [photo for each in sets.values() for photo in each]
        report["reliability"] = reliability(((photo.load(), photo.text) for photo in photos), networks, forms)
    return report


def view(image: Image.Image) -> VehicleView:
    """The whole photo as the vehicle."""
    return VehicleView(0.0, np.asarray(image), (0.0, 0.0, float(image.width), float(image.height)))


def figures(reads: Sequence[Read]) -> dict[str, float]:
    """Shares of the photos."""
    return {
        "n": len(reads),
        "exact": _share(one.text == one.photo.text for one in reads),
        "exact_but_twins": _share(untwinned(one.text) == untwinned(one.photo.text) for one in reads),
        "within_one": _share(distance(one.text, one.photo.text) <= 1 for one in reads),
        "none": _share(not one.text for one in reads),
        "located": _share(one.located for one in reads),
    }


def untwinned(text: str) -> str:
    """The text with the letters that plates draw like digits as those."""
    return text.replace("O", "0").replace("I", "1")


def _share(holds: Iterable[bool]) -> float:
    return round(float(np.mean(list(holds))), 4)


def find_sets(data: Path) -> dict[str, list[Photo]]:
    """The photos by folder, named relative to `data`; raises ValueError where there is none, or a line is broken."""
    sets: dict[str, list[Photo]] = {}
    for path in sorted(data.rglob("*.txt")):
        if path.with_suffix(".jpg").is_file():
            sets.setdefault(str(path.parent.relative_to(data)), []).append(_photo(path))
    if not sets:
        raise ValueError(f"{data}: no folder with NAME.jpg beside NAME.txt")
    return sets


def _photo(path: Path) -> Photo:
    try:
        line = path.read_text("utf-8").strip()
        _, x, y, width, height, text = line.split("\t") if "\t" in line else line.split()
        left, top = float(x), float(y)
        return Photo(path.with_suffix(".jpg"), (left, top, left + float(width), top + float(height)), text)
    except ValueError as error:
        raise ValueError(f"{path}: expected `file x y width height TEXT`: {error}") from error


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks plates")
    parser.add_argument("--data", type=Path, default=Path(), help="folder with */NAME.jpg and NAME.txt")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--reliability", action="store_true", help="fit the confidence and say how far it holds")
    return parser.parse_args(argv)


def _text(report: dict[str, Any]) -> str:
    return "\n".join(table(report))


def table(report: dict[str, Any]) -> Iterator[str]:
    """The figures in Markdown, a line a set."""
    columns = ("n", "exact", "exact_but_twins", "within_one", "none", "located")
    yield "| set | " + " | ".join(column.replace("_", " ") for column in columns) + " |"
    yield "|---|" + "---:|" * len(columns)
    for name, shares in {**report["sets"], "**total**": report["total"]}.items():
        cells = [f"{shares[column]:d}" if column == "n" else f"{100 * shares[column]:.1f} %" for column in columns]
        yield f"| {name} | " + " | ".join(cells) + " |"


def renewed(text: str) -> str:
    """The page's text with its tables made anew. Raises ValueError where a mark is missing."""
    report = pages.result("plates")
    machine = report["machine"]
    cost = f"\n{report['cpu_s_per_photo']:.2f} s of CPU a photo, on a core of {machine['processor']}.\n"
    text = pages.between(text, "plates", "\n".join(table(report)) + "\n" + cost)
    return pages.between(text, "reliability", "\n".join(bins(report["reliability"]["bins"])) + "\n")


def bins(found: Sequence[dict[str, float]]) -> Iterator[str]:
    """What was said, and what was right, in Markdown."""
    yield "| confidence | readings | said, mean | right |"
    yield "|---|---:|---:|---:|"
    for one in found:
        yield f"| {one['from']:g} to {one['to']:g} | {one['n']} | {one['said']:.2f} | {one['right']:.2f} |"
