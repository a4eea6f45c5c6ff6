"""Twin of `kernels.momentary`: point by point, with the weights of the line."""

from __future__ import annotations

import numpy as np

from kernels.reference.ground import deviation
from kernels.speed import Flags, Floats, Ints


def momentary_velocity(
    offset: Ints,
    t_s: Floats,
    position_m: Floats,
    jacobian: Floats,
    wanted: Flags,
    setting: tuple[float, float, float],
    velocity_mps: Floats,
    sigma_mps: Floats,
) -> None:
    """Twin of `kernels.momentary.momentary_velocity`."""
    velocity_mps[:], sigma_mps[:] = np.nan, np.nan
    for n in range(len(offset) - 1):
        for i in range(offset[n], offset[n + 1]):
            rows = np.arange(offset[n], i + 1)
            rows = rows[(t_s[i] - t_s[rows] <= setting[0]) & np.isfinite(position_m[rows, 0])]
            if not wanted[i] or len(rows) < 3 or np.ptp(t_s[rows]) == 0.0:
                continue
            weight = t_s[rows] - t_s[rows].mean()
            weight /= (weight**2).sum()
            velocity_mps[i] = weight @ position_m[rows]
            along = velocity_mps[i] / np.hypot(*velocity_mps[i]) if velocity_mps[i].any() else np.array([1.0, 0.0])
            sigma_mps[i] = np.sqrt(((weight * deviation(jacobian[rows], along, setting[1:])) ** 2).sum())
