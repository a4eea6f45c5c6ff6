"""The rules of a site file: what belongs to a kind is asked for, what does not is refused, what is not there named."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import ConfigError
from engine.rules import load_site
from engine.rules.kinds.bus_lane import BusLaneRule
from engine.rules.kinds.fail_to_yield_pedestrian import YieldRule
from engine.rules.kinds.prohibited_turn import TurnRule
from engine.rules.kinds.sign_or_marking import MarkingRule

SITE = """
name = "abay-12"
image_size_px = [1280, 720]
valid_from = 2026-01-01T00:00:00+05:00
place = { address = { en = "Abay 12" } }
zones = [
    { name = "road", polygon_px = [[0, 700], [1280, 700], [700, 100]] },
    { name = "side", polygon_px = [[0, 700], [1280, 700], [700, 100]] },
]
lines = [{ name = "middle", from_px = [640, 700], to_px = [650, 100] }]

[[rules]]
name = "one"
zone = "road"
"""


def rule(folder: Path, text: str):
    path = folder / "site.toml"
    path.write_text(SITE + text, encoding="utf-8")
    return load_site(path).rules[0]


@pytest.mark.parametrize(
    ("text", "kind", "zones", "lines"),
    [
        ('kind = "bus_lane"\nturn_offs = ["side"]', BusLaneRule, ("road", "side"), ()),
        ('kind = "sign_or_marking"\nsign = "solid_line"\nline = "middle"', MarkingRule, ("road",), ("middle",)),
        ('kind = "sign_or_marking"\nsign = "no_entry"', MarkingRule, ("road",), ()),
        ('kind = "prohibited_turn"\nexits = ["side"]', TurnRule, ("road", "side"), ()),
        ('kind = "fail_to_yield_pedestrian"', YieldRule, ("road",), ()),
    ],
)
def test_a_rule_tells_what_it_speaks_of(tmp_path: Path, text: str, kind: type, zones: tuple, lines: tuple) -> None:
    found = rule(tmp_path, text)
    assert (type(found), found.zones, found.lines) == (kind, zones, lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('kind = "bus_lane"\nturn_offs = ["there"]', "rule one: there is no zone 'there'"),
        ('kind = "bus_lane"\nopen_zones = ["there"]', "rule one: there is no zone 'there'"),
        ('kind = "shoulder_or_sidewalk"\nopen_zones = ["there"]', "rule one: there is no zone 'there'"),
        ('kind = "sign_or_marking"', "sign"),
        ('kind = "sign_or_marking"\nsign = "solid_line"', "rule one: solid_line needs a line"),
        ('kind = "sign_or_marking"\nsign = "no_entry"\nline = "other"', "rule one: there is no line 'other'"),
        ('kind = "sign_or_marking"\nsign = "no_entry"\nexits = ["side"]', "exits belong to wrong_lane"),
        ('kind = "sign_or_marking"\nsign = "wrong_lane"\nline = "middle"', "wrong_lane needs some"),
        ('kind = "sign_or_marking"\nsign = "wrong_lane"\nexits = ["side"]', "wrong_lane needs a line"),
        ('kind = "prohibited_turn"', "a turn needs some"),
        ('kind = "prohibited_turn"\nmanoeuvre = "u_turn"\nexits = ["side"]', "exits belong to a turn"),
        ('kind = "prohibited_turn"\nexits = ["there"]', "rule one: there is no zone 'there'"),
        ('kind = "overtaking_or_position"\nmanoeuvre = "overtaking"', "which needs both"),
        (
            'kind = "overtaking_or_position"\nmanoeuvre = "overtaking"\ndirection_px = [[0, 0], [9, 9]]',
            "which needs both",
        ),
        ('kind = "overtaking_or_position"\nmanoeuvre = "position"\nown_zone = "side"', "belong to overtaking"),
        (
            'kind = "overtaking_or_position"\nmanoeuvre = "overtaking"\nown_zone = "side"\n'
            "direction_px = [[9, 9], [9, 9]]",
            "direction_px has no length",
        ),
        ('kind = "oncoming_lane"', "direction_px"),
        ('kind = "fail_to_yield_pedestrian"\nslows_by = 1.5', "slows_by"),
        ('kind = "fail_to_yield_pedestrian"\nclasses = ["person"]', "person"),
        ('kind = "jaywalking"', "jaywalking"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        rule(tmp_path, text)
    assert "site.toml" in str(error.value)


def test_a_line_without_length_is_refused(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(SITE.replace("[650, 100]", "[640, 700]") + 'kind = "bus_lane"')
    with pytest.raises(ConfigError, match="line middle has no length"):
        load_site(tmp_path / "site.toml")
