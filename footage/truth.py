"""The complete truth of a clip, frame by frame, as a JSON document.

Keys contain their units. Image coordinates are pixels, with (0, 0) at the outer corner of the first pixel; ground
coordinates are metres on the plane z = 0. Frame k shows the instant k / fps. Objects beside the road do not hide it and
do not count as occluding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from footage.bodies import Body
from footage.camera import Camera, stated, transform
from footage.motion import Mover, Pose
from footage.offences import offences
from footage.people import body as person_body
from footage.scene import Scene, Signal, Vehicle
from footage.signals import LAMPS, lamp_centre_m
from footage.silhouette import Seen, Solid, seen
from footage.states import State, lamp_at, states

Floats = NDArray[np.float64]
Json = dict[str, Any]

FORMAT = 1
_SMALLEST_PX = 3.0
_PLATE_FACING = 0.25
"""Smallest cosine between a plate's normal and the line of sight for which its corners are given."""


def truth(scene: Scene, bodies: dict[str, Body]) -> Json:
    """The document. Raises ValueError if the scene's offences are not those that it expects."""
    movers = scene.movers()
    return {
        "format": FORMAT,
        "scene": scene.name,
        "about": scene.about,
        "fps": scene.fps,
        "frames_count": scene.frame_count,
        "duration_s": scene.duration_s,
        "loops": True,
        "light": {"weather": scene.light.weather, "road": scene.light.road},
        "camera": camera(scene),
        "limits_kmh": scene.limits_kmh,
        "zones": [_zone(scene.lens, zone) for zone in scene.zone],
        "lines": [_line(scene.lens, line) for line in scene.line],
        "signals": [_signal(scene, signal) for signal in scene.signal],
        "vehicles": vehicles(scene, bodies),
        "violations": [offence.as_dict() for offence in offences(scene, movers, bodies)],
        "frames": [_frame(scene, movers, bodies, k) for k in range(scene.frame_count)],
    }


def vehicles(scene: Scene, bodies: dict[str, Body]) -> list[Json]:
    """All vehicles of the scene."""
    return [_vehicle(vehicle, bodies[vehicle.body]) for vehicle in scene.vehicle]


def camera(scene: Scene) -> Json:
    """The camera and its homographies."""
    lens = scene.lens
    return {
        "width_px": lens.width_px,
        "height_px": lens.height_px,
        "position_m": lens.position_m,
        "target_m": lens.target_m,
        "focal_length_mm": lens.focal_length_mm,
        "sensor_width_mm": lens.sensor_width_mm,
        "focal_length_px": round(lens.focal_length_px, 6),
        "principal_point_px": [lens.width_px / 2, lens.height_px / 2],
        "distortion": None,
        "world_to_camera": stated(lens.world_to_camera),
        "image_to_ground": stated(lens.image_to_ground),
        "ground_to_image": stated(lens.ground_to_image),
    }


def _zone(lens: Camera, zone: Any) -> Json:
    return {
        "name": zone.name,
        "kind": zone.kind,
        "heading_deg": zone.heading_deg,
        "dwell_s": zone.dwell_s,
        "polygon_m": zone.polygon_m,
        "polygon_px": _pixels(lens, zone.polygon_m),
    }


def _line(lens: Camera, line: Any) -> Json:
    ends = [line.from_m, line.to_m]
    return {"name": line.name, "kind": line.kind, "signal": line.signal, "ends_m": ends, "ends_px": _pixels(lens, ends)}


def _pixels(lens: Camera, points_m: list[tuple[float, float]]) -> list[list[float]]:
    return transform(lens.ground_to_image, points_m).round(2).tolist()  # type: ignore[no-any-return]


def _signal(scene: Scene, signal: Signal) -> Json:
    pixels = {lamp: scene.lens.project([lamp_centre_m(signal, lamp)])[0][0].round(2).tolist() for lamp in LAMPS}
    phases, at = [], 0.0
    for phase in signal.phases:
        phases.append({"lamp": phase.lamp, "from_s": at, "to_s": at + phase.lasts_s})
        at += phase.lasts_s
    return {"name": signal.name, "cycle_s": at, "phases": phases, "lamps_px": pixels}


def _vehicle(vehicle: Vehicle, body: Body) -> Json:
    length, width, height = body.size_m
    return {
        "name": vehicle.name,
        "class": vehicle.class_name,
        "body": vehicle.body,
        "colour": vehicle.colour,
        "plate": vehicle.plate,
        "length_m": round(length, 3),
        "width_m": round(width, 3),
        "height_m": round(height, 3),
        "front_m": round(body.front_m, 3),
        "rear_m": round(body.rear_m, 3),
    }


def _frame(scene: Scene, movers: dict[str, Mover], bodies: dict[str, Body], k: int) -> Json:
    time_s = k / scene.fps
    present = states(scene, movers, time_s)
    tables = {vehicle.name: vehicle for vehicle in scene.vehicle}
    known = {state.name: bodies[tables[state.name].body] for state in present if state.name in tables}
    solids = [solid(scene.lens, known.get(state.name) or person_body(state.along_m), state.pose) for state in present]
    views = seen(scene.lens, solids)
    rows = [(state, view) for state, view in zip(present, views, strict=True) if view is not None and _shown(view)]
    return {
        "time_s": round(time_s, 6),
        "signals": {signal.name: lamp_at(signal, time_s) for signal in scene.signal},
        "vehicles": [_vehicle_row(scene.lens, s, v, known[s.name]) for s, v in rows if s.name in known],
        "persons": [_row(s, v) for s, v in rows if s.name not in known],
    }


def _shown(view: Seen) -> bool:
    left, top, right, bottom = view.xyxy_px
    return min(right - left, bottom - top) >= _SMALLEST_PX


def solid(lens: Camera, body: Body, pose: Pose) -> Solid:
    """The surface of a body at a pose."""
    away = float(np.hypot(pose.x_m - lens.position_m[0], pose.y_m - lens.position_m[1]))
    outline, hull = placed(body.outline_m, pose), placed(body.vertices_m, pose)
    return Solid(np.concatenate([outline, hull]), body.triangles, away)


def _row(state: State, view: Seen) -> Json:
    pose = state.pose
    return {
        "name": state.name,
        "lap": state.lap,
        "position_m": [round(pose.x_m, 4), round(pose.y_m, 4)],
        "heading_rad": round(pose.heading_rad, 5),
        "speed_mps": round(pose.speed_mps, 4),
        "xyxy_px": [round(v, 2) for v in view.xyxy_px],
        "visible": round((1 - view.truncated) * (1 - view.occluded), 3),
        "occluded": view.occluded,
        "truncated": view.truncated,
    }


def _vehicle_row(lens: Camera, state: State, view: Seen, body: Body) -> Json:
    return _row(state, view) | {"plate": _plate(lens, state.pose, body)}


def _plate(lens: Camera, pose: Pose, body: Body) -> Json | None:
    """The plate that faces the camera; None unless all of it is in the picture."""
    for end, corners_m in body.plates_m.items():
        corners = placed(corners_m, pose)
        pixels, _ = lens.project(corners)
        within = np.all((pixels >= 0) & (pixels <= [lens.width_px, lens.height_px]))
        if within and _facing(lens, corners) > _PLATE_FACING:
            width = (np.linalg.norm(pixels[1] - pixels[0]) + np.linalg.norm(pixels[2] - pixels[3])) / 2
            return {"end": end, "quad_px": pixels.round(2).tolist(), "width_px": round(float(width), 2)}
    return None


def _facing(lens: Camera, corners: Floats) -> float:
    """Cosine between the plate's normal and the direction to the camera."""
    normal = np.cross(corners[3] - corners[0], corners[1] - corners[0])
    view = np.asarray(lens.position_m) - corners.mean(axis=0)
    return float(normal @ view / np.linalg.norm(normal) / np.linalg.norm(view))


def placed(points_m: Floats, pose: Pose) -> Floats:
    """(N, 3) world coordinates of points in a mover's axes."""
    cos, sin = np.cos(pose.heading_rad), np.sin(pose.heading_rad)
    x = points_m[:, 0] * cos - points_m[:, 1] * sin + pose.x_m
    y = points_m[:, 0] * sin + points_m[:, 1] * cos + pose.y_m
    return np.stack([x, y, points_m[:, 2]], axis=1)
