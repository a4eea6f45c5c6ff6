"""Positions of pedestrians before one camera in the last seconds, for the rule about giving way to them.

A pedestrian has no identity: nothing links the position in one frame to that in the next, so no person can be followed,
and nothing is kept longer than a rule looks back. A person whose box is mostly covered by the box of one vehicle is its
rider, driver or passenger, and no pedestrian.
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
"""A person is in or on a vehicle if its box covers this share of the person's box."""

PERSON = np.dtype([("captured_s", np.float64), ("position_m", np.float64, (2,)), ("foot_px", np.float64, (2,))])
"""One person in one frame."""
People = NDArray[Any]
"""(P,) of `PERSON`, ascending in time."""


class Pedestrians:
    """The pedestrians before one camera in the last seconds."""

    def __init__(self) -> None:
        self._people: People = np.empty(0, PERSON)

    def add(self, people: People) -> None:
        """Add the pedestrians of the next frames. If the clock goes back, all earlier ones are dropped."""
        if len(people) and len(self._people) and people["captured_s"][0] < self._people["captured_s"][-1]:
            self._people = self._people[:0]
        self._people = np.concatenate([self._people, people])

    def forget(self, now_s: float) -> None:
        """Drop what is older than any rule looks back."""
        self._people = self._people[self._people["captured_s"] >= now_s - KEPT_S]

    def between(self, began_s: float, ended_s: float) -> People:
        """The pedestrians between two instants, both included."""
        times = self._people["captured_s"]
        return self._people[np.searchsorted(times, began_s, "left") : np.searchsorted(times, ended_s, "right")]


def pedestrians_of(motion: Motion) -> Iterator[tuple[int, People]]:
    """Camera and its pedestrians, for every camera of the batch that has any."""
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
    """(P,) bool: a vehicle's box of the same frame covers most of the person."""
    tracks, persons = motion.tracks, motion.tracks.persons
    first, last = np.searchsorted(tracks.frame, [persons.frame, persons.frame + 1])
    boxes = persons.xyxy_px.astype(np.float64)
    shares = [covered_share(box, tracks.xyxy_px[begin:end]) for box, begin, end in zip(boxes, first, last, strict=True)]
    return np.array([share >= ABOARD for share in shares], np.bool_)


def covered_share(box_px: Floats, others_px: NDArray[Any]) -> float:
    """The largest share of a box (4,) that one of the others (K, 4) covers."""
    low, high = np.maximum(box_px[:2], others_px[:, :2]), np.minimum(box_px[2:], others_px[:, 2:])
    common = (high - low).clip(min=0).prod(axis=1)
    area = float((box_px[2:] - box_px[:2]).clip(min=1e-9).prod())
    return float(common.max(initial=0.0)) / area
