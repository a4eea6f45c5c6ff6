"""The sparse assignment has the least total: that of SciPy on the full matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels import assign as kernel
from kernels.assign import FREE, Edges
from kernels.reference import assign as twin


def problem(cost: NDArray[Any], allowed: NDArray[np.bool_]) -> Edges:
    first = np.concatenate([[0], allowed.sum(axis=1).cumsum()]).astype(np.int32)
    return Edges(first, np.nonzero(allowed)[1].astype(np.int32), np.asarray(cost, np.float64)[allowed])


def solve(assign: Any, cost: NDArray[Any], allowed: NDArray[np.bool_], limit: float) -> NDArray[np.int32]:
    rows, columns = allowed.shape
    out = kernel.matching(rows, columns)
    assign(rows, columns, limit, problem(cost, allowed), out)
    for row, column in enumerate(out.row_to_column):
        assert column == FREE or (allowed[row, column] and out.column_to_row[column] == row)
    for column, row in enumerate(out.column_to_row):
        assert row == FREE or out.row_to_column[row] == column
    return out.row_to_column


def total(answer: NDArray[np.int32], cost: NDArray[Any], limit: float) -> float:
    return float(sum(limit if column == FREE else cost[row, column] for row, column in enumerate(answer)))


def dense(cost: list[list[float]]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    return np.array(cost), np.ones((len(cost), len(cost[0])), np.bool_)


@settings(max_examples=300)
@given(
    rows=st.integers(0, 9),
    columns=st.integers(0, 9),
    seed=st.integers(0, 2**32 - 1),
    share=st.floats(0, 1),
    limit=st.sampled_from([0.0, 0.3, 0.9, 2.0]),
    ties=st.booleans(),
)
def test_the_total_is_the_least_possible(
    rows: int, columns: int, seed: int, share: float, limit: float, ties: bool
) -> None:
    rng = np.random.default_rng(seed)
    cost = rng.integers(0, 4, (rows, columns)) / 2 if ties else rng.random((rows, columns))
    allowed = rng.random((rows, columns)) < share
    best = total(solve(twin.assign, cost, allowed, limit), cost, limit)
    assert total(solve(kernel.assign, cost, allowed, limit), cost, limit) == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("assign", [kernel.assign, twin.assign])
def test_a_row_leaves_its_nearest_column_to_a_row_that_needs_it_more(assign: Any) -> None:
    answer = solve(assign, *dense([[0.1, 0.2], [0.3, 5.0]]), limit=1.0)
    assert answer.tolist() == [1, 0]


@pytest.mark.parametrize("assign", [kernel.assign, twin.assign])
def test_a_pair_that_costs_more_than_the_limit_is_not_made(assign: Any) -> None:
    assert solve(assign, *dense([[0.6]]), limit=0.5).tolist() == [FREE]
    assert solve(assign, *dense([[0.4]]), limit=0.5).tolist() == [0]


@pytest.mark.parametrize("assign", [kernel.assign, twin.assign])
def test_the_gate_is_part_of_the_optimum(assign: Any) -> None:
    """A gate applied after the assignment would leave 0-1 and drop 1-0, for 0.3 + 1 instead of 1.1."""
    answer = solve(assign, *dense([[0.1, 0.3], [0.9, 3.0]]), limit=1.0)
    assert answer.tolist() == [0, FREE] or total(answer, np.array([[0.1, 0.3], [0.9, 3.0]]), 1.0) == pytest.approx(1.1)


def test_hundreds_of_crowded_boxes_are_solved_exactly() -> None:
    rng = np.random.default_rng(5)
    cost, allowed = rng.random((200, 180)), rng.random((200, 180)) < 0.3
    best = total(solve(twin.assign, cost, allowed, 0.5), cost, 0.5)
    assert total(solve(kernel.assign, cost, allowed, 0.5), cost, 0.5) == pytest.approx(best, abs=1e-9)


def test_the_answer_does_not_depend_on_the_problem_solved_before() -> None:
    rng = np.random.default_rng(3)
    out = kernel.matching(12, 12)
    cost, allowed = rng.integers(0, 3, (12, 12)) / 2, rng.random((12, 12)) < 0.5
    kernel.assign(12, 12, 1.0, problem(cost, allowed), out)
    before = out.row_to_column.copy()
    other = rng.random((5, 9))
    kernel.assign(5, 9, 1.0, problem(other, other < 0.5), out)
    kernel.assign(12, 12, 1.0, problem(cost, allowed), out)
    assert np.array_equal(out.row_to_column, before)
