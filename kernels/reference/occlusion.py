"""Twin of `kernels.occlusion`: every pair at once."""

from __future__ import annotations

import numpy as np

from kernels.occlusion import Floats, Floats32, Ints32


def hidden_share(frame: Ints32, xyxy_px: Floats32, out: Floats) -> None:
    """Twin of `kernels.occlusion.hidden_share`."""
    low = np.maximum(xyxy_px[:, None, :2], xyxy_px[None, :, :2])
    high = np.minimum(xyxy_px[:, None, 2:], xyxy_px[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0.0, None), axis=2)
    order = np.arange(len(frame))
    bottom = xyxy_px[:, 3]
    nearer = bottom[None] > bottom[:, None]
    nearer |= (bottom[None] == bottom[:, None]) & (order[None] > order[:, None])
    shared = np.where(nearer & (frame[:, None] == frame[None]), shared, 0.0)
    area = (xyxy_px[:, 2] - xyxy_px[:, 0]) * (xyxy_px[:, 3] - xyxy_px[:, 1])
    out[:] = shared.max(axis=1, initial=0.0) / area
