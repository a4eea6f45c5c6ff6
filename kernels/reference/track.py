"""NumPy twin of `kernels.track`: one frame after the other, lists and matrices, no working memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from kernels.assign import FREE, Edges, matching
from kernels.nouns.track import CAMERA_SHIFT, TENTATIVE, Batch, Desk, Floats, Parameters, Sightings, State, Track
from kernels.reference.assign import assign
from kernels.reference.kalman import correct, predict
from kernels.track import LEAST_SIZE_PX, MOST_CERTAIN


@dataclass
class _Camera:
    """One camera's tracks while a frame of it is worked on."""

    camera: int
    now_s: float
    batch: Batch
    parameters: Parameters
    state: State
    out: Sightings
    taken: set[int]

    @property
    def tracks(self) -> list[Track]:
        return list(self.state.tracks[self.camera, : self.state.live[self.camera]])


def buffered_iou(mean: Floats, boxes: Floats, row: int, buffer: float) -> float:
    """As the kernel's."""
    centre = np.stack([mean[:2], boxes[row, :2]])
    half = np.stack([mean[2:4], boxes[row, 2:4]]) * (0.5 + buffer)
    overlap = (centre + half).min(axis=0) - (centre - half).max(axis=0)
    if not (overlap > 0).all():
        return 0.0
    shared = overlap.prod()
    return float(shared / ((2 * half).prod(axis=1).sum() - shared))


def track_batch(begin: int, batch: Batch, parameters: Parameters, state: State, work: Desk, out: Sightings) -> int:
    """As the kernel's."""
    for at, (first, last) in enumerate(pairwise(batch.first)):
        if at < begin:
            continue
        camera = int(batch.camera[at])
        if state.live[camera] + last - first > state.tracks.shape[1]:
            return at
        now_s = float(batch.captured_s[at])
        passed_s = now_s - state.clock_s[camera]
        state.clock_s[camera] = now_s
        if passed_s != 0:
            here = _Camera(camera, now_s, batch, parameters, state, out, set())
            _step(here, passed_s, batch.size_px[at], range(first, last))
    return len(batch.camera)


def _step(here: _Camera, passed_s: float, size_px: Floats, rows: range) -> None:
    parameters, score = here.parameters, here.batch.score
    _keep(here, [track for track in here.tracks if passed_s > 0])
    for track in here.tracks:
        predict(passed_s, parameters.centre_agility, parameters.size_agility, track["mean"], track["spread"])
        track["mean"][2:4] = np.maximum(track["mean"][2:4], LEAST_SIZE_PX)
    _keep(here, [track for track in here.tracks if not _is_over(here, track, size_px)])
    _associate(here, math.inf, [row for row in rows if score[row] >= parameters.high_score])
    doubtful = [row for row in rows if parameters.low_score <= score[row] < parameters.high_score]
    _associate(here, parameters.max_doubtful_s, [row for row in doubtful if row not in here.taken])
    for row in rows:
        if row not in here.taken and score[row] >= parameters.birth_score:
            _begin(here, row)


def _keep(here: _Camera, kept: list[Track]) -> None:
    """Keep these tracks, in front; the others have ended."""
    identities = {int(track["identity"]) for track in kept}
    for track in here.tracks:
        if int(track["identity"]) not in identities | {TENTATIVE}:
            here.out.ended[here.out.ended_count[0]] = track["identity"]
            here.out.ended_count[0] += 1
    here.state.tracks[here.camera, : len(kept)] = [track.copy() for track in kept]
    here.state.live[here.camera] = len(kept)


def _is_over(here: _Camera, track: Track, size_px: Floats) -> bool:
    tentative = track["identity"] == TENTATIVE
    patience_s = here.parameters.max_tentative_s if tentative else here.parameters.max_lost_s
    inside = ((track["mean"][:2] >= 0) & (track["mean"][:2] <= size_px)).all()
    return bool(not inside or here.now_s - track["seen_s"] > patience_s)


def _associate(here: _Camera, patience_s: float, rows: list[int]) -> None:
    """One stage: these detections and the tracks not seen in this frame yet."""
    tracks = [track for track in here.tracks if 0 < here.now_s - track["seen_s"] <= patience_s]
    cost = np.array([[_cost(here, track, row) for row in rows] for track in tracks]).reshape(len(tracks), len(rows))
    allowed = cost < here.parameters.max_cost
    first = np.cumsum([0, *allowed.sum(axis=1)]).astype(np.int32)
    edges = Edges(first, np.nonzero(allowed)[1].astype(np.int32), cost[allowed])
    answer = matching(len(tracks), len(rows))
    assign(len(tracks), len(rows), here.parameters.max_cost, edges, answer)
    for track, column in zip(tracks, answer.row_to_column, strict=True):
        if column != FREE:
            _carry_on(here, track, rows[column])


def _cost(here: _Camera, track: Track, row: int) -> float:
    overlap = buffered_iou(track["mean"], here.batch.box_px, row, here.parameters.buffer)
    lost = here.parameters.lost_cost_per_s * (here.now_s - track["seen_s"])
    doubt = here.parameters.doubt_cost * (1 - float(here.batch.score[row]))
    return 1 - overlap + lost + doubt if overlap > 0 else math.inf


def _carry_on(here: _Camera, track: Track, row: int) -> None:
    parameters = here.parameters
    correct(here.batch.box_px[row], parameters.centre_noise, parameters.size_noise, track["mean"], track["spread"])
    track["seen_s"] = here.now_s
    here.taken.add(row)
    _note(here, track, row)


def _begin(here: _Camera, row: int) -> None:
    track = here.state.tracks[here.camera, here.state.live[here.camera]]
    here.state.live[here.camera] += 1
    parameters = here.parameters
    track["mean"] = [*here.batch.box_px[row], 0, 0, 0, 0]
    rate = parameters.birth_rate**2
    track["spread"] = [parameters.centre_noise**2, 0, rate, parameters.size_noise**2, 0, rate]
    track["votes"], track["evidence"], track["seen_s"] = 0, 0, here.now_s
    track["identity"], track["row"] = TENTATIVE, FREE
    _note(here, track, row)


def _note(here: _Camera, track: Track, row: int) -> None:
    score = float(np.clip(here.batch.score[row], 1 - MOST_CERTAIN, MOST_CERTAIN))
    track["votes"][here.batch.class_id[row]] += score
    track["evidence"] += _log_odds(score) - _log_odds(here.parameters.even_score)
    here.out.previous[row] = track["row"]
    track["row"] = row
    told = [row]
    if track["identity"] == TENTATIVE and track["evidence"] >= here.parameters.confirm_evidence:
        track["identity"] = (here.camera << CAMERA_SHIFT) | int(here.state.issued[here.camera])
        here.state.issued[here.camera] += 1
        while (before := int(here.out.previous[told[-1]])) != FREE:
            told.append(before)
    if track["identity"] != TENTATIVE:
        here.out.identity[told] = track["identity"]
        here.out.class_id[told] = np.argmax(track["votes"])


def _log_odds(probability: float) -> float:
    return math.log(probability / (1 - probability))
