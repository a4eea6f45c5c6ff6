"""Drawings on copies of the stills, and the plan from above."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from msgspec.structs import replace as changed

from engine.evidence.overlay import CYAN, LIME, ORANGE, Overlay, draw_overlay
from engine.evidence.plan import HEIGHT, WIDTH, draw_plan
from engine.evidence.rule_geometry import RuleGeometry, geometry_of, on_road
from engine.evidence.stills import Image
from engine.rules import enforcement, load_site
from engine.rules.kinds.wrong_way import WrongWayRule
from engine.site import Calibration, LensBend, Line, Zone
from engine.site.signals import Lamp
from engine.types import Sighting
from rig.evidence_bench import SITE

SITES = Path(__file__).resolve().parents[2] / "engine" / "tools" / "demo" / "sites"
SVG = "{http://www.w3.org/2000/svg}"
SQUARE = ((40.0, 40.0), (280.0, 40.0), (280.0, 160.0), (40.0, 160.0))
PATH = tuple(Sighting(100.0 + i / 4, (60.0 + 20 * i, 60.0, 100.0 + 20 * i, 100.0), (5.0 * i, 3.0)) for i in range(9))
HELD = enforcement.measurement(
    speed_mps=20.0, sigma_mps=0.2, limit_kmh=60.0, tolerance_kmh=0.0, began_s=100.5, ended_s=101.5, length_m=20.0
)


def near(image: Image.Image, colour: tuple[int, int, int], at: tuple[float, float]) -> bool:
    """True if the colour appears within three pixels."""
    x, y = map(round, at)
    pixels = np.asarray(image)[max(0, y - 3) : y + 4, max(0, x - 3) : x + 4].astype(int)
    return bool((np.abs(pixels - colour).max(axis=2) < 60).any())


def test_zone_line_arrow_lamp_path_and_box_are_drawn_in_their_places():
    blank = Image.new("RGB", (320, 192))
    geometry = RuleGeometry(
        {"zone": SQUARE}, {"line": ((50.0, 150.0), (270.0, 150.0))}, ((200.0, 60.0), (200.0, 110.0)),
        (Lamp(colour="red", centre_px=(300.0, 20.0), radius_px=5),),
    )  # fmt: skip
    picture = draw_overlay(blank, Overlay(PATH, geometry, None, ("gate",)), (60.0, 60.0, 100.0, 100.0), "now")
    assert near(picture, CYAN, (150, 160))
    assert near(picture, CYAN, (150, 150))
    assert near(picture, LIME, (200, 90))
    assert near(picture, CYAN, (309, 20))
    assert near(picture, ORANGE, (180, 100))
    assert near(picture, ORANGE, (60, 80))
    assert not np.asarray(blank).any()


def test_the_ends_of_the_measurement_are_marked():
    blank = Image.new("RGB", (320, 192))
    plain = np.asarray(draw_overlay(blank, Overlay(PATH, RuleGeometry(), None, ("gate",)), None, "now"))
    marked = np.asarray(draw_overlay(blank, Overlay(PATH, RuleGeometry(), HELD, ("gate",)), None, "now"))
    changed_at = np.argwhere((plain != marked).any(axis=2))
    assert changed_at[:, 1].min() >= 120 - 17  # the first mark: where the vehicle was at 100.5 s
    assert changed_at[:, 1].max() >= 200


def test_only_shapes_that_the_broken_rule_names_are_drawn():
    rule = WrongWayRule(name="way", zone="lane", direction_px=((10.0, 10.0), (20.0, 30.0)))
    site = changed(
        SITE,
        zones=(Zone(name="lane", polygon_px=SQUARE), Zone(name="other", polygon_px=SQUARE)),
        lines=(Line(name="stop", from_px=(0.0, 0.0), to_px=(9.0, 9.0)),),
        rules=(rule,),
    )
    geometry = geometry_of(site, "way")
    assert list(geometry.zones) == ["lane"]
    assert list(geometry.lines) == []
    assert geometry.arrow == ((10.0, 10.0), (20.0, 30.0))
    assert geometry_of(site, "no such rule") == RuleGeometry()


def test_every_rule_of_the_demo_has_something_to_draw():
    rules = [(site, rule) for path in SITES.glob("*.toml") for site in [load_site(path)] for rule in site.rules]
    assert len(rules) > 5
    assert all(geometry_of(site, rule.name).zones for site, rule in rules)


# -- on the road


def calibration(**changes: object) -> Calibration:
    assert SITE.calibration is not None
    return changed(SITE.calibration, **changes)


def test_points_of_the_image_are_mapped_to_the_road_by_the_homography():
    scaled = calibration(image_to_ground=((0.1, 0.0, 1.0), (0.0, 0.2, 0.0), (0.0, 0.0, 1.0)))
    points = on_road(scaled, [(10.0, 10.0), (20.0, 5.0)])
    assert points is not None
    np.testing.assert_allclose(points, [[2.0, 2.0], [3.0, 1.0]], rtol=1e-12)


def test_a_shape_that_reaches_the_horizon_is_not_on_the_road():
    tilted = calibration(image_to_ground=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.01, -0.5)), area_px=SQUARE)
    assert on_road(tilted, [(10.0, 100.0), (20.0, 120.0)]) is not None
    assert on_road(tilted, [(10.0, 100.0), (20.0, 30.0)]) is None


def test_the_distortion_of_the_lens_is_removed():
    bent = calibration(lens=LensBend(focal_px=300.0, centre_px=(160.0, 96.0), k1=-0.2))
    straight, moved = on_road(calibration(), SQUARE), on_road(bent, SQUARE)
    assert straight is not None
    assert moved is not None
    assert (np.abs(moved - (160.0, 96.0)) > np.abs(straight - (160.0, 96.0))).all()


# -- the plan


def plan(**facts: object) -> ElementTree.Element:
    given = dict(sightings=PATH, instants_s=[101.0], held=None, calibration=None, geometry=RuleGeometry())  # noqa: C408
    content = draw_plan(**{**given, **facts})  # type: ignore[arg-type]
    assert content is not None
    return ElementTree.fromstring(content)


def points_of(element: ElementTree.Element) -> np.ndarray:
    return np.array([[float(value) for value in pair.split(",")] for pair in element.attrib["points"].split()])


def of_class(svg: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [element for element in svg.iter() if element.get("class") == name]


def test_the_path_has_the_scale_of_the_bar():
    svg = plan()
    (path,) = of_class(svg, "w")
    (bar,) = of_class(svg, "b")
    (label,) = [text for text in svg.iter(f"{SVG}text") if str(text.text).endswith(" m")]
    begin, end = bar.attrib["d"].partition("M")[2].partition("M")[0].split("H")
    per_m = (float(end) - float(begin.split()[0])) / float(str(label.text).removesuffix(" m"))
    length = np.hypot(*np.diff(points_of(path)[[0, -1]], axis=0)[0])
    assert length / per_m == pytest.approx(40.0, abs=0.1)


@pytest.mark.parametrize("turn_deg", [0, 90, 217])
def test_the_path_points_to_the_right_and_fits_for_every_direction_of_travel(turn_deg: float):
    cos, sin = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
    turned = [
        replace(seen, position_m=(cos * x - sin * y, sin * x + cos * y)) for seen in PATH for x, y in [seen.position_m]
    ]
    points = points_of(of_class(plan(sightings=turned), "w")[0])
    assert (np.diff(points[:, 0]) > 0).all()
    assert ((points >= 0) & (points <= (WIDTH, HEIGHT))).all()


def test_the_path_is_not_mirrored():
    turn = [replace(seen, position_m=(5.0 * i, 0.0 if i < 5 else 5.0)) for i, seen in enumerate(PATH)]
    points = points_of(of_class(plan(sightings=turn), "w")[0])
    assert points[5, 1] < points[4, 1]  # to the left of the driver is up


def test_the_measured_stretch_zones_and_lines_are_drawn():
    geometry = RuleGeometry({"zone": SQUARE}, {"stop": ((0.0, 0.0), (9.0, 9.0))})
    svg = plan(held=HELD, calibration=calibration(), geometry=geometry)
    assert len(of_class(svg, "m")) == len(of_class(svg, "z")) == len(of_class(svg, "l")) == 1
    assert any(text.text == "20.00 m · 1.00 s" for text in svg.iter(f"{SVG}text"))
    assert not of_class(plan(), "m")


def test_instants_are_numbered_and_instants_at_one_place_share_a_mark():
    svg = plan(instants_s=[101.0, 100.0, 101.0])
    assert len(of_class(svg, "i")) == 2
    assert {"1, 3", "2"} <= {str(text.text) for text in svg.iter(f"{SVG}text")}


def test_a_standing_vehicle_is_drawn():
    standing = [replace(seen, position_m=(3.0, 3.0)) for seen in PATH]
    assert len(points_of(of_class(plan(sightings=standing), "w")[0])) == 9


def test_there_is_no_plan_without_positions_on_the_ground():
    unknown = [replace(seen, position_m=None) for seen in PATH]
    assert draw_plan(unknown, [101.0], None, None, RuleGeometry()) is None
    assert draw_plan(PATH[:1], [101.0], None, None, RuleGeometry()) is None
