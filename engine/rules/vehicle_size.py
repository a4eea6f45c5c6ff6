"""Sizes of vehicles: lengths by class, and whether a vehicle is as large as a lorry or a bus.

The detector's class alone is not enough if the limit for heavy vehicles is lower. The top of a box is seen along a ray
that meets the road behind the vehicle. A vehicle of height h and length l whose near end is at distance d from a camera
of height H cannot hide the road beyond (d + l) H / (H - h): a box that does belongs to a larger vehicle. This works
from the front and from behind; from the side the bound is generous, in favour of the driver.
"""

from __future__ import annotations

import numpy as np

from engine.rules.track_history import Rows, TrackHistory
from engine.site import Calibration
from engine.types import Floats

LENGTH_M = {
    "car": (3.4, 5.8),
    "truck": (4.5, 18.75),
    "bus": (6.0, 18.75),
    "motorcycle": (1.6, 2.8),
    "bicycle": (1.4, 2.2),
}
"""Shortest and longest vehicle of a class. Microcars are shorter; a road train has at most 18.75 m."""
ANY_M = (0.0, 18.75)
"""Of any other class of the detector."""
HEAVY = frozenset({"truck", "bus"})
LARGEST_LIGHT_HEIGHT_M = 2.7
LARGEST_LIGHT_LENGTH_M = 6.0
"""The largest vehicle under the limit for cars: a delivery van with a high roof."""


def length_m(history: TrackHistory) -> tuple[float, float]:
    """Shortest and longest length that the vehicle can have by its plausible classes."""
    lengths = [LENGTH_M.get(name, ANY_M) for name in history.plausible]
    return min(low for low, _ in lengths), max(high for _, high in lengths)


def is_heavy(rows: Rows, calibration: Calibration | None) -> bool:
    """True if most of the boxes hide more of the road than the largest light vehicle could.

    False if the site does not state where the camera is, or without sightings.
    """
    if calibration is None or calibration.camera_m is None or len(rows) == 0:
        return False
    *camera_m, height_m = calibration.camera_m
    away_m, hidden_m = _distances(rows, np.array(calibration.image_to_ground), np.array(camera_m))
    light_m = (away_m + LARGEST_LIGHT_LENGTH_M) / max(1e-9, 1 - LARGEST_LIGHT_HEIGHT_M / height_m)
    return bool((hidden_m > light_m).mean() > 0.5)


def _distances(rows: Rows, image_to_ground: Floats, camera_m: Floats) -> tuple[Floats, Floats]:
    """(P,) distances from the point below the camera to the lower edges of the boxes, and to the road seen above them.

    The latter is infinite if the upper edge is above the horizon.
    """
    left, top, right, bottom = rows["xyxy_px"].T.astype(np.float64)
    middle, ones = (left + right) / 2, np.ones(len(rows))
    near = image_to_ground @ np.stack([middle, bottom, ones])
    far = image_to_ground @ np.stack([middle, top, ones])
    before = far[2] * np.sign(near[2]) > 0
    far_m = np.hypot(*(far[:2] / np.where(before, far[2], 1) - camera_m[:, None]))
    return np.hypot(*(near[:2] / near[2] - camera_m[:, None])), np.where(before, far_m, np.inf)
