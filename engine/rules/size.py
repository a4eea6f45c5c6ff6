"""Is a vehicle as large as a lorry or a bus? A detector's word for it is not enough where their limit is the lower.

A box's top is seen along a ray that meets the road behind the vehicle. A vehicle of height h and length l whose near
end stands at distance d from a camera of height H cannot hide the road beyond (d + l) H / (H - h): a box that does is
of a larger vehicle. Works from the front and from behind; from aside the bound is generous, in favour of the driver.
"""

from __future__ import annotations

import numpy as np

from engine.rules.track_history import Rows
from engine.site import Calibration
from engine.types import Floats

HEAVY = frozenset({"truck", "bus"})
LARGEST_LIGHT_HEIGHT_M = 2.7
LARGEST_LIGHT_LENGTH_M = 6.0
"""A delivery van with a high roof: the largest vehicle that a car's limit is for."""


def is_heavy(rows: Rows, calibration: Calibration | None) -> bool:
    """Do most of the boxes hide more of the road than the largest light vehicle could? False where nobody can tell."""
    if calibration is None or calibration.camera_m is None or len(rows) == 0:
        return False
    *camera_m, height_m = calibration.camera_m
    away_m, hidden_m = _distances(rows, np.array(calibration.image_to_ground), np.array(camera_m))
    light_m = (away_m + LARGEST_LIGHT_LENGTH_M) / max(1e-9, 1 - LARGEST_LIGHT_HEIGHT_M / height_m)
    return bool((hidden_m > light_m).mean() > 0.5)


def _distances(rows: Rows, image_to_ground: Floats, camera_m: Floats) -> tuple[Floats, Floats]:
    """(P,) distances from below the camera to the boxes' lower edges, and to where the road behind is seen again.

    The latter is infinite where that is above the horizon.
    """
    left, top, right, bottom = rows["xyxy_px"].T.astype(np.float64)
    middle, ones = (left + right) / 2, np.ones(len(rows))
    near = image_to_ground @ np.stack([middle, bottom, ones])
    far = image_to_ground @ np.stack([middle, top, ones])
    before = far[2] * np.sign(near[2]) > 0
    far_m = np.hypot(*(far[:2] / np.where(before, far[2], 1) - camera_m[:, None]))
    return np.hypot(*(near[:2] / near[2] - camera_m[:, None])), np.where(before, far_m, np.inf)
