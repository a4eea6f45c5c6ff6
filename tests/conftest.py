"""Fixtures of all tests: the evaluation data and PostgreSQL, if this machine has them."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog

from rig.postgres import Server, running_server

# A test that fails must fail again: the same examples in every run, and no limit that a busy machine exceeds.
hypothesis.settings.register_profile("suite", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("suite")

NUMERIC = (
    "app/test_world.py", "benchmarks/test_speed.py", "benchmarks/test_track.py", "detect/test_heads.py",
    "detect/test_merge.py", "detect/test_onnx.py", "evidence/test_drawings.py", "footage/", "identify/plates/",
    "kernels/test_", "measure/", "rules/", "section/", "signals/test_head.py", "site/", "test_track.py",
    "tools/test_calibrate", "tools/commands/test_calibrate.py",
)  # fmt: skip
"""Test files whose results depend on linear algebra, marked `numeric`: `.ci/run` repeats them on other BLAS kernels."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.relative_to(Path(__file__).parent).as_posix().startswith(NUMERIC):
            item.add_marker(pytest.mark.numeric)


@pytest.fixture(autouse=True)
def unconfigured_logging() -> Iterator[None]:
    """Undo the logging configuration of a command that a test runs in this process."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder named by QYRAN_DATA. Without it the test is skipped."""
    folder = os.environ.get("QYRAN_DATA", "")
    if not folder:
        pytest.skip("QYRAN_DATA is not set: evaluation data needed")
    if not Path(folder).is_dir():
        pytest.fail(f"QYRAN_DATA names no folder: {folder}")
    return Path(folder)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With QYRAN_REQUIRE_GPU=1 a skipped test of the GPU is a failure."""
    report = yield
    if os.environ.get("QYRAN_REQUIRE_GPU") == "1" and report.skipped and item.get_closest_marker("gpu"):
        report.outcome = "failed"
        report.longrepr = f"QYRAN_REQUIRE_GPU=1, but it was skipped: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server for this run of the tests. Without PostgreSQL the test is skipped."""
    with running_server() as server:
        yield server
