"""One step of the tracker for every frame of a batch, all cameras, in one compiled call.

Association as in ByteTrack (Zhang et al., ECCV 2022): detections of a good score choose first, then the doubtful ones
may carry on what is left of the tracks; by the overlap of slightly widened boxes (C-BIoU, Yang et al., WACV 2023) with
the box that a Kalman filter in seconds predicts. The life of a track is a sequential test (Wald 1945): every sighting
adds the log odds of its score, and a track is believed once the sum reaches a bound.

Everything here is plain arrays; the state of a camera is one row of them, and no camera's row is read for another's.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.assign import FREE, Edges, Matching, assign, matching
from kernels.kalman import correct, predict

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Ints = NDArray[np.int64]
Ints32 = NDArray[np.int32]
Flags = NDArray[np.bool_]
Track = Any
"""One record of dtype TRACK."""

CLASSES = 8
"""Votes are kept for class numbers below this."""
TENTATIVE = -1
"""Identity of a track that is not believed yet."""
CAMERA_SHIFT = 40
"""identity = camera << CAMERA_SHIFT | how many tracks the camera had before."""
MOST_CERTAIN = 0.99
"""A single sighting counts as no surer than this, nor as less sure than its complement."""

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

mean, spread   as in `kernels.kalman`
votes          sum of the scores of its sightings, by class
evidence       sum of the log odds of its sightings
seen_s         capture time of the last sighting
identity       TENTATIVE until believed
row            detection of this batch that was its last sighting; FREE where there is none
"""


class Parameters(NamedTuple):
    """As `engine.track.TrackerParameters`, which says what each is."""

    high_score: float
    low_score: float
    birth_score: float
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
    birth_centre_rate: float
    birth_size_rate: float


class Batch(NamedTuple):
    """The frames of a batch and their detections, the frames of a camera ascending in time."""

    camera: Ints32
    """(F,) i4: row of the state."""
    captured_s: Floats
    """(F,) f8"""
    size_px: Ints32
    """(F, 2) i4: width and height of the picture."""
    first: Ints
    """(F + 1,) i8: frame f has the detections first[f] to first[f + 1]."""
    xyxy_px: Floats32
    """(D, 4) f4"""
    score: Floats32
    """(D,) f4"""
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
    """What the batch came to; row by row of its detections."""

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
    """Detections that look for a track: columns of the assignment."""
    slots: Ints
    """Tracks that look for a detection: rows of the assignment."""
    edges: Edges
    matching: Matching
    measured: Floats
    """(4,) f8: x, y, w, h of a detection."""


@njit(cache=True, nogil=True)
def desk(detections: int, most_in_frame: int, capacity: int) -> Desk:
    """Working memory for a batch of `detections`, no frame of which has more than `most_in_frame`."""
    pairs = capacity * most_in_frame
    return Desk(
        np.zeros(detections, np.bool_),
        np.empty(most_in_frame, np.int64),
        np.empty(capacity, np.int64),
        Edges(np.empty(capacity + 1, np.int32), np.empty(pairs, np.int32), np.empty(pairs, np.float64)),
        matching(capacity, most_in_frame),
        np.empty(4, np.float64),
    )


@njit(cache=True, nogil=True)
def buffered_iou(mean: Floats, box: Floats32, buffer: float) -> float:
    """Intersection over union of a state's box and `box`, each widened by `buffer` of its size on every side."""
    reach = 0.5 + buffer
    width, height = box[2] - box[0], box[3] - box[1]
    x, y = 0.5 * (box[0] + box[2]), 0.5 * (box[1] + box[3])
    overlap_x = min(mean[0] + mean[2] * reach, x + width * reach) - max(mean[0] - mean[2] * reach, x - width * reach)
    overlap_y = min(mean[1] + mean[3] * reach, y + height * reach) - max(mean[1] - mean[3] * reach, y - height * reach)
    if not (overlap_x > 0.0 and overlap_y > 0.0):
        return 0.0
    shared = overlap_x * overlap_y
    return float(shared / ((mean[2] * mean[3] + width * height) * 4.0 * reach * reach - shared))


@njit(cache=True, nogil=True)
def _measure(box: Floats32, out: Floats) -> None:
    out[0] = 0.5 * (box[0] + box[2])
    out[1] = 0.5 * (box[1] + box[3])
    out[2] = max(box[2] - box[0], 1.0)
    out[3] = max(box[3] - box[1], 1.0)


@njit(cache=True, nogil=True)
def _report(track: Track, row: int, out: Sightings) -> None:
    """Write the track's identity and class to a detection."""
    out.identity[row] = track.identity
    out.class_id[row] = np.argmax(track.votes)


@njit(cache=True, nogil=True)
def _believe(camera: int, track: Track, issued: Ints, out: Sightings) -> None:
    """Give the track its identity and report its earlier sightings of this batch."""
    track.identity = (camera << CAMERA_SHIFT) | issued[camera]
    issued[camera] += 1
    row = out.previous[track.row]
    while row != FREE:
        _report(track, row, out)
        row = out.previous[row]


@njit(cache=True, nogil=True)
def _note(
    camera: int, row: int, track: Track, batch: Batch, parameters: Parameters, state: State, out: Sightings
) -> None:
    """Count a sighting in: vote, evidence, identity."""
    score = min(max(batch.score[row], 1.0 - MOST_CERTAIN), MOST_CERTAIN)
    track.votes[batch.class_id[row]] += score
    track.evidence += np.log(score / (1.0 - score))
    out.previous[row] = track.row
    track.row = row
    if track.identity == TENTATIVE and track.evidence >= parameters.confirm_evidence:
        _believe(camera, track, state.issued, out)
    if track.identity != TENTATIVE:
        _report(track, row, out)


@njit(cache=True, nogil=True)
def _bear(now_s: float, measured: Floats, parameters: Parameters, track: Track) -> None:
    """Begin a track at a detection: where it is, standing still for all we know."""
    track.mean[:4] = measured
    track.mean[4:] = 0.0
    track.spread[0], track.spread[1], track.spread[2] = parameters.centre_noise**2, 0.0, parameters.birth_centre_rate**2
    track.spread[3], track.spread[4], track.spread[5] = parameters.size_noise**2, 0.0, parameters.birth_size_rate**2
    track.votes[:] = 0.0
    track.evidence = 0.0
    track.seen_s = now_s
    track.identity = TENTATIVE
    track.row = FREE


@njit(cache=True, nogil=True)
def _is_over(now_s: float, size_px: Ints32, track: Track, parameters: Parameters) -> bool:
    """Lost for too long, or gone out of the picture."""
    patience_s = parameters.max_tentative_s if track.identity == TENTATIVE else parameters.max_lost_s
    x, y = track.mean[0], track.mean[1]
    outside = not (0.0 <= x <= size_px[0] and 0.0 <= y <= size_px[1])
    return outside or now_s - track.seen_s > patience_s


@njit(cache=True, nogil=True)
def _end(track: Track, out: Sightings) -> None:
    if track.identity != TENTATIVE:
        out.ended[out.ended_count[0]] = track.identity
        out.ended_count[0] += 1


@njit(cache=True, nogil=True)
def _advance(
    now_s: float, dt_s: float, size_px: Ints32, tracks: NDArray[Any], live: int, parameters: Parameters, out: Sightings
) -> int:
    """Move the tracks on to now and end those that are over; returns how many live."""
    kept = 0
    for slot in range(live):
        track = tracks[slot]
        predict(dt_s, parameters.centre_agility, parameters.size_agility, track.mean, track.spread)
        track.mean[2], track.mean[3] = max(track.mean[2], 1.0), max(track.mean[3], 1.0)
        if _is_over(now_s, size_px, track, parameters):
            _end(track, out)
        else:
            tracks[kept] = track
            kept += 1
    return kept


@njit(cache=True, nogil=True)
def _seeking_rows(first: int, last: int, low: float, high: float, batch: Batch, work: Desk) -> int:
    """Collect the detections without a track whose score is in [low, high); returns how many."""
    count = 0
    for row in range(first, last):
        if not work.taken[row] and low <= batch.score[row] < high:
            work.rows[count] = row
            count += 1
    return count


@njit(cache=True, nogil=True)
def _list_pairs(
    now_s: float, track: Track, count: int, batch: Batch, parameters: Parameters, edge: int, work: Desk
) -> int:
    """Write the pairs of one track with the detections that seek; returns the next free edge."""
    lost_cost = parameters.lost_cost_per_s * (now_s - track.seen_s)
    for column in range(count):
        row = work.rows[column]
        overlap = buffered_iou(track.mean, batch.xyxy_px[row], parameters.buffer)
        cost = 1.0 - overlap + lost_cost + parameters.doubt_cost * (1.0 - batch.score[row])
        if overlap > 0.0 and cost < parameters.max_cost:
            work.edges.column[edge] = column
            work.edges.cost[edge] = cost
            edge += 1
    return edge


@njit(cache=True, nogil=True)
def _pair(
    now_s: float, patience_s: float, count: int, tracks: NDArray[Any], batch: Batch, parameters: Parameters, work: Desk
) -> int:
    """Assign the detections that seek to the tracks not seen yet in this frame; returns how many tracks took part."""
    seeking = edge = 0
    for slot in range(len(tracks)):
        track = tracks[slot]
        if track.seen_s < now_s and now_s - track.seen_s <= patience_s:
            work.slots[seeking] = slot
            work.edges.first[seeking] = edge
            edge = _list_pairs(now_s, track, count, batch, parameters, edge, work)
            seeking += 1
    work.edges.first[seeking] = edge
    assign(seeking, count, parameters.max_cost, work.edges, work.matching)
    return seeking


@njit(cache=True, nogil=True)
def _see(
    camera: int,
    now_s: float,
    seeking: int,
    batch: Batch,
    parameters: Parameters,
    state: State,
    work: Desk,
    out: Sightings,
) -> None:
    """Correct the tracks that found a detection."""
    for place in range(seeking):
        column = work.matching.row_to_column[place]
        if column != FREE:
            row, track = work.rows[column], state.tracks[camera, work.slots[place]]
            _measure(batch.xyxy_px[row], work.measured)
            correct(work.measured, parameters.centre_noise, parameters.size_noise, track.mean, track.spread)
            track.seen_s = now_s
            work.taken[row] = True
            _note(camera, row, track, batch, parameters, state, out)


@njit(cache=True, nogil=True)
def _births(
    camera: int,
    now_s: float,
    first: int,
    last: int,
    batch: Batch,
    parameters: Parameters,
    state: State,
    work: Desk,
    out: Sightings,
) -> None:
    for row in range(first, last):
        if not work.taken[row] and batch.score[row] >= parameters.birth_score:
            track = state.tracks[camera, state.live[camera]]
            state.live[camera] += 1
            _measure(batch.xyxy_px[row], work.measured)
            _bear(now_s, work.measured, parameters, track)
            _note(camera, row, track, batch, parameters, state, out)


@njit(cache=True, nogil=True)
def _step(frame: int, batch: Batch, parameters: Parameters, state: State, work: Desk, out: Sightings) -> None:
    camera, now_s = batch.camera[frame], batch.captured_s[frame]
    first, last = batch.first[frame], batch.first[frame + 1]
    dt_s = now_s - state.clock_s[camera]
    if dt_s == 0.0:
        return
    state.clock_s[camera] = now_s
    if dt_s < 0.0:
        for slot in range(state.live[camera]):
            _end(state.tracks[camera, slot], out)
        state.live[camera] = 0
    tracks = state.tracks[camera]
    live = _advance(now_s, dt_s, batch.size_px[frame], tracks, state.live[camera], parameters, out)
    state.live[camera] = live
    count = _seeking_rows(first, last, parameters.high_score, np.inf, batch, work)
    seeking = _pair(now_s, np.inf, count, tracks[:live], batch, parameters, work)
    _see(camera, now_s, seeking, batch, parameters, state, work, out)
    count = _seeking_rows(first, last, parameters.low_score, parameters.high_score, batch, work)
    seeking = _pair(now_s, parameters.max_doubtful_s, count, tracks[:live], batch, parameters, work)
    _see(camera, now_s, seeking, batch, parameters, state, work, out)
    _births(camera, now_s, first, last, batch, parameters, state, work, out)


@njit(cache=True, nogil=True)
def track_batch(begin: int, batch: Batch, parameters: Parameters, state: State, work: Desk, out: Sightings) -> int:
    """Work through the frames from `begin` on.

    Returns the frame that it stopped before because its camera might need more slots than the state has; the number of
    frames when it is done.
    """
    capacity = state.tracks.shape[1]
    for frame in range(begin, len(batch.camera)):
        wanted = state.live[batch.camera[frame]] + batch.first[frame + 1] - batch.first[frame]
        if wanted > capacity:
            return frame
        _step(frame, batch, parameters, state, work, out)
    return len(batch.camera)
