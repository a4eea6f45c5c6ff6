"""The loads of the kernel benchmark: those of a machine with a few dozen cameras."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from engine.track import TrackerParameters
from kernels import Floats32, assign, ground, lamp, letterbox, outline, overlap, path, speed, track, zones
from kernels.assign import FREE, Edges, matching
from kernels.letterbox import Colour, Geometry, Picture, Plane, taps
from kernels.overlap import SuppressionLimits
from kernels.track import TENTATIVE, TRACK, Associations, Batch, KernelParameters, TrackTable

HOMOGRAPHY = np.array([[[0.02, 0.001, -12.0], [0.0, -0.03, 40.0], [0.0, 0.0021, -0.2]]])
POINTS = 25_000
TRACKS = 500
PATH = 2_000
FRAMES = 25
CAMERAS = 8


class KernelCase(NamedTuple):
    """One kernel under one load."""

    name: str
    load: str
    """Description of the arguments."""
    unit: str
    items: int
    """Number of units in the load."""
    kernel: Callable[..., Any]
    twin: Callable[..., Any]
    prepare: Callable[[], tuple[Any, ...]]
    """Makes fresh arguments for one call, outside the measured time."""
    operations: int | None = None
    """Arithmetic operations of one call; None if the load does not determine them."""


def _case(
    kernel: Any, load: str, unit: str, items: int, prepare: Callable[[], tuple[Any, ...]], operations: int | None = None
) -> KernelCase:
    """The case of a kernel and its twin, which has the same name in `kernels.reference`."""
    module = importlib.import_module(kernel.__module__.replace("kernels.", "kernels.reference."))
    return KernelCase(kernel.__name__, load, unit, items, kernel, getattr(module, kernel.__name__), prepare, operations)


def cases() -> list[KernelCase]:
    """Every case, in the order of the pipeline."""
    return [*_pictures(), *_boxes(), _tracker(), *_ground(), *_speeds(), *_zones()]


def _pictures() -> Iterable[KernelCase]:
    rng, (width, height), side = np.random.default_rng(1), (1280, 720), 320
    luma = rng.integers(0, 256, (height, width), np.uint8)
    chroma = rng.integers(0, 256, (2, height // 2, width // 2), np.uint8)
    picture = Picture(Plane(luma, 1, 0), Plane(chroma[0], 1, 0), Plane(chroma[1], 1, 0))
    of_luma = taps(0, height, height, side), taps(0, width, width, side)
    of_chroma = taps(0, height // 2, height // 2, side), taps(0, width // 2, width // 2, side)
    geometry = Geometry(*of_luma, *of_chroma, 0, 0)
    matrix = np.array([[1, 0, 1.4], [1, -0.34, -0.71], [1, 1.77, 0]], np.float32)
    three = np.full((4, 3), 0.5, np.float32)
    colour, out = Colour(matrix, *three), np.empty((3, side, side), np.float32)
    sums = sum(
        2 * side * (rows.weight.shape[1] * across + columns.weight.shape[1] * side) * planes
        for (rows, columns), across, planes in ((of_luma, width, 1), (of_chroma, width // 2, 2))
    )
    load = f"{width}x{height} Y'CbCr 4:2:0 to {side}x{side} RGB"
    yield _case(
        letterbox.letterbox, load, "picture", 1, lambda: (picture, geometry, colour, out), sums + 3 * 8 * side * side
    )
    lenses = np.stack([rng.uniform(100, 1200, 12), rng.uniform(100, 600, 12), rng.uniform(3, 8, 12)], axis=1)
    layout = lamp.Layout(width, height, 2, 2, np.hstack([matrix.astype(np.float64), np.zeros((3, 1))]))
    looks = np.zeros((12, lamp.COLUMNS), np.float32)
    yield _case(
        lamp.measure_lamps,
        f"12 lenses of a {width}x{height} picture",
        "lamp",
        12,
        lambda: (picture, layout, lenses, looks),
    )


def _boxes() -> Iterable[KernelCase]:
    rng, frames, crowd = np.random.default_rng(2), FRAMES, 40
    rows = frames * crowd
    frame = np.repeat(np.arange(frames), crowd).astype(np.int32)
    xyxy_px = _rectangles(rng, rows)
    region, category = rng.integers(0, 2, rows).astype(np.int32), rng.integers(0, 3, rows).astype(np.int32)
    load, limits = f"{frames} frames of {crowd} boxes", SuppressionLimits(0.5, 0.7)
    yield _case(
        overlap.suppress, load, "box", rows, lambda: (frame, region, category, xyxy_px, limits, np.ones(rows, np.bool_))
    )
    some, room = xyxy_px[:300], np.empty((300, 300), np.float32)
    yield _case(overlap.iou, "300 boxes with 300", "pair", 300 * 300, lambda: (some, some, room))
    share = np.empty(rows)
    yield _case(overlap.occluded_share, load, "box", rows, lambda: (frame, xyxy_px, share))
    allowed = rng.random((100, 100)) < 0.1
    first = np.concatenate([[0], allowed.sum(axis=1).cumsum()]).astype(np.int32)
    edges = Edges(first, np.nonzero(allowed)[1].astype(np.int32), rng.random(int(allowed.sum())))
    out = matching(100, 100)
    yield _case(
        assign.assign,
        f"100 tracks, 100 boxes, {len(edges.cost)} pairs",
        "pair",
        len(edges.cost),
        lambda: (100, 100, 0.9, edges, out),
    )


def _rectangles(rng: np.random.Generator, rows: int) -> Floats32:
    corner, size = rng.uniform(0, 900, (rows, 2)), rng.uniform(20, 160, (rows, 2))
    return np.concatenate([corner, corner + size], axis=1).astype(np.float32)


def _tracker() -> KernelCase:
    """Vehicles on straight paths; includes the filter (`kalman`) and the assignment."""
    rng, vehicles = np.random.default_rng(3), 20
    camera = np.tile(np.arange(CAMERAS, dtype=np.int32), FRAMES)
    captured_s = np.repeat(np.arange(FRAMES) * 0.08, CAMERAS)
    start, speed_px = rng.random((CAMERAS, vehicles, 2)) * 900, rng.normal(0, 40, (CAMERAS, vehicles, 2))
    centre = (start[camera] + speed_px[camera] * captured_s[:, None, None]).reshape(-1, 2)
    rows = len(centre)
    batch = Batch(
        camera,
        captured_s,
        np.full((len(camera), 2), 1000, np.int32),
        np.arange(len(camera) + 1) * vehicles,
        np.concatenate([centre + rng.normal(0, 1, (rows, 2)), np.full((rows, 2), 45.0)], axis=1),
        rng.uniform(0.4, 1.0, rows).astype(np.float32),
        np.zeros(rows, np.int32),
    )
    load = f"{len(camera)} frames of {CAMERAS} cameras, {vehicles} vehicles each"
    return _case(track.track_batch, load, "box", rows, lambda: _tracker_arguments(batch))


def _tracker_arguments(batch: Batch) -> tuple[Any, ...]:
    """Arguments of the tracker with an empty table."""
    parameters = KernelParameters(
        **{name: float(value) for name, value in dataclasses.asdict(TrackerParameters()).items()}
    )
    nothing, rows = np.zeros(CAMERAS, np.int64), len(batch.score)
    table = TrackTable(np.zeros((CAMERAS, 64), TRACK), nothing, nothing.copy(), np.full(CAMERAS, -np.inf))
    table.tracks["row"] = FREE
    identity, previous = np.full(rows, TENTATIVE, np.int64), np.full(rows, FREE, np.int64)
    out = Associations(identity, np.zeros(rows, np.int32), previous, np.empty(rows, np.int64), np.zeros(1, np.int64))
    return 0, batch, parameters, table, track.workspace(rows, int(np.diff(batch.first).max()), 64), out


def _ground() -> Iterable[KernelCase]:
    rng = np.random.default_rng(4)
    row, point_px = np.zeros(POINTS, np.int32), rng.uniform(100, 1080, (POINTS, 2))
    lens, foot = np.array([[1000.0, 540, 540, -0.2, 0.03]]), np.array([[1.0, -2.0, 8.0, 0.2, 0.5]])
    position_m, jacobian, slope = np.empty((POINTS, 2)), np.empty((POINTS, 2, 2)), np.empty((POINTS, 2))
    ground_m, load = rng.uniform(-50, 50, (POINTS, 2)), f"{POINTS:,} points"
    yield _case(
        ground.undistort,
        load,
        "point",
        POINTS,
        lambda: (lens, row, point_px.copy()),
        POINTS * (4 + 9 * ground.UNDISTORT_ITERATIONS + 4),
    )
    yield _case(
        ground.to_ground, load, "point", POINTS, lambda: (HOMOGRAPHY, row, point_px, position_m, jacobian), POINTS * 26
    )
    yield _case(ground.onto_road, load, "point", POINTS, lambda: (foot, row, ground_m.copy(), slope))


def _speeds() -> Iterable[KernelCase]:
    rng, each = np.random.default_rng(5), POINTS // TRACKS
    offset, t_s = np.arange(TRACKS + 1) * each, np.tile(np.arange(each) * 0.08, TRACKS)
    velocity = np.repeat(rng.normal(0, 15, (TRACKS, 2)), each, axis=0)
    position_m = velocity * t_s[:, None] + rng.normal(0, 0.1, (POINTS, 2))
    position_m[rng.random(POINTS) < 0.05] += 3.0
    jacobian, usable, noise = rng.uniform(0.005, 0.1, (POINTS, 2, 2)), rng.random(POINTS) < 0.95, (1.0, 0.15)
    load, fit = f"{TRACKS} tracks of {each} points", (offset, t_s, position_m, jacobian, usable, noise)
    yield _case(speed.fit_speed, load, "track", TRACKS, lambda: fit)
    wanted, room = rng.random(POINTS) < 0.5, (np.empty((POINTS, 2)), np.empty(POINTS))
    yield _case(
        speed.momentary_velocity,
        f"{load}, half of them wanted",
        "point",
        int(wanted.sum()),
        lambda: (offset, t_s, position_m, jacobian, wanted, (1.0, *noise), *room),
    )
    bearing, width, wide = rng.uniform(-3, 3, POINTS), rng.uniform(1.5, 4.0, POINTS), np.zeros(POINTS, np.bool_)
    yield _case(
        outline.oversized, load, "point", POINTS, lambda: (offset, position_m, bearing, width, usable, 1.35, wide)
    )
    path_m, apart, rows = position_m[:PATH], rng.uniform(0.2, 2.0, PATH), np.zeros(PATH, np.int64)
    yield _case(path.simplify, f"a path of {PATH:,} points", "point", PATH, lambda: (path_m, apart, rows))
    gain, heading, out = rng.normal(0, 1, POINTS), rng.uniform(-3, 3, TRACKS), np.empty((TRACKS, 9))
    row, point_px = np.zeros(TRACKS, np.int32), rng.uniform(100, 1080, (POINTS, 2))
    yield _case(
        ground.speed_by_homography,
        load,
        "track",
        TRACKS,
        lambda: (HOMOGRAPHY, offset, row, point_px, gain, heading, out),
    )


def _zones() -> Iterable[KernelCase]:
    rng, points, corners = np.random.default_rng(6), 5_000, 6
    point_px, to_px = rng.uniform(0, 1000, (2, points, 2))
    group = rng.integers(0, 4, points).astype(np.int32)
    first, answer = np.arange(0, 17, 4).astype(np.int32), np.empty((points, 4), np.bool_)
    polygons = zones.Polygons(
        rng.uniform(0, 1000, (16 * corners, 2)), np.arange(0, 16 * corners + 1, corners).astype(np.int32), first
    )
    yield _case(
        zones.inside,
        f"{points:,} points, 4 polygons of {corners} corners each",
        "point",
        points,
        lambda: (point_px, group, polygons, answer),
        points * 4 * corners * 3,
    )
    segments = zones.Segments(rng.uniform(0, 1000, (16, 4)), first)
    room = np.empty((points, 4)), np.empty((points, 4), np.int8)
    yield _case(
        zones.find_crossings,
        f"{points:,} steps, 4 lines each",
        "step",
        points,
        lambda: (point_px, to_px, group, segments, *room),
    )
