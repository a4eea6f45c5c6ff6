"""The speedometer on a known road: a camera 8 m up looks along +y; vehicles drive known straight lines."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from engine.measure import CameraGeometry, GroundSpeedometer
from engine.types import Clock, Frames, Measurable, Tracks

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
    """(T, 4) boxes whose lower edge's middle is the image of the ground point, 1.8 m wide and high."""
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
    """Tracks of one camera; `ways` gives every identity its (F, 2) ground positions, nan where it is not seen."""
    frames = Frames(
        np.full(len(times_s), camera, np.int32),
        times_s,
        np.tile(np.array(SIZE, np.int32), (len(times_s), 1)),
        np.full(len(times_s), clock, np.uint8),
    )
    seen = [(f, track) for f in range(len(times_s)) for track in ways if np.isfinite(ways[track][f, 0])]
    ground = np.array([ways[track][f] for f, track in seen]).reshape(-1, 2)
    return Tracks(
        frames,
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
    way = straight(TIMES, (1.0, 60.0), (0.0, -16.0))
    whole = GroundSpeedometer({0: geometry()}).measure(batch(TIMES, {7: way}))
    meter = GroundSpeedometer({0: geometry()})
    for part in (slice(0, 9), slice(9, 20), slice(20, 26)):
        last = meter.measure(batch(TIMES[part], {7: way[part]}))
    assert last.speeds.speed_mps[0] == whole.speeds.speed_mps[0]
    assert last.velocity_mps[-1].tolist() == whole.velocity_mps[-1].tolist()
    assert len(last.velocity_mps) == 6
