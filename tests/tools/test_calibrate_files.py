"""From a survey file to the calibration section of a site file, and the errors of a wrong survey file."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from engine.config import Strict, tomlfile
from engine.errors import ConfigError
from engine.site import Calibration
from engine.tools.calibrate.camera import RoadCamera
from engine.tools.calibrate.files import Survey, load_survey, site_calibration, site_section

MADE = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)


def camera(k1: float = 0.0) -> RoadCamera:
    return RoadCamera((640.0, 360.0), np.array([np.log(1400.0), 0.33, 0.01, 0.05, np.log(7.5), 0.0, 0.0, k1, 0.0]))


def survey_text(k1: float = 0.0) -> str:
    lines = [
        "image_size_px = [1280, 720]",
        "camera_height_m = 7.5",
        f"radial_terms = {int(k1 != 0.0)}",
        "click_px = 0.1",
    ]

    def add(kind: str, name: str, *ends_m: tuple[float, float]) -> None:
        one, other = camera(k1).to_image(np.array(ends_m)).tolist()
        lines.extend([f"[[{kind}]]", f'name = "{name}"', f"from_px = {one}", f"to_px = {other}"])

    for x in (-4.0, 0.0, 4.0):
        add("directions", f"line {x:g}", (x, 14.0), (x, 40.0))
    spans = [((x, y), (x, y + 8.0)) for x in (-4.0, 4.0) for y in (14.0, 22.0, 30.0)]
    for k, (near_m, far_m) in enumerate([*spans, ((-4.0, 20.0), (4.0, 20.0))]):
        add("distances", f"d{k}", near_m, far_m)
        lines.append("metres = 8.0")
    return "\n".join(lines)


class SitePart(Strict, frozen=True):
    calibration: Calibration


@pytest.mark.parametrize("k1", [0.0, -0.1])
def test_a_survey_becomes_a_section_that_reads_back(tmp_path: Path, k1: float) -> None:
    path = tmp_path / "survey.toml"
    path.write_text(survey_text(k1), encoding="utf-8")
    survey = load_survey(path)
    found = survey.solve()
    assert found.camera.position_m[2] == pytest.approx(7.5, rel=0.01)
    made = site_calibration(
        found, survey.image_size_px, "street-1", MADE, dt.timedelta(days=365), widest_sigma=0.05, readout_s=0.013
    )
    assert tomlfile.parse(site_section(made), SitePart, source="section").calibration == made
    assert made.expires == MADE + dt.timedelta(days=365)
    assert (made.lens is None) == (k1 == 0.0)


def test_points_may_be_given_in_degrees() -> None:
    text = "image_size_px = [1280, 720]\n"
    for name, place in (("a", "degrees = [51.1281, 71.4304]"), ("b", "degrees = [51.1291, 71.4304]")):
        text += f'[[points]]\nname = "{name}"\npx = [1.0, 2.0]\n{place}\n'
    first, second = _parse(text).marks()
    assert first.ground_m == (0.0, 0.0)  # type: ignore[attr-defined]
    assert second.ground_m == pytest.approx((0.0, 111.25), abs=0.05)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[points]]\nname = "a"\npx = [1.0, 2.0]\n', "either metres or degrees"),
        ('[[distances]]\nname = "a"\nfrom_px = [1.0, 2.0]\nto_px = [3.0, 4.0]\nmetres = -1.0\n', "metres"),
        ("camera_hight_m = 7.0\n", "camera_hight_m"),
        ('[[vanishing_points]]\nname = "a"\npx = [1.0, 2.0]\n' * 2, "two marks have the name 'a'"),
    ],
)
def test_an_invalid_survey_file_is_refused_with_the_place(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _parse("image_size_px = [1280, 720]\n" + text)


def _parse(text: str) -> Survey:
    return tomlfile.parse(text, Survey, source="survey.toml")
