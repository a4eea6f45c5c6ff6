"""The architecture of the program: the layers of its imports, its optional packages, and the twins of the kernels."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from pkgutil import iter_modules

import pytest

import kernels

ROOT = Path(__file__).parents[1]
EXTRAS = "nvidia tensorrt tensorrt_rtx torch torchvision cupy onnx rapidocr cv2 psycopg sumo matplotlib psutil"
"""Packages that the default installation does not have."""
KNOW_THE_GENERATED_CODE = {"__main__", "app", "client", "deliver", "serve", "tools", "wire"}


def test_imports_point_down() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_every_module_has_a_layer_and_only_the_listed_ones_may_import_the_generated_code() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [layers] = [contract for contract in contracts if contract["type"] == "layers"]
    modules = {module.name for module in iter_modules([str(ROOT / "engine")])}
    assert layers["exhaustive"]
    assert {name for layer in layers["layers"] for name in layer.split(" | ")} == modules
    [generated] = [contract for contract in contracts if "grpc" in contract.get("forbidden_modules", ())]
    sources = {name.removeprefix("engine.") for name in generated["source_modules"]}
    assert sources == modules - KNOW_THE_GENERATED_CODE


def test_the_package_kernels_is_the_one_of_this_repository() -> None:
    assert Path(kernels.__file__).parent == ROOT / "kernels"


@pytest.mark.parametrize("module", ["engine", "engine.app.engine", "engine.tools.cli"])
def test_the_engine_imports_without_optional_packages(module: str) -> None:
    code = f"import sys\nfor name in '{EXTRAS}'.split(): sys.modules[name] = None\nimport {module}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_kernel_file_has_a_twin_with_the_same_name() -> None:
    kernel_files = {path.name for path in (ROOT / "kernels").glob("*.py")}
    twin_files = {path.name for path in (ROOT / "kernels" / "reference").glob("*.py")}
    assert kernel_files == twin_files
