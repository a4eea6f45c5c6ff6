"""The law as data: the content of Kazakhstan's catalogue, what is refused, and which version applies when."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

from benchmarks.catalogue_table import render
from engine.errors import ConfigError
from engine.rules import load_catalogue, load_site
from engine.rules.catalogue import Catalogue, Kind, shipped_catalogues
from engine.rules.hours import local_minute, parse_hours
from engine.rules.kinds import rule_kinds
from engine.tools.demo.city import SITES
from engine.types import Reason

KZ = load_catalogue("kz")
JUNE_S = dt.datetime(2026, 6, 1, tzinfo=dt.UTC).timestamp()
FEBRUARY_S = dt.datetime(2026, 2, 1, tzinfo=dt.UTC).timestamp()
SMALL = """
name = "xx"
version = "xx-1"
country = "XX"
law = "an act"
valid_from = 2026-01-01T00:00:00Z

[unit]
name = "U"
title = "unit"
currency = "XXX"
value_by_year = { 2026 = 10.0 }
"""
KIND = """
[[kinds]]
kind = "speeding"
title = "too fast"
outcome = "fine"
proof = "speed"
"""
PART = """
[[kinds.parts]]
article = "1"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "law.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("kind", "article", "units", "outcome"),
    [
        ("red_light", "599 p.1", 10, "fine"),
        ("stop_line", "601 p.1", 3, "fine"),
        ("sign_or_marking", "601 p.1", 3, "fine"),
        ("bus_lane", "601 p.1", 3, "fine"),
        ("oncoming_lane", "596 p.3", None, "officer"),
        ("overtaking_or_position", "596 p.2", 15, "fine"),
        ("shoulder_or_sidewalk", "596 p.1", 15, "fine"),
        ("prohibited_turn", "595", 10, "fine"),
        ("junction_blocking", "594 p.1", 3, "fine"),
        ("fail_to_yield_pedestrian", "600 p.1", 10, "fine"),
        ("rail_crossing", "607 p.1", 10, "fine"),
        ("illegal_stop", "597 p.1", 5, "fine"),
        ("illegal_parking", "597 p.1", 5, "fine"),
        ("phone_use", "591 p.1", 5, "officer"),
        ("seatbelt", "593 p.1", 5, "officer"),
        ("lights_off", "602 p.1", 3, "officer"),
        ("plate_missing", "590", 10, "officer"),
        ("no_inspection", "590", 5, "fine"),
        ("no_insurance", "230", 5, "fine"),
    ],
)
def test_every_kind_has_its_article_fine_and_outcome(
    kind: str, article: str, units: float | None, outcome: str
) -> None:
    entry = KZ.kind(kind, JUNE_S)
    assert (entry.parts[0].article, entry.parts[0].units, entry.outcome) == (article, units, outcome)


@pytest.mark.parametrize("kind", ["speeding", "average_speed"])
def test_the_tiers_of_speed_rise_with_their_fines(kind: str) -> None:
    entry = KZ.kind(kind, JUNE_S)
    assert entry.measured
    assert [(part.article, part.units, part.repeat_units) for part in entry.parts] == [
        ("592 p.1", 5, 30),
        ("592 p.2", 10, 30),
        ("592 p.3", 20, 30),
        ("592 p.3-1", 40, 60),
    ]
    assert entry.tier(9.9) is None


def test_what_is_new_with_the_law_of_march_is_not_in_force_before() -> None:
    for kind in ("phone_use", "seatbelt", "no_inspection", "no_insurance", "permit_expired", "lights_off"):
        assert KZ.kind(kind, FEBRUARY_S) is None
        assert KZ.kind(kind, JUNE_S) is not None
    assert KZ.kind("speeding", FEBRUARY_S) is not None


def test_what_is_not_verified_is_marked() -> None:
    for kind in ("stop_line", "wrong_way", "prohibited_turn", "plate_missing", "no_inspection", "no_insurance"):
        assert KZ.kind(kind, JUNE_S).parts[0].unverified
    assert not KZ.kind("speeding", JUNE_S).parts[0].unverified


def test_every_kind_that_is_judged_stands_in_the_catalogue() -> None:
    assert rule_kinds().keys() <= {kind.kind for kind in KZ.kinds}


def test_a_catalogue_of_another_country_is_read_from_its_file(tmp_path: Path) -> None:
    other = load_catalogue(written(tmp_path, SMALL + KIND + PART))
    assert (other.country, other.kind("speeding", JUNE_S).part().article) == ("XX", "1")
    assert other.kind("speeding", dt.datetime(2025, 6, 1, tzinfo=dt.UTC).timestamp()) is None


def test_an_amendment_applies_from_its_day(tmp_path: Path) -> None:
    old = KIND + "valid_to = 2026-07-01T00:00:00Z" + PART
    new = KIND + "valid_from = 2026-07-01T00:00:00Z" + PART.replace('"1"', '"1-a"')
    law = load_catalogue(written(tmp_path, SMALL + old + new))
    first = dt.datetime(2026, 7, 1, tzinfo=dt.UTC).timestamp()
    assert law.kind("speeding", first - 0.001).part().article == "1"
    assert law.kind("speeding", first).part().article == "1-a"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SMALL + KIND + PART + KIND + PART, "speeding stands there twice for the same time"),
        (SMALL + KIND + PART + PART, "two parts of the same variant"),
        (SMALL + KIND + PART + "over_above_kmh = 20.0" + PART + "over_above_kmh = 10.0", "tiers must rise"),
        (SMALL + KIND + PART + "over_above_kmh = 20.0" + PART, "either all parts or no part is a tier"),
        (SMALL + KIND + PART + "over_above_kmh = 20.0\nover_at_least_kmh = 20.0", "not both"),
        (SMALL + KIND + PART + 'classes = ["person"]', r"unknown field `classes` - at `\$\.kinds\[0\]\.parts\[0\]`"),
        (SMALL + KIND.replace('"fine"', '"jail"') + PART, r"Invalid enum value 'jail' - at `\$\.kinds\[0\]\.outcome`"),
        (SMALL + KIND + 'classes = ["person"]' + PART, r"Invalid enum value 'person' - at `\$\.kinds\[0\]\.classes"),
        (SMALL + KIND, "parts"),
        ("name = ", "law.toml"),
    ],
)
def test_a_wrong_catalogue_is_refused_with_the_place(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError, match=message) as error:
        load_catalogue(path)
    assert str(path) in str(error.value)


def test_the_error_names_a_catalogue_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"catalogue 'atlantis': not shipped \(there is kz\)"):
        load_catalogue("atlantis")
    with pytest.raises(ConfigError, match=r"gone\.toml"):
        load_catalogue(tmp_path / "gone.toml")


def test_the_table_for_readers_has_every_kind() -> None:
    assert all(f"`{kind.kind}`" in render(KZ) for kind in KZ.kinds)


def test_another_fine_makes_another_table() -> None:
    speeding = KZ.kind("speeding", JUNE_S)
    dearer = msgspec.structs.replace(speeding, parts=(msgspec.structs.replace(speeding.parts[0], units=77.0),))
    assert render(msgspec.structs.replace(KZ, kinds=(dearer,))) != render(
        msgspec.structs.replace(KZ, kinds=(speeding,))
    )


@pytest.mark.parametrize(
    ("text", "held", "not_held"),
    [
        ("", (0, 719, 1439), ()),
        ("07:00-22:00", (420, 1319.99), (419.99, 1320)),
        ("22:00-06:00", (1320, 1439, 0, 359.99), (360, 1319)),
        ("06:00-24:00", (360, 1439.99), (359,)),
        ("08:00-08:00", (0, 480, 1439), ()),
    ],
)
def test_hours_begin_with_their_first_minute_and_end_before_their_last(text: str, held: tuple, not_held: tuple) -> None:
    hours = parse_hours(text)
    assert all(hours.hold(minute) for minute in held)
    assert not any(hours.hold(minute) for minute in not_held)


def test_the_minute_is_the_one_of_the_place() -> None:
    noon_utc = dt.datetime(2026, 6, 1, 12, 0, 30, tzinfo=dt.UTC).timestamp()
    assert local_minute(noon_utc, ZoneInfo("Asia/Almaty")) == 17 * 60 + 0.5


# -- the review by an officer


OFFICERS = {"oncoming_lane", "wrong_way", "phone_use", "seatbelt", "lights_off"}
"""Kinds whose every case goes to an officer for a stated reason."""


def of(catalogue: Catalogue, name: str) -> Kind:
    kind = catalogue.kind(name, JUNE_S)
    assert kind is not None
    return kind


def test_an_officer_decides_where_the_licence_may_go_or_a_classifier_saw_it() -> None:
    assert {kind.kind for kind in KZ.kinds if kind.review_reason} == OFFICERS
    assert all(of(KZ, name).outcome == "officer" for name in OFFICERS)
    assert of(KZ, "oncoming_lane").review_reason == Reason("licence_may_be_withdrawn")
    assert of(KZ, "seatbelt").review_reason == Reason("classifier_decided")
    assert of(KZ, "speeding").review_reason is None


def test_the_configuration_gives_a_kind_to_an_officer() -> None:
    catalogue = load_catalogue("kz", {"speeding": "officer"})
    assert of(catalogue, "speeding").outcome == "officer"
    assert of(catalogue, "speeding").review_reason == Reason("kind_is_reviewed")
    assert of(catalogue, "red_light").outcome == "fine"


def test_the_configuration_trusts_a_classifier() -> None:
    catalogue = load_catalogue("kz", {"seatbelt": "automatic", "lights_off": "automatic"})
    assert (of(catalogue, "seatbelt").outcome, of(catalogue, "seatbelt").review_reason) == ("fine", None)
    assert of(catalogue, "lights_off").outcome == "warning"
    assert of(catalogue, "phone_use").outcome == "officer"


@pytest.mark.parametrize("kind", ["oncoming_lane", "wrong_way", "plate_missing"])
def test_what_is_left_to_an_officer_alone_cannot_be_automatic(kind: str) -> None:
    with pytest.raises(ConfigError, match=f"{kind} cannot be automatic"):
        load_catalogue("kz", {kind: "automatic"})


def test_the_review_of_an_unknown_kind_is_an_error() -> None:
    with pytest.raises(ConfigError, match="speedin: not in catalogue"):
        load_catalogue("kz", {"speedin": "officer"})


def test_a_catalogue_that_withdraws_licences_by_machine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="an officer's"):
        load_catalogue(written(tmp_path, SMALL + KIND + PART + "withdraws_licence = true"))


# -- vehicles only


@pytest.mark.parametrize("classes", ['["person"]', '["pedestrian"]', '["car", "person"]', "[]"])
def test_a_kind_about_pedestrians_is_refused(tmp_path: Path, classes: str) -> None:
    with pytest.raises(ConfigError, match="classes"):
        load_catalogue(written(tmp_path, SMALL + KIND + f"classes = {classes}\n" + PART))


def test_a_rule_about_pedestrians_is_refused(tmp_path: Path) -> None:
    site = (SITES / "avenue.toml").read_text("utf-8")
    path = tmp_path / "site.toml"
    path.write_text(site + 'classes = ["person"]\n', "utf-8")
    with pytest.raises(ConfigError, match="classes"):
        load_site(path)


def test_every_shipped_kind_is_about_vehicles_only() -> None:
    vehicles = {"car", "truck", "bus", "motorcycle", "bicycle"}
    assert all(set(kind.classes) <= vehicles for name in shipped_catalogues() for kind in load_catalogue(name).kinds)
