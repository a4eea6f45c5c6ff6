"""`kernels.ground` on the GPU, one thread per point or track."""

from __future__ import annotations

from typing import Any

from kernels import ground
from kernels.cuda.source import cuda, launch, on_device

_undistort_on_device = on_device(ground.undistort)
_to_ground_on_device = on_device(ground.to_ground)
_onto_road_on_device = on_device(ground.onto_road)
_speed_by_homography_on_device = on_device(ground.speed_by_homography)


@cuda.jit
def _undistort(lens: Any, geometry: Any, point_px: Any) -> None:
    _undistort_on_device(lens, geometry, point_px, (cuda.grid(1), cuda.gridsize(1)))


@cuda.jit
def _to_ground(image_to_ground: Any, geometry: Any, point_px: Any, position_m: Any, jacobian: Any) -> None:
    stride = (cuda.grid(1), cuda.gridsize(1))
    _to_ground_on_device(image_to_ground, geometry, point_px, position_m, jacobian, stride)


@cuda.jit
def _onto_road(foot: Any, geometry: Any, position_m: Any, by_clearance: Any) -> None:
    _onto_road_on_device(foot, geometry, position_m, by_clearance, (cuda.grid(1), cuda.gridsize(1)))


@cuda.jit
def _speed_by_homography(
    image_to_ground: Any, offset: Any, geometry: Any, point_px: Any, gain: Any, heading_rad: Any, out: Any
) -> None:
    stride = (cuda.grid(1), cuda.gridsize(1))
    _speed_by_homography_on_device(image_to_ground, offset, geometry, point_px, gain, heading_rad, out, stride)


def undistort(lens: Any, geometry: Any, point_px: Any, stream: Any = 0) -> None:
    """`kernels.ground.undistort`."""
    launch(_undistort, len(geometry), stream, lens, geometry, point_px)


def to_ground(
    image_to_ground: Any, geometry: Any, point_px: Any, position_m: Any, jacobian: Any, stream: Any = 0
) -> None:
    """`kernels.ground.to_ground`."""
    launch(_to_ground, len(geometry), stream, image_to_ground, geometry, point_px, position_m, jacobian)


def onto_road(foot: Any, geometry: Any, position_m: Any, by_clearance: Any, stream: Any = 0) -> None:
    """`kernels.ground.onto_road`."""
    launch(_onto_road, len(geometry), stream, foot, geometry, position_m, by_clearance)


def speed_by_homography(
    image_to_ground: Any,
    offset: Any,
    geometry: Any,
    point_px: Any,
    gain: Any,
    heading_rad: Any,
    out: Any,
    stream: Any = 0,
) -> None:
    """`kernels.ground.speed_by_homography`."""
    arguments = (image_to_ground, offset, geometry, point_px, gain, heading_rad, out)
    launch(_speed_by_homography, len(geometry), stream, *arguments)
