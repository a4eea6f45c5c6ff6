"""The site file of a scene: zones and lines in image pixels, exact calibration, rules."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from footage.camera import stated, transform
from footage.scene import Lamp, Line, Scene, Signal, Zone
from footage.signals import LAMPS, LENS_M, faces, lamp_centre_m

_WATCHED = {
    "measured": "speeding",
    "lane": "wrong_way",
    "no_stopping": "illegal_stop",
    "bus_lane": "bus_lane",
    "shoulder": "shoulder_or_sidewalk",
    "crossing": "fail_to_yield_pedestrian",
}
_ARROW_M = 6.0
_WITHIN_LENS = 0.85
"""Radius of a lamp in the site, relative to the lens: the codec blurs the edge of the lens."""


@dataclass(frozen=True)
class Variant:
    """How a site's calibration differs from the exact one, for tests of the consequences."""

    length_scale: float = 1.0
    """Factor by which lengths on the ground are too long."""
    expires: str = "2099-01-01T00:00:00+05:00"
    note: str = "exact, from the scene's geometry"


EXACT = Variant()
VARIANTS = {
    "lengths-2-percent-long": Variant(length_scale=1.02, note="every length comes out 2 % too long"),
    "expired": Variant(expires="2026-02-01T00:00:00+05:00", note="exact, but expired"),
}


def site(scene: Scene, variant: Variant = EXACT) -> str:
    """The TOML text of the site. Raises ValueError if the scene has no place or no measured zone."""
    if scene.place is None:
        raise ValueError(f"{scene.name}: the scene has no [place]")
    camera = scene.camera
    tables = [
        f"# Made by `python -m footage site {scene.name}`; the calibration is {variant.note}.",
        _pairs(name=scene.name, image_size_px=[camera.width_px, camera.height_px])
        + "\nvalid_from = 2026-01-01T00:00:00+05:00",
        "[place]\n"
        + _pairs(latitude=scene.place.latitude, longitude=scene.place.longitude)
        + "\n"
        + _pairs(direction=scene.place.direction),
        "[place.address]\n" + _pairs(**scene.place.address),
        _calibration(scene, variant),
        f'[certificate]\nnumber = "DEMO-{scene.name}"\nissued = 2026-01-01T00:00:00+05:00\nexpires = {EXACT.expires}',
        *_zones(scene),
        *_lines(scene),
        *_signals(scene),
        *_limits(scene),
        *_rules(scene),
        *_turns(scene),
        *_signal_rules(scene),
    ]
    return "\n\n".join(tables) + "\n"


def _pairs(**values: object) -> str:
    return "\n".join(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items())


def _calibration(scene: Scene, variant: Variant) -> str:
    measured = next((zone for zone in scene.zone if zone.kind == "measured"), None)
    if measured is None:
        raise ValueError(f"{scene.name}: no zone of the kind `measured`")
    scale = np.diag([variant.length_scale, variant.length_scale, 1.0])
    x, y, height = scene.camera.position_m
    values = _pairs(
        id=f"{scene.name}-1",
        image_to_ground=stated(scale @ scene.lens.image_to_ground),
        residual_m=0.01,
        relative_sigma=0.002,
        area_px=_pixels(scene, measured.polygon_m),
        camera_m=[round(x * variant.length_scale, 6), round(y * variant.length_scale, 6), height],
    )
    return f"[calibration]\nmade = 2026-01-01T00:00:00+05:00\nexpires = {variant.expires}\n{values}"


def _pixels(scene: Scene, points_m: Sequence[tuple[float, float]]) -> list[list[float]]:
    return transform(scene.lens.ground_to_image, points_m).round(1).tolist()  # type: ignore[no-any-return]


def _zones(scene: Scene) -> Iterator[str]:
    for zone in scene.zone:
        yield "[[zones]]\n" + _pairs(name=zone.name, polygon_px=_pixels(scene, zone.polygon_m))


def _lines(scene: Scene) -> Iterator[str]:
    for line in scene.line:
        start, end = _pixels(scene, [line.from_m, line.to_m])
        yield "[[lines]]\n" + _pairs(name=line.name, from_px=start, to_px=end)


def _signals(scene: Scene) -> Iterator[str]:
    """Signals whose heads face the camera have lamps; the others use the scene's controller."""
    for signal in scene.signal:
        if faces(signal, scene.camera.position_m):
            lamps = ("[[signals.lamps]]\n" + _lamp(scene, signal, lamp) for lamp in LAMPS)
            yield "\n\n".join(["[[signals]]\n" + _pairs(name=signal.name), *lamps])
        else:
            yield "[[signals]]\n" + _pairs(name=signal.name, controller=scene.name, group=signal.name)


def _lamp(scene: Scene, signal: Signal, lamp: Lamp) -> str:
    pixels, depth_m = scene.lens.project([lamp_centre_m(signal, lamp)])
    radius_px = _WITHIN_LENS * LENS_M * scene.lens.focal_length_px / depth_m[0]
    return _pairs(colour=lamp, centre_px=pixels[0].round(1).tolist(), radius_px=round(float(radius_px), 1))


def _signal_rules(scene: Scene) -> Iterator[str]:
    boxes = [zone for zone in scene.zone if zone.kind == "junction_box"]
    for zone in boxes:
        for line in scene.line:
            if line.kind == "stop_line" and line.signal:
                obeyed = _repeated(scene, line)
                for kind, extra in (("red_light", {}), ("stop_line", {"beyond_m": 0.0})):
                    names = {"kind": kind, "name": f"{kind}-{line.name}", "zone": zone.name}
                    yield "[[rules]]\n" + _pairs(**names, line=line.name, signal=obeyed, **extra)
        if zone.cross_signal:
            names = {"kind": "junction_blocking", "name": f"junction_blocking-{zone.name}", "zone": zone.name}
            yield "[[rules]]\n" + _pairs(**names, cross_signal=zone.cross_signal, dwell_s=zone.dwell_s)


def _repeated(scene: Scene, line: Line) -> list[str]:
    """The line's signal and its repeaters, whose names start with its name and a hyphen."""
    return [s.name for s in scene.signal if s.name == line.signal or s.name.startswith(f"{line.signal}-")]


def _limits(scene: Scene) -> Iterator[str]:
    for kmh in sorted(set(scene.limits_kmh.values())):
        classes = [name for name, limit in scene.limits_kmh.items() if limit == kmh]
        yield "[[limits]]\n" + _pairs(kmh=kmh, classes=classes)


def _rules(scene: Scene) -> Iterator[str]:
    for zone in scene.zone:
        kind = _WATCHED.get(zone.kind)
        if kind:
            extra = _EXTRAS.get(kind, _nothing)(scene, zone)
            yield "[[rules]]\n" + _pairs(kind=kind, name=f"{kind}-{zone.name}", zone=zone.name, **extra)


def _turns(scene: Scene) -> Iterator[str]:
    for turn in scene.prohibited_turn:
        names = {"kind": "prohibited_turn", "name": turn.name, "zone": turn.from_zone, "exits": [turn.to_zone]}
        yield "[[rules]]\n" + _pairs(**names)


def _direction(scene: Scene, zone: Zone) -> dict[str, object]:
    heading = math.radians(zone.heading_deg or 0.0)
    middle = np.mean(zone.polygon_m, axis=0)
    ahead = np.array([math.cos(heading), math.sin(heading)]) * _ARROW_M
    return {"direction_px": _pixels(scene, [tuple(middle - ahead), tuple(middle + ahead)])}


def _dwell(_: Scene, zone: Zone) -> dict[str, object]:
    return {"dwell_s": zone.dwell_s}


def _tolerance(_: Scene, __: Zone) -> dict[str, object]:
    return {"tolerance_kmh": 1.0}


def _nothing(_: Scene, __: Zone) -> dict[str, object]:
    return {}


_EXTRAS = {"wrong_way": _direction, "illegal_stop": _dwell, "speeding": _tolerance}
