"""Speeding: which vehicles are reported, at which speed, under which limit."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence

import msgspec
import pytest

from engine.rules import SiteRulebook, check_site
from engine.rules.enforcement import enforced_kmh
from engine.site import Limit, Site
from engine.types import Clock, Measurable, Reason, VehicleClass, Violation
from tests.support import road
from tests.support.road import (
    CALIBRATION,
    CAR_M,
    CERTIFICATE,
    KMH,
    KZ,
    LIMIT,
    LORRY_M,
    NOON_S,
    SPEEDING,
    Drive,
    Vehicle,
    judged,
    site,
    straight,
)
from tests.support.twins import Twins, single

LATE = dt.datetime(2026, 8, 1, tzinfo=dt.UTC)
EARLY = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


def drive(kmh: float, where: Site | None = None, **changes: object) -> list[Violation]:
    """A vehicle passes once at an even speed."""
    facts = {"path": straight(0, 16, kmh), "end_s": 80 / (kmh / KMH)} | changes
    return road.drive(where or site(SPEEDING), **facts)


def exactly(kmh: float, sigma_mps: float = 0.0):
    """A speedometer that always gives this speed."""

    def speed(vehicle: Vehicle, t_s: Sequence[float]) -> tuple[float, float, Measurable]:
        enough = len(t_s) >= 6
        return kmh / KMH, sigma_mps, Measurable.YES if enough else Measurable.TOO_SHORT

    return speed


def test_a_speeder_is_reported_once_with_the_speed_of_the_whole_stretch() -> None:
    (case,) = drive(90)
    measured = case.measurement
    assert (case.kind, case.rule, case.article, case.outcome) == ("speeding", "speed", "592 p.2", "fine")
    assert measured.speed_mps * KMH == pytest.approx(90)
    assert measured.enforced_kmh == math.floor(90 - 1 - 3 * measured.sigma_mps * KMH)
    assert measured.ended_s - measured.began_s > 2.5
    assert case.decisive_s == measured.ended_s
    assert case.reasons[0].params["limit_kmh"] == 60


def test_the_innocent_twin_within_the_limit_is_not_reported() -> None:
    assert drive(65) == []


@pytest.mark.parametrize(
    ("over_kmh", "article"),
    [
        (9, None),
        (10, "592 p.1"),
        (20, "592 p.1"),
        (21, "592 p.2"),
        (40, "592 p.2"),
        (41, "592 p.3"),
        (59, "592 p.3"),
        (60, "592 p.3-1"),
        (95, "592 p.3-1"),
    ],
)
def test_the_tier_follows_the_excess_and_its_ends_favour_the_driver(over_kmh: int, article: str | None) -> None:
    exact = site(msgspec.structs.replace(SPEEDING, tolerance_kmh=0.0))
    reported = drive(80, exact, speed_of=exactly(60 + over_kmh))
    assert [case.article for case in reported] == ([article] if article else [])


def test_the_enforced_speed_takes_off_tolerance_and_three_sigma_and_rounds_down() -> None:
    assert enforced_kmh(100 / KMH, 0.5 / KMH, 2.0) == 96
    assert enforced_kmh(100 / KMH, 0.6 / KMH, 2.0) == 96
    assert enforced_kmh(100 / KMH, 0.7 / KMH, 2.0) == 95


def test_whole_speeds_are_not_cut_by_binary_fractions() -> None:
    assert [enforced_kmh(kmh / KMH, 0.0, 0.0) for kmh in range(250)] == list(range(250))


def test_uncertainty_speaks_for_the_driver() -> None:
    assert drive(80, speed_of=exactly(75, 0.5)) == []
    assert len(drive(80, speed_of=exactly(75, 0.2))) == 1


CLASS_LIMITS = site(SPEEDING, limits=(Limit(kmh=50.0, classes=("truck", "bus")), Limit(kmh=70.0)))


def test_a_truck_is_held_to_the_limit_of_trucks_and_a_car_is_not() -> None:
    (truck,) = drive(75, CLASS_LIMITS, class_of=lambda t: VehicleClass.TRUCK, size_m=LORRY_M)
    assert truck.measurement.limit_kmh == 50
    assert drive(75, CLASS_LIMITS) == []


VAN_M = (2.0, 5.9, 2.6)


@pytest.mark.parametrize("size_m", [CAR_M, VAN_M])
def test_what_is_called_a_truck_but_is_no_larger_than_a_van_is_held_to_the_limit_of_cars(
    size_m: tuple[float, float, float],
) -> None:
    assert drive(75, CLASS_LIMITS, class_of=lambda t: VehicleClass.TRUCK, size_m=size_m) == []
    (case,) = drive(95, CLASS_LIMITS, class_of=lambda t: VehicleClass.TRUCK, size_m=size_m)
    assert case.measurement.limit_kmh == 70
    assert any(reason.params.get("classes") == ("car", "truck") for reason in case.reasons)


def test_without_the_camera_position_the_limit_for_cars_counts_for_a_lorry() -> None:
    placeless = msgspec.structs.replace(CALIBRATION, camera_m=None)
    where = msgspec.structs.replace(CLASS_LIMITS, calibration=placeless)
    assert drive(75, where, class_of=lambda t: VehicleClass.TRUCK, size_m=LORRY_M) == []


def test_with_an_uncertain_class_the_most_lenient_limit_is_applied_and_said() -> None:
    def flickers(t: float) -> VehicleClass:
        return VehicleClass.TRUCK if t > 0.7 else VehicleClass.CAR

    assert drive(75, CLASS_LIMITS, class_of=flickers) == []
    (case,) = drive(95, CLASS_LIMITS, class_of=flickers)
    assert case.measurement.limit_kmh == 70
    assert any(reason.params.get("classes") == ("car", "truck") for reason in case.reasons)


@pytest.mark.parametrize("class_id", [VehicleClass.BICYCLE, VehicleClass.PERSON])
def test_persons_and_bicycles_are_never_accused_unless_the_rule_names_them(class_id: VehicleClass) -> None:
    assert drive(90, class_of=lambda t: class_id) == []
    named = site(msgspec.structs.replace(SPEEDING, classes=("bicycle",)))
    assert len(drive(90, named, class_of=lambda t: class_id)) == (class_id is VehicleClass.BICYCLE)


def test_a_vehicle_that_may_be_a_bicycle_is_not_accused() -> None:
    assert drive(90, class_of=lambda t: VehicleClass.BICYCLE if t < 0.6 else VehicleClass.MOTORCYCLE) == []
    assert len(drive(90, class_of=lambda t: VehicleClass.MOTORCYCLE)) == 1


def test_the_limit_of_the_hour_is_in_force_by_the_local_clock() -> None:
    by_day = site(SPEEDING, limits=(Limit(kmh=40.0, hours="07:00-22:00"), LIMIT))
    (noon,) = drive(65, by_day)
    assert noon.measurement.limit_kmh == 40
    assert drive(65, by_day, start_s=NOON_S + 12 * 3600) == []


def test_a_limit_that_changes_on_the_way_is_applied_at_its_most_lenient() -> None:
    from_noon = site(SPEEDING, limits=(Limit(kmh=40.0, hours="12:00-22:00"), LIMIT))
    assert len(drive(65, from_noon, start_s=NOON_S)) == 1
    assert drive(65, from_noon, start_s=NOON_S - 2) == []


def test_a_limit_of_a_part_of_the_road_holds_there_only() -> None:
    slow_far = site(SPEEDING, limits=(Limit(kmh=30.0, zone="far"), LIMIT))
    assert drive(65, slow_far) == []
    slow_road = site(SPEEDING, limits=(Limit(kmh=30.0, zone="road"), LIMIT))
    assert len(drive(65, slow_road)) == 1


def test_without_a_known_limit_no_vehicle_is_too_fast() -> None:
    assert drive(90, site(SPEEDING, limits=(Limit(kmh=60.0, zone="far"),))) == []
    assert drive(90, site(SPEEDING, limits=(Limit(kmh=60.0, classes=("truck",)),))) == []


def test_a_rule_sleeps_outside_its_hours() -> None:
    at_night = site(msgspec.structs.replace(SPEEDING, hours="22:00-06:00"))
    assert drive(90, at_night) == []
    assert len(drive(90, at_night, start_s=NOON_S + 11 * 3600)) == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"certificate": None}, "certificate_invalid"),
        ({"certificate": msgspec.structs.replace(CERTIFICATE, expires=EARLY)}, "certificate_invalid"),
        ({"certificate": msgspec.structs.replace(CERTIFICATE, issued=LATE)}, "certificate_invalid"),
        ({"calibration": msgspec.structs.replace(CALIBRATION, expires=EARLY)}, "calibration_invalid"),
        ({"calibration": msgspec.structs.replace(CALIBRATION, made=LATE)}, "calibration_invalid"),
    ],
)
def test_without_valid_papers_a_measurement_is_an_indication_and_says_why(changes: dict, code: str) -> None:
    (case,) = drive(90, site(SPEEDING, **changes))
    assert case.outcome == "indication"
    assert Reason(code) in case.reasons


def test_an_unstable_clock_makes_an_indication_and_the_case_says_so() -> None:
    (case,) = drive(90, clock_of=lambda t: Clock.UNSTABLE if 1 < t < 1.5 else Clock.SYNCHRONISED)
    assert (case.outcome, case.clock) == ("indication", Clock.UNSTABLE)
    (steady,) = drive(90, clock_of=lambda t: Clock.ARRIVAL)
    assert (steady.outcome, steady.clock) == ("fine", Clock.ARRIVAL)


def test_a_stretch_that_began_outside_the_zone_is_not_held_against_the_zone() -> None:
    far_only = site(msgspec.structs.replace(SPEEDING, zone="far"))
    assert drive(90, far_only) == []
    assert len(drive(90, far_only, path=straight(0, 62, 90))) == 1
    assert any("calibrated area" in doubt for doubt in check_site(far_only, KZ))


def test_the_surest_measurement_is_the_evidence_whatever_speed_it_says() -> None:
    def wavering(vehicle: Vehicle, t_s: Sequence[float]) -> tuple[float, float, Measurable]:
        speed, sigma = (95, 0.1) if 1.5 < t_s[-1] < 2.5 else (120, 0.3)
        return speed / KMH, sigma, Measurable.YES

    (case,) = drive(90, speed_of=wavering, fps=16.0)
    assert case.measurement.speed_mps * KMH == pytest.approx(95)


def test_a_vehicle_is_judged_once_even_if_it_is_measured_faster_later() -> None:
    def faster(vehicle: Vehicle, t_s: Sequence[float]) -> tuple[float, float, Measurable]:
        return (65 / KMH, 0.2, Measurable.YES) if t_s[-1] < 11 else (130 / KMH, 0.1, Measurable.YES)

    slow = Vehicle(track=1, path=straight(0, 16, 15))
    assert judged(site(SPEEDING), slow, lasts_s=20.0, speed_of=faster) == []


@pytest.mark.parametrize("doubt", [Measurable.OCCLUDED, Measurable.INCONSISTENT, Measurable.CLOCK_UNSTABLE])
def test_a_measurement_that_may_belong_to_another_vehicle_is_thrown_away(doubt: Measurable) -> None:
    def then(reason: Measurable):
        return lambda vehicle, t_s: (90 / KMH, 0.1, Measurable.YES if t_s[-1] < 2 else reason)

    assert drive(90, speed_of=then(doubt)) == []
    assert len(drive(90, speed_of=then(Measurable.TRUNCATED))) == 1


def test_a_long_stretch_is_judged_before_the_vehicle_is_gone() -> None:
    crawler = Vehicle(track=1, path=straight(0, 16, 15))
    (case,) = judged(site(SPEEDING, limits=(Limit(kmh=2.0),)), crawler, lasts_s=20.0)
    assert 10 <= case.ended_s - case.began_s <= 12


def test_a_measurement_that_does_not_get_better_is_judged_before_the_vehicle_is_gone() -> None:
    crawler = Vehicle(track=1, path=straight(0, 16, 15))
    book = SiteRulebook({0: site(SPEEDING)}, {}, KZ)
    motions = Drive(vehicles=[crawler], lasts_s=30.0, speed_of=exactly(90, 0.1)).batches()
    reported_in = [n for n, motion in enumerate(motions) if book.judge(motion).found]
    assert reported_in == [2]


def test_two_speed_rules_report_one_vehicle_once() -> None:
    two = site(SPEEDING, msgspec.structs.replace(SPEEDING, name="speed-2"))
    assert [case.rule for case in drive(90, two)] == ["speed"]


def test_before_the_catalogue_is_in_force_nothing_is_reported() -> None:
    old = site(SPEEDING, valid_from=dt.datetime(2025, 1, 1, tzinfo=dt.UTC))
    assert drive(90, old, start_s=dt.datetime(2025, 6, 1, 7, tzinfo=dt.UTC).timestamp()) == []


TWINS = (
    Twins(
        name="limit",
        fact="drives 64 km/h where 60 are allowed, not 90",
        rule=SPEEDING,
        guilty=single(straight(2, 10, 90)),
        innocent=single(straight(2, 10, 64)),
    ),
)
