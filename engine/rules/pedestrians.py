"""Where people were a moment ago, before one camera: places without names, for rules that ask whether one gave way.

Nothing ties the place of one frame to that of the next, so nobody can be followed, and nothing is kept for longer than
such a rule looks back. A rider, a driver behind the windscreen and a passenger are seen inside a vehicle's box: a
person of whom a vehicle's box covers most is not on foot.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.types import Flags, Floats, Motion

KEPT_S = 8.0
"""How far back a rule may look."""
ABOARD = 0.7
"""A person of whose box one vehicle's box covers this share is taken for its rider or passenger."""

PERSON = np.dtype([("captured_s", np.float64), ("position_m", np.float64, (2,)), ("foot_px", np.float64, (2,))])
"""One person in one frame."""
People = NDArray[Any]
"""(P,) of `PERSON`, ascending in time."""


class Pedestrians:
    """The people before one camera in the last seconds."""

    def __init__(self) -> None:
        self._people: People = np.empty(0, PERSON)

    def meet(self, people: People) -> None:
        """The people of the next frames. A clock that goes back makes what was before useless."""
        if len(people) and len(self._people) and people["captured_s"][0] < self._people["captured_s"][-1]:
            self._people = self._people[:0]
        self._people = np.concatenate([self._people, people])

    def forget(self, now_s: float) -> None:
        """Drop what is too old to be asked for."""
        self._people = self._people[self._people["captured_s"] >= now_s - KEPT_S]

    def between(self, began_s: float, ended_s: float) -> People:
        """Who was there in a stretch of time, both ends included."""
        times = self._people["captured_s"]
        return self._people[np.searchsorted(times, began_s, "left") : np.searchsorted(times, ended_s, "right")]


def people(motion: Motion) -> Iterator[tuple[int, People]]:
    """Camera and the people on foot before it, for every camera of the batch that saw any."""
    tracks, persons = motion.tracks, motion.tracks.persons
    afoot = np.flatnonzero(~_aboard(motion))
    frames, frame = tracks.frames, persons.frame[afoot]
    rows = np.empty(len(afoot), PERSON)
    rows["captured_s"], rows["position_m"] = frames.captured_s[frame], motion.persons_m[afoot]
    rows["foot_px"], camera = persons.foot_px[afoot], frames.camera[frame]
    for one in np.unique(camera).tolist():
        own = rows[camera == one]
        yield one, own[np.argsort(own["captured_s"], kind="stable")]


def _aboard(motion: Motion) -> Flags:
    """(P,) whether a vehicle's box of the same frame covers most of the person."""
    tracks, persons = motion.tracks, motion.tracks.persons
    first, last = np.searchsorted(tracks.frame, [persons.frame, persons.frame + 1])
    boxes = persons.xyxy_px.astype(np.float64)
    shares = [covered(box, tracks.xyxy_px[begin:end]) for box, begin, end in zip(boxes, first, last, strict=True)]
    return np.array([share >= ABOARD for share in shares], np.bool_)


def covered(box_px: Floats, others_px: NDArray[Any]) -> float:
    """The largest share of a box that one of the others covers."""
    low, high = np.maximum(box_px[:2], others_px[:, :2]), np.minimum(box_px[2:], others_px[:, 2:])
    common = (high - low).clip(min=0).prod(axis=1)
    area = float((box_px[2:] - box_px[:2]).clip(min=1e-9).prod())
    return float(common.max(initial=0.0)) / area
