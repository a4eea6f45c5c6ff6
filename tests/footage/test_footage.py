"""The pure parts of the footage generator: projection, motion, scenes, offences, truth, and what ships of it."""

from __future__ import annotations

import itertools
import json
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rules import load_site
from footage import bodies, scene, silhouette, sites, truth, verify
from footage.camera import Camera, transform
from footage.crops import Crop, blend, merged
from footage.motion import Mover, Pose, Route, SpeedProfile
from footage.offences import offences
from footage.states import lamp_at, states
from footage.ways import runs

ROOT = Path(__file__).parents[2]
SCENES = sorted((ROOT / "footage" / "scenes").glob("*.toml"))
CLIPS = sorted((ROOT / "engine" / "tools" / "demo" / "footage").glob("*.mp4"))
CAMERA = Camera((0.8, 0.0, 8.0), (0.0, 30.0, 0.0), 34.0, 36.0, 1280, 720)
BODIES = bodies.load(ROOT / "footage" / "bodies.npz")
GROUND = st.tuples(st.floats(-15, 15), st.floats(12, 150))

_SEEN_M = 120.0
"""Beyond, vehicles are a few pixels large, and faster ones may pass through slower ones."""

STRAIGHT = """
name = "test"
about = "one road"
fps = 10.0
duration_s = 12.0
[camera]
position_m = [0.0, 0.0, 8.0]
target_m = [0.0, 30.0, 0.0]
focal_length_mm = 34.0
[limits_kmh]
car = 60.0
truck = 50.0
[[zone]]
name = "measured"
kind = "measured"
polygon_m = [[-7.0, 16.0], [7.0, 16.0], [7.0, 65.0], [-7.0, 65.0]]
[[route]]
name = "down"
points_m = [[-2.0, 200.0], [-2.0, -10.0]]
"""


def vehicle(name: str, body: str = "sedan", **more: object) -> str:
    keys = {"name": name, "body": body, "colour": "red", "plate": "123 ABC 02", "route": "down", "at_s": 5.0} | more
    return "\n[[vehicle]]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in keys.items())


def expected(kind: str, name: str) -> str:
    return f'\n[[expected]]\nkind = "{kind}"\nvehicle = "{name}"\n'


def assert_alike(one: object, other: object, steps: Mapping[str, float] | None = None, at: str = "") -> None:
    """The documents are equal; numbers within 1e-10, or the given step for keys that end so.

    Processors differ in the last bits, and a number on the edge may be rounded to either side.
    """
    if isinstance(one, dict) and isinstance(other, dict):
        assert one.keys() == other.keys(), at
        for key in one:
            assert_alike(one[key], other[key], steps, key)
    elif isinstance(one, list | tuple) and isinstance(other, list | tuple):
        assert len(one) == len(other), at
        for pair in zip(one, other, strict=True):
            assert_alike(*pair, steps, at)
    elif isinstance(one, float) and isinstance(other, float):
        step = next((step for end, step in (steps or {}).items() if at.endswith(end)), 0.0)
        assert one == pytest.approx(other, rel=1e-10, abs=max(1.01 * step, 1e-15)), at
    else:
        assert one == other, at


def parsed(folder: Path, text: str) -> scene.Scene:
    path = folder / "test.toml"
    path.write_text(text)
    return scene.load(path)


@given(GROUND)
def test_a_ground_point_is_projected_to_the_image_and_back(point: tuple[float, float]) -> None:
    pixels = transform(CAMERA.ground_to_image, [point])
    np.testing.assert_allclose(transform(CAMERA.image_to_ground, pixels), [point], rtol=1e-7, atol=1e-7)
    projected, depth = CAMERA.project([(*point, 0.0)])
    np.testing.assert_allclose(pixels, projected, atol=1e-6)
    assert depth[0] > 0


def test_the_camera_looks_at_its_target_in_the_middle_of_the_picture() -> None:
    pixels, depth = CAMERA.project([CAMERA.target_m])
    np.testing.assert_allclose(pixels, [[640.0, 360.0]])
    assert depth[0] == pytest.approx(math.dist(CAMERA.target_m, CAMERA.position_m))


def test_right_is_right_and_up_is_up_in_the_picture() -> None:
    pixels, _ = CAMERA.project([(0.0, 30.0, 0.0), (3.0, 30.0, 0.0), (0.0, 30.0, 2.0)])
    assert pixels[1, 0] > pixels[0, 0]
    assert pixels[2, 1] < pixels[0, 1]


def test_a_point_behind_the_camera_has_no_pixels() -> None:
    pixels, depth = CAMERA.project([(0.0, -20.0, 8.0)])
    assert np.isnan(pixels).all()
    assert depth[0] < 0


@given(st.floats(-50, 50), st.lists(st.floats(0, 40), min_size=3, max_size=3))
def test_distance_is_the_integral_of_speed(time_s: float, speeds: list[float]) -> None:
    profile = SpeedProfile([0.0, 4.0, 9.0], speeds)
    grid = np.linspace(0.0, time_s, 20001)
    speed = np.interp(grid, [0.0, 4.0, 9.0], speeds)
    assert profile.distance_m(time_s) == pytest.approx(float(np.trapezoid(speed, grid)), abs=1e-3)


def test_a_rounded_corner_is_a_quarter_circle_shorter() -> None:
    route = Route([(0.0, 0.0), (0.0, 50.0), (50.0, 50.0)], 10.0)
    assert route.length_m == pytest.approx(100.0 - 2 * 10.0 + math.pi * 10.0 / 2, abs=0.02)
    assert route.at(0.0)[2] == pytest.approx(math.pi / 2)
    assert route.at(route.length_m)[2] == pytest.approx(0.0, abs=1e-6)


def test_a_profile_whose_times_do_not_ascend_and_a_corner_without_room_for_its_arc_are_refused() -> None:
    with pytest.raises(ValueError, match="ascend"):
        SpeedProfile([0.0, 0.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="no room"):
        Route([(0.0, 0.0), (0.0, 5.0), (50.0, 5.0)], 10.0)


def test_a_mover_has_the_pose_of_its_route_and_profile() -> None:
    mover = Mover(Route([(0.0, 0.0), (0.0, 100.0)], 5.0), SpeedProfile([0.0], [10.0]), 3.0, 40.0)
    pose = mover.pose(4.0)
    assert pose is not None
    assert (pose.x_m, pose.y_m, pose.speed_mps) == pytest.approx((0.0, 50.0, 10.0))
    assert mover.pose(-1.1) is None
    assert mover.pose(9.1) is None


@pytest.fixture(scope="module", params=SCENES, ids=lambda path: path.stem)
def film(request: pytest.FixtureRequest) -> scene.Scene:
    return scene.load(request.param)


def test_a_scene_loops_without_a_seam(film: scene.Scene) -> None:
    """Every mover on the road after the last frame is at the same place at the first frame."""
    movers = film.movers()

    def places(time_s: float) -> list[tuple[str, float, float]]:
        return sorted((s.name, round(s.pose.x_m, 6), round(s.pose.y_m, 6)) for s in states(film, movers, time_s))

    assert places(film.duration_s) == places(0.0)
    for signal in film.signal:
        assert lamp_at(signal, film.duration_s) == lamp_at(signal, 0.0)


def test_a_scene_contains_exactly_the_offences_it_names(film: scene.Scene) -> None:
    found = offences(film, film.movers(), BODIES)
    assert sorted((o.kind, o.vehicle) for o in found) == sorted((e.kind, e.vehicle) for e in film.expected)
    assert all(offence.began_s <= offence.decisive_s <= offence.ended_s for offence in found)


def test_no_two_vehicles_of_a_scene_drive_through_each_other(film: scene.Scene) -> None:
    movers = film.movers()
    length = {v.name: BODIES[v.body].size_m[0] for v in film.vehicle}
    for time_s in np.arange(0.0, film.duration_s, 0.25).tolist():
        present = [s for s in states(film, movers, time_s) if s.name in length and s.pose.y_m < _SEEN_M]
        for a, b in itertools.combinations(present, 2):
            ahead, aside = _apart(a.pose, b.pose)
            assert aside > 1.9 or ahead > (length[a.name] + length[b.name]) / 2, f"{a.name}, {b.name} at {time_s} s"


def _apart(a: Pose, b: Pose) -> tuple[float, float]:
    """Distance from a to b along and across the direction of a."""
    x, y = b.x_m - a.x_m, b.y_m - a.y_m
    cos, sin = math.cos(a.heading_rad), math.sin(a.heading_rad)
    return abs(x * cos + y * sin), abs(y * cos - x * sin)


def test_the_engine_loads_the_site_of_a_scene(film: scene.Scene, tmp_path: Path) -> None:
    for name, variant in {"exact": sites.EXACT, **sites.VARIANTS}.items():
        (tmp_path / f"{name}.toml").write_text(sites.site(film, variant), encoding="utf-8")
        made = load_site(tmp_path / f"{name}.toml")
        assert made.image_size_px == (film.camera.width_px, film.camera.height_px)
    shipped = ROOT / "engine" / "tools" / "demo" / "sites" / f"{film.name}.toml"
    if shipped.exists():
        assert_alike(tomllib.loads(shipped.read_text(encoding="utf-8")), tomllib.loads(sites.site(film)), {"_px": 0.1})


SIGNAL = '\n[[signal]]\nname="s"\nposition_m=[0.0,20.0]\nfacing_deg=-90.0\nphases=[{lamp="red",lasts_s=5.0}]'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (vehicle("a", at_m=100.0, speed_kmh=50.0, colur="red"), r"test\.toml.*colur.*vehicle"),
        (vehicle("a", at_m=100.0, speed_kmh=50.0, route="up"), "no route 'up'"),
        (vehicle("a", at_m=100.0), "speed_kmh or profile"),
        (SIGNAL, "cycle does not divide"),
    ],
    ids=["unknown key", "unknown route", "no speed", "signal does not loop"],
)
def test_an_invalid_scene_is_refused_with_the_reason(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(scene.SceneError, match=message):
        parsed(tmp_path, STRAIGHT + text)


@pytest.mark.parametrize(
    ("kmh", "body", "tier"),
    [
        (69.9, "sedan", None),
        (70.0, "sedan", "10-20"),
        (80.0, "sedan", "10-20"),
        (80.1, "sedan", "20-40"),
        (100.0, "sedan", "20-40"),
        (100.1, "sedan", "40-60"),
        (120.0, "sedan", "60+"),
        (60.0, "truck", "10-20"),
        (59.0, "truck", None),
    ],
)
def test_the_tier_of_a_speeder_follows_the_law(tmp_path: Path, kmh: float, body: str, tier: str | None) -> None:
    text = STRAIGHT + vehicle("a", body, at_m=150.0, speed_kmh=kmh) + (expected("speeding", "a") if tier else "")
    film = parsed(tmp_path, text)
    assert [offence.details["tier"] for offence in offences(film, film.movers(), BODIES)] == ([tier] if tier else [])


@pytest.mark.parametrize(
    ("kmh", "named", "message"),
    [(50.0, expected("speeding", "a"), "expected but not there"), (90.0, "", "there but not expected")],
)
def test_a_scene_whose_offences_are_not_the_expected_ones_is_refused(
    tmp_path: Path, kmh: float, named: str, message: str
) -> None:
    film = parsed(tmp_path, STRAIGHT + vehicle("a", at_m=150.0, speed_kmh=kmh) + named)
    with pytest.raises(ValueError, match=message):
        offences(film, film.movers(), BODIES)


def test_runs_are_separated_and_short_ones_left_out() -> None:
    flags = np.array([1, 1, 0, 1, 1, 1, 0, 1], bool)
    assert [run.nonzero()[0].tolist() for run in runs(flags, 2)] == [[0, 1], [3, 4, 5]]
    assert list(runs(np.zeros(0, bool), 1)) == []


def test_the_true_box_is_the_projection_of_the_body(tmp_path: Path) -> None:
    film = parsed(tmp_path, STRAIGHT + vehicle("a", at_m=160.0, speed_kmh=50.0))
    document = truth.truth(film, BODIES)
    row = document["frames"][50]["vehicles"][0]
    assert row["position_m"] == [-2.0, 40.0]
    assert row["speed_mps"] == pytest.approx(50 / 3.6, abs=1e-3)
    assert row["visible"] == 1.0
    body = BODIES["sedan"]
    world = np.stack([-2.0 + body.outline_m[:, 1], 40.0 - body.outline_m[:, 0], body.outline_m[:, 2]], axis=1)
    pixels, _ = film.lens.project(world)
    np.testing.assert_allclose(row["xyxy_px"], [*pixels.min(axis=0), *pixels.max(axis=0)], atol=1.0)
    plate = row["plate"]
    assert plate["end"] == "front"
    assert plate["width_px"] == pytest.approx(0.52 * film.lens.focal_length_px / 38.5, rel=0.05)
    (ax, ay), (bx, _), (_, cy), _ = plate["quad_px"]
    assert ax < bx
    assert ay < cy


def test_a_vehicle_cut_by_the_border_is_called_truncated(tmp_path: Path) -> None:
    film = parsed(tmp_path, STRAIGHT + vehicle("a", at_m=187.0, speed_kmh=50.0))
    row = truth.truth(film, BODIES)["frames"][50]["vehicles"][-1]
    assert 0.0 < row["truncated"] < 1.0
    assert row["xyxy_px"][3] == 720.0


def _block(x: float, y: float) -> silhouette.Solid:
    corners = np.array([(x + i, y, k) for i in (-1.0, 1.0) for k in (0.0, 2.0)])
    return silhouette.Solid(corners, np.array([(0, 1, 2), (1, 2, 3)]), y)


def test_a_nearer_block_hides_a_farther_one() -> None:
    [alone] = silhouette.seen(CAMERA, [_block(0, 40)])
    near, far = silhouette.seen(CAMERA, [_block(0, 30), _block(0, 32)])
    beside = silhouette.seen(CAMERA, [_block(-6, 30), _block(6, 32)])
    assert alone is not None and near is not None and far is not None
    assert alone.occluded == near.occluded == 0.0
    assert 0.3 < far.occluded < 1.0
    assert [one.occluded for one in beside if one] == [0.0, 0.0]


def test_a_crop_names_every_object_that_reaches_into_it() -> None:
    left, touching = Crop(0, 0, 300, 300, frozenset("a")), Crop(290, 290, 600, 600, frozenset("b"))
    assert [sorted(crop.names) for crop in merged([left, touching])] == [["a", "b"], ["a", "b"]]
    away = Crop(900, 0, 1200, 300, frozenset("c"))
    assert [sorted(crop.names) for crop in merged([left, away])] == [["a"], ["c"]]


def test_crops_are_joined_where_one_is_cheaper_than_two() -> None:
    outer, inner = Crop(0, 0, 300, 300, frozenset("a")), Crop(10, 10, 40, 40, frozenset("b"))
    assert merged([outer, inner]) == [Crop(0, 0, 300, 300, frozenset("ab"))]
    small, beside = Crop(0, 0, 20, 20, frozenset("a")), Crop(30, 0, 50, 20, frozenset("b"))
    assert merged([small, beside]) == [Crop(0, 0, 50, 20, frozenset("ab"))]


def test_a_crop_is_faded_in_but_not_at_the_border_of_the_picture() -> None:
    picture = np.zeros((60, 60, 3), np.float32)
    blend(picture, np.ones((40, 40, 3), np.float32), Crop(0, 10, 40, 50, frozenset()))
    assert picture[30, 0, 0] == 1.0
    assert 0.0 < picture[30, 39, 0] < 0.2
    assert picture[30, 20, 0] == 1.0
    assert picture[5].sum() == 0.0


@pytest.mark.parametrize("aside", [(6, 0), (-6, 0), (0, 6), (0, -6)])
def test_an_outline_fits_at_the_edge_of_an_object_and_not_six_pixels_beside(aside: tuple[int, int]) -> None:
    y, x = np.mgrid[:120, :160]
    drawn = (x - 80) ** 2 / 40**2 + (y - 60) ** 2 / 25**2 < 1
    nothing, box = np.zeros_like(drawn), [40.0, 35.0, 120.0, 85.0]
    assert verify.fits(drawn, nothing, drawn, box)
    assert not verify.fits(np.roll(drawn, aside, axis=(1, 0)), nothing, drawn, box)
    assert not verify.fits(nothing, nothing, drawn, box)


def test_a_shadow_beside_a_vehicle_does_not_change_the_fit_of_its_outline() -> None:
    y, x = np.mgrid[:120, :160]
    drawn = (abs(x - 80) < 40) & (abs(y - 60) < 25)
    shadow = (abs(x - 30) < 25) & (abs(y - 60) < 25) & ~drawn
    box = [40.0, 35.0, 120.0, 85.0]
    assert verify.fits(drawn | shadow, shadow, drawn, box)
    assert not verify.fits(np.roll(drawn, 6, axis=1) | shadow, shadow, drawn, box)


@pytest.mark.parametrize("clip", CLIPS, ids=lambda path: path.stem)
def test_a_shipped_clip_comes_from_its_scene(clip: Path) -> None:
    document = json.loads(clip.with_suffix(".truth.json").read_bytes())
    film = scene.load(ROOT / "footage" / "scenes" / f"{clip.stem}.toml")
    assert_alike(document["camera"], truth.camera(film))
    assert_alike(document["vehicles"], truth.vehicles(film, BODIES))
    found = [offence.as_dict() for offence in offences(film, film.movers(), BODIES)]
    assert_alike(document["violations"], found, {"_s": 0.01})
