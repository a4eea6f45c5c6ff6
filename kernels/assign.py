"""Sparse assignment: which track takes which detection, at the least total cost.

The shortest augmenting path algorithm (Jonker and Volgenant 1987; the rectangular form of Crouse 2016, "On implementing
2D rectangular assignment algorithms") on a list of edges instead of a matrix. Boxes meet few boxes, so a search ends
after a handful of edges, and vehicles far apart, or of other cameras, never touch each other's sums.

Every row may also stay free for the price `limit`: a private way out that makes the gate part of the optimum, where
trackers commonly solve the full matrix first and strike out the dear pairs afterwards.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

FREE = -1

Ints32 = NDArray[np.int32]
Floats = NDArray[np.float64]


@njit(cache=True, nogil=True, inline="never")
def _relax(
    row: int, lowest: float, duals: tuple[Any, Any], edges: tuple[Any, Any, Any], search: tuple[Any, Any, Any], reached: int
) -> int:
    """Shorten the ways to the columns of `row`; returns how many columns have been reached so far."""
    row_dual, column_dual = duals
    first, column, cost = edges
    distance, via, frontier = search
    for edge in range(first[row], first[row + 1]):
        to = column[edge]
        length = lowest + cost[edge] - row_dual[row] - column_dual[to]
        if length < distance[to]:
            if distance[to] == np.inf:
                frontier[reached] = to
                reached += 1
            distance[to] = length
            via[to] = row
    return reached


@njit(cache=True, nogil=True)
def _nearest(distance: Floats, frontier: Ints32, settled: int, reached: int) -> int:
    """Place in `frontier` of the nearest column that is reached and not settled."""
    best = settled
    for place in range(settled + 1, reached):
        if distance[frontier[place]] < distance[frontier[best]]:
            best = place
    return best


@njit(cache=True, nogil=True)
def _flip(row: int, column: int, via: Ints32, row_to_column: Ints32, column_to_row: Ints32) -> None:
    """Give the last `column` of the way to its row, that row's old column to the one before it, back to `row`."""
    while True:
        taker = via[column]
        before = row_to_column[taker]
        row_to_column[taker] = column
        column_to_row[column] = taker
        if taker == row:
            return
        column = before
