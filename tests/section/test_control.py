from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import replace

import msgspec
import pytest

from engine.metrics import Metrics
from engine.section import Section, SectionControl
from engine.section import control as controls
from engine.section.control import crossing_of
from engine.section.file import Clocks, ClockTrust, End
from engine.site import Certificate, Limit
from engine.types import Clock, Outcome, Plate, PlateSighting, SectionCrossing, Sighting, VehicleClass, Violation
from tests.support.road import KZ, NOON_S

YEAR = (dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.datetime(2027, 1, 1, tzinfo=dt.UTC))
SECTION = Section(
    name="a3",
    entry=End(camera="in", line="gate"),
    exit=End(camera="out", line="gate"),
    length_m=1000.0,
    length_sigma_m=0.5,
    straight_out_of_town=True,
    timezone="Asia/Almaty",
    clocks=Clocks(synchronised=ClockTrust(sigma_s=0.05)),
    limits=(Limit(kmh=90.0),),
    valid_from=YEAR[0],
    certificate=Certificate(number="S-7", issued=YEAR[0], expires=YEAR[1]),
    slowest_kmh=80.0,
)
PLATE = PlateSighting(Plate("123ABC02", "KZ", "02", "private_2012", 0.97), NOON_S, (0.0, 0.0, 9.0, 3.0))


STILLS = {"overview.jpg": b"x"}


def crossing(at_s: float, camera: int = 0, mps: float = 36.0, step_s: float = 0.1) -> SectionCrossing:
    """A car that crosses in the middle of ten sightings."""
    times_s = [NOON_S + at_s + step_s * (n - 4.5) for n in range(10)]
    violation = Violation(
        kind="average_speed",
        rule="plates",
        camera=camera,
        track=1,
        class_id=VehicleClass.CAR,
        began_s=times_s[0],
        ended_s=times_s[-1],
        decisive_s=NOON_S + at_s,
        sightings=tuple(Sighting(t, (0.0, 0.0, 9.0, 9.0), (0.0, mps * (t - times_s[0]))) for t in times_s),
        instants={"crossing": NOON_S + at_s},
        measurement=None,
        article="",
        outcome=Outcome.FINE,
        reasons=(),
        clock=Clock.SYNCHRONISED,
        catalogue_version="kz",
    )
    return SectionCrossing(violation)


class ScriptedControl:
    """A section control; the test sets the instants that its cameras have reached. Every still is one byte."""

    def __init__(self, *, section: Section = SECTION, stills: Mapping[str, bytes] = STILLS) -> None:
        self.reached_s = {0: -math.inf, 1: -math.inf}
        self.metrics = Metrics()
        self.control = SectionControl(
            [section],
            {0: "in", 1: "out", 2: "elsewhere"},
            KZ,
            lambda reported: "gate",
            self.reached_s.__getitem__,
            lambda reported: stills,
            self.metrics,
            lag_s=5.0,
        )

    def drive(self, lasts_s: float, *, first_s: float = 0.0) -> None:
        self.control.take(crossing(first_s), PLATE)
        self.control.take(crossing(first_s + lasts_s, camera=1), replace(PLATE, captured_s=NOON_S + first_s + lasts_s))

    def at(self, entry_s: float, exit_s: float) -> list[Violation]:
        self.reached_s |= {0: NOON_S + entry_s, 1: NOON_S + exit_s}
        return list(self.control.settle())

    def findings(self) -> dict[str, float]:
        samples = next(iter(self.metrics.section_drives.collect())).samples
        return {one.labels["finding"]: one.value for one in samples if one.name.endswith("_total")}


def test_a_drive_is_reported_when_no_rival_can_come_any_more():
    control = ScriptedControl()
    control.drive(27.7)
    assert control.at(40, 40) == []
    (reported,) = control.at(51, 51)
    assert (reported.kind, reported.camera, reported.plate) == (
        "average_speed",
        1,
        replace(PLATE, captured_s=NOON_S + 27.7),
    )
    assert reported.section is not None
    assert reported.section.entry == ("in", "gate")
    assert set(reported.section.files) == {"entry-overview.jpg", "overview.jpg"}
    assert control.findings() == {"measured": 1}
    assert control.at(200, 200) == []


def test_a_lawful_drive_is_measured_and_not_reported():
    control = ScriptedControl()
    control.drive(38.0)
    assert control.at(100, 100) == []
    assert control.findings() == {"measured": 1}


def test_a_slow_camera_holds_the_drive_back_and_a_silent_one_does_not():
    control = ScriptedControl()
    control.drive(27.7)
    assert control.at(100, 30) == []
    assert len(control.at(120, 30)) == 1


def test_a_vehicle_without_another_end_is_counted():
    control = ScriptedControl()
    control.control.take(crossing(0.0), PLATE)
    assert control.at(100, 100) == []
    assert control.findings() == {"no_match": 1}


def test_beyond_the_room_for_stills_the_oldest_lose_theirs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(controls, "MOST_BYTES", 2)
    control = ScriptedControl()
    control.drive(27.7)
    control.control.take(crossing(28.0), replace(PLATE, plate=replace(PLATE.plate, text="740KRM09")))
    (reported,) = control.at(51, 51)
    assert reported.section is not None
    assert set(reported.section.files) == {"overview.jpg"}


def test_what_is_settled_is_forgotten():
    control = ScriptedControl()
    control.drive(27.7)
    control.at(300, 300)
    assert control.control._kept == {}


def test_the_crossing_is_as_sure_as_its_frames_and_its_foot_point():
    crossed = crossing_of(crossing(0.0), PLATE, "gate")
    assert crossed is not None
    assert crossed.sigma_s == pytest.approx(math.hypot(0.1 / math.sqrt(12), 0.5 / 36.0))
    slower = crossing_of(crossing(0.0, mps=10.0), PLATE, "gate")
    assert slower is not None
    assert slower.sigma_s > crossed.sigma_s


def test_a_crossing_that_cannot_be_timed_is_not_measured():
    standing = crossing(0.0, mps=0.0)
    assert crossing_of(standing, PLATE, "gate") is None
    sightings = tuple(replace(one, position_m=None) for one in standing.violation.sightings)
    blind = SectionCrossing(replace(standing.violation, sightings=sightings))
    assert crossing_of(blind, PLATE, "gate") is None
    early = SectionCrossing(replace(crossing(0.0).violation, decisive_s=NOON_S - 9.0))
    assert crossing_of(early, PLATE, "gate") is None


def test_without_a_certificate_nothing_is_reported():
    control = ScriptedControl(section=msgspec.structs.replace(SECTION, certificate=None))
    control.drive(27.7)
    assert control.at(100, 100) == []
    assert control.findings() == {"not_certified": 1}


def test_a_crossing_of_a_camera_that_joined_later_is_an_error():
    with pytest.raises(LookupError, match="from the next start on"):
        ScriptedControl().control.take(crossing(0.0, camera=7), PLATE)
