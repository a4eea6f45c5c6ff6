"""The tracker's work on a batch: every frame of every camera in one compiled call.

Association as in ByteTrack (Zhang et al., ECCV 2022): detections of a good score choose first, then the doubtful ones
may carry on what is left of the tracks; by the overlap of slightly widened boxes (C-BIoU, Yang et al., WACV 2023) with
the box that a Kalman filter in seconds predicts. The life of a track is a sequential test (Wald 1945): every sighting
adds the log odds of its score, and the track is believed once the sum reaches a bound.

The state of a camera is one row of arrays, and no camera's row is read for another's.

What runs once a frame or more is inlined into `track_batch`: a call that takes these groups of arrays costs more than
most of the steps themselves (measured: 4.3 us a frame without a single box, 1.8 us inlined).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.assign import FREE, Edges, assign, matching
from kernels.kalman import correct, predict
from kernels.nouns.track import (
    CAMERA_SHIFT,
    TENTATIVE,
    Batch,
    Desk,
    Floats,
    Floats32,
    Frame,
    Ints,
    Parameters,
    Sightings,
    State,
    Track,
)

MOST_CERTAIN = 0.99
"""No single sighting counts as surer than this, for or against."""
LEAST_SIZE_PX = 1.0
"""A predicted box does not shrink below this."""


@njit(cache=True, nogil=True)
def desk(detections: int, most_in_frame: int, capacity: int) -> Desk:
    """Working memory for a batch of `detections`, at most `most_in_frame` a frame, and `capacity` tracks a camera."""
    pairs = capacity * most_in_frame
    return Desk(
        np.zeros(detections, np.bool_),
        np.empty(most_in_frame, np.int64),
        np.empty(capacity, np.int64),
        Edges(np.empty(capacity + 1, np.int32), np.empty(pairs, np.int32), np.empty(pairs, np.float64)),
        matching(capacity, most_in_frame),
    )


@njit(cache=True, nogil=True)
def buffered_iou(mean: Floats, boxes: Floats, row: int, buffer: float) -> float:
    """Intersection over union of a track's box and a detection's, each widened by `buffer` of its size on every side.

    mean    (4+,) f8: x, y, w, h of the track's box, pixels
    boxes   (D, 4) f8: the same of the detections; `row` is the one meant (a slice of it would cost ten times the rest)

    Not a number anywhere, or no overlap: 0.
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
def _report(track: Track, row: int, out: Sightings) -> None:
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


@njit(cache=True, nogil=True, inline="always")
def _note(
    camera: int, row: int, track: Track, batch: Batch, parameters: Parameters, issued: Ints, out: Sightings
) -> None:
    """Count a sighting in: its vote, its evidence, and the identity where that reaches the bound."""
    score = min(max(float(batch.score[row]), 1.0 - MOST_CERTAIN), MOST_CERTAIN)
    track.votes[batch.class_id[row]] += score
    even = parameters.even_score
    track.evidence += np.log(score * (1.0 - even) / ((1.0 - score) * even))
    out.previous[row] = track.row
    track.row = row
    if track.identity == TENTATIVE and track.evidence >= parameters.confirm_evidence:
        _believe(camera, track, issued, out)
    if track.identity != TENTATIVE:
        _report(track, row, out)


@njit(cache=True, nogil=True)
def _bear(now_s: float, measured: Floats, parameters: Parameters, track: Track) -> None:
    """Begin a track at a detection: where it is, how it moves unknown."""
    track.mean[:4] = measured
    track.mean[4:] = 0.0
    rate = parameters.birth_rate * parameters.birth_rate
    track.spread[0], track.spread[1], track.spread[2] = parameters.centre_noise**2, 0.0, rate
    track.spread[3], track.spread[4], track.spread[5] = parameters.size_noise**2, 0.0, rate
    track.votes[:] = 0.0
    track.evidence = 0.0
    track.seen_s = now_s
    track.identity = TENTATIVE
    track.row = FREE


@njit(cache=True, nogil=True)
def _end(track: Track, out: Sightings) -> None:
    if track.identity != TENTATIVE:
        out.ended[out.ended_count[0]] = track.identity
        out.ended_count[0] += 1


@njit(cache=True, nogil=True)
def _is_over(frame: Frame, track: Track, parameters: Parameters) -> bool:
    """Not seen for too long, or gone out of the picture."""
    patience_s = parameters.max_tentative_s if track.identity == TENTATIVE else parameters.max_lost_s
    inside = 0.0 <= track.mean[0] <= frame.width_px and 0.0 <= track.mean[1] <= frame.height_px
    return not inside or frame.now_s - track.seen_s > patience_s


@njit(cache=True, nogil=True, inline="always")
def _advance(frame: Frame, dt_s: float, tracks: NDArray[Any], live: int, parameters: Parameters, out: Sightings) -> int:
    """Move the tracks on to the frame's time and end those that are over; returns how many live."""
    kept = 0
    for slot in range(live):
        track = tracks[slot]
        predict(dt_s, parameters.centre_agility, parameters.size_agility, track.mean, track.spread)
        track.mean[2], track.mean[3] = max(track.mean[2], LEAST_SIZE_PX), max(track.mean[3], LEAST_SIZE_PX)
        if _is_over(frame, track, parameters):
            _end(track, out)
        else:
            if kept < slot:
                tracks[kept] = track
            kept += 1
    return kept


@njit(cache=True, nogil=True, inline="always")
def _seek(frame: Frame, low: float, high: float, score: Floats32, work: Desk) -> int:
    """Collect the detections without a track whose score is in [low, high); returns how many."""
    count, taken, rows = 0, work.taken, work.rows
    for row in range(frame.first, frame.last):
        if not taken[row] and low <= score[row] < high:
            rows[count] = row
            count += 1
    return count


@njit(cache=True, nogil=True, inline="always")
def _list_pairs(
    mean: Floats, lost_cost: float, rows: Ints, batch: Batch, parameters: Parameters, edge: int, edges: Edges
) -> int:
    """Write the pairs that a track may make with the detections `rows`; returns the next free edge."""
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
def _pair(
    frame: Frame, patience_s: float, tracks: NDArray[Any], rows: Ints, batch: Batch, parameters: Parameters, work: Desk
) -> int:
    """Assign the detections `rows` to the tracks not seen in this frame yet; returns how many tracks took part."""
    seeking = edge = 0
    slots, first = work.slots, work.edges.first
    for slot in range(len(tracks)):
        track = tracks[slot]
        unseen_s = frame.now_s - track.seen_s
        if 0.0 < unseen_s <= patience_s:
            slots[seeking], first[seeking] = slot, edge
            lost_cost = parameters.lost_cost_per_s * unseen_s
            edge = _list_pairs(track.mean, lost_cost, rows, batch, parameters, edge, work.edges)
            seeking += 1
    first[seeking] = edge
    assign(seeking, len(rows), parameters.max_cost, work.edges, work.matching)
    return seeking


@njit(cache=True, nogil=True, inline="always")
def _carry_on(
    frame: Frame, seeking: int, batch: Batch, parameters: Parameters, state: State, work: Desk, out: Sightings
) -> None:
    """Correct the tracks that were given a detection."""
    tracks, slots, rows, row_to_column = state.tracks[frame.camera], work.slots, work.rows, work.matching.row_to_column
    for place in range(seeking):
        column = row_to_column[place]
        if column != FREE:
            row, track = rows[column], tracks[slots[place]]
            correct(batch.box_px[row], parameters.centre_noise, parameters.size_noise, track.mean, track.spread)
            track.seen_s = frame.now_s
            work.taken[row] = True
            _note(frame.camera, row, track, batch, parameters, state.issued, out)


@njit(cache=True, nogil=True, inline="always")
def _begin(frame: Frame, batch: Batch, parameters: Parameters, state: State, work: Desk, out: Sightings) -> None:
    """Begin a track at every detection that is good enough and has none."""
    for row in range(frame.first, frame.last):
        if not work.taken[row] and batch.score[row] >= parameters.birth_score:
            track = state.tracks[frame.camera, state.live[frame.camera]]
            state.live[frame.camera] += 1
            _bear(frame.now_s, batch.box_px[row], parameters, track)
            _note(frame.camera, row, track, batch, parameters, state.issued, out)


@njit(cache=True, nogil=True, inline="always")
def _move_clock(frame: Frame, state: State, out: Sightings) -> float:
    """Set the camera's clock to the frame; returns the time passed. Time that went backwards ends all its tracks."""
    passed_s = frame.now_s - state.clock_s[frame.camera]
    if passed_s < 0.0:
        for slot in range(state.live[frame.camera]):
            _end(state.tracks[frame.camera, slot], out)
        state.live[frame.camera] = 0
    state.clock_s[frame.camera] = frame.now_s
    return float(passed_s)


@njit(cache=True, nogil=True, inline="always")
def _step(frame: Frame, batch: Batch, parameters: Parameters, state: State, work: Desk, out: Sightings) -> None:
    """One frame: predict, the good detections choose, the doubtful ones carry on, the rest of the good begin."""
    passed_s = _move_clock(frame, state, out)
    if passed_s == 0.0:
        return
    tracks = state.tracks[frame.camera]
    live = _advance(frame, passed_s, tracks, state.live[frame.camera], parameters, out)
    state.live[frame.camera] = live
    count = _seek(frame, parameters.high_score, np.inf, batch.score, work)
    seeking = _pair(frame, np.inf, tracks[:live], work.rows[:count], batch, parameters, work)
    _carry_on(frame, seeking, batch, parameters, state, work, out)
    count = _seek(frame, parameters.low_score, parameters.high_score, batch.score, work)
    seeking = _pair(frame, parameters.max_doubtful_s, tracks[:live], work.rows[:count], batch, parameters, work)
    _carry_on(frame, seeking, batch, parameters, state, work, out)
    _begin(frame, batch, parameters, state, work, out)


@njit(cache=True, nogil=True)
def track_batch(begin: int, batch: Batch, parameters: Parameters, state: State, work: Desk, out: Sightings) -> int:
    """Work through the frames from `begin` on.

    state   updated in place
    work    from `desk`, for the batch and the state's capacity
    out     rows of frames not reached stay as they are

    Returns the number of frames when it is done; the frame it stopped before when its camera might need more slots
    than the state has: enlarge it and go on from there.
    """
    frames, capacity = len(batch.camera), state.tracks.shape[1]
    for at in range(begin, frames):
        camera, first, last = batch.camera[at], batch.first[at], batch.first[at + 1]
        if state.live[camera] + last - first > capacity:
            return at
        width_px, height_px = float(batch.size_px[at, 0]), float(batch.size_px[at, 1])
        frame = Frame(int(camera), batch.captured_s[at], width_px, height_px, first, last)
        _step(frame, batch, parameters, state, work, out)
    return frames
