"""`qyran calibrate` on the demo's avenue, whose camera is known exactly."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.config import Strict, tomlfile
from engine.errors import ConfigError
from engine.site import Calibration
from engine.tools.commands.calibrate import calibrate
from engine.tools.demo.city import FOOTAGE

TO_IMAGE = np.array(json.loads((FOOTAGE / "avenue.truth.json").read_text())["camera"]["ground_to_image"])
CORNERS_M = [(x, y) for y in (18.0, 28.0, 40.0, 60.0) for x in (-7.0, 0.0, 7.0)]


class CalibrationTable(Strict, frozen=True):
    calibration: Calibration


def project(x: float, y: float) -> list[float]:
    """The true pixel of a ground point."""
    u, v, w = TO_IMAGE @ (x, y, 1.0)
    return [round(float(u / w), 2), round(float(v / w), 2)]


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    """Twelve surveyed points of the avenue."""
    lines = ["image_size_px = [1280, 720]"]
    for number, (x, y) in enumerate(CORNERS_M):
        lines += ["[[points]]", f'name = "p{number}"', f"px = {project(x, y)}", f"metres = [{x}, {y}]"]
    path = tmp_path / "survey.toml"
    path.write_text("\n".join(lines))
    return path


def printed(capsys: pytest.CaptureFixture[str]) -> Calibration:
    """The printed table, as the site file reads it."""
    text = capsys.readouterr().out
    return tomlfile.parse(text[text.index("[calibration]") :], CalibrationTable, source="printed").calibration


def test_the_printed_table_is_the_calibration_of_the_camera(survey: Path, capsys: pytest.CaptureFixture[str]) -> None:
    calibrate(survey, "avenue-2")
    found = printed(capsys)
    for x, y in CORNERS_M:
        ground = np.array(found.image_to_ground) @ (*project(x, y), 1.0)
        assert ground[:2] / ground[2] == pytest.approx((x, y), abs=0.02)
    assert found.id == "avenue-2"
    assert found.covariance is not None
    assert found.camera_m is not None
    assert found.camera_m[2] == pytest.approx(8.0, abs=0.05)


def test_the_grid_is_drawn_on_the_still(survey: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    still, grid = tmp_path / "still.png", tmp_path / "grid.png"
    Image.new("RGB", (1280, 720), (90, 90, 90)).save(still)
    calibrate(survey, "avenue-2", still=still, grid=grid)
    assert printed(capsys).still == still
    with Image.open(grid) as drawn:
        pixels = np.asarray(drawn)
    assert pixels.shape == (720, 1280, 3)
    assert (pixels != 90).any(axis=2).mean() > 0.01


def test_a_still_of_another_size_is_refused(survey: Path, tmp_path: Path) -> None:
    still = tmp_path / "still.png"
    Image.new("RGB", (640, 360)).save(still)
    with pytest.raises(ConfigError, match="is 640x360, the survey is of 1280x720"):
        calibrate(survey, "avenue-2", still=still, grid=tmp_path / "grid.png")
