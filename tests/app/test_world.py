"""A known road under a known camera: noisy boxes go through tracker, speedometer and rulebook."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
import pytest

from engine.measure import CameraGeometry, GroundSpeedometer
from engine.rules import SiteRulebook
from engine.site import Limit, Site
from engine.track import KalmanTracker
from engine.types import Clock, Detections, Frames, VehicleClass, Violation
from tests.support.road import (
    CALIBRATION,
    CAR_M,
    KMH,
    KZ,
    LORRY_M,
    NO_PARKING,
    NO_STOPPING,
    NOON_S,
    SIZE_PX,
    SPEEDING,
    WRONG_WAY,
    Vehicle,
    arrives,
    image_to_ground,
    site,
    still,
    straight,
)
from tests.support.world import Eyes, Traffic

FPS = 12.5
BATCH_FRAMES = 25
GEOMETRY = CameraGeometry(
    image_to_ground=image_to_ground(),
    image_size_px=SIZE_PX,
    area_px=np.array(CALIBRATION.area_px),
    valid_from_s=CALIBRATION.made.timestamp(),
    valid_to_s=CALIBRATION.expires.timestamp(),
)
EVERYTHING = site(SPEEDING, WRONG_WAY, NO_STOPPING)


def detected(vehicles: Sequence[Vehicle], lasts_s: float, noise_px: float, missed: float) -> Iterator[Detections]:
    """What a detector sees, in batches."""
    eyes, times = Eyes(Traffic(vehicles), noise_px=noise_px, missed=missed), np.arange(0, lasts_s, 1 / FPS)
    for now in np.split(times, range(BATCH_FRAMES, len(times), BATCH_FRAMES)):
        yield eyes(
            Frames(
                np.zeros(len(now), np.int32),
                NOON_S + now,
                np.tile(np.array(SIZE_PX, np.int32), (len(now), 1)),
                np.full(len(now), Clock.SYNCHRONISED, np.uint8),
            )
        )


def cases(
    *vehicles: Vehicle, where: Site = EVERYTHING, lasts_s: float = 20.0, noise_px: float = 1.0, missed: float = 0.05
) -> list[Violation]:
    """The whole way from boxes to violations; some empty road at the end lets every track end."""
    tracker, speedometer = KalmanTracker(), GroundSpeedometer({0: GEOMETRY})
    rulebook = SiteRulebook({0: where}, {0: "cam"}, KZ)
    found: list[Violation] = []
    for detections in detected(vehicles, lasts_s + 5, noise_px, missed):
        found += rulebook.judge(speedometer.measure(tracker.track(detections))).violations
    return found


def passing(kmh: float, x: float = 0.0, class_id: VehicleClass = VehicleClass.CAR, begin_s: float = 1.0) -> Vehicle:
    """Drives away along the legal direction through the whole picture."""
    return Vehicle(
        track=1,
        path=lambda t: (x, 8 + kmh / KMH * (t - begin_s)),
        begin_s=begin_s,
        end_s=begin_s + 115 / (kmh / KMH),
        class_of=lambda t: class_id,
        size_m=LORRY_M if class_id is VehicleClass.TRUCK else CAR_M,
    )


@pytest.mark.parametrize("kmh", [75.0, 84.0, 103.0, 131.0])
def test_a_speeder_is_reported_with_the_right_speed(kmh: float) -> None:
    (case,) = cases(passing(kmh))
    measured = case.measurement
    assert case.kind == "speeding"
    assert measured.speed_mps * KMH == pytest.approx(kmh, abs=1.0)
    assert kmh - 5 <= measured.enforced_kmh <= kmh
    over = measured.enforced_kmh - 60
    assert case.article == (
        "592 p.1" if over <= 20 else "592 p.2" if over <= 40 else "592 p.3" if over < 60 else "592 p.3-1"
    )


@pytest.mark.parametrize("kmh", [30.0, 58.0, 68.0])
def test_the_innocent_twin_drives_slower(kmh: float) -> None:
    assert cases(passing(kmh)) == []


def test_the_limit_of_trucks_holds_for_the_truck_and_not_for_the_car() -> None:
    by_class = site(SPEEDING, limits=(Limit(kmh=50.0, classes=("truck",)), Limit(kmh=80.0)))
    (truck,) = cases(passing(75, class_id=VehicleClass.TRUCK), where=by_class)
    assert (truck.class_id, truck.measurement.limit_kmh) == (VehicleClass.TRUCK, 50)
    assert cases(passing(75), where=by_class) == []


def test_the_limit_by_night_holds_by_night() -> None:
    at_noon = site(SPEEDING, limits=(Limit(kmh=40.0, hours="11:00-13:00"), Limit(kmh=60.0)))
    at_night = site(SPEEDING, limits=(Limit(kmh=40.0, hours="23:00-05:00"), Limit(kmh=60.0)))
    assert len(cases(passing(65), where=at_noon)) == 1
    assert cases(passing(65), where=at_night) == []


def test_driving_against_the_arrow_is_reported_and_along_it_is_not() -> None:
    against = Vehicle(track=1, path=straight(0, 100, -40), end_s=8.5)
    (case,) = cases(against)
    assert (case.kind, case.outcome) == ("wrong_way", "officer")
    assert cases(passing(40)) == []


def test_against_the_arrow_and_too_fast_are_two_offences() -> None:
    found = cases(Vehicle(track=1, path=straight(0, 105, -90), end_s=4.0))
    assert {case.kind for case in found} == {"wrong_way", "speeding"}


def test_standing_in_the_zone_is_reported_and_driving_on_before_the_dwell_is_not() -> None:
    (case,) = cases(Vehicle(track=1, path=arrives(4.5, 35, 4, 40)), lasts_s=45)
    assert case.kind == "illegal_stop"
    assert case.instants["halt"] == pytest.approx(NOON_S + 4, abs=2)
    assert cases(Vehicle(track=1, path=arrives(4.5, 35, 4, 20)), lasts_s=45) == []


def test_standing_beside_the_zone_is_not_reported() -> None:
    assert cases(Vehicle(track=1, path=arrives(1.0, 35, 4, 40)), lasts_s=45) == []


def test_a_stay_is_one_case_even_if_the_track_is_lost_twice() -> None:
    parts = [(0.0, 25.0), (29.0, 50.0), (65.0, 90.0)]
    pieces = [Vehicle(track=n, path=still(4.5, 35), begin_s=a, end_s=b) for n, (a, b) in enumerate(parts)]
    assert len(cases(*pieces, lasts_s=95)) == 1


def test_the_dwell_continues_when_the_track_is_lost_before_its_end() -> None:
    pieces = [Vehicle(track=n, path=still(4.5, 35), begin_s=a, end_s=b) for n, (a, b) in enumerate([(0, 12), (16, 26)])]
    (case,) = cases(*pieces, lasts_s=26)
    assert case.ended_s - case.began_s == NO_STOPPING.dwell_s


def test_parking_is_reported_after_five_minutes_and_not_before() -> None:
    parking = site(NO_PARKING)
    assert cases(Vehicle(track=1, path=arrives(4.5, 30, 2, 300)), where=parking, lasts_s=310) == []
    (case,) = cases(Vehicle(track=1, path=arrives(4.5, 30, 2, 360)), where=parking, lasts_s=370)
    assert case.kind == "illegal_parking"


def test_without_a_certificate_the_same_drive_is_an_indication() -> None:
    assert [case.outcome for case in cases(passing(100))] == ["fine"]
    assert [case.outcome for case in cases(passing(100), where=site(SPEEDING, certificate=None))] == ["indication"]


def test_a_picture_drawn_in_another_size_is_not_judged() -> None:
    assert cases(passing(100), where=msgspec.structs.replace(EVERYTHING, image_size_px=(1920, 1080))) == []


def test_lawful_traffic_gives_no_case_and_every_planted_offender_gives_one() -> None:
    rng = np.random.default_rng(5)
    lanes = (-4.5, -1.5, 1.5)
    lawful = [passing(rng.uniform(35, 64), lanes[n % 3], begin_s=1.0 + 4.0 * n) for n in range(24)]
    speeder = passing(95, 4.5, begin_s=20.0)
    ghost = Vehicle(track=2, path=lambda t: (4.5, 100 - 10 * (t - 40)), begin_s=40.0, end_s=49.0)
    stander = Vehicle(track=3, path=lambda t: (4.5, 40 + min(0.0, 8 * (t - 60))), begin_s=57.0, end_s=100.0)
    assert cases(*lawful, lasts_s=110, noise_px=1.5, missed=0.1) == []
    found = cases(*lawful, speeder, ghost, stander, lasts_s=110, noise_px=1.5, missed=0.1)
    assert sorted(case.kind for case in found) == ["illegal_stop", "speeding", "wrong_way"]
