"""Twin of `kernels.assign`: SciPy on the full matrix, with an extra column per row for staying free."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from kernels.assign import FREE, Edges, Matching

FORBIDDEN = 1e9


def assign(rows: int, columns: int, limit: float, edges: Edges, out: Matching) -> None:
    """Twin of `kernels.assign.assign`. Of answers with the same total it may return another."""
    cost = np.full((rows, columns + rows), FORBIDDEN)
    cost[np.arange(rows), columns + np.arange(rows)] = limit
    for row in range(rows):
        mine = slice(edges.first[row], edges.first[row + 1])
        cost[row, edges.column[mine]] = edges.cost[mine]
    matched, column = linear_sum_assignment(cost)
    out.row_to_column[:rows] = FREE
    out.column_to_row[:columns] = FREE
    real = column < columns
    out.row_to_column[matched[real]] = column[real]
    out.column_to_row[column[real]] = matched[real]
