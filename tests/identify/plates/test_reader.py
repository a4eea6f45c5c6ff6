"""The reader on drawn plates, and on photos if the evaluation data is available."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from engine.errors import ModelError
from engine.identify.plates import load_forms
from engine.identify.plates import network as networks
from engine.identify.plates.network import TextNetworks
from engine.identify.plates.reader import TextPlateReader
from engine.types import BoxPx, VehicleView

DATA = os.environ.get("QYRAN_DATA")
needs_networks = pytest.mark.skipif(not networks.installed(), reason="qyran[plates] is not installed")
WHOLE: BoxPx = (0.0, 0.0, 640.0, 400.0)
PLATE: BoxPx = (200.0, 280.0, 380.0, 318.0)


@pytest.fixture(scope="module")
def reader() -> TextPlateReader:
    return TextPlateReader(TextNetworks(threads=1), load_forms("kz"))


def plate(draw: ImageDraw.ImageDraw, lines: list[str], box: BoxPx) -> None:
    """A white board with a black rim, its lines as large as they fit."""
    left, top, right, bottom = box
    draw.rectangle(box, fill="white", outline="black", width=2)
    height = (bottom - top) / len(lines)
    for row, line in enumerate(lines):
        font = ImageFont.load_default(height * 0.75)
        across = draw.textlength(line, font=font)
        draw.text(((left + right - across) / 2, top + row * height + height * 0.1), line, font=font, fill="black")


def vehicle(*lines: str, box: BoxPx = PLATE, name: str = "", at_s: float = 0.0) -> VehicleView:
    """A dark rear with an optional plate and an optional model name."""
    image = Image.new("RGB", (640, 400), (70, 75, 90))
    draw = ImageDraw.Draw(image)
    draw.rectangle((60, 40, 580, 180), fill=(25, 25, 30))
    draw.ellipse((60, 300, 160, 399), fill=(10, 10, 10))
    if name:
        draw.text((420, 210), name, font=ImageFont.load_default(28), fill=(200, 200, 205))
    if lines:
        plate(draw, list(lines), box)
    return VehicleView(at_s, np.asarray(image), WHOLE)


@needs_networks
def test_a_plate_is_found_and_read_with_its_region(reader: TextPlateReader):
    found = reader.read([vehicle("123 ABC 02", at_s=7.0)])
    assert found is not None
    assert (found.plate.text, found.plate.country, found.plate.region) == ("123ABC02", "KZ", "02")
    assert found.plate.confidence > 0.9
    assert found.captured_s == 7.0
    middle = (np.array(found.xyxy_px[:2]) + np.array(found.xyxy_px[2:])) / 2
    assert middle == pytest.approx([290, 299], abs=12)


@needs_networks
def test_the_name_of_a_model_is_not_taken_for_the_plate(reader: TextPlateReader):
    assert reader.read([vehicle("740 KRM 09", name="CAMRY")]).plate.text == "740KRM09"


@needs_networks
def test_a_plate_of_two_lines_is_one_plate(reader: TextPlateReader):
    found = reader.read([vehicle("482", "TKA 17", box=(230, 250, 350, 330))])
    assert (found.plate.text, found.plate.form) == ("482TKA17", "private_2012")


@needs_networks
def test_a_foreign_plate_is_kept_as_it_was_read(reader: TextPlateReader):
    found = reader.read([vehicle("RK 576 AH")])
    assert (found.plate.text, found.plate.country, found.plate.region) == ("RK576AH", "", "")


@needs_networks
def test_several_frames_are_counted(reader: TextPlateReader):
    assert 2 <= reader.read([vehicle("123 ABC 02", at_s=float(n)) for n in range(4)]).plate.frames <= 4


@needs_networks
def test_a_vehicle_without_a_plate_or_too_small_gives_no_plate(reader: TextPlateReader):
    assert reader.read([vehicle()]) is None
    assert reader.read([]) is None
    small = vehicle("123 ABC 02")
    assert reader.read([VehicleView(0.0, small.rgb[:60, :60], (0.0, 0.0, 60.0, 60.0))]) is None
    assert reader.read([VehicleView(0.0, small.rgb, (700.0, 0.0, 900.0, 100.0))]) is None


def test_the_error_without_rapidocr_names_the_package_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not networks.installed()
    monkeypatch.setitem(__import__("sys").modules, "rapidocr", None)
    with pytest.raises(ModelError, match=r"qyran\[plates\]"):
        TextNetworks()


@pytest.mark.data
@needs_networks
@pytest.mark.skipif(not DATA, reason="QYRAN_DATA is not set: plates are read on drawn pictures only")
def test_real_plates_are_read(reader: TextPlateReader):
    from benchmarks.plates import PhotoReading, figures, find_sets, view

    photos = find_sets(Path(DATA or "") / "plates")["eu"][10:20]
    shares = figures([PhotoReading(photo, reader.read([view(photo.load())])) for photo in photos])
    assert shares["exact"] >= 0.7
    assert shares["located"] >= 0.9
