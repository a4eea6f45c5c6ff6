"""NumPy twin of `kernels.assign`: the full matrix with a private column for every row to stay free, by SciPy."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from kernels.assign import FREE, Edges, Matching

FORBIDDEN = 1e9


def assign(rows: int, columns: int, limit: float, edges: Edges, out: Matching) -> None:
    """As the kernel's. Among answers of the same total it may choose another."""
    cost = np.full((rows, columns + rows), FORBIDDEN)
    cost[np.arange(rows), columns + np.arange(rows)] = limit
    for row in range(rows):
        mine = slice(edges.first[row], edges.first[row + 1])
        cost[row, edges.column[mine]] = edges.cost[mine]
    taker, taken = linear_sum_assignment(cost)
    out.row_to_column[:rows] = FREE
    out.column_to_row[:columns] = FREE
    made = taken < columns
    out.row_to_column[taker[made]] = taken[made]
    out.column_to_row[taken[made]] = taker[made]
