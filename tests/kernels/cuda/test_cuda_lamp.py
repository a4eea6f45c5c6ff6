"""The lamp kernel on the GPU equals the CPU kernel and the twin."""

from __future__ import annotations

import numpy as np
import pytest

import kernels.cuda.lamp as gpu
import kernels.lamp as kernel
import kernels.reference.lamp as twin
from kernels.lamp import COLUMNS, Layout
from kernels.letterbox import Picture
from tests.kernels.compare import make_picture, on_cpu
from tests.kernels.cuda.runs import on_gpu, to_gpu

TO_RGB = np.array([[1, 0, 1.402, -179.456], [1, -0.344, -0.714, 135.424], [1, 1.772, 0, -226.816]])


@pytest.mark.parametrize("n", [0, 1, 20])
def test_measure_lamps(n: int) -> None:
    rng = np.random.default_rng(n)
    circle_px = np.stack([rng.uniform(-3, 43, n), rng.uniform(-3, 33, n), rng.uniform(1, 5, n)], axis=1)
    picture, layout = make_picture(40, 30, interleaved=True), Layout(40, 30, 2, 2, TO_RGB)
    sent = (Picture(*map(to_gpu, picture)), to_gpu(layout))
    room = (circle_px, np.zeros((n, COLUMNS), np.float32))
    _, found = on_gpu(lambda circles, out: gpu.measure_lamps(*sent, circles, out), *room)
    for module in (kernel, twin):
        _, wanted = on_cpu(lambda circles, out, of=module: of.measure_lamps(picture, layout, circles, out), *room)
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-4)
