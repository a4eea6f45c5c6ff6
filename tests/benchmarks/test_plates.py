"""The plate benchmark: its photos, its figures and the fit of the confidence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import pages
from benchmarks.plates import Photo, PhotoReading, figures, find_sets, main
from benchmarks.plates_reliability import BINS, ReadingFeatures, _bins, _fit
from engine.types import Plate, PlateSighting


def photo(folder: Path, name: str, line: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 48)).save(folder / f"{name}.jpg")
    (folder / f"{name}.txt").write_text(line)
    return folder


def read(truth: str, text: str, box: tuple[float, float, float, float] = (10, 10, 50, 20)) -> PhotoReading:
    sighting = PlateSighting(Plate(text, "", "", "", 0.9), 0.0, box) if text else None
    return PhotoReading(Photo(Path("a.jpg"), (20, 10, 40, 20), truth), sighting)


def test_find_sets_takes_every_folder_with_photos_and_texts(tmp_path: Path):
    photo(tmp_path / "eu", "a", "a.jpg\t10\t5\t30\t8\tRK099AN\n")
    photo(tmp_path / "kz" / "day", "b", "b.jpg 1 2 3 4 123ABC02")
    (tmp_path / "readme.txt").write_text("no photo beside it")
    sets = find_sets(tmp_path)
    assert list(sets) == ["eu", "kz/day"]
    assert (sets["eu"][0].text, sets["eu"][0].xyxy_px) == ("RK099AN", (10, 5, 40, 13))
    assert sets["kz/day"][0].load().size == (64, 48)


def test_find_sets_names_a_malformed_line_and_missing_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["--data", str(tmp_path)]) == 2
    assert "no folder with NAME.jpg" in capsys.readouterr().out
    photo(tmp_path, "a", "a.jpg 10 5 thirty 8 RK099AN")
    with pytest.raises(ValueError, match=r"a\.txt: expected"):
        find_sets(tmp_path)


def test_figures_count_the_readings():
    found = [
        read("RK099AN", "RK099AN"),
        read("RKO99AN", "RK099AN"),
        read("RK099AN", "RK099A"),
        read("RK099AN", ""),
        read("RK099AN", "XXXX", box=(0, 0, 5, 5)),
    ]
    shares = {"exact": 0.2, "exact_but_twins": 0.4, "within_one": 0.6, "none": 0.2, "located": 0.6}
    assert figures(found) == {"n": 5, **shares}


def test_committed_result_reaches_the_required_shares():
    total = pages.result("plates")["total"]
    assert total["exact"] >= 0.75
    assert total["within_one"] >= 0.95


def test_bins_compare_confidence_with_correct_readings_on_photos_not_in_the_fit():
    rng = np.random.default_rng(5)
    sure = rng.uniform(-4, 4, 600)
    right = rng.random(600) < 1 / (1 + np.exp(-sure))
    shown = [
        ReadingFeatures(n // 10, (1.0, float(s)), bool(r)) for n, (s, r) in enumerate(zip(sure, right, strict=True))
    ]
    assert _fit(shown) == pytest.approx([0.0, 1.0], abs=0.25)
    bins = _bins(shown)
    assert [one["to"] for one in bins] == list(BINS[1:])
    assert sum(one["n"] for one in bins) == 600
    assert all(abs(one["said"] - one["right"]) < 0.15 for one in bins if one["n"] > 40)
