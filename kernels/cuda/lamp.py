"""`kernels.lamp` on the GPU, one thread per lamp."""

from __future__ import annotations

from typing import Any

from kernels import lamp
from kernels.cuda.source import cuda, launch, on_device
from kernels.lamp import Layout
from kernels.letterbox import Picture, Plane

_measure_lamps_on_device = on_device(lamp.measure_lamps)


@cuda.jit
def _measure_lamps(
    first: Any, second: Any, third: Any, planes: Any, sizes: Any, to_rgb: Any, circle_px: Any, out: Any
) -> None:
    picture = Picture(
        Plane(first, planes[0], planes[1]), Plane(second, planes[2], planes[3]), Plane(third, planes[4], planes[5])
    )
    layout = Layout(sizes[0], sizes[1], sizes[2], sizes[3], to_rgb)
    _measure_lamps_on_device(picture, layout, circle_px, out, (cuda.grid(1), cuda.gridsize(1)))


def measure_lamps(picture: Picture, layout: Layout, circle_px: Any, out: Any, stream: Any = 0) -> None:
    """`kernels.lamp.measure_lamps`; the samples of the planes and `layout.to_rgb` are device arrays too."""
    planes = tuple(number for plane in picture for number in (plane.step, plane.offset))
    samples = tuple(plane.samples for plane in picture)
    launch(_measure_lamps, len(circle_px), stream, *samples, planes, tuple(layout[:4]), layout.to_rgb, circle_px, out)
