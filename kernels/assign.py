"""Sparse assignment: which track takes which detection, at the least total cost.

The shortest augmenting path algorithm (Jonker and Volgenant 1987; the rectangular form of Crouse 2016, "On implementing
2D rectangular assignment algorithms") over a list of edges instead of a matrix. A box meets few boxes, so a search ends
after a handful of edges, and vehicles that are far apart never enter each other's sums.

A row may also stay free for the price `limit`: the gate is part of the optimum, where trackers commonly solve the full
matrix first and strike out the dear pairs afterwards.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

FREE = -1
"""Stands for "no partner"."""

Floats = NDArray[np.float64]
Ints32 = NDArray[np.int32]


class Edges(NamedTuple):
    """The pairs that may be made, row by row (compressed sparse rows)."""

    first: Ints32
    """(R + 1,) i4: row r has the edges first[r] to first[r + 1]."""
    column: Ints32
    """(E,) i4: the column of the edge."""
    cost: Floats
    """(E,) f8: price of the pair, not negative, not nan."""


class Matching(NamedTuple):
    """Partners and the working memory to find them; made once by `matching`, used for many problems."""

    row_to_column: Ints32
    """(R,) i4: the answer; FREE where the row has no partner."""
    column_to_row: Ints32
    """(C,) i4: the answer seen from the columns."""
    row_dual: Floats
    column_dual: Floats
    distance: Floats
    """(C,) f8: length of the shortest way to each column in the running search; inf where not reached."""
    via: Ints32
    """(C,) i4: the row that the shortest way comes from."""
    frontier: Ints32
    """(C,) i4: the columns reached, those whose way is final in front."""


@njit(cache=True, nogil=True)
def matching(rows: int, columns: int) -> Matching:
    """Working memory for problems of up to `rows` x `columns`."""
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
    """Shorten the ways to the columns of `row`; returns how many columns have been reached by now."""
    for edge in range(edges.first[row], edges.first[row + 1]):
        to = edges.column[edge]
        length = lowest + edges.cost[edge] - work.row_dual[row] - work.column_dual[to]
        if work.distance[to] > lowest and length < work.distance[to]:
            if work.distance[to] == np.inf:
                work.frontier[reached] = to
                reached += 1
            work.distance[to] = length
            work.via[to] = row
    return reached


@njit(cache=True, nogil=True)
def _settle(settled: int, reached: int, work: Matching) -> int:
    """Bring the nearest of the columns that are not final to the front of them; returns it."""
    frontier, distance = work.frontier, work.distance
    best = settled
    for place in range(settled + 1, reached):
        if distance[frontier[place]] < distance[frontier[best]]:
            best = place
    frontier[settled], frontier[best] = frontier[best], frontier[settled]
    return int(frontier[settled])


@njit(cache=True, nogil=True)
def _flip(row: int, column: int, work: Matching) -> None:
    """Along the way to `column`: every row takes the column after it, back to `row`."""
    while column != FREE:
        taker = work.via[column]
        before = work.row_to_column[taker]
        work.row_to_column[taker] = column
        work.column_to_row[column] = taker
        column = before if taker != row else FREE


@njit(cache=True, nogil=True)
def _update_duals(row: int, total: float, settled: int, work: Matching) -> None:
    """Keep every reduced cost at or above zero, and zero along the pairs that are made."""
    work.row_dual[row] += total
    for place in range(settled):
        column = work.frontier[place]
        slack = total - work.distance[column]
        work.column_dual[column] -= slack
        if work.column_to_row[column] != FREE:
            work.row_dual[work.column_to_row[column]] += slack


@njit(cache=True, nogil=True)
def _seat(row: int, limit: float, edges: Edges, work: Matching) -> None:
    """Find `row` a partner at the least rise of the total: a free column, or some row on the way goes free."""
    at, lowest, settled, reached, column = row, 0.0, 0, 0, FREE
    leaver, leave = row, np.inf
    while True:
        if lowest + limit - work.row_dual[at] < leave:
            leaver, leave = at, lowest + limit - work.row_dual[at]
        reached = _relax(at, lowest, reached, edges, work)
        column = _settle(settled, reached, work) if settled < reached else FREE
        if column == FREE or work.distance[column] >= leave:
            column = work.row_to_column[leaver]
            break
        lowest = work.distance[column]
        settled += 1
        if work.column_to_row[column] == FREE:
            leaver, leave = FREE, lowest
            break
        at = work.column_to_row[column]
    _update_duals(row, leave, settled, work)
    if leaver != FREE:
        work.row_to_column[leaver] = FREE
    _flip(row, column, work)
    for place in range(reached):
        work.distance[work.frontier[place]] = np.inf


@njit(cache=True, nogil=True)
def assign(rows: int, columns: int, limit: float, edges: Edges, out: Matching) -> None:
    """Match rows to columns so that the sum of the costs, and of `limit` for every row left free, is least.

    rows, columns   size of the problem; `edges` has rows + 1 entries in `first`
    limit           price of leaving a row free; a pair dearer than it is never made
    out             from `matching`, at least as large; its `row_to_column` and `column_to_row` hold the answer

    A row whose nearest column is free takes it at once: that is the shortest way already. (Arrays leave their tuples
    before the loop: inside it each would cost an atomic count of references.)

    Ties go to the earlier row and the earlier edge: the same edges give the same answer, always.
    """
    out.row_to_column[:rows] = FREE
    out.column_to_row[:columns] = FREE
    out.row_dual[:rows] = 0.0
    out.column_dual[:columns] = 0.0
    out.distance[:columns] = np.inf
    first, columns_of, cost = edges.first, edges.column, edges.cost
    column_to_row, column_dual = out.column_to_row, out.column_dual
    for row in range(rows):
        least, nearest = limit, FREE
        for edge in range(first[row], first[row + 1]):
            price = cost[edge] - column_dual[columns_of[edge]]
            if price < least:
                least, nearest = price, columns_of[edge]
        if nearest == FREE:
            out.row_dual[row] = least
        elif column_to_row[nearest] == FREE:
            out.row_dual[row], out.row_to_column[row], column_to_row[nearest] = least, nearest, row
        else:
            _seat(row, limit, edges, out)
