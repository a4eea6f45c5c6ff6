"""The CUDA kernels without a GPU: run in Numba's simulator, and compiled if numba-cuda is installed."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_cuda_kernels_equal_the_cpu_kernels_in_the_simulator(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    command = [sys.executable, "-m", "pytest", "tests/kernels/cuda", "-p", "no:cacheprovider", f"--junit-xml={report}"]
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout
    suite = next(iter(ElementTree.parse(report).getroot()))
    assert int(suite.attrib["tests"]) >= 20
    assert [suite.attrib[outcome] for outcome in ("failures", "errors", "skipped")] == ["0", "0", "0"]


@pytest.mark.parametrize("capability", ["8.0", "8.9", "9.0"])
def test_the_cuda_kernels_compile_without_a_gpu(capability: str) -> None:
    if importlib.util.find_spec("numba_cuda") is None:
        pytest.skip("numba-cuda is not installed: the compiler is missing")
    command = [sys.executable, ROOT / "tests" / "kernels" / "cuda" / "compile_for.py", capability]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 9, done.stdout


def test_the_cpu_kernels_and_the_engine_import_without_numba_cuda() -> None:
    code = (
        "import sys\nsys.modules['numba.cuda'] = sys.modules['numba_cuda'] = None\n"
        "import kernels.ground, kernels.speed, kernels.zones, kernels.track, kernels.letterbox, kernels.lamp\n"
        "import engine.app.engine"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
