"""The tracker's work on a batch: every frame of every camera in one compiled call.

Association as in ByteTrack (Zhang et al., ECCV 2022): detections with a high score choose first, then those with a low
score may continue the remaining tracks. Pairs are scored by the overlap of slightly enlarged boxes (C-BIoU, Yang et
al., WACV 2023) with the box that a Kalman filter in seconds predicts. A track is confirmed by a sequential test (Wald
1945): every detection adds the log odds of its score, and the track is confirmed once the sum reaches a bound.

The state of a camera is one row of arrays; no camera reads another camera's row.

Functions that run once per frame or more are inlined into `track_batch`: a call that passes these tuples of arrays
costs more than most of the steps themselves (measured: 4.3 us for a frame without boxes, 1.8 us inlined).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels import Flags, Floats, Floats32, Ints, Ints32
from kernels.assign import FREE, Edges, Matching, assign, matching
from kernels.kalman import correct, predict

CLASSES = 8
"""Class numbers are below this."""
TENTATIVE = -1
"""Identity of a track that is not confirmed yet."""
CAMERA_SHIFT = 40
"""identity = camera << CAMERA_SHIFT | number of identities that the camera had issued before."""
MAX_SCORE = 0.99
"""Scores are clipped to 1 - MAX_SCORE ... MAX_SCORE before their log odds are taken."""
MIN_SIZE_PX = 1.0
"""Lower bound of a predicted box's width and height."""

Track = Any
"""One record of dtype TRACK."""

TRACK = np.dtype(
    [
        ("mean", "f8", 8),
        ("covariance", "f8", 6),
        ("votes", "f8", CLASSES),
        ("evidence", "f8"),
        ("seen_s", "f8"),
        ("identity", "i8"),
        ("row", "i8"),
    ],
    align=True,
)
"""The state of a vehicle's track.

mean, covariance   position and motion, as in `kernels.kalman`
votes              sum of the scores of its detections, by class
evidence           sum of the log odds of its detections
seen_s             capture time of the last detection
identity           TENTATIVE until confirmed
row                its last detection in this batch; FREE if it has none
"""


class KernelParameters(NamedTuple):
    """The fields of `engine.track.TrackerParameters`, which documents them."""

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
    """The F frames of a batch and their D detections; the frames of a camera ascend in time."""

    camera: Ints32
    """(F,) i4: row of the track table."""
    captured_s: Floats
    """(F,) f8"""
    size_px: Ints32
    """(F, 2) i4: width and height of the image."""
    first: Ints
    """(F + 1,) i8: frame f has the detections first[f] to first[f + 1] - 1."""
    box_px: Floats
    """(D, 4) f8: x and y of the centre, width and height; finite, the sizes above 0."""
    score: Floats32
    """(D,) f4: 0 to 1."""
    class_id: Ints32
    """(D,) i4: 0 to CLASSES - 1."""


class TrackTable(NamedTuple):
    """The tracks of C cameras, at most S of each."""

    tracks: NDArray[Any]
    """(C, S) TRACK: a camera's live tracks first, oldest first."""
    live: Ints
    """(C,) i8: number of live tracks."""
    issued: Ints
    """(C,) i8: number of identities that the camera has issued since the start."""
    clock_s: Floats
    """(C,) f8: capture time of the camera's last frame; -inf before the first."""


class Associations(NamedTuple):
    """The result for a batch of D detections."""

    identity: Ints
    """(D,) i8: the vehicle; TENTATIVE if the detection is not reported."""
    class_id: Ints32
    """(D,) i4: the vehicle's class by the votes of its detections so far."""
    previous: Ints
    """(D,) i8: the track's previous detection in this batch; FREE if there is none."""
    ended: Ints
    """(E,) i8: the identities that ended come first."""
    ended_count: Ints
    """(1,) i8: their number."""


class Workspace(NamedTuple):
    """Working memory for one frame."""

    taken: Flags
    """(D,) bool: the detection has a track."""
    rows: Ints
    """(N,) i8: the detections to be assigned, columns of the assignment."""
    slots: Ints
    """(S,) i8: the tracks to be assigned, rows of the assignment."""
    edges: Edges
    matching: Matching


class Frame(NamedTuple):
    """One frame of a batch. Its detections are `first` to `last` - 1."""

    camera: int
    now_s: float
    width_px: float
    height_px: float
    first: int
    last: int


@njit(cache=True, nogil=True)
def workspace(detections: int, max_in_frame: int, capacity: int) -> Workspace:
    """Allocate for a batch of `detections`, at most `max_in_frame` per frame, and `capacity` tracks per camera."""
    pairs = capacity * max_in_frame
    return Workspace(
        np.zeros(detections, np.bool_),
        np.empty(max_in_frame, np.int64),
        np.empty(capacity, np.int64),
        Edges(np.empty(capacity + 1, np.int32), np.empty(pairs, np.int32), np.empty(pairs, np.float64)),
        matching(capacity, max_in_frame),
    )


@njit(cache=True, nogil=True)
def buffered_iou(mean: Floats, boxes: Floats, row: int, buffer: float) -> float:
    """Intersection over union of a track's box and a detection's, each widened by `buffer` of its size on every side.

    mean    (4+,) f8: x, y, w, h of the track's box, pixels
    boxes   (D, 4) f8: the same of the detections; `row` selects one (a slice would cost ten times the arithmetic)

    Returns 0 if the boxes do not overlap or a number is nan.
    """
    reach = 0.5 + buffer
    width, height = boxes[row, 2], boxes[row, 3]
    across = reach * (mean[2] + width) - abs(boxes[row, 0] - mean[0])
    down = reach * (mean[3] + height) - abs(boxes[row, 1] - mean[1])
    if not (across > 0.0 and down > 0.0):
        return 0.0
    side = 2.0 * reach
    shared = min(across, side * min(mean[2], width)) * min(down, side * min(mean[3], height))
    return float(shared / (side * side * (mean[2] * mean[3] + width * height) - shared))


@njit(cache=True, nogil=True)
def _report(track: Track, row: int, out: Associations) -> None:
    out.identity[row] = track.identity
    out.class_id[row] = np.argmax(track.votes)


@njit(cache=True, nogil=True)
def _confirm(camera: int, track: Track, issued: Ints, out: Associations) -> None:
    """Issue an identity to the track and report its earlier detections in this batch."""
    track.identity = (camera << CAMERA_SHIFT) | issued[camera]
    issued[camera] += 1
    row = out.previous[track.row]
    while row != FREE:
        _report(track, row, out)
        row = out.previous[row]


@njit(cache=True, nogil=True, inline="always")
def _add_detection(
    camera: int, row: int, track: Track, batch: Batch, parameters: KernelParameters, issued: Ints, out: Associations
) -> None:
    """Add a detection's vote and evidence to its track, and confirm the track if the evidence reaches the bound."""
    score = min(max(float(batch.score[row]), 1.0 - MAX_SCORE), MAX_SCORE)
    track.votes[batch.class_id[row]] += score
    even = parameters.even_score
    track.evidence += np.log(score * (1.0 - even) / ((1.0 - score) * even))
    out.previous[row] = track.row
    track.row = row
    if track.identity == TENTATIVE and track.evidence >= parameters.confirm_evidence:
        _confirm(camera, track, issued, out)
    if track.identity != TENTATIVE:
        _report(track, row, out)


@njit(cache=True, nogil=True)
def _start_track(now_s: float, measured: Floats, parameters: KernelParameters, track: Track) -> None:
    """Start a track at a detection, with unknown velocity."""
    track.mean[:4] = measured
    track.mean[4:] = 0.0
    rate, covariance = parameters.birth_rate * parameters.birth_rate, track.covariance
    covariance[0], covariance[1], covariance[2] = parameters.centre_noise**2, 0.0, rate
    covariance[3], covariance[4], covariance[5] = parameters.size_noise**2, 0.0, rate
    track.votes[:] = 0.0
    track.evidence = 0.0
    track.seen_s = now_s
    track.identity = TENTATIVE
    track.row = FREE


@njit(cache=True, nogil=True)
def _end_track(track: Track, out: Associations) -> None:
    if track.identity != TENTATIVE:
        out.ended[out.ended_count[0]] = track.identity
        out.ended_count[0] += 1


@njit(cache=True, nogil=True)
def _is_over(frame: Frame, track: Track, parameters: KernelParameters) -> bool:
    """True if the track was not seen for too long or its centre left the image."""
    timeout_s = parameters.max_tentative_s if track.identity == TENTATIVE else parameters.max_lost_s
    inside = 0.0 <= track.mean[0] <= frame.width_px and 0.0 <= track.mean[1] <= frame.height_px
    return not inside or frame.now_s - track.seen_s > timeout_s


@njit(cache=True, nogil=True, inline="always")
def _predict_tracks(
    frame: Frame, dt_s: float, tracks: NDArray[Any], live: int, parameters: KernelParameters, out: Associations
) -> int:
    """Predict the tracks to the frame's time and end those that are over; returns the number of live tracks."""
    kept = 0
    for slot in range(live):
        track = tracks[slot]
        predict(dt_s, parameters.centre_agility, parameters.size_agility, track.mean, track.covariance)
        track.mean[2], track.mean[3] = max(track.mean[2], MIN_SIZE_PX), max(track.mean[3], MIN_SIZE_PX)
        if _is_over(frame, track, parameters):
            _end_track(track, out)
        else:
            if kept < slot:
                tracks[kept] = track
            kept += 1
    return kept


@njit(cache=True, nogil=True, inline="always")
def _select_detections(frame: Frame, low: float, high: float, score: Floats32, work: Workspace) -> int:
    """Collect the detections without a track whose score is in [low, high); returns their number."""
    count, taken, rows = 0, work.taken, work.rows
    for row in range(frame.first, frame.last):
        if not taken[row] and low <= score[row] < high:
            rows[count] = row
            count += 1
    return count


@njit(cache=True, nogil=True, inline="always")
def _list_edges(
    mean: Floats, lost_cost: float, rows: Ints, batch: Batch, parameters: KernelParameters, edge: int, edges: Edges
) -> int:
    """Write a track's allowed pairs with the detections `rows`; returns the next free edge."""
    boxes, score = batch.box_px, batch.score
    for column in range(len(rows)):
        row = rows[column]
        overlap = buffered_iou(mean, boxes, row, parameters.buffer)
        if overlap > 0.0:
            cost = 1.0 - overlap + lost_cost + parameters.doubt_cost * (1.0 - score[row])
            if cost < parameters.max_cost:
                edges.column[edge] = column
                edges.cost[edge] = cost
                edge += 1
    return edge


@njit(cache=True, nogil=True, inline="always")
def _associate(
    frame: Frame,
    max_unseen_s: float,
    tracks: NDArray[Any],
    rows: Ints,
    batch: Batch,
    parameters: KernelParameters,
    work: Workspace,
) -> int:
    """Assign the detections `rows` to the tracks without one in this frame; returns the number of these tracks."""
    count = edge = 0
    slots, first = work.slots, work.edges.first
    for slot in range(len(tracks)):
        track = tracks[slot]
        unseen_s = frame.now_s - track.seen_s
        if 0.0 < unseen_s <= max_unseen_s:
            slots[count], first[count] = slot, edge
            lost_cost = parameters.lost_cost_per_s * unseen_s
            edge = _list_edges(track.mean, lost_cost, rows, batch, parameters, edge, work.edges)
            count += 1
    first[count] = edge
    assign(count, len(rows), parameters.max_cost, work.edges, work.matching)
    return count


@njit(cache=True, nogil=True, inline="always")
def _update_tracks(
    frame: Frame,
    count: int,
    batch: Batch,
    parameters: KernelParameters,
    table: TrackTable,
    work: Workspace,
    out: Associations,
) -> None:
    """Correct each of the `count` associated tracks that was assigned a detection."""
    tracks, slots, rows, row_to_column = table.tracks[frame.camera], work.slots, work.rows, work.matching.row_to_column
    for place in range(count):
        column = row_to_column[place]
        if column != FREE:
            row, track = rows[column], tracks[slots[place]]
            correct(batch.box_px[row], parameters.centre_noise, parameters.size_noise, track.mean, track.covariance)
            track.seen_s = frame.now_s
            work.taken[row] = True
            _add_detection(frame.camera, row, track, batch, parameters, table.issued, out)


@njit(cache=True, nogil=True, inline="always")
def _start_tracks(
    frame: Frame, batch: Batch, parameters: KernelParameters, table: TrackTable, work: Workspace, out: Associations
) -> None:
    """Start a track at every detection that has none and a score of at least `birth_score`."""
    for row in range(frame.first, frame.last):
        if not work.taken[row] and batch.score[row] >= parameters.birth_score:
            track = table.tracks[frame.camera, table.live[frame.camera]]
            table.live[frame.camera] += 1
            _start_track(frame.now_s, batch.box_px[row], parameters, track)
            _add_detection(frame.camera, row, track, batch, parameters, table.issued, out)


@njit(cache=True, nogil=True, inline="always")
def _advance_clock(frame: Frame, table: TrackTable, out: Associations) -> float:
    """Set the camera's clock to the frame; returns the elapsed time. If time went backwards, all its tracks end."""
    dt_s = frame.now_s - table.clock_s[frame.camera]
    if dt_s < 0.0:
        for slot in range(table.live[frame.camera]):
            _end_track(table.tracks[frame.camera, slot], out)
        table.live[frame.camera] = 0
    table.clock_s[frame.camera] = frame.now_s
    return float(dt_s)


@njit(cache=True, nogil=True, inline="always")
def _process_frame(
    frame: Frame, batch: Batch, parameters: KernelParameters, table: TrackTable, work: Workspace, out: Associations
) -> None:
    """Predict; associate high scores, then low ones; start tracks at the high scores that remain."""
    dt_s = _advance_clock(frame, table, out)
    if dt_s == 0.0:
        return
    tracks = table.tracks[frame.camera]
    live = _predict_tracks(frame, dt_s, tracks, table.live[frame.camera], parameters, out)
    table.live[frame.camera] = live
    rows = _select_detections(frame, parameters.high_score, np.inf, batch.score, work)
    count = _associate(frame, np.inf, tracks[:live], work.rows[:rows], batch, parameters, work)
    _update_tracks(frame, count, batch, parameters, table, work, out)
    rows = _select_detections(frame, parameters.low_score, parameters.high_score, batch.score, work)
    count = _associate(frame, parameters.max_doubtful_s, tracks[:live], work.rows[:rows], batch, parameters, work)
    _update_tracks(frame, count, batch, parameters, table, work, out)
    _start_tracks(frame, batch, parameters, table, work, out)


@njit(cache=True, nogil=True)
def track_batch(
    begin: int, batch: Batch, parameters: KernelParameters, table: TrackTable, work: Workspace, out: Associations
) -> int:
    """Track the frames of a batch from frame `begin` on.

    table   updated in place
    work    from `workspace`, for the batch and the table's capacity
    out     `identity` filled with TENTATIVE, `previous` with FREE, `ended_count` 0; rows of frames that are not reached
            stay unchanged

    Returns the number of frames when done. If a camera may need more slots than the table has, returns that frame
    instead: enlarge the table and continue from there.
    """
    frames, capacity = len(batch.camera), table.tracks.shape[1]
    for at in range(begin, frames):
        camera, first, last = batch.camera[at], batch.first[at], batch.first[at + 1]
        if table.live[camera] + last - first > capacity:
            return at
        width_px, height_px = float(batch.size_px[at, 0]), float(batch.size_px[at, 1])
        frame = Frame(int(camera), batch.captured_s[at], width_px, height_px, first, last)
        _process_frame(frame, batch, parameters, table, work, out)
    return frames
