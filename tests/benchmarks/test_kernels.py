"""The kernel benchmark compares equal work, and every kernel is measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kernels
from benchmarks.kernel_cases import KernelCase, cases
from benchmarks.kernels import measure, nbytes
from benchmarks.pages import result

RESULTS = result("kernels")


def test_the_committed_result_has_every_case() -> None:
    assert [(case.name, case.load) for case in cases()] == [(k, row["load"]) for k, row in RESULTS["kernels"].items()]


OUTPUTS: dict[str, Callable[[Any, Any], list[np.ndarray]]] = {
    "assign": lambda arguments, result: [arguments[-1].row_to_column],
    "track_batch": lambda arguments, result: [arguments[-1].identity],
    "fit_speed": lambda arguments, result: list(result),
}
"""The results of a call, if they are not its array arguments."""


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_kernel_and_twin_do_the_same_work_under_the_load(case: KernelCase) -> None:
    """Otherwise the ratio would compare two different things."""
    answers = []
    for work in (case.kernel, case.twin):
        arguments = case.prepare()
        result = work(*arguments)
        found = OUTPUTS.get(case.name, lambda arguments, _: [a for a in arguments if isinstance(a, np.ndarray)])
        answers.append([array.copy() for array in found(arguments, result)])
    for mine, expected in zip(*answers, strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-4, atol=1e-4)


def test_figures_follow_from_the_times() -> None:
    small = [case for case in cases() if case.name in ("to_ground", "iou")]
    result = measure(small, rounds=2)
    assert set(result["kernels"]) == {"to_ground", "iou"}
    row = result["kernels"]["to_ground"]
    assert row["ratio"] == pytest.approx(row["twin_ms"] / row["kernel_ms"], rel=0.05, abs=0.1)
    assert row["share_of_copy"] == pytest.approx(row["bytes_per_s"] / result["limits"]["copy_bytes_per_s"], abs=1e-3)
    with pytest.raises(ValueError, match="at least one"):
        measure(small, rounds=0)


def test_bytes_are_those_of_all_arrays_in_all_tuples() -> None:
    assert nbytes((np.zeros(3), (np.zeros(2, np.int32), 5), 1.0)) == 24 + 8


def test_every_kernel_file_is_measured_except_those_used_only_inside_another() -> None:
    measured = {case.kernel.__module__ for case in cases()}
    files = {f"kernels.{path.stem}" for path in Path(kernels.__file__).parent.glob("[a-z]*.py")}
    assert measured == files - {"kernels.kalman", "kernels.line"}
