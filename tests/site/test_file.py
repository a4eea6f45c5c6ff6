"""The site file: read strictly, contradictions found at load, with the place named."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from engine.errors import ConfigError
from engine.rules import load_site
from engine.rules.kinds.illegal_stop import IllegalStopRule
from engine.rules.kinds.speeding import SpeedingRule
from engine.rules.kinds.wrong_way import WrongWayRule

SITE = """
name = "abay-12"
image_size_px = [1280, 720]
valid_from = 2026-01-01T00:00:00+05:00

[place]
address = { en = "Abay 12", ru = "Абая 12" }

[[zones]]
name = "road"
polygon_px = [[0, 700], [1280, 700], [700, 100], [600, 100]]

[[limits]]
kmh = 60.0

[[rules]]
kind = "speeding"
name = "speed"
zone = "road"

[[rules]]
kind = "wrong_way"
name = "oneway"
zone = "road"
direction_px = [[640, 600], [640, 200]]

[[rules]]
kind = "illegal_stop"
name = "nostop"
zone = "road"
dwell_s = 20.0
hours = "22:00-06:00"
variant = "obstructing"
"""
CALIBRATION = """
[calibration]
id = "c1"
made = 2026-01-01T00:00:00Z
expires = 2027-01-01T00:00:00Z
image_to_ground = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
residual_m = 0.02
area_px = [[0, 700], [1280, 700], [700, 100]]
"""
SIGNAL = """
[[signals]]
name = "main"
controller = "junction-17"
group = "K1"

[[signals.lamps]]
colour = "red"
centre_px = [100.0, 50.0]
radius_px = 6.0
"""
WHOLE = SITE + CALIBRATION + SIGNAL


def loaded(folder: Path, text: str):
    path = folder / "site.toml"
    path.write_text(text, encoding="utf-8")
    return load_site(path)


def test_a_site_is_read_with_its_rules_by_kind(tmp_path: Path) -> None:
    site = loaded(tmp_path, SITE + CALIBRATION)
    assert [type(rule) for rule in site.rules] == [SpeedingRule, WrongWayRule, IllegalStopRule]
    assert site.rules[2].hours == "22:00-06:00"
    assert site.place.timezone == "Asia/Almaty"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'zone = "road"\n\n[[rules]]\nkind = "wrong_way"',
            'zone = "raod"\n\n[[rules]]\nkind = "wrong_way"',
            "rule speed: there is no zone 'raod'",
        ),
        ('name = "oneway"', 'name = "speed"', "two rules are called 'speed'"),
        ('kind = "speeding"', 'kind = "speedign"', r"speedign.*\$\.rules\[0\]"),
        ("dwell_s = 20.0", "dwell_s = 0.0", r"\$\.rules\[2\]\.dwell_s"),
        ("dwell_s = 20.0", "dwel_s = 20.0", r"dwel_s|dwell_s"),
        ('hours = "22:00-06:00"', 'hours = "22-06"', r"\$\.rules\[2\]\.hours"),
        ('hours = "22:00-06:00"', 'hours = "25:00-06:00"', r"\$\.rules\[2\]\.hours"),
        ("kmh = 60.0", "kmh = -60.0", r"\$\.limits\[0\]\.kmh"),
        ("kmh = 60.0", 'kmh = 60.0\nclasses = ["person"]', r"person.*\$\.limits\[0\]\.classes"),
        ("kmh = 60.0", 'kmh = 60.0\nzone = "yard"', "limit 60: there is no zone 'yard'"),
        ("[[640, 600], [640, 200]]", "[[640, 600], [640, 600]]", "rule oneway: direction_px has no length"),
        ("[[640, 600], [640, 200]]", "[[640, 600], [640, nan]]", r"finite.*\$\.rules\[1\]\.direction_px"),
        (
            "[[0, 700], [1280, 700], [700, 100], [600, 100]]",
            "[[0, 700], [1280, inf], [700, 100]]",
            r"finite.*\$\.zones\[0\]",
        ),
        ("[[0, 700], [1280, 700], [700, 100], [600, 100]]", "[[0, 700], [1280, 700]]", r"\$\.zones\[0\]\.polygon_px"),
        ("2026-01-01T00:00:00+05:00", "2026-01-01T00:00:00", r"\$\.valid_from"),
        ("[place]", '[place]\ntimezone = "Asia/Atlantis"', "there is no time zone 'Asia/Atlantis'"),
        ("image_size_px = [1280, 720]", "image_size_px = [0, 720]", r"\$\.image_size_px\[0\]"),
        ("expires = 2027", "expires = 2025", "calibration c1 expires before it is made"),
        ("[0.0, 0.0, 1.0]]", "[0.0, nan, 1.0]]", r"finite.*\$\.calibration\.image_to_ground\[2\]\[1\]"),
        ("[700, 100]]", "[700, nan]]", r"finite.*\$\.calibration\.area_px"),
        ("[700, 100]]", "[700, 100]]\ncamera_m = [0.0, 0.0, inf]", r"finite.*\$\.calibration\.camera_m\[2\]"),
        ('colour = "red"', 'colour = "blue"', r"signals\[0\].lamps\[0\].colour"),
        ("radius_px = 6.0", "radius_px = 60.0", "signal main: the red lamp reaches out of the picture"),
        ("[100.0, 50.0]", "[nan, 50.0]", r"finite.*lamps\[0\]\.centre_px\[0\]"),
        ('group = "K1"', "", "signal main: controller and group go together"),
        ("radius_px", "radius", r"unknown field `radius`"),
        (SIGNAL, '[[signals]]\nname = "main"\n', "neither lamps nor a controller"),
        (SIGNAL, SIGNAL + SIGNAL, "two signals are called 'main'"),
        (
            "[[limits]]",
            '[[zones]]\nname = "road"\npolygon_px = [[0, 0], [9, 0], [9, 9]]\n[[limits]]',
            "two zones are called 'road'",
        ),
    ],
)
def test_a_mistake_is_refused_with_its_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert WHOLE.count(old) == 1
    with pytest.raises(ConfigError, match=message) as error:
        loaded(tmp_path, WHOLE.replace(old, new))
    assert "site.toml" in str(error.value)


def test_a_still_is_found_beside_the_site_file(tmp_path: Path) -> None:
    (tmp_path / "stills").mkdir()
    Image.new("RGB", (1280, 720)).save(tmp_path / "stills" / "gate.png")
    site = loaded(tmp_path, SITE + CALIBRATION + 'still = "stills/gate.png"\nmost_drift_px = 2.0\n')
    assert site.calibration is not None
    assert site.calibration.still == tmp_path / "stills" / "gate.png"
    assert site.calibration.most_drift_px == 2.0


@pytest.mark.parametrize(
    ("still", "message"),
    [
        ("gone.png", r"site\.toml: calibration\.still: .*gone\.png"),
        ("site.toml", r"site\.toml: calibration\.still: .*cannot identify"),
        ("small.png", r"site\.toml: calibration\.still: .*small\.png is 640x360, the site is drawn on 1280x720"),
    ],
)
def test_a_still_that_does_not_fit_is_refused(tmp_path: Path, still: str, message: str) -> None:
    Image.new("RGB", (640, 360)).save(tmp_path / "small.png")
    with pytest.raises(ConfigError, match=message):
        loaded(tmp_path, SITE + CALIBRATION + f'still = "{still}"\n')


def test_a_signal_has_lamps_and_a_controllers_group(tmp_path: Path) -> None:
    (signal,) = loaded(tmp_path, SITE + SIGNAL).signals
    assert (signal.name, signal.controller, signal.group) == ("main", "junction-17", "K1")
    assert (signal.lamps[0].colour, signal.lamps[0].radius_px) == ("red", 6.0)
