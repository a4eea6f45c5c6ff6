"""What the speedometer remembers: the sightings of every live track, the latest so many."""

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
"""What is remembered of a sighting; `exposed_s` is when its own row of the picture was read, `foot_px` is undistorted,
`width_m` is the box's at its foot, `bearing_rad` the direction from the camera on the ground, nan if the camera's place
is unknown, `camera` its camera, -1 if no geometry held, `row` its row in the current batch, -1 for an older one."""

WHOLE = np.dtype((np.void, SIGHTING.itemsize))
"""A sighting as one run of bytes: copied at once instead of field by field."""
Sightings = NDArray[np.void]


class History:
    """The latest sightings of every track: each a view into the table of the last batch that saw it, copied once."""

    def __init__(self, most: int) -> None:
        """most  sightings of one track"""
        self._most = most
        self._of_track: dict[int, Sightings] = {}

    def lengthen(self, fresh: Sightings) -> tuple[Sightings, Ints]:
        """Add a batch; the histories of its tracks end to end, and where each begins (N + 1,)."""
        order = np.argsort(fresh["track"], kind="stable")
        ids, count = np.unique(fresh["track"], return_counts=True)
        tracks = ids.tolist()
        past = [self._of_track.get(track, fresh[:0]) for track in tracks]
        offset = np.cumsum(
            [0, *(len(old) + new for old, new in zip(past, count.tolist(), strict=True))], dtype=np.int64
        )
        seen = np.empty(offset[-1], fresh.dtype)
        whole = seen.view(WHOLE)
        for begin, old in zip(offset[:-1].tolist(), past, strict=True):
            whole[begin : begin + len(old)] = old.view(WHOLE)
        seen["row"] = -1
        latest = np.repeat(offset[1:] - np.cumsum(count), count) + np.arange(len(fresh))
        whole[latest] = fresh.view(WHOLE)[order]
        for track, begin, end in zip(tracks, offset[:-1].tolist(), offset[1:].tolist(), strict=True):
            self._of_track[track] = seen[max(begin, end - self._most) : end]
        return seen, offset

    def forget(self, track: int) -> None:
        self._of_track.pop(track, None)

    def sizes(self) -> dict[int, int]:
        """How many sightings are held of every track."""
        return {track: len(sightings) for track, sightings in self._of_track.items()}


def columns(seen: Sightings) -> tuple[Floats, Floats, Floats]:
    """Times, ground positions and their Jacobians, each contiguous."""
    t_s, position_m, jacobian = (np.ascontiguousarray(seen[name]) for name in ("exposed_s", "position_m", "jacobian"))
    return t_s, position_m, jacobian
