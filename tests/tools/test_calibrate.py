"""Calibration of a known camera from simulated surveys."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from engine.errors import CalibrationError
from engine.tools.calibrate.camera import RoadCamera
from engine.tools.calibrate.files import metres_from_degrees
from engine.tools.calibrate.marks import CameraHeight, Direction, Distance, GroundPoint, Mark, VanishingPoint
from engine.tools.calibrate.report import area_px, describe, grid_picture, length_sigma
from engine.tools.calibrate.solve import Calibrated, calibrate
from kernels.ground import to_ground

SIZE = (1920, 1080)
CENTRE = (960.0, 540.0)
Place = tuple[float, float]


def truth(k1: float = 0.0, yaw_deg: float = -12.0, place: Place = (0.0, 0.0)) -> RoadCamera:
    angles = np.deg2rad([18.0, 2.0, yaw_deg])
    return RoadCamera(CENTRE, np.array([np.log(2100.0), *angles, np.log(8.5), *place, k1, 0.0]))


def pixel(camera: RoadCamera, ground: Place, rng: np.random.Generator | None = None) -> Place:
    u, v = camera.to_image(np.array([ground], float))[0] + (rng.normal(0, 1, 2) if rng else 0)
    return float(u), float(v)


def distance(camera: RoadCamera, one: Place, other: Place, **noise: object) -> Distance:
    ends = pixel(camera, one, **noise), pixel(camera, other, **noise)  # type: ignore[arg-type]
    return Distance(f"{one}-{other}", ends, float(np.hypot(one[0] - other[0], one[1] - other[1])))


def distances(camera: RoadCamera, rng: np.random.Generator | None = None) -> list[Mark]:
    """Both edges in three pieces each, and the width at four places; directions of both edges."""
    left, right = [(-2.0, 22.0 + 9.0 * k) for k in range(4)], [(6.0, 22.0 + 9.0 * k) for k in range(4)]
    marks: list[Mark] = [distance(camera, a, b, rng=rng) for side in (left, right) for a, b in pairwise(side)]
    marks += [distance(camera, a, b, rng=rng) for a, b in zip(left, right, strict=True)]
    marks += [
        Direction(f"edge {s[0][0]:g}", (pixel(camera, s[0], rng), pixel(camera, s[-1], rng))) for s in (left, right)
    ]
    return marks


def points(camera: RoadCamera, rng: np.random.Generator | None = None) -> list[Mark]:
    places = [(x + 100.0, y + 200.0) for x in (-2.0, 2.0, 6.0) for y in (22.0, 31.0, 49.0)]
    return [GroundPoint(f"point {k}", pixel(camera, place, rng), place) for k, place in enumerate(places)]


def vanishing(camera: RoadCamera) -> list[Mark]:
    far = [pixel(camera, direction) for direction in ((0.0, 1e7), (1e7, 1e6))]
    return [VanishingPoint("along", far[0], sigma_rad=1e-3), VanishingPoint("across", far[1], np.arctan2(10, 1), 1e-3)]


def stretch_error(calibrated: Calibrated, camera: RoadCamera) -> float:
    """Relative error of a 20 m stretch in the middle of the road."""
    ground = np.array([[2.0, 25.0], [2.0, 45.0]]) + camera.position_m[:2]
    near, far = calibrated.camera.to_ground(camera.to_image(ground))
    return float(np.linalg.norm(near - far) / 20.0 - 1.0)


def with_scale(camera: RoadCamera) -> list[Mark]:
    return [*vanishing(camera), CameraHeight(8.5)]


def mixture(camera: RoadCamera) -> list[Mark]:
    return [*vanishing(camera), distance(camera, (0.0, 25.0), (0.0, 40.0)), distance(camera, (0.0, 25.0), (5.0, 25.0))]


@pytest.mark.parametrize("survey", [distances, with_scale, mixture])
def test_exact_marks_reproduce_the_camera(survey: object) -> None:
    camera = truth()
    found = calibrate(survey(camera), SIZE)  # type: ignore[operator]
    assert found.camera.focal_px == pytest.approx(2100.0, rel=2e-3)
    assert found.camera.position_m[2] == pytest.approx(8.5, rel=2e-3)
    assert stretch_error(found, camera) == pytest.approx(0.0, abs=2e-3)
    assert found.wrong == ()


@pytest.mark.parametrize("yaw_deg", [0.0, 100.0, -170.0])
def test_surveyed_points_determine_position_and_direction(yaw_deg: float) -> None:
    turn = np.deg2rad(yaw_deg)
    ahead, right = np.array([-np.sin(turn), np.cos(turn)]), np.array([np.cos(turn), np.sin(turn)])
    camera = truth(yaw_deg=yaw_deg, place=(500.0, -300.0))
    places = [np.array([500.0, -300.0]) + y * ahead + x * right for x in (-4.0, 0.0, 5.0) for y in (20.0, 30.0, 48.0)]
    marks = [GroundPoint(f"{k}", pixel(camera, (p[0], p[1])), (float(p[0]), float(p[1]))) for k, p in enumerate(places)]
    found = calibrate(marks, SIZE)
    assert found.camera.position_m == pytest.approx((500.0, -300.0, 8.5), abs=0.02)
    assert found.residual_m < 1e-3


def test_distortion_is_fitted_if_requested() -> None:
    camera = truth(k1=-0.12, place=(100.0, 200.0))
    places = [(x + 100.0, y + 200.0) for x in np.linspace(-9, 9, 6) for y in np.linspace(19, 60, 6)]
    marks = [GroundPoint(f"{k}", pixel(camera, place), place) for k, place in enumerate(places)]
    found = calibrate(marks, SIZE, radial_terms=1)
    assert found.camera.distortion[0] == pytest.approx(-0.12, abs=0.01)
    assert found.camera.focal_px == pytest.approx(2100.0, rel=3e-3)


def test_the_stated_uncertainty_matches_the_errors_of_noisy_marks() -> None:
    camera, ratios = truth(), []
    for seed in range(10):
        found = calibrate(distances(camera, np.random.default_rng(seed)), SIZE)
        middle = camera.to_image(np.array([[2.0, 35.0]]))
        ratios.append(stretch_error(found, camera) / length_sigma(found, middle)[0])
    assert 0.3 < np.sqrt(np.mean(np.square(ratios))) < 1.7


def test_the_homography_agrees_with_the_camera_and_its_covariance_is_valid() -> None:
    camera = truth()
    found = calibrate(distances(camera), SIZE)
    point_px = np.array([[900.0, 700.0], [1200.0, 500.0]])
    position, jacobian = np.empty((2, 2)), np.empty((2, 2, 2))
    to_ground(found.camera.image_to_ground()[None], np.zeros(2, np.int32), point_px, position, jacobian)
    np.testing.assert_allclose(position, found.camera.to_ground(point_px), rtol=1e-9)
    covariance = found.homography_covariance
    np.testing.assert_allclose(covariance, covariance.T, atol=1e-18)
    assert np.linalg.eigvalsh(covariance).min() > -1e-12 * np.linalg.eigvalsh(covariance).max()


@pytest.mark.parametrize("survey", [distances, points])
def test_a_wrong_mark_is_named_and_left_out(survey: object) -> None:
    camera = truth(place=(100.0, 200.0) if survey is points else (0.0, 0.0))
    marks = survey(camera)  # type: ignore[operator]
    bad = marks[2]
    if isinstance(bad, Distance):
        marks[2] = Distance(bad.name, bad.ends_px, bad.length_m + 2.0)
    else:
        marks[2] = GroundPoint(bad.name, bad.point_px, (bad.ground_m[0] + 2.0, bad.ground_m[1]))
    found = calibrate(marks, SIZE)
    assert found.wrong == (bad.name,)
    assert stretch_error(found, camera) == pytest.approx(0.0, abs=5e-3)
    assert f"{bad.name} " in describe(found)
    assert "WRONG" in describe(found)


def test_contradictions_without_a_single_wrong_mark_are_refused() -> None:
    camera = truth()
    heights = [CameraHeight(8.5, name="one height"), CameraHeight(12.0, name="other height")]
    with pytest.raises(CalibrationError, match="there are too few to say which is wrong"):
        calibrate([*vanishing(camera), *heights], SIZE)
    lines = [Direction(f"line {x}", (pixel(camera, (x, 20.0)), pixel(camera, (x, 50.0)))) for x in (-2.0, 5.0)]
    with pytest.raises(CalibrationError, match=r"one of these is wrong: (one|other) height, (one|other) height"):
        calibrate([*vanishing(camera), *lines, *heights], SIZE)


def test_marks_that_all_contradict_each_other_are_refused() -> None:
    rng, marks = np.random.default_rng(3), distances(truth())
    wild = [Distance(m.name, m.ends_px, m.length_m * rng.uniform(0.4, 2.5)) for m in marks if isinstance(m, Distance)]
    with pytest.raises(CalibrationError, match="contradict each other"):
        calibrate(wild, SIZE)


@pytest.mark.parametrize(
    ("marks", "message"),
    [
        ([distance(truth(), (0.0, 25.0), (0.0, 35.0))], "cannot determine|do not determine"),
        ([distance(truth(), (0.0, 20.0 + k), (0.0, 21.0 + k)) for k in range(8)], "do not determine"),
        (vanishing(truth()), "scale"),
        ([Distance("sky", ((100.0, 5.0), (900.0, 5.0)), 8.0)] * 5, "determine|horizon|contradict"),
    ],
)
def test_degenerate_marks_are_refused_with_the_reason(marks: list[Mark], message: str) -> None:
    with pytest.raises(CalibrationError, match=message):
        calibrate(marks, SIZE)


def test_the_area_is_below_the_horizon_and_grows_with_the_bound() -> None:
    camera = truth()
    found = calibrate(distances(camera, np.random.default_rng(1)), SIZE)
    wide, narrow = (area_px(found, SIZE, widest_sigma=bound) for bound in (0.03, 0.012))
    assert np.isfinite(camera.to_ground(wide)).all()
    assert _area(narrow) < _area(wide) <= SIZE[0] * SIZE[1]
    with pytest.raises(CalibrationError, match="nowhere"):
        area_px(found, SIZE, widest_sigma=1e-5)


def _area(corners: np.ndarray) -> float:
    x, y = corners.T
    return float(abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2)


def test_the_grid_is_drawn_on_the_ground() -> None:
    camera = truth(yaw_deg=0.0)
    found = calibrate(distances(camera), SIZE)
    drawn = np.asarray(grid_picture(found, Image.new("RGB", SIZE), area=area_px(found, SIZE, widest_sigma=0.05)))
    u, v = np.round(camera.to_image(np.array([[0.0, 30.0]]))[0]).astype(int)
    assert drawn[v - 2 : v + 3, u - 2 : u + 3].any()
    u, v = np.round(camera.to_image(np.array([[2.5, 27.5]]))[0]).astype(int)
    assert not drawn[v - 5 : v + 6, u - 5 : u + 6].any()


def test_undistort_is_the_inverse_of_the_lens() -> None:
    camera = truth(k1=-0.15)
    ground = np.array([[-3.0, 20.0], [5.0, 60.0]])
    np.testing.assert_allclose(camera.to_ground(camera.to_image(ground)), ground, atol=1e-3)


def test_degrees_become_metres_east_and_north() -> None:
    metres = metres_from_degrees(np.array([51.1291, 51.1281]), np.array([71.4304, 71.4318]), (51.1281, 71.4304))
    assert metres[0] == pytest.approx([0.0, 111.25], abs=0.05)
    assert metres[1] == pytest.approx([98.0, 0.0], abs=0.1)
