"""Read number plates on photos with known texts, and count the correct readings.

    python -m benchmarks plates --data DIR [--json] [--reliability]

Each folder below DIR with NAME.jpg and NAME.txt (one line `file x y width height TEXT`, with tabs) is a set. The reader
gets the whole photo as the vehicle. The true box is used only to check the place of the reading. `exact`, `within_one`
(at most one character changed, added or missing) and `none` (nothing read) are shares of the photos, from 0 to 1.
`exact` distinguishes the letter O from the digit 0; `exact_but_twins` does not distinguish O from 0 and I from 1,
because some labels do not.

--reliability also reads degraded versions of the photos, fits the curve of `engine.identify.plates.vote` to the
readings, and compares the stated confidence with the share of correct readings on photos that are not in the fit.
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
from benchmarks.plates_reliability import measure_reliability
from engine.identify.plates import load_forms
from engine.identify.plates.network import TextNetworks
from engine.identify.plates.reader import TextPlateReader
from engine.identify.plates.vote import distance
from engine.types import BoxPx, PlateSighting, VehicleView

PAGE = pages.ROOT / "docs" / "plates.md"


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo, and the true box and text of its plate."""

    path: Path
    xyxy_px: BoxPx
    text: str

    def load(self) -> Image.Image:
        """Read the photo as RGB."""
        return Image.open(self.path).convert("RGB")


@dataclass(frozen=True, slots=True)
class PhotoReading:
    """The reading of a photo; `sighting` is None if nothing was read."""

    photo: Photo
    sighting: PlateSighting | None

    @property
    def text(self) -> str:
        """The text that was read; empty if nothing was read."""
        return self.sighting.plate.text if self.sighting else ""

    @property
    def located(self) -> bool:
        """True if the box of the reading contains the centre of the true box."""
        if self.sighting is None:
            return False
        left, top, right, bottom = self.sighting.xyxy_px
        x, y = np.reshape(self.photo.xyxy_px, (2, 2)).mean(axis=0)
        return bool(left <= x <= right and top <= y <= bottom)


def main(argv: list[str]) -> int:
    """Run the benchmark. Returns 2 if there is no data."""
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
    """Read all sets, in one process. Returns the whole result."""
    networks, forms = TextNetworks(), load_forms()
    reader = TextPlateReader(networks, forms)
    began_s = time.process_time()
    found = {
        name: [PhotoReading(photo, reader.read([view(photo.load())])) for photo in photos]
        for name, photos in sets.items()
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
        report["reliability"] = measure_reliability(((photo.load(), photo.text) for photo in photos), networks, forms)
    return report


def view(image: Image.Image) -> VehicleView:
    """The whole photo as the vehicle."""
    return VehicleView(0.0, np.asarray(image), (0.0, 0.0, float(image.width), float(image.height)))


def figures(reads: Sequence[PhotoReading]) -> dict[str, float]:
    """Number of photos, and the shares of correct readings."""
    return {
        "n": len(reads),
        "exact": _share(one.text == one.photo.text for one in reads),
        "exact_but_twins": _share(merge_twins(one.text) == merge_twins(one.photo.text) for one in reads),
        "within_one": _share(distance(one.text, one.photo.text) <= 1 for one in reads),
        "none": _share(not one.text for one in reads),
        "located": _share(one.located for one in reads),
    }


def merge_twins(text: str) -> str:
    """The text with O as 0 and I as 1: plates draw these letters like the digits."""
    return text.replace("O", "0").replace("I", "1")


def _share(holds: Iterable[bool]) -> float:
    return round(float(np.mean(list(holds))), 4)


def find_sets(data: Path) -> dict[str, list[Photo]]:
    """Photos by folder, relative to `data`. Raises ValueError if there are no photos or a line is malformed."""
    sets: dict[str, list[Photo]] = {}
    for path in sorted(data.rglob("*.txt")):
        if path.with_suffix(".jpg").is_file():
            sets.setdefault(str(path.parent.relative_to(data)), []).append(_photo(path))
    if not sets:
        raise ValueError(f"{data}: no folder with NAME.jpg and NAME.txt")
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
    parser.add_argument("--reliability", action="store_true", help="fit the confidence and check it")
    return parser.parse_args(argv)


def _text(report: dict[str, Any]) -> str:
    return "\n".join(table(report))


def table(report: dict[str, Any]) -> Iterator[str]:
    """The figures in Markdown, one line a set."""
    columns = ("n", "exact", "exact_but_twins", "within_one", "none", "located")
    yield "| set | " + " | ".join(column.replace("_", " ") for column in columns) + " |"
    yield "|---|" + "---:|" * len(columns)
    for name, shares in {**report["sets"], "**total**": report["total"]}.items():
        cells = [f"{shares[column]:d}" if column == "n" else f"{100 * shares[column]:.1f} %" for column in columns]
        yield f"| {name} | " + " | ".join(cells) + " |"


def renew(text: str) -> str:
    """The page's text with new tables. Raises ValueError if a mark is missing."""
    report = pages.result("plates")
    machine = report["machine"]
    cost = f"\n{report['cpu_s_per_photo']:.2f} s of CPU a photo, on a core of {machine['processor']}.\n"
    text = pages.between(text, "plates", "\n".join(table(report)) + "\n" + cost)
    return pages.between(text, "reliability", "\n".join(bins(report["reliability"]["bins"])) + "\n")


def bins(found: Sequence[dict[str, float]]) -> Iterator[str]:
    """Stated confidence and share of correct readings in Markdown, one line a bin."""
    yield "| confidence | readings | stated, mean | correct |"
    yield "|---|---:|---:|---:|"
    for one in found:
        yield f"| {one['from']:g} to {one['to']:g} | {one['n']} | {one['said']:.2f} | {one['right']:.2f} |"
