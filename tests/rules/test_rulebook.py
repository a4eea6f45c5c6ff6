"""The rulebook as a whole: many cameras, what a violation carries; what is not judged, forgotten, refused."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from engine.errors import ConfigError
from engine.rules import SiteRulebook, check_site
from engine.rules.kinds.illegal_parking import IllegalParkingRule
from engine.rules.track_history import MOST_ROWS, MOST_SIGHTINGS, choose_sightings, row_dtype
from engine.site import Zone
from engine.types import Frames, Motion, Speeds, Tracks, Violation
from tests.support.road import (
    CALIBRATION,
    KZ,
    NO_PARKING,
    NO_STOPPING,
    NOON_S,
    SPEEDING,
    WRONG_WAY,
    Drive,
    Vehicle,
    area,
    judged,
    site,
    still,
    straight,
)

IN_JUNE = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
ALL = site(SPEEDING, WRONG_WAY, NO_STOPPING)


def offenders(first: int) -> list[Vehicle]:
    """One of each kind, and a law-abiding one."""
    return [
        Vehicle(track=first, path=straight(0, 16, 90), end_s=3.2),
        Vehicle(track=first + 1, path=straight(-3, 95, -30), begin_s=0.0, end_s=8.0),
        Vehicle(track=first + 2, path=still(4.5, 45)),
        Vehicle(track=first + 3, path=straight(1, 16, 40), end_s=8.0),
    ]


def fingerprint(found: list[Violation]) -> list[tuple]:
    return [(v.kind, v.track % 100, v.began_s, v.ended_s, v.decisive_s, v.sightings, v.reasons) for v in found]


def joined(parts: list[Motion]) -> Motion:
    """Batches of several cameras as one."""
    shift = np.cumsum([0] + [len(p.tracks.frames) for p in parts[:-1]])
    frames = Frames(*(np.concatenate([getattr(p.tracks.frames, f) for p in parts]) for f in Frames.__slots__))
    rows = {
        name: np.concatenate([getattr(p.tracks, name) for p in parts])
        for name in ("track", "xyxy_px", "score", "class_id")
    }
    frame = np.concatenate([p.tracks.frame + by for p, by in zip(parts, shift, strict=True)]).astype(np.int32)
    ended = np.sort(np.concatenate([p.tracks.ended for p in parts]))
    speeds = Speeds(*(np.concatenate([getattr(p.speeds, f) for p in parts]) for f in Speeds.__slots__))
    ground = {
        name: np.concatenate([getattr(p, name) for p in parts]) for name in ("position_m", "velocity_mps", "sigma_mps")
    }
    return Motion(Tracks(frames=frames, frame=frame, ended=ended, **rows), speeds=speeds, **ground)


def test_each_offender_is_reported_once_and_the_law_abiding_one_is_not() -> None:
    found = judged(ALL, *offenders(0), lasts_s=40.0)
    assert sorted((case.kind, case.track) for case in found) == [("illegal_stop", 2), ("speeding", 0), ("wrong_way", 1)]


def test_a_camera_is_judged_the_same_alone_and_among_others() -> None:
    cameras = range(5)
    other = site(SPEEDING, zones=(Zone(name="road", polygon_px=area(-2, 14, 2, 100)),))
    sites = {camera: ALL if camera % 2 == 0 else other for camera in cameras}
    names = {camera: str(camera) for camera in cameras}
    drives = {
        camera: list(Drive(vehicles=offenders(100 * camera), camera=camera, lasts_s=40.0).batches())
        for camera in cameras
    }
    together, among = SiteRulebook(sites, names, KZ), []
    for parts in zip(*drives.values(), strict=True):
        among += together.judge(joined(list(parts))).violations
    for camera in cameras:
        alone = SiteRulebook({camera: sites[camera]}, names, KZ)
        found = [v for motion in drives[camera] for v in alone.judge(motion).violations]
        assert found
        assert fingerprint(found) == fingerprint([v for v in among if v.camera == camera])


def test_the_verdicts_do_not_depend_on_the_length_of_the_batches() -> None:
    kinds = [
        sorted((v.kind, v.track) for v in judged(ALL, *offenders(0), lasts_s=40.0, batch_s=batch_s))
        for batch_s in (0.125, 1.0, 10.0)
    ]
    assert kinds[0] == kinds[1] == kinds[2]
    assert len(kinds[0]) == 3


def test_the_same_motion_gives_the_same_violations() -> None:
    assert fingerprint(judged(ALL, *offenders(0), lasts_s=40.0)) == fingerprint(
        judged(ALL, *offenders(0), lasts_s=40.0)
    )


def test_a_violation_carries_few_ascending_sightings_that_hold_its_instants() -> None:
    found = judged(site(SPEEDING, WRONG_WAY, NO_PARKING), *offenders(0), lasts_s=400.0)
    assert {case.kind for case in found} == {"speeding", "wrong_way", "illegal_parking"}
    for case in found:
        times = [sighting.captured_s for sighting in case.sightings]
        assert times == sorted(set(times))
        assert 2 <= len(times) <= MOST_SIGHTINGS
        assert case.instants
        for instant_s in (case.began_s, case.decisive_s, case.ended_s, *case.instants.values()):
            assert times[0] <= instant_s <= times[-1]
        assert (case.catalogue_version, case.camera) == (KZ.version, 0)


def test_of_many_sightings_those_on_both_sides_of_an_instant_are_kept() -> None:
    rows = np.zeros(200, row_dtype(1))
    rows["captured_s"] = np.arange(200)
    times = [sighting.captured_s for sighting in choose_sightings(rows, (50.5, 120.0))]
    assert {50, 51, 119, 120} <= set(times)
    assert (times[0], times[-1]) == (0, 199)
    assert len(times) <= MOST_SIGHTINGS


def test_frames_of_another_size_or_time_than_the_site_are_counted_and_not_judged() -> None:
    counted: list[tuple[int, str, int]] = []
    from_july = msgspec.structs.replace(ALL, valid_from=dt.datetime(2026, 7, 1, tzinfo=dt.UTC))
    book = SiteRulebook({0: from_july}, {0: "cam"}, KZ, unjudged=lambda *what: counted.append(what))
    other_size = Drive(vehicles=offenders(0), lasts_s=40.0, size_px=(640, 360))
    too_early = Drive(vehicles=offenders(100), lasts_s=40.0)
    for drive in (other_size, too_early):
        assert [v for motion in drive.batches() for v in book.judge(motion).violations] == []
    assert {reason for _, reason, _ in counted} == {"picture_size", "site_not_valid"}
    assert sum(frames for _, _, frames in counted) == 2 * 40 * 8


def test_the_reason_for_not_judging_is_logged_once(capsys: pytest.CaptureFixture[str]) -> None:
    judged(ALL, *offenders(0), lasts_s=20.0, size_px=(640, 360))
    assert capsys.readouterr().out.count("frames not judged") == 1


def test_a_camera_without_a_site_or_rules_is_passed_over() -> None:
    for sites in ({}, {0: site()}, {3: ALL}):
        book = SiteRulebook(sites, {}, KZ)
        assert [
            v for motion in Drive(vehicles=offenders(0), lasts_s=40.0).batches() for v in book.judge(motion).violations
        ] == []


def test_what_is_remembered_of_a_vehicle_is_bounded_and_ends_with_its_track() -> None:
    book = SiteRulebook({0: ALL}, {0: "cam"}, KZ)
    drive = Drive(vehicles=[Vehicle(track=1, path=still(4.5, 30), end_s=900.0)], lasts_s=920.0)
    most = 0
    for motion in drive.batches():
        book.judge(motion)
        most = max([most, *(len(vehicle.history.rows) for vehicle in book._vehicles.values())])
    assert MOST_ROWS / 2 < most <= MOST_ROWS
    assert not book._vehicles
    assert not book._cameras[0].context.histories


def test_a_vehicle_without_a_place_on_the_ground_is_not_accused() -> None:
    book = SiteRulebook({0: site(WRONG_WAY, NO_STOPPING)}, {0: "cam"}, KZ)
    for motion in Drive(vehicles=offenders(0), lasts_s=40.0).batches():
        blind = replace(motion, position_m=np.full_like(motion.position_m, np.nan))
        assert book.judge(blind).found == ()


def test_time_that_runs_backwards_starts_the_vehicle_afresh() -> None:
    book = SiteRulebook({0: site(NO_STOPPING)}, {0: "cam"}, KZ)
    vehicle = Vehicle(track=1, path=still(4.5, 30))
    found = []
    for start_s in (NOON_S, NOON_S - 60, NOON_S - 120):
        for motion in list(Drive(vehicles=[vehicle], lasts_s=15.0, start_s=start_s).batches())[:8]:
            found += book.judge(motion).violations
    assert found == []


@pytest.mark.parametrize("rule", [SPEEDING, WRONG_WAY, NO_STOPPING, NO_PARKING])
def test_a_rule_that_needs_the_ground_is_refused_without_a_calibration(rule: object) -> None:
    blind = site(rule, calibration=None)
    for refuse in (lambda: SiteRulebook({0: blind}, {}, KZ), lambda: check_site(blind, KZ)):
        with pytest.raises(ConfigError, match=f"site test-road: rule {rule.name} .* needs a calibration"):
            refuse()


def test_a_kind_that_is_not_in_the_catalogue_in_force_is_refused() -> None:
    without = msgspec.structs.replace(KZ, kinds=tuple(kind for kind in KZ.kinds if kind.kind != "speeding"))
    with pytest.raises(ConfigError, match=r"rule speed: speeding is not in catalogue kz-2026\.1"):
        SiteRulebook({0: ALL}, {}, without)
    expired = site(
        SPEEDING, valid_from=dt.datetime(2024, 1, 1, tzinfo=dt.UTC), valid_to=dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
    )
    with pytest.raises(ConfigError, match="while the site is valid"):
        SiteRulebook({0: expired}, {}, KZ)


def test_an_unknown_variant_and_a_parking_dwell_that_is_a_stop_are_refused() -> None:
    with pytest.raises(ConfigError, match="illegal_stop has no variant 'roof'"):
        SiteRulebook({0: site(msgspec.structs.replace(NO_STOPPING, variant="roof"))}, {}, KZ)
    short = IllegalParkingRule(name="short", zone="kerb", dwell_s=300.0)
    with pytest.raises(ConfigError, match="rule short: dwell_s must be above 300"):
        SiteRulebook({0: site(short)}, {}, KZ)


def test_a_good_site_raises_no_doubt_and_a_doubtful_one_says_each() -> None:
    sound = site(SPEEDING, NO_STOPPING, zones=(Zone(name="road", polygon_px=area(-7, 12.6, 7, 115)), *ALL.zones[1:]))
    [unwatched] = check_site(sound, KZ, IN_JUNE)
    assert unwatched == "calibration cal-1 has no still: a knocked camera is not noticed"
    watched = msgspec.structs.replace(CALIBRATION, still=Path("still.png"))
    assert check_site(msgspec.structs.replace(sound, calibration=watched), KZ, IN_JUNE) == []
    sparse = site(
        SPEEDING,
        WRONG_WAY,
        msgspec.structs.replace(NO_STOPPING, dwell_s=400.0),
        certificate=None,
        limits=(),
        zones=(ALL.zones[0], Zone(name="kerb", polygon_px=((1300, 0), (1400, 0), (1400, 90)))),
    )
    doubts = "\n".join(check_site(sparse, KZ, IN_JUNE))
    for words in (
        "no verification certificate",
        "no limit",
        "use illegal_parking",
        "not fully verified",
        "out of the picture",
    ):
        assert words in doubts


def test_what_is_out_of_date_is_said_with_what_it_costs() -> None:
    later = dt.datetime(2027, 6, 1, tzinfo=dt.UTC)
    doubts = check_site(site(SPEEDING, valid_to=dt.datetime(2027, 1, 1, tzinfo=dt.UTC)), KZ, later)
    for words in (
        "the site is not valid now",
        "calibration cal-1 is not valid now",
        "certificate KZ-17 is not valid now",
    ):
        assert any(words in doubt for doubt in doubts)
