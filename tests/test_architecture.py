"""The shape of the program: what may import what, and which `kernels` is ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import kernels

ROOT = Path(__file__).parents[1]
EXTRAS = [
    "nvidia",
    "tensorrt",
    "tensorrt_rtx",
    "torch",
    "torchvision",
    "cupy",
    "onnx",
    "rapidocr",
    "cv2",
    "psycopg",
    "sumo",
    "matplotlib",
    "psutil",
]


def test_imports_point_down() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_kernels_is_ours_and_not_the_package_of_that_name() -> None:
    assert Path(kernels.__file__).parent == ROOT / "kernels"


@pytest.mark.parametrize("module", ["engine", "engine.app.engine", "engine.tools.cli"])
def test_the_engine_imports_without_what_the_extras_bring(module: str) -> None:
    """A process in which none of it is installed imports the module all the same, as the default install has to."""
    code = f"import sys\nfor name in {EXTRAS}: sys.modules[name] = None\nimport {module}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_kernel_has_a_twin_of_its_name() -> None:
    kernel_files = {path.name for path in (ROOT / "kernels").glob("*.py")}
    twin_files = {path.name for path in (ROOT / "kernels" / "reference").glob("*.py")}
    assert kernel_files == twin_files
