"""Section control: which crossings are one drive, how fast it was, how certain that is, and what the law says of it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ConfigError
from engine.ingest.clock import STEP_S
from engine.language import english
from engine.rules import load_catalogue
from engine.section import (
    Crossing,
    Measured,
    PassageMatcher,
    Section,
    SectionSpeed,
    crossing_sigma_s,
    load_sections,
    require,
    violation,
)
from engine.section.crossing import one_misread_apart
from engine.section.speed import MAPPING_SIGMA_S, lasting_sigma_s, section_speed
from engine.site import Limit
from engine.types import Clock, Reason, Sighting, VehicleClass, Violation
from engine.types.document import moment

KZ = load_catalogue("kz")
NAMES = {3: "km-12", 7: "km-17", 9: "km-21"}
T0 = 1_781_000_000.0
"""10:13:20 UTC on 9 June 2026, 15:13:20 in Almaty."""
KMH = 3.6
FILE = """
[[sections]]
name = "a3-km12-km17"
entry = { camera = "km-12", line = "north" }
exit = { camera = "km-17", line = "north" }
length_m = 5000.0
length_sigma_m = 1.0
straight_out_of_town = true
timezone = "Asia/Almaty"
valid_from = 2026-01-01T00:00:00+05:00
certificate = { number = "KZ-77", issued = 2026-01-01T00:00:00+05:00, expires = 2027-01-01T00:00:00+05:00 }
clocks = { synchronised = { sigma_s = 0.1 }, arrival = { sigma_s = 0.5 } }

[[sections.limits]]
kmh = 90.0
classes = ["truck", "bus"]

[[sections.limits]]
kmh = 110.0
"""


def read(text: str, folder: Path) -> tuple[Section, ...]:
    path = folder / "sections.toml"
    path.write_text(text)
    return load_sections(path)


@pytest.fixture(scope="module")
def section(tmp_path_factory: pytest.TempPathFactory) -> Section:
    return read(FILE, tmp_path_factory.mktemp("section"))[0]


def changed(section: Section, **fields: Any) -> Section:
    return msgspec.structs.replace(section, **fields)


def crossing(camera: int, at_s: float, plate: str = "123ABC02", **fields: Any) -> Crossing:
    box = (100.0, 100.0, 200.0, 180.0)
    known = {
        "camera": camera,
        "line": "north",
        "track": round(at_s * 1000) % 100_000,
        "plate": plate,
        "plate_confidence": 0.97,
        "captured_s": T0 + at_s,
        "sigma_s": 0.03,
        "clock": Clock.SYNCHRONISED,
        "class_id": VehicleClass.CAR,
        "sightings": (Sighting(T0 + at_s - 0.04, box, None), Sighting(T0 + at_s + 0.04, box, None)),
    }
    return Crossing(**(known | fields))


def entry(at_s: float = 0.0, plate: str = "123ABC02", **fields: Any) -> Crossing:
    return crossing(3, at_s, plate, **fields)


def leaving(at_s: float, plate: str = "123ABC02", **fields: Any) -> Crossing:
    return crossing(7, at_s, plate, **fields)


def measured(section: Section, *crossings: Crossing) -> list[SectionSpeed]:
    return PassageMatcher([section], NAMES).measure(crossings, math.inf)


def findings(section: Section, *crossings: Crossing) -> list[Measured]:
    return [row.finding for row in measured(section, *crossings)]


def at_kmh(kmh: float, length_m: float = 5000.0) -> float:
    return length_m / (kmh / KMH)


def driven(section: Section, kmh: float, **fields: Any) -> Violation | None:
    """What the law says of one drive of the speed."""
    (row,) = measured(section, entry(**fields), leaving(at_kmh(kmh, section.length_m), **fields))
    assert row.finding is Measured.MEASURED
    return violation(row, KZ)


# ------------------------------------------------------------------------------------------------------- measurement


def test_the_mean_speed_is_length_over_time(section: Section) -> None:
    (row,) = measured(section, entry(), leaving(125.0))
    assert row.finding is Measured.MEASURED
    assert row.speed_mps == pytest.approx(40.0)
    assert (row.entry, row.exit) == (entry(), leaving(125.0))


@pytest.mark.parametrize("common_s", [0.0, 0.08])
def test_the_uncertainty_is_what_a_monte_carlo_finds(section: Section, common_s: float) -> None:
    """JCGM 101: draw length and both instants, the clocks with a common part; the spread of the quotient."""
    trust = msgspec.structs.replace(section.clocks.synchronised, sigma_s=0.1, common_sigma_s=common_s)
    short = changed(
        section, length_m=1000.0, length_sigma_m=1.5, clocks=msgspec.structs.replace(section.clocks, synchronised=trust)
    )
    rng, n, lasting_s = np.random.default_rng(5), 400_000, 30.0
    both = rng.normal(0, common_s, n)

    def instant(true_s: float, sigma_s: float) -> Any:
        own = rng.normal(0, math.sqrt(0.1**2 - common_s**2), n)
        return true_s + rng.normal(0, sigma_s, n) + rng.uniform(-STEP_S, STEP_S, n) + own + both

    drawn = rng.normal(1000.0, 1.5, n) / (instant(lasting_s, 0.05) - instant(0.0, 0.02))
    row = section_speed(short, entry(sigma_s=0.02), leaving(lasting_s, sigma_s=0.05))
    assert row.sigma_mps == pytest.approx(drawn.std(), rel=0.01)
    assert row.speed_mps == pytest.approx(drawn.mean(), rel=2e-4)
    assert (drawn < row.speed_mps - 3 * row.sigma_mps).mean() < 0.003


def test_the_common_part_cancels_only_between_clocks_in_the_same_state(section: Section) -> None:
    stated = {"synchronised": {"sigma_s": 0.1, "common_sigma_s": 0.1}, "arrival": {"sigma_s": 0.5}}
    shared = changed(section, clocks=msgspec.convert(stated, type(section.clocks)))
    same = lasting_sigma_s(shared, entry(), leaving(100.0))
    mixed = lasting_sigma_s(shared, entry(), leaving(100.0, clock=Clock.ARRIVAL))
    assert same == pytest.approx(math.sqrt(2 * (0.03**2 + MAPPING_SIGMA_S**2)))
    assert mixed == pytest.approx(math.sqrt(2 * (0.03**2 + MAPPING_SIGMA_S**2) + 0.1**2 + 0.5**2))


def test_the_mapping_of_timestamps_is_as_uncertain_as_the_clock_lets_it_be() -> None:
    assert pytest.approx(STEP_S / math.sqrt(3)) == MAPPING_SIGMA_S


def test_a_crossing_is_uncertain_by_the_frame_interval_and_the_foot_point() -> None:
    assert crossing_sigma_s(0.12, 0.0, 25.0) == pytest.approx(0.12 / math.sqrt(12))
    assert crossing_sigma_s(0.12, 0.5, 25.0) == pytest.approx(math.hypot(0.12 / math.sqrt(12), 0.02))
    with pytest.raises(ValueError, match="no crossing"):
        crossing_sigma_s(0.12, 0.5, 0.0)


# -------------------------------------------------------------------------------------------------- reasons not to


@pytest.mark.parametrize(
    ("out", "finding"),
    [
        (leaving(125.0, clock=Clock.UNSTABLE), Measured.CLOCK_UNTRUSTED),
        (leaving(125.0, clock=Clock.DECLARED), Measured.CLOCK_UNTRUSTED),
        (leaving(125.0, clock=Clock.ARRIVAL), Measured.MEASURED),
        (leaving(125.0, plate_confidence=0.89), Measured.PLATE_DOUBTFUL),
        (leaving(125.0, plate_confidence=0.9), Measured.MEASURED),
        (leaving(125.0, class_id=VehicleClass.TRUCK), Measured.CLASS_DIFFERS),
        (leaving(59.9), Measured.TOO_FAST),
        (leaving(60.1), Measured.MEASURED),
        (leaving(125.0, "123ABD02"), Measured.PLATE_DIFFERS),
        (leaving(125.0, sigma_s=1.5), Measured.UNCERTAIN),
        (leaving(125.0, sigma_s=1.1), Measured.MEASURED),
    ],
)
def test_a_pair_that_cannot_be_measured_says_why(section: Section, out: Crossing, finding: Measured) -> None:
    (row,) = measured(section, entry(), out)
    assert (row.finding, row.exit) == (finding, out)
    assert math.isnan(row.speed_mps) == math.isnan(row.sigma_mps) == (finding is not Measured.MEASURED)


@pytest.mark.parametrize(
    ("valid_from", "valid_to", "finding"),
    [
        (T0, T0 + 125.001, Measured.MEASURED),
        (T0 + 0.001, None, Measured.NOT_IN_FORCE),
        (T0 - 9, T0 + 125.0, Measured.NOT_IN_FORCE),
    ],
)
def test_section_and_certificate_are_in_force_for_the_whole_drive(
    section: Section, valid_from: float, valid_to: float | None, finding: Measured
) -> None:
    span = [None if at_s is None else moment(at_s) for at_s in (valid_from, valid_to)]
    limited = changed(section, valid_from=span[0], valid_to=span[1])
    assert findings(limited, entry(), leaving(125.0)) == [finding]
    paper = msgspec.structs.replace(section.certificate, issued=span[0], expires=span[1] or moment(T0 + 9999))
    expected = Measured.NOT_CERTIFIED if finding is Measured.NOT_IN_FORCE else finding
    assert findings(changed(section, certificate=paper), entry(), leaving(125.0)) == [expected]


def test_without_a_certificate_no_speed_is_stated(section: Section) -> None:
    (row,) = measured(changed(section, certificate=None), entry(), leaving(100.0))
    assert row.finding is Measured.NOT_CERTIFIED
    assert violation(row, KZ) is None


# ----------------------------------------------------------------------------------------------------------- matching


def test_a_vehicle_without_the_other_end_is_not_matched(section: Section) -> None:
    assert findings(section, entry()) == [Measured.NO_MATCH]
    assert findings(section, leaving(10.0)) == [Measured.NO_MATCH]
    assert findings(section, entry(), leaving(600.001)) == [Measured.NO_MATCH] * 2
    assert findings(section, entry(), leaving(599.999)) == [Measured.MEASURED]
    assert findings(section, entry(10.0), leaving(10.0)) == [Measured.NO_MATCH] * 2


def test_a_plate_read_quite_differently_is_another_vehicle(section: Section) -> None:
    assert findings(section, entry(), leaving(125.0, "987XYZ11")) == [Measured.NO_MATCH] * 2


def test_two_vehicles_with_one_misread_plate_are_never_guessed(section: Section) -> None:
    rows = measured(section, entry(0.0), entry(20.0), leaving(125.0), leaving(150.0))
    assert [row.finding for row in rows] == [Measured.AMBIGUOUS] * 4


@pytest.mark.parametrize("rival", [entry(20.0), leaving(200.0), entry(20.0, "128ABC02"), leaving(200.0, "123ABC0")])
def test_a_second_candidate_at_either_end_invalidates_the_pair(section: Section, rival: Crossing) -> None:
    assert set(findings(section, entry(), leaving(125.0), rival)) == {Measured.AMBIGUOUS}
    far = replace(rival, plate="987XYZ11")
    assert sorted(findings(section, entry(), leaving(125.0), far)) == [Measured.MEASURED, Measured.NO_MATCH]


def test_the_same_vehicle_twice_a_day_is_two_drives(section: Section) -> None:
    rows = measured(section, entry(0.0), leaving(125.0), entry(4000.0), leaving(4150.0))
    assert [row.finding for row in rows] == [Measured.MEASURED] * 2
    assert [row.speed_mps for row in rows] == pytest.approx([40.0, 5000.0 / 150.0])


def test_a_crossing_given_twice_is_one(section: Section) -> None:
    meter = PassageMatcher([section], NAMES)
    assert meter.measure([entry(), entry()], T0 + 100.0) == []
    assert meter.measure([entry(), leaving(125.0), leaving(125.0)], T0 + 300.0) == []
    (row,) = meter.measure([], T0 + 601.0)
    assert row.finding is Measured.MEASURED
    assert meter.measure([entry(), leaving(125.0)], T0 + 900.0) == []


def test_a_drive_is_reported_only_when_no_rival_can_come_any_more(section: Section) -> None:
    meter = PassageMatcher([section], NAMES)
    assert meter.measure([entry(), leaving(125.0)], T0 + 600.0) == []
    assert [row.finding for row in meter.measure([], T0 + 600.001)] == [Measured.MEASURED]
    meter = PassageMatcher([section], NAMES)
    meter.measure([entry(), leaving(125.0)], T0 + 600.0)
    assert Measured.MEASURED not in [row.finding for row in meter.measure([leaving(600.0)], math.inf)]


def test_a_late_crossing_is_matched_no_more_but_casts_its_doubt(section: Section) -> None:
    meter = PassageMatcher([section], NAMES)
    meter.measure([entry(), leaving(125.0)], T0 + 300.0)
    assert [row.finding for row in meter.measure([leaving(299.0)], T0 + 301.0)] == [Measured.LATE]
    assert {row.finding for row in meter.measure([], math.inf)} == {Measured.AMBIGUOUS}
    meter = PassageMatcher([section], NAMES)
    meter.measure([entry()], T0 + 300.0)
    assert [row.finding for row in meter.measure([leaving(125.0)], math.inf)] == [Measured.AMBIGUOUS, Measured.LATE]


def test_what_was_reached_stays_reached(section: Section) -> None:
    meter = PassageMatcher([section], NAMES)
    meter.measure([], T0 + 300.0)
    assert meter.measure([], T0) == []
    assert [row.finding for row in meter.measure([entry(200.0)], T0)] == [Measured.LATE]


def test_other_lines_and_cameras_are_not_looked_at(section: Section) -> None:
    assert measured(section, entry(line="south"), crossing(9, 125.0)) == []
    assert PassageMatcher([section], NAMES).measure([leaving(0.0, line="south")], math.inf) == []


def test_a_camera_between_two_sections_ends_one_and_begins_the_next(section: Section) -> None:
    ends = {"name": "next", "entry": section.exit, "exit": msgspec.structs.replace(section.exit, camera="km-21")}
    meter = PassageMatcher([section, changed(section, **ends)], NAMES)
    rows = meter.measure([entry(), leaving(125.0), crossing(9, 275.0)], math.inf)
    assert {row.section.name: row.speed_mps for row in rows} == pytest.approx(
        {"a3-km12-km17": 40.0, "next": 5000.0 / 150.0}
    )


def test_what_found_no_room_makes_its_surroundings_unmeasurable(section: Section) -> None:
    others = [entry(n * 0.5, f"{n:03d}XYZ11") for n in range(50)]
    meter = PassageMatcher([section], NAMES, most_held=50)
    rows = meter.measure([entry(-100.0), *others, leaving(25.0), leaving(2000.0)], T0)
    assert [(row.finding, row.entry) for row in rows] == [(Measured.OVERFLOW, others[-1])]
    rows = {row.exit: row for row in meter.measure([], math.inf)}
    assert rows[leaving(25.0)].finding is Measured.OVERFLOW
    assert rows[leaving(2000.0)].finding is Measured.NO_MATCH


def test_an_unknown_camera_and_a_time_that_is_not_a_number_are_refused(section: Section) -> None:
    with pytest.raises(ConfigError, match="a3-km12-km17: there is no camera 'km-17'"):
        PassageMatcher([section], {3: "km-12"})
    with pytest.raises(ValueError, match="not a number"):
        PassageMatcher([section], NAMES).measure([], math.nan)


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"captured_s": math.nan}, "is impossible"),
        ({"sigma_s": 0.0}, "is impossible"),
        ({"sigma_s": math.inf}, "is impossible"),
        ({"plate": "123 ABC 02"}, "upper case"),
        ({"plate": "123abc02"}, "upper case"),
        ({"plate": ""}, "empty"),
        ({"plate_confidence": 1.1}, "confidence"),
        ({"captured_s": T0 + 1.0}, "span"),
        ({"sightings": ()}, "span"),
    ],
)
def test_a_crossing_that_cannot_be_is_refused(fields: dict[str, Any], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        entry(**fields)


def edits(plate: str) -> set[str]:
    cuts = [(plate[:n], plate[n:]) for n in range(len(plate) + 1)]
    found = {plate} | {head + tail[1:] for head, tail in cuts}
    return found | {head + letter + tail[skip:] for head, tail in cuts for letter in "ABC01" for skip in (0, 1)}


@given(st.text("ABC01", max_size=5), st.text("ABC01", max_size=5))
def test_one_misread_is_one_edit(plate: str, other: str) -> None:
    assert one_misread_apart(plate, other) == (other in edits(plate))
    assert all(one_misread_apart(plate, near) and one_misread_apart(near, plate) for near in edits(plate))


# ------------------------------------------------------------------------------------------------------ any input

ANY_PASSAGE = st.builds(
    crossing,
    st.sampled_from([3, 7]),
    st.integers(0, 4000).map(float),
    st.sampled_from(["123ABC02", "128ABC02", "777XYZ01", "77XYZ01", "901KZT05"]),
)


def brute(section: Section, crossings: list[Crossing]) -> set[tuple[Crossing, Crossing]]:
    """The pairs by the definition, without windows, gates or time."""
    entries, exits = [p for p in crossings if p.camera == 3], [p for p in crossings if p.camera == 7]
    could_be = {
        (e, x)
        for e in entries
        for x in exits
        if 0 < x.captured_s - e.captured_s <= section.longest_s and one_misread_apart(e.plate, x.plate)
    }
    return {
        (e, x)
        for e, x in could_be
        if [p for p in could_be if p[0] == e] == [p for p in could_be if p[1] == x] == [(e, x)]
    }


def key(row: SectionSpeed) -> tuple[Any, ...]:
    return row.finding, row.entry, row.exit, None if math.isnan(row.speed_mps) else row.speed_mps


@settings(max_examples=120)
@given(st.lists(ANY_PASSAGE, unique=True, max_size=24), st.data())
def test_the_result_does_not_depend_on_order_batches_or_repeats(
    section: Section, crossings: list[Crossing], data: st.DataObject
) -> None:
    """Any order that keeps the promise of `reached_s`, in any batches, some crossings twice."""
    at_once = measured(section, *crossings)
    meter, rest, rows = PassageMatcher([section], NAMES), data.draw(st.permutations(crossings)), []
    while rest:
        count = data.draw(st.integers(1, len(rest)))
        batch, rest = rest[:count], rest[count:]
        reached_s = min((p.captured_s for p in rest), default=math.inf)
        rows += meter.measure([*batch, *data.draw(st.sampled_from([[], batch]))], min(reached_s, T0 + 5000.0))
    rows += meter.measure([], math.inf)
    assert sorted(map(repr, map(key, rows))) == sorted(map(repr, map(key, at_once)))
    assert meter.held == 0


@settings(max_examples=120)
@given(st.lists(ANY_PASSAGE, unique=True, max_size=24))
def test_every_crossing_is_used_once_and_only_pairs_without_a_rival_are_matched(
    section: Section, crossings: list[Crossing]
) -> None:
    rows = measured(section, *crossings)
    used = [p for row in rows for p in (row.entry, row.exit) if p is not None]
    assert sorted(map(repr, used)) == sorted(map(repr, crossings))
    assert {(row.entry, row.exit) for row in rows if row.entry and row.exit} == brute(section, crossings)
    assert all(row.entry and row.exit for row in rows if row.finding is Measured.MEASURED)


@settings(max_examples=30)
@given(st.lists(ANY_PASSAGE, max_size=40), st.integers(1, 8))
def test_never_more_is_held_than_there_is_room_for(section: Section, crossings: list[Crossing], room: int) -> None:
    meter = PassageMatcher([section], NAMES, most_held=room)
    for one in crossings:
        meter.measure([one], T0)
        assert meter.held <= 2 * room
    assert all(row.finding is not Measured.MEASURED for row in meter.measure([], T0))
    meter.measure([], math.inf)
    assert meter.held == 0


def test_a_steady_road_is_held_for_two_travel_times_only(section: Section) -> None:
    """A vehicle every 10 s for 6 hours, all with plates that are far apart: memory stays flat, all are measured."""
    meter, most, rows = PassageMatcher([section], NAMES), 0, []
    for n in range(2160):
        plate = f"{n * 9 % 10}{n:04d}{(n * 7) % 10}{sum(map(int, f'{n:04d}')) % 10}"
        rows += meter.measure([entry(n * 10.0, plate), leaving(n * 10.0 + 180.0, plate)], T0 + n * 10.0)
        most = max(most, meter.held)
    rows += meter.measure([], math.inf)
    assert most <= 2 * (2 * section.longest_s + 180.0 + 30.0) / 10.0
    assert [row.finding for row in rows] == [Measured.MEASURED] * 2160


# ---------------------------------------------------------------------------------------------------------- the law


def test_a_guilty_drive_is_an_offence_of_its_tier(section: Section) -> None:
    found = driven(section, 135.0)
    assert found is not None and found.measurement is not None
    assert (found.kind, found.rule, found.article, found.outcome) == (
        "average_speed",
        "a3-km12-km17",
        "592 p.2",
        "fine",
    )
    assert (found.camera, found.track, found.decisive_s) == (7, leaving(at_kmh(135.0)).track, found.ended_s)
    assert found.instants == {"entry": T0, "exit": pytest.approx(T0 + at_kmh(135.0))}
    assert found.sightings[0].captured_s <= found.began_s < found.ended_s <= found.sightings[-1].captured_s
    assert found.measurement.enforced_kmh == 134  # 135 - 3 x 0.26, floored
    assert (found.measurement.limit_kmh, found.measurement.length_m) == (110.0, 5000.0)
    assert [reason.code for reason in found.reasons[:2]] == ["section_driven", "speed_enforced"]
    assert "Enforced 134 km/h = 135.0 measured" in english(found.reasons[1])
    assert "5000 m in 133.33 s" in english(found.reasons[0])
    assert (found.catalogue_version, found.clock) == (KZ.version, Clock.SYNCHRONISED)


@pytest.mark.parametrize(
    ("kmh", "article"),
    [
        (120.5, None),
        (121.0, "592 p.1"),
        (131.5, "592 p.1"),
        (132.0, "592 p.2"),
        (152.0, "592 p.3"),
        (171.5, "592 p.3-1"),
    ],
)
def test_the_enforced_lower_bound_decides_the_tier(section: Section, kmh: float, article: str | None) -> None:
    found = driven(section, kmh)
    assert (found and found.article) == article


def test_the_tolerance_favours_the_driver(section: Section) -> None:
    assert driven(section, 122.0) is not None
    assert driven(changed(section, tolerance_kmh=3.0), 122.0) is None


def test_the_limit_is_that_of_the_class(section: Section) -> None:
    truck, car = driven(section, 105.0, class_id=VehicleClass.TRUCK), driven(section, 105.0)
    assert truck is not None and truck.measurement is not None and truck.measurement.limit_kmh == 90.0
    assert car is None


def test_a_limit_that_changes_on_the_way_is_the_more_lenient_one(section: Section) -> None:
    """15:13:20 local: a drive of 130 km/h takes until 15:15:38."""
    for hours, guilty in (("15:00-15:16", True), ("15:00-15:15", False), ("15:14-16:00", False), ("15:13-15:16", True)):
        slow = (Limit(kmh=90.0, hours=hours), Limit(kmh=130.0))
        assert (driven(changed(section, limits=slow), 130.0) is not None) == guilty, hours


def test_a_limit_that_held_in_the_middle_of_the_drive_only_counts(section: Section) -> None:
    middle = (Limit(kmh=130.0, hours="15:14-15:15"), Limit(kmh=90.0))
    assert driven(changed(section, limits=middle), 130.0) is None
    assert driven(changed(section, limits=middle[1:]), 130.0) is not None


def test_a_drive_that_had_no_limit_for_a_while_is_no_offence(section: Section) -> None:
    for hours, guilty in (("15:14-16:00", False), ("15:00-15:15", False), ("15:13-15:16", True)):
        timed = (Limit(kmh=90.0, hours=hours),)
        assert (driven(changed(section, limits=timed), 130.0) is not None) == guilty, hours


def test_a_class_without_a_limit_or_that_no_rule_is_about_is_not_accused(section: Section) -> None:
    assert driven(changed(section, limits=section.limits[:1]), 200.0) is None
    assert driven(changed(section, classes=("truck",)), 200.0) is None
    assert driven(section, 200.0, class_id=VehicleClass.BICYCLE) is None


@pytest.mark.parametrize("clock", [Clock.ARRIVAL])
def test_without_synchronised_clocks_there_is_an_indication_only(section: Section, clock: Clock) -> None:
    for ends in ((clock, Clock.SYNCHRONISED), (Clock.SYNCHRONISED, clock), (clock, clock)):
        (row,) = measured(section, entry(clock=ends[0]), leaving(at_kmh(150.0), clock=ends[1]))
        found = violation(row, KZ)
        assert found is not None and (found.outcome, found.clock) == ("indication", clock)
        assert Reason("section_clocks_not_synchronised") in found.reasons


def test_a_section_in_town_or_bent_gives_indications_only(section: Section) -> None:
    found = driven(changed(section, straight_out_of_town=False), 150.0)
    assert found is not None and found.outcome == "indication"
    assert Reason("section_not_straight") in found.reasons


def test_before_the_law_there_is_no_offence(section: Section) -> None:
    old = msgspec.structs.replace(KZ, valid_from=moment(T0 + 9999.0))
    (row,) = measured(section, entry(), leaving(100.0))
    assert violation(row, KZ) is not None
    assert violation(row, old) is None


def test_a_catalogue_without_the_kind_is_an_error(section: Section) -> None:
    require([section], KZ)
    without = msgspec.structs.replace(KZ, kinds=tuple(kind for kind in KZ.kinds if kind.kind != "average_speed"))
    with pytest.raises(ConfigError, match="a3-km12-km17: average_speed is not in catalogue"):
        require([section], without)


# --------------------------------------------------------------------------------------------------------- the file


def test_the_file_is_what_it_says(section: Section) -> None:
    assert (section.entry.camera, section.exit.line, section.length_m) == ("km-12", "north", 5000.0)
    assert (section.longest_s, section.shortest_s) == pytest.approx((600.0, 60.0))


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('camera = "km-17"', 'camera = "km-12"', "entry and exit are the same camera"),
        ("length_m = 5000.0", "length_m = 0.0", "> 0"),
        ("length_m = 5000.0", "length_m = inf", "Expected a finite number"),
        ("length_sigma_m = 1.0", "length_sigma_m = nan", "Expected a finite number"),
        ("length_sigma_m = 1.0", "length_sigma_m = 50.1", "no survey"),
        ("length_sigma_m = 1.0\n", "", "length_sigma_m"),
        ("straight_out_of_town = true\n", "", "straight_out_of_town"),
        ('"Asia/Almaty"', '"Asia/Atlantis"', "no time zone"),
        ("valid_from = 2026-01-01T00:00:00+05:00", "valid_from = 2026-01-01T00:00:00", "timezone"),
        ("\ncertificate", "\nvalid_to = 2026-01-01T00:00:00+05:00\ncertificate", "valid_to is not after"),
        ("expires = 2027", "expires = 2025", "KZ-77 expires before"),
        ("sigma_s = 0.1 }", "sigma_s = 0.1, common_sigma_s = 0.11 }", "common_sigma_s 0.11 is a part of sigma_s 0.1"),
        ("synchronised =", "unstable = { sigma_s = 9.0 }, synchronised =", "unknown field `unstable`"),
        ("clocks = { synchronised = { sigma_s = 0.1 }, arrival = { sigma_s = 0.5 } }", "clocks = {}", "no state"),
        ("kmh = 110.0", 'kmh = 110.0\nzone = "road"', "a section has no zone"),
        ("kmh = 110.0", "kmh = 30.0", "not between slowest_kmh 30"),
        ("kmh = 110.0", "kmh = 300.0", "not between slowest_kmh 30"),
        ("kmh = 110.0", 'kmh = 110.0\nclasses = ["bus", "truck"]', "same classes and hours"),
        ("kmh = 110.0", "kmh = 110.0\nlane = 2", "unknown field `lane`"),
        ("length_m = 5000.0", "length_km = 5.0\nlength_m = 5000.0", "unknown field `length_km`"),
    ],
)
def test_a_contradiction_names_the_file_and_the_place(tmp_path: Path, old: str, new: str, what: str) -> None:
    assert old in FILE
    with pytest.raises(ConfigError, match=what) as caught:
        read(FILE.replace(old, new, 1), tmp_path)
    assert "sections.toml" in str(caught.value)
    assert "$.sections[0]" in str(caught.value)


def test_two_sections_may_not_share_a_name_or_an_end(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="two sections are called"):
        read(FILE + FILE, tmp_path)
    longer = FILE.replace("a3-km12-km17", "longer").replace("km-17", "km-21")
    with pytest.raises(ConfigError, match="punished twice"):
        read(FILE + longer, tmp_path)
    joining = FILE.replace("a3-km12-km17", "joining").replace("km-12", "km-9")
    with pytest.raises(ConfigError, match="punished twice"):
        read(FILE + joining, tmp_path)
    later = longer.replace("valid_from = 2026", "valid_from = 2027")
    before = FILE.replace("\ncertificate", "\nvalid_to = 2027-01-01T00:00:00+05:00\ncertificate")
    assert len(read(before + later, tmp_path)) == 2
    following = FILE.replace("a3-km12-km17", "next").replace("km-17", "km-21").replace("km-12", "km-17")
    assert len(read(FILE + following, tmp_path)) == 2
