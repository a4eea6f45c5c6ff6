"""Times every kernel against its NumPy twin and against the limits of the machine.

    python -m benchmarks kernels --json > benchmarks/results/kernels.json
    python -m benchmarks pages kernel_table

Kernel and twin take turns on equal arguments, after one untimed call of each. The result is the median over the rounds
of the thread's CPU time, so other work on the machine disturbs little. Two limits of one thread are measured in the
same rounds: bytes per second of a NumPy copy of an array far larger than the caches, and multiplications and additions
per second of a NumPy product of small matrices. A kernel's bytes are those of its arguments and results, each counted
once: the minimum it has to move. Arrays that fit into the caches may beat the copy.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from benchmarks.kernel_cases import KernelCase, cases
from benchmarks.machine import describe_machine

COPIED_BYTES = 1 << 26
MATRIX = 64
"""Rows and columns; OpenBLAS multiplies matrices of this size on the calling thread."""
PRODUCTS = 200


def main(argv: list[str]) -> int:
    """Measure and print; returns the exit status."""
    parser = argparse.ArgumentParser(prog="kernels", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    result = measure(cases(), options.rounds)
    print(json.dumps(result, indent=2) if options.json else table(result))
    return 0


def measure(loads: list[KernelCase], rounds: int) -> dict[str, Any]:
    """The figures of every case. Raises ValueError if `rounds` is below 1."""
    if rounds < 1:
        raise ValueError(f"{rounds} rounds: at least one is needed")
    spent_s: dict[str, list[list[float]]] = {case.name: [] for case in loads}
    for case in loads:
        case.kernel(*case.prepare())
        case.twin(*case.prepare())
    limits = []
    for _ in range(rounds):
        limits.append([_copy(), _products()])
        for case in loads:
            spent_s[case.name].append([_spent_s(work, case.prepare()) for work in (case.kernel, case.twin)])
    copied, multiplied = (median(column) for column in zip(*limits, strict=True))
    return {
        "machine": describe_machine(),
        "parameters": {"rounds": rounds},
        "limits": {"copy_bytes_per_s": round(copied), "operations_per_s": round(multiplied)},
        "kernels": {case.name: _figures(case, spent_s[case.name], copied, multiplied) for case in loads},
    }


def _spent_s(work: Callable[..., Any], arguments: tuple[Any, ...]) -> float:
    began_s = time.thread_time()
    work(*arguments)
    return time.thread_time() - began_s


def _copy() -> float:
    """Bytes read and written per second."""
    source = np.ones(COPIED_BYTES // 8)
    target = np.zeros_like(source)
    return 2 * COPIED_BYTES / _spent_s(np.copyto, (target, source))


def _products() -> float:
    """Multiplications and additions per second."""
    a, out = np.ones((MATRIX, MATRIX)), np.empty((MATRIX, MATRIX))

    def multiply() -> None:
        for _ in range(PRODUCTS):
            np.matmul(a, a, out=out)

    return 2 * MATRIX**3 * PRODUCTS / _spent_s(multiply, ())


def _figures(case: KernelCase, spent_s: list[list[float]], copied: float, multiplied: float) -> dict[str, Any]:
    kernel_s, twin_s = (median(column) for column in zip(*spent_s, strict=True))
    arguments = case.prepare()
    moved = nbytes(arguments) + nbytes(case.kernel(*arguments))
    figures = {
        "load": case.load,
        "unit": case.unit,
        "kernel_ms": round(1e3 * kernel_s, 4),
        "twin_ms": round(1e3 * twin_s, 4),
        "ratio": round(twin_s / kernel_s, 1),
        "items_per_s": round(case.items / kernel_s),
        "bytes_per_s": round(moved / kernel_s),
        "share_of_copy": round(moved / kernel_s / copied, 4),
    }
    if case.operations is not None:
        figures["operations_per_s"] = round(case.operations / kernel_s)
        figures["share_of_operations"] = round(case.operations / kernel_s / multiplied, 4)
    return figures


def nbytes(argument: Any) -> int:
    """Bytes of an array, or of all arrays in a tuple; 0 for anything else."""
    if isinstance(argument, np.ndarray):
        return argument.nbytes
    return sum(map(nbytes, argument)) if isinstance(argument, tuple) else 0


def table(result: dict[str, Any]) -> str:
    """The result as plain text."""
    rows = [
        f"{name:22}{row['kernel_ms']:12.3f} ms{row['twin_ms']:12.3f} ms{row['ratio']:8.1f} x"
        f"{row['items_per_s']:16,} {row['unit']}/s"
        for name, row in result["kernels"].items()
    ]
    return "\n".join([f"{'':22}{'kernel':>15}{'twin':>15}{'ratio':>10}", *rows])
