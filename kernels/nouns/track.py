"""The nouns of `kernels.track`: plain arrays, grouped."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels.assign import Edges, Matching

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Ints = NDArray[np.int64]
Ints32 = NDArray[np.int32]

CLASSES = 8
"""Votes are kept for class numbers below this."""
TENTATIVE = -1
"""Identity of a track that is not believed yet."""
CAMERA_SHIFT = 40
"""identity = camera << CAMERA_SHIFT | how many identities the camera had given out before."""

Track = Any
"""One record of dtype TRACK."""

TRACK = np.dtype(
    [
        ("mean", "f8", 8),
        ("spread", "f8", 6),
        ("votes", "f8", CLASSES),
        ("evidence", "f8"),
        ("seen_s", "f8"),
        ("identity", "i8"),
        ("row", "i8"),
    ],
    align=True,
)
"""What is known of a vehicle.

mean, spread   where it is and how it moves, as in `kernels.kalman`
votes          sum of the scores of its sightings, by class
evidence       sum of the log odds of its sightings
seen_s         capture time of the last sighting
identity       TENTATIVE until believed
row            detection of this batch that was its last sighting; FREE where there is none
"""


class Parameters(NamedTuple):
    """The fields of `engine.track.TrackerParameters`, which says what each is."""

    high_score: float
    low_score: float
    birth_score: float
    even_score: float
    confirm_evidence: float
    max_lost_s: float
    max_tentative_s: float
    max_doubtful_s: float
    buffer: float
    max_cost: float
    doubt_cost: float
    lost_cost_per_s: float
    centre_agility: float
    size_agility: float
    centre_noise: float
    size_noise: float
    birth_rate: float


class Batch(NamedTuple):
    """The frames of a batch and their detections; the frames of a camera ascend in time."""

    camera: Ints32
    """(F,) i4: row of the state."""
    captured_s: Floats
    """(F,) f8"""
    size_px: Ints32
    """(F, 2) i4: width and height of the picture."""
    first: Ints
    """(F + 1,) i8: frame f has the detections first[f] to first[f + 1]."""
    box_px: Floats
    """(D, 4) f8: x and y of the centre, width and height; finite, the sizes above 0."""
    score: Floats32
    """(D,) f4: 0 to 1."""
    class_id: Ints32
    """(D,) i4: 0 to CLASSES - 1."""


class State(NamedTuple):
    """The tracks of every camera."""

    tracks: NDArray[Any]
    """(C, S) TRACK: a camera's live tracks in front, oldest first."""
    live: Ints
    """(C,) i8: how many are live."""
    issued: Ints
    """(C,) i8: how many identities the camera has given out, ever."""
    clock_s: Floats
    """(C,) f8: capture time of the camera's last frame; -inf before the first."""


class Sightings(NamedTuple):
    """What a batch came to, row by row of its detections."""

    identity: Ints
    """(D,) i8: the vehicle; TENTATIVE where nothing is reported."""
    class_id: Ints32
    """(D,) i4: the vehicle's class by the vote of its sightings so far."""
    previous: Ints
    """(D,) i8: detection of this batch that was the track's sighting before; FREE where there is none."""
    ended: Ints
    """(E,) i8: identities that ended, in front."""
    ended_count: Ints
    """(1,) i8: how many did."""


class Desk(NamedTuple):
    """Working memory for one frame."""

    taken: Flags
    """(D,) bool: the detection has its track."""
    rows: Ints
    """(N,) i8: the detections that look for a track, columns of the assignment."""
    slots: Ints
    """(S,) i8: the tracks that look for a detection, rows of the assignment."""
    edges: Edges
    matching: Matching


class Frame(NamedTuple):
    """One frame of a batch."""

    camera: int
    now_s: float
    width_px: float
    height_px: float
    first: int
    """Its detections are `first` to `last` - 1."""
    last: int
