"""The speedometer on a known road: a camera 8 m up looks along +y; vehicles drive known straight lines."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from engine.errors import CalibrationError
from engine.measure import CameraGeometry, FootModel, GroundSpeedometer, Lens, SpeedBounds
from engine.types import Clock, Measurable, Tracks
from tests.support.frames import make_frames

SIZE = (1280, 720)
HEIGHT_M = 8.0
TILT_RAD = np.deg2rad(18.0)


def ground_to_image() -> np.ndarray:
    """Pinhole at (0, 0, 8), focal length 1100 px, tilted 18 degrees down, looking along +y."""
    sine, cosine = np.sin(TILT_RAD), np.cos(TILT_RAD)
    rotation = np.array([[1, 0, 0], [0, -sine, -cosine], [0, cosine, -sine]])
    intrinsics = np.array([[1100.0, 0, 640], [0, 1100.0, 360], [0, 0, 1]])
    return intrinsics @ np.column_stack([rotation[:, 0], rotation[:, 1], rotation @ [0, 0, -HEIGHT_M]])


def geometry(**changes: object) -> CameraGeometry:
    h = np.linalg.inv(ground_to_image())
    area = np.array([[0, 150], [1280, 150], [1280, 720], [0, 720]], float)
    base = CameraGeometry(h, SIZE, area, 0.0, 1e12, relative_sigma=0.002)
    return dataclasses.replace(base, **changes)


def image_of(ground_m: np.ndarray) -> np.ndarray:
    q = np.column_stack([ground_m, np.ones(len(ground_m))]) @ ground_to_image().T
    return q[:, :2] / q[:, 2:]


def boxes(ground_m: np.ndarray) -> np.ndarray:
    """(T, 4) boxes 1.8 m wide and high; the middle of the lower edge is the image of the ground point."""
    foot = image_of(ground_m)
    half = np.abs(image_of(ground_m + np.array([0.9, 0.0]))[:, 0] - foot[:, 0])
    return np.column_stack([foot[:, 0] - half, foot[:, 1] - 2 * half, foot[:, 0] + half, foot[:, 1]]).astype(np.float32)


def batch(
    times_s: np.ndarray,
    ways: dict[int, np.ndarray],
    *,
    camera: int = 0,
    clock: Clock = Clock.SYNCHRONISED,
    ended: tuple[int, ...] = (),
) -> Tracks:
    """Tracks of one camera; `ways` has the (F, 2) ground positions of each identity, nan if it is not seen."""
    seen = [(f, track) for f in range(len(times_s)) for track in ways if np.isfinite(ways[track][f, 0])]
    ground = np.array([ways[track][f] for f, track in seen]).reshape(-1, 2)
    return Tracks(
        make_frames(times_s, SIZE, camera=camera, clock=clock),
        np.array([f for f, _ in seen], np.int32),
        np.array([track for _, track in seen], np.int64),
        boxes(ground),
        np.full(len(seen), 0.9, np.float32),
        np.zeros(len(seen), np.int32),
        np.array(ended, np.int64),
    )


def straight(times_s: np.ndarray, start: tuple[float, float], velocity: tuple[float, float]) -> np.ndarray:
    return np.array(start) + np.outer(times_s - times_s[0], velocity)


TIMES = 1.7e9 + np.arange(26) / 12.5
WAY = straight(TIMES, (1.0, 60.0), (0.0, -16.0))
TRACKS = batch(TIMES, {1: WAY})
"""One vehicle that drives towards the camera at 16 m/s."""


def only(tracks: Tracks, meter: GroundSpeedometer | None = None, **changes: object) -> tuple[Measurable, float, float]:
    speeds = (meter or GroundSpeedometer({0: geometry(**changes)})).measure(tracks).speeds
    return Measurable(int(speeds.measurable[0])), float(speeds.speed_mps[0]), float(speeds.sigma_mps[0])


def test_a_vehicle_at_constant_speed_is_measured() -> None:
    motion = GroundSpeedometer({0: geometry()}).measure(batch(TIMES, {7: straight(TIMES, (1.0, 60.0), (0.5, -16.0))}))
    assert motion.speeds.track.tolist() == [7]
    assert motion.speeds.measurable.tolist() == [Measurable.YES]
    assert motion.speeds.speed_mps[0] == pytest.approx(np.hypot(0.5, 16.0), rel=2e-3)
    assert motion.speeds.heading_rad[0] == pytest.approx(np.arctan2(-16.0, 0.5), abs=0.01)
    assert motion.speeds.length_m[0] == pytest.approx(32.0, rel=0.02)
    assert motion.position_m[:, 1] == pytest.approx(60.0 - 16.0 * (TIMES - TIMES[0]), abs=0.05)
    assert motion.velocity_mps[-1] == pytest.approx([0.5, -16.0], abs=0.1)
    assert 0.0 < motion.sigma_mps[-1] < 1.0


def test_batches_add_up_to_the_same_measurement() -> None:
    whole = GroundSpeedometer({0: geometry()}).measure(batch(TIMES, {7: WAY}))
    meter = GroundSpeedometer({0: geometry()})
    for part in (slice(0, 9), slice(9, 20), slice(20, 26)):
        last = meter.measure(batch(TIMES[part], {7: WAY[part]}))
    assert last.speeds.speed_mps[0] == whole.speeds.speed_mps[0]
    assert last.velocity_mps[-1].tolist() == whole.velocity_mps[-1].tolist()
    assert len(last.velocity_mps) == 6


def test_the_result_of_a_vehicle_does_not_depend_on_others() -> None:
    rng = np.random.default_rng(1)
    ways = {
        k: straight(TIMES, (rng.uniform(-8, 8), rng.uniform(45, 65)), (rng.normal(0, 0.3), -rng.uniform(8, 25)))
        for k in range(1, 700)
    }
    bounds = SpeedBounds(max_hidden=2.0)
    company = GroundSpeedometer({0: geometry()}, bounds).measure(batch(TIMES, ways)).speeds
    assert (company.measurable == Measurable.YES).sum() > 600
    for k in (1, 350, 699):
        alone = GroundSpeedometer({0: geometry()}, bounds).measure(batch(TIMES, {k: ways[k]})).speeds
        for name in ("speed_mps", "began_s", "ended_s", "length_m", "heading_rad"):
            np.testing.assert_array_equal(getattr(alone, name)[0], getattr(company, name)[k - 1], err_msg=name)
        assert alone.sigma_mps[0] == pytest.approx(company.sigma_mps[k - 1], rel=1e-12)  # NumPy sums part of it


def test_the_stated_uncertainty_covers_the_scatter_of_a_noisy_detector() -> None:
    rng = np.random.default_rng(2)
    errors, sigmas = [], []
    for _ in range(200):
        speed = rng.uniform(10, 25)
        tracks = batch(TIMES, {1: straight(TIMES, (1.0, 62.0), (0.0, -speed))})
        shake = rng.normal(0, 1.0, (len(tracks), 1)).astype(np.float32) * np.array([[0, 1, 0, 1]], np.float32)
        reason, measured, sigma = only(dataclasses.replace(tracks, xyxy_px=tracks.xyxy_px + shake), relative_sigma=0.0)
        if reason == Measurable.YES:
            errors.append(measured - speed)
            sigmas.append(sigma)
    assert len(errors) > 150
    assert 0.85 < np.mean(np.abs(errors) < 1.96 * np.array(sigmas)) <= 1.0
    assert abs(np.mean(errors)) < 0.1


def test_the_outline_makes_a_short_stretch_less_certain() -> None:
    far, near = WAY, straight(TIMES[:10], (1.0, 60.0), (0.0, -16.0))
    _, _, long_sigma = only(batch(TIMES, {1: far}))
    _, _, short_sigma = only(batch(TIMES[:10], {1: near}))
    assert short_sigma > 2 * long_sigma
    shifted = GroundSpeedometer({0: geometry()}, SpeedBounds(outline_m=1.0))
    assert only(batch(TIMES, {1: far}), shifted)[2] > 2 * long_sigma


def test_scale_covariance_passes_to_the_speed() -> None:
    h = np.linalg.inv(ground_to_image())
    ground_scale = np.concatenate([h[0], h[1], np.zeros(3)])
    covariance = np.outer(ground_scale, ground_scale) * 0.02**2
    exact = SpeedBounds(outline_m=0.0)
    _, speed, sigma = only(TRACKS, GroundSpeedometer({0: geometry(covariance=covariance, relative_sigma=0.0)}, exact))
    assert sigma == pytest.approx(0.02 * speed, rel=0.05)


def cut_by_the_border() -> Tracks:
    boxes_px = TRACKS.xyxy_px.copy()
    boxes_px[2:, 3] = SIZE[1] - 1
    return dataclasses.replace(TRACKS, xyxy_px=boxes_px)


def with_a_switch_of_identity() -> np.ndarray:
    way = straight(TIMES, (-3.0, 60.0), (0.0, -14.0))
    way[13:, 0] += 7.0
    return way


T, GAP = TIMES - TIMES[0], np.concatenate([TIMES[:12], TIMES[12:] + 1.5])
NEAR_PX = np.array([[0, 600], [1280, 600], [1280, 720], [0, 720]], float)


@pytest.mark.parametrize(
    ("tracks", "changes", "reason"),
    [
        (cut_by_the_border(), {}, Measurable.TRUNCATED),
        (batch(GAP, {1: straight(GAP, (1.0, 60.0), (0.0, -10.0))}), {}, Measurable.OCCLUDED),
        (batch(TIMES, {1: np.column_stack([T**0, 60.0 - 20.0 * T + 3.5 * T**2])}), {}, Measurable.ACCELERATING),
        (batch(TIMES, {1: straight(TIMES, (1.0, 60.0), (0.0, -12.0))}), {"area_px": NEAR_PX}, Measurable.OUTSIDE),
        (batch(TIMES, {1: WAY}, clock=Clock.UNSTABLE), {}, Measurable.CLOCK_UNSTABLE),
        (batch(TIMES[:5], {1: WAY[:5]}), {}, Measurable.TOO_SHORT),
        (batch(TIMES, {1: straight(TIMES, (1.0, 50.0), (0.0, -1.0))}), {}, Measurable.TOO_SHORT),
        (batch(TIMES, {1: with_a_switch_of_identity()}), {}, Measurable.INCONSISTENT),
        (TRACKS, {"relative_sigma": 0.1}, Measurable.UNCERTAIN),
    ],
    ids=["cut", "long gap", "brakes", "outside", "clock", "short time", "short way", "switch", "poor calibration"],
)
def test_the_reason_for_no_speed_is_stated(tracks: Tracks, changes: dict[str, object], reason: Measurable) -> None:
    assert only(tracks, **changes)[0] == reason


def test_a_vehicle_behind_another_is_occluded_and_the_other_is_not() -> None:
    ways = {1: WAY, 2: straight(TIMES, (1.4, 58.0), (0.0, -16.0))}
    speeds = GroundSpeedometer({0: geometry()}).measure(batch(TIMES, ways)).speeds
    assert speeds.measurable.tolist() == [Measurable.OCCLUDED, Measurable.YES]
    assert np.isnan(speeds.speed_mps[0])


def with_boxes_widened(tracks: Tracks, rows: slice, by: float) -> Tracks:
    """The same foot points, with the boxes of some sightings widened by a factor."""
    left, top, right, bottom = tracks.xyxy_px.T
    half = (right - left) / 2 * np.where(np.isin(np.arange(len(left)), np.arange(len(left))[rows]), by, 1.0)
    middle = (left + right) / 2
    boxes_px = np.column_stack([middle - half, top, middle + half, bottom]).astype(np.float32)
    return dataclasses.replace(tracks, xyxy_px=boxes_px)


def test_a_box_that_includes_a_neighbour_is_occluded() -> None:
    foot = FootModel((0.0, 0.0, HEIGHT_M))
    assert only(TRACKS, foot=foot)[0] == Measurable.YES
    assert only(with_boxes_widened(TRACKS, slice(5, 15), 1.5), foot=foot)[0] == Measurable.OCCLUDED
    assert only(with_boxes_widened(TRACKS, slice(5, 8), 1.5), foot=foot)[0] == Measurable.YES
    assert only(with_boxes_widened(TRACKS, slice(5, 15), 1.2), foot=foot)[0] == Measurable.YES


def test_a_vehicle_whose_side_becomes_visible_is_measured() -> None:
    way = straight(TIMES, (5.0, 44.0), (0.0, -16.0))
    angle = np.arctan2(way[:, 0], way[:, 1])
    tracks = batch(TIMES, {1: way})
    side = (1.8 * np.cos(angle) + 4.4 * np.sin(angle)) / 1.8
    left, top, right, bottom = tracks.xyxy_px.T
    half, middle = (right - left) / 2 * side, (left + right) / 2
    boxes_px = np.column_stack([middle - half, top, middle + half, bottom]).astype(np.float32)
    assert side.max() > 1.4 * side.min()
    whole = dataclasses.replace(tracks, xyxy_px=boxes_px)
    assert only(whole, foot=FootModel((0.0, 0.0, HEIGHT_M)))[0] == Measurable.YES


@pytest.mark.parametrize(
    "changes", [{"valid_to_s": TIMES[0]}, {"valid_from_s": TIMES[-1] + 1}, {"image_size_px": (1920, 1080)}]
)
def test_nothing_is_measured_without_a_valid_calibration(changes: dict[str, object]) -> None:
    motion = GroundSpeedometer({0: geometry(**changes)}).measure(batch(TIMES, {1: WAY}))
    assert motion.speeds.measurable.tolist() == [Measurable.NOT_CALIBRATED]
    assert np.isnan(motion.position_m).all()
    assert np.isnan(motion.velocity_mps).all()


def test_a_camera_without_geometry_is_not_calibrated() -> None:
    tracks = batch(TIMES, {1: WAY}, camera=3)
    for known in ({0: geometry()}, {}):
        assert GroundSpeedometer(known).measure(tracks).speeds.measurable.tolist() == [Measurable.NOT_CALIBRATED]


def test_a_wild_box_does_not_move_the_speed() -> None:
    wild = TRACKS.xyxy_px.copy()
    wild[[5, 17]] += np.array([0, 40, 0, 40], np.float32)
    reason, speed, _ = only(dataclasses.replace(TRACKS, xyxy_px=wild))
    assert reason == Measurable.YES
    assert speed == pytest.approx(16.0, rel=5e-3)


def test_the_readout_of_a_rolling_shutter_is_corrected() -> None:
    readout_s, way = 0.02, WAY
    for _ in range(5):
        depth = image_of(way)[:, 1] / SIZE[1]
        way = np.array([1.0, 60.0]) + np.outer(TIMES - TIMES[0] + readout_s * depth, [0.0, -16.0])
    tracks = batch(TIMES, {1: way})
    assert only(tracks, readout_s=readout_s)[1] == pytest.approx(16.0, rel=1e-3)
    assert only(tracks)[1] > 16.02


def test_the_clearance_of_a_bumper_is_corrected() -> None:
    clearance = 0.25
    seen = straight(TIMES, (0.0, 40.0), (0.0, -10.0)) * HEIGHT_M / (HEIGHT_M - clearance)
    foot = FootModel((0.0, 0.0, HEIGHT_M), clearance, overhang_m=9.0)
    tracks = batch(TIMES, {1: seen})
    assert only(tracks)[1] == pytest.approx(10.0 * HEIGHT_M / (HEIGHT_M - clearance), rel=1e-3)
    assert only(tracks, foot=foot)[1] == pytest.approx(10.0, rel=1e-3)
    assert only(tracks, foot=foot)[2] > only(tracks)[2]


def test_the_distortion_of_the_lens_is_corrected() -> None:
    tracks = batch(TIMES, {1: straight(TIMES, (6.0, 55.0), (0.0, -14.0))})
    foot = tracks.foot_px.astype(float)
    straight_ray = (foot - np.array([640, 360])) / 1100.0
    bent = foot + straight_ray * 1100.0 * -0.3 * (straight_ray**2).sum(axis=1, keepdims=True)
    shift = (bent - foot).astype(np.float32)
    moved = dataclasses.replace(tracks, xyxy_px=tracks.xyxy_px + np.tile(shift, 2))
    lens = Lens(1100.0, (640.0, 360.0), -0.3)
    assert only(moved, lens=lens)[1] == pytest.approx(14.0, rel=1e-3)
    assert abs(only(moved)[1] / 14.0 - 1.0) > 5e-3


def test_a_standing_vehicle_has_a_momentary_velocity_near_zero() -> None:
    motion = GroundSpeedometer({0: geometry()}).measure(batch(TIMES, {1: straight(TIMES, (1.0, 40.0), (0.0, 0.0))}))
    assert np.isnan(motion.velocity_mps[:2]).all()
    assert np.abs(motion.velocity_mps[2:]).max() < 0.05


def test_ended_tracks_are_dropped_and_live_ones_are_bounded() -> None:
    meter = GroundSpeedometer({0: geometry()}, SpeedBounds(max_sightings=10))
    meter.measure(batch(TIMES[:20], {1: WAY[:20]}))
    assert meter.remembered() == {1: 10}
    meter.measure(batch(TIMES[20:], {1: WAY[20:]}, ended=(1,)))
    assert meter.remembered() == {}


def test_an_empty_batch_is_an_empty_motion() -> None:
    motion = GroundSpeedometer({0: geometry()}).measure(batch(TIMES, {}))
    assert len(motion.speeds.track) == len(motion.position_m) == 0


def test_a_moved_camera_measures_nothing_until_it_is_back() -> None:
    meter = GroundSpeedometer({0: geometry()})
    assert meter.measure(batch(TIMES[:20], {1: WAY[:20]})).speeds.measurable.tolist() == [Measurable.YES]
    moved = meter.measure(batch(TIMES[20:23], {1: WAY[20:23]}), moved=frozenset({0})).speeds
    assert moved.measurable.tolist() == [Measurable.MOVED]
    both = meter.measure(batch(TIMES, {1: WAY, 2: WAY}), moved=frozenset({5})).speeds
    assert both.measurable.tolist() == [Measurable.MOVED, Measurable.YES]


def test_a_paused_speedometer_states_no_speed() -> None:
    meter = GroundSpeedometer({0: geometry()})
    paused = meter.measure(batch(TIMES, {1: WAY}), can_record=False).speeds
    assert paused.measurable.tolist() == [Measurable.UNRECORDABLE]
    assert meter.measure(batch(TIMES, {2: WAY})).speeds.measurable.tolist() == [Measurable.YES]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_to_ground": np.zeros((3, 3))}, "invertible"),
        ({"area_px": np.array([[0, 0], [1280, 0], [1280, 720]])}, "horizon"),
        ({"area_px": np.array([[0, 500], [1280, 500]])}, "polygon"),
        ({"covariance": np.zeros((8, 8))}, "9 x 9"),
    ],
)
def test_an_invalid_geometry_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(CalibrationError, match=message):
        geometry(**changes)
