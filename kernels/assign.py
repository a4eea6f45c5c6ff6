"""Sparse linear assignment of detections to tracks at the least total cost.

The shortest augmenting path algorithm (Jonker and Volgenant 1987; the rectangular form of Crouse 2016, "On implementing
2D rectangular assignment algorithms") on a list of edges instead of a matrix. A box overlaps few boxes, so a search
ends after a handful of edges, and vehicles far apart never affect each other's sums.

A row may stay free at the price `limit`, so the gate is part of the optimum. Many trackers instead solve the full
matrix first and then remove the pairs that cost too much.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from kernels import Floats, Ints32

FREE = -1
"""Marks a row or column without a partner."""


class Edges(NamedTuple):
    """The allowed pairs, row by row (compressed sparse rows)."""

    first: Ints32
    """(R + 1,) i4: row r has the edges first[r] to first[r + 1] - 1."""
    column: Ints32
    """(E,) i4: the column of the edge."""
    cost: Floats
    """(E,) f8: cost of the pair, not negative, not nan."""


class Matching(NamedTuple):
    """The answer and the scratch memory of `assign`. Allocated once by `matching` and used for many problems."""

    row_to_column: Ints32
    """(R,) i4: the answer; FREE if the row has no partner."""
    column_to_row: Ints32
    """(C,) i4: the same answer by column."""
    row_dual: Floats
    column_dual: Floats
    distance: Floats
    """(C,) f8: length of the shortest path to each column in the current search; inf if not reached."""
    predecessor: Ints32
    """(C,) i4: the row before the column on its shortest path."""
    frontier: Ints32
    """(C,) i4: the columns reached; those with a final (settled) distance come first."""


@njit(cache=True, nogil=True)
def matching(rows: int, columns: int) -> Matching:
    """Allocate a `Matching` for problems of at most `rows` x `columns`."""
    return Matching(
        np.empty(rows, np.int32),
        np.empty(columns, np.int32),
        np.empty(rows, np.float64),
        np.empty(columns, np.float64),
        np.empty(columns, np.float64),
        np.empty(columns, np.int32),
        np.empty(columns, np.int32),
    )


@njit(cache=True, nogil=True)
def _relax(row: int, lowest: float, reached: int, edges: Edges, work: Matching) -> int:
    """Shorten the paths to the columns of `row`; returns the number of columns reached so far."""
    for edge in range(edges.first[row], edges.first[row + 1]):
        to = edges.column[edge]
        length = lowest + edges.cost[edge] - work.row_dual[row] - work.column_dual[to]
        if work.distance[to] > lowest and length < work.distance[to]:
            if work.distance[to] == np.inf:
                work.frontier[reached] = to
                reached += 1
            work.distance[to] = length
            work.predecessor[to] = row
    return reached


@njit(cache=True, nogil=True)
def _settle(settled: int, reached: int, work: Matching) -> int:
    """Return the nearest column that is not settled, after moving it to position `settled` of the frontier."""
    frontier, distance = work.frontier, work.distance
    best = settled
    for place in range(settled + 1, reached):
        if distance[frontier[place]] < distance[frontier[best]]:
            best = place
    frontier[settled], frontier[best] = frontier[best], frontier[settled]
    return int(frontier[settled])


@njit(cache=True, nogil=True)
def _augment(row: int, column: int, work: Matching) -> None:
    """Flip the pairs along the path from `row` to `column`: every row on it takes the column after it."""
    while column != FREE:
        taker = work.predecessor[column]
        before = work.row_to_column[taker]
        work.row_to_column[taker] = column
        work.column_to_row[column] = taker
        column = before if taker != row else FREE


@njit(cache=True, nogil=True)
def _update_duals(row: int, total: float, settled: int, work: Matching) -> None:
    """Keep every reduced cost at or above zero, and at zero for the pairs of the matching."""
    work.row_dual[row] += total
    for place in range(settled):
        column = work.frontier[place]
        slack = total - work.distance[column]
        work.column_dual[column] -= slack
        if work.column_to_row[column] != FREE:
            work.row_dual[work.column_to_row[column]] += slack


@njit(cache=True, nogil=True)
def _assign_row(row: int, limit: float, edges: Edges, work: Matching) -> None:
    """Augment the matching by `row` at the least rise of the total: up to a free column, or by freeing a row."""
    at, lowest, settled, reached, column = row, 0.0, 0, 0, FREE
    freed, total = row, np.inf
    while True:
        if lowest + limit - work.row_dual[at] < total:
            freed, total = at, lowest + limit - work.row_dual[at]
        reached = _relax(at, lowest, reached, edges, work)
        column = _settle(settled, reached, work) if settled < reached else FREE
        if column == FREE or work.distance[column] >= total:
            column = work.row_to_column[freed]
            break
        lowest = work.distance[column]
        settled += 1
        if work.column_to_row[column] == FREE:
            freed, total = FREE, lowest
            break
        at = work.column_to_row[column]
    _update_duals(row, total, settled, work)
    if freed != FREE:
        work.row_to_column[freed] = FREE
    _augment(row, column, work)
    for place in range(reached):
        work.distance[work.frontier[place]] = np.inf


@njit(cache=True, nogil=True)
def assign(rows: int, columns: int, limit: float, edges: Edges, out: Matching) -> None:
    """Match rows to columns so that the sum of the costs, plus `limit` for every free row, is least.

    rows, columns   size of the problem; `edges.first` has rows + 1 entries
    limit           cost of a free row; a pair that costs more is never made
    out             from `matching`, at least as large; the answer is in `row_to_column` and `column_to_row`

    Of equal answers the earlier row and the earlier edge win, so the same edges always give the same answer.
    """
    out.row_to_column[:rows] = FREE
    out.column_to_row[:columns] = FREE
    out.row_dual[:rows] = 0.0
    out.column_dual[:columns] = 0.0
    out.distance[:columns] = np.inf
    # Unpacked before the loop: inside it, every array read from a tuple costs an atomic reference count in Numba.
    first, columns_of, cost = edges.first, edges.column, edges.cost
    column_to_row, column_dual = out.column_to_row, out.column_dual
    for row in range(rows):
        least, nearest = limit, FREE
        for edge in range(first[row], first[row + 1]):
            reduced = cost[edge] - column_dual[columns_of[edge]]
            if reduced < least:
                least, nearest = reduced, columns_of[edge]
        if nearest == FREE:
            out.row_dual[row] = least
        elif column_to_row[nearest] == FREE:  # already the shortest augmenting path
            out.row_dual[row], out.row_to_column[row], column_to_row[nearest] = least, nearest, row
        else:
            _assign_row(row, limit, edges, out)
