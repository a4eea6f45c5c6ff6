"""These tests run in Numba's CUDA simulator, in a process that `tests/kernels/test_cuda_simulator.py` starts, and
on a GPU with `pytest -m gpu`. Any other run skips them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from numba import config, cuda

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without the simulator, mark all tests as GPU tests and ignore the warning about small grids."""
    if not config.ENABLE_CUDASIM:
        for item in items:
            if HERE in item.path.parents:
                item.add_marker(pytest.mark.gpu)
                item.add_marker(pytest.mark.filterwarnings("ignore:Grid size"))


@pytest.fixture(autouse=True)
def gpu() -> None:
    """Skip without a real or simulated GPU; with QYRAN_REQUIRE_GPU=1, fail."""
    if not cuda.is_available():
        if os.environ.get("QYRAN_REQUIRE_GPU") == "1":
            pytest.fail("QYRAN_REQUIRE_GPU=1, but numba-cuda finds no NVIDIA GPU")
        pytest.skip("no NVIDIA GPU that numba-cuda can use")
