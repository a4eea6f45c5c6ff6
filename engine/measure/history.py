"""The speedometer's memory: the latest sightings of each live track."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.types import Floats, Ints

SIGHTING = np.dtype(
    [
        ("track", "i8"),
        ("exposed_s", "f8"),
        ("foot_px", "f8", (2,)),
        ("position_m", "f8", (2,)),
        ("jacobian", "f8", (2, 2)),
        ("by_clearance", "f8", (2,)),
        ("width_m", "f8"),
        ("bearing_rad", "f8"),
        ("camera", "i4"),
        ("reason", "u1"),
        ("row", "i8"),
    ]
)
"""One sighting. `exposed_s` is the time at which the picture's row of the foot point was read, `foot_px` is
undistorted, `width_m` is the width of the box at its foot, `bearing_rad` is the direction from the camera on the ground
(nan if the position of the camera is unknown), `camera` is the camera (-1 if no geometry held), `row` is the row
in the current batch (-1 for older sightings)."""

WHOLE = np.dtype((np.void, SIGHTING.itemsize))
"""A sighting as plain bytes: NumPy copies structured arrays field by field, but plain bytes at once."""
SightingRows = NDArray[np.void]


class SightingHistory:
    """The latest sightings, at most `limit`, of each track: a view into the table of the last batch with the track."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._of_track: dict[int, SightingRows] = {}

    def extend(self, fresh: SightingRows) -> tuple[SightingRows, Ints]:
        """Add a batch (T,). Returns the histories of its tracks, concatenated (P,), and their offsets (N + 1,)."""
        order = np.argsort(fresh["track"], kind="stable")
        ids, count = np.unique(fresh["track"], return_counts=True)
        tracks = ids.tolist()
        past = [self._of_track.get(track, fresh[:0]) for track in tracks]
        lengths = [len(old) + new for old, new in zip(past, count.tolist(), strict=True)]
        offset = np.cumsum([0, *lengths], dtype=np.int64)
        seen = np.empty(offset[-1], fresh.dtype)
        whole = seen.view(WHOLE)
        for begin, old in zip(offset[:-1].tolist(), past, strict=True):
            whole[begin : begin + len(old)] = old.view(WHOLE)
        seen["row"] = -1
        latest = np.repeat(offset[1:] - np.cumsum(count), count) + np.arange(len(fresh))
        whole[latest] = fresh.view(WHOLE)[order]
        for track, begin, end in zip(tracks, offset[:-1].tolist(), offset[1:].tolist(), strict=True):
            self._of_track[track] = seen[max(begin, end - self._limit) : end]
        return seen, offset

    def forget(self, track: int) -> None:
        """Drop the history of a track."""
        self._of_track.pop(track, None)

    def sizes(self) -> dict[int, int]:
        """Number of stored sightings by track."""
        return {track: len(sightings) for track, sightings in self._of_track.items()}


def fit_columns(seen: SightingRows) -> tuple[Floats, Floats, Floats]:
    """Times (P,), ground positions (P, 2) and their Jacobians (P, 2, 2), each contiguous for the kernels."""
    t_s, position_m, jacobian = (np.ascontiguousarray(seen[name]) for name in ("exposed_s", "position_m", "jacobian"))
    return t_s, position_m, jacobian
