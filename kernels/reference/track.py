"""Twin of `kernels.track`: one frame after the other, lists and matrices, no working memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from kernels import Floats
from kernels import track as kernel
from kernels.assign import FREE, Edges, matching
from kernels.reference.assign import assign
from kernels.reference.kalman import correct, predict
from kernels.track import Associations, Batch, KernelParameters, Track, TrackTable, Workspace


@dataclass
class _CameraFrame:
    """One frame of a camera, with the camera's tracks."""

    camera: int
    now_s: float
    batch: Batch
    parameters: KernelParameters
    table: TrackTable
    out: Associations
    taken: set[int]

    @property
    def tracks(self) -> list[Track]:
        return list(self.table.tracks[self.camera, : self.table.live[self.camera]])


def buffered_iou(mean: Floats, boxes: Floats, row: int, buffer: float) -> float:
    """Twin of `kernels.track.buffered_iou`."""
    centre = np.stack([mean[:2], boxes[row, :2]])
    half = np.stack([mean[2:4], boxes[row, 2:4]]) * (0.5 + buffer)
    overlap = (centre + half).min(axis=0) - (centre - half).max(axis=0)
    if not (overlap > 0).all():
        return 0.0
    shared = overlap.prod()
    return float(shared / ((2 * half).prod(axis=1).sum() - shared))


def track_batch(
    begin: int, batch: Batch, parameters: KernelParameters, table: TrackTable, work: Workspace, out: Associations
) -> int:
    """Twin of `kernels.track.track_batch`."""
    for at, (first, last) in enumerate(pairwise(batch.first)):
        if at < begin:
            continue
        camera = int(batch.camera[at])
        if table.live[camera] + last - first > table.tracks.shape[1]:
            return at
        now_s = float(batch.captured_s[at])
        dt_s = now_s - table.clock_s[camera]
        table.clock_s[camera] = now_s
        if dt_s != 0:
            frame = _CameraFrame(camera, now_s, batch, parameters, table, out, set())
            _process_frame(frame, dt_s, batch.size_px[at], range(first, last))
    return len(batch.camera)


def _process_frame(frame: _CameraFrame, dt_s: float, size_px: Floats, rows: range) -> None:
    parameters, score = frame.parameters, frame.batch.score
    _keep(frame, [track for track in frame.tracks if dt_s > 0])
    for track in frame.tracks:
        predict(dt_s, parameters.centre_agility, parameters.size_agility, track["mean"], track["covariance"])
        track["mean"][2:4] = np.maximum(track["mean"][2:4], kernel.MIN_SIZE_PX)
    _keep(frame, [track for track in frame.tracks if not _is_over(frame, track, size_px)])
    _associate(frame, math.inf, [row for row in rows if score[row] >= parameters.high_score])
    doubtful = [row for row in rows if parameters.low_score <= score[row] < parameters.high_score]
    _associate(frame, parameters.max_doubtful_s, [row for row in doubtful if row not in frame.taken])
    for row in rows:
        if row not in frame.taken and score[row] >= parameters.birth_score:
            _start_track(frame, row)


def _keep(frame: _CameraFrame, kept: list[Track]) -> None:
    """Keep these tracks, in order; end the others."""
    identities = {int(track["identity"]) for track in kept}
    for track in frame.tracks:
        if int(track["identity"]) not in identities | {kernel.TENTATIVE}:
            frame.out.ended[frame.out.ended_count[0]] = track["identity"]
            frame.out.ended_count[0] += 1
    frame.table.tracks[frame.camera, : len(kept)] = [track.copy() for track in kept]
    frame.table.live[frame.camera] = len(kept)


def _is_over(frame: _CameraFrame, track: Track, size_px: Floats) -> bool:
    tentative = track["identity"] == kernel.TENTATIVE
    timeout_s = frame.parameters.max_tentative_s if tentative else frame.parameters.max_lost_s
    inside = ((track["mean"][:2] >= 0) & (track["mean"][:2] <= size_px)).all()
    return bool(not inside or frame.now_s - track["seen_s"] > timeout_s)


def _associate(frame: _CameraFrame, max_unseen_s: float, rows: list[int]) -> None:
    """Associate these detections with the tracks without one in this frame."""
    tracks = [track for track in frame.tracks if 0 < frame.now_s - track["seen_s"] <= max_unseen_s]
    cost = np.array([[_cost(frame, track, row) for row in rows] for track in tracks]).reshape(len(tracks), len(rows))
    allowed = cost < frame.parameters.max_cost
    first = np.cumsum([0, *allowed.sum(axis=1)]).astype(np.int32)
    edges = Edges(first, np.nonzero(allowed)[1].astype(np.int32), cost[allowed])
    answer = matching(len(tracks), len(rows))
    assign(len(tracks), len(rows), frame.parameters.max_cost, edges, answer)
    for track, column in zip(tracks, answer.row_to_column, strict=True):
        if column != FREE:
            _update_track(frame, track, rows[column])


def _cost(frame: _CameraFrame, track: Track, row: int) -> float:
    overlap = buffered_iou(track["mean"], frame.batch.box_px, row, frame.parameters.buffer)
    lost = frame.parameters.lost_cost_per_s * (frame.now_s - track["seen_s"])
    doubt = frame.parameters.doubt_cost * (1 - float(frame.batch.score[row]))
    return 1 - overlap + lost + doubt if overlap > 0 else math.inf


def _update_track(frame: _CameraFrame, track: Track, row: int) -> None:
    parameters = frame.parameters
    correct(frame.batch.box_px[row], parameters.centre_noise, parameters.size_noise, track["mean"], track["covariance"])
    track["seen_s"] = frame.now_s
    frame.taken.add(row)
    _add_detection(frame, track, row)


def _start_track(frame: _CameraFrame, row: int) -> None:
    track = frame.table.tracks[frame.camera, frame.table.live[frame.camera]]
    frame.table.live[frame.camera] += 1
    parameters = frame.parameters
    track["mean"] = [*frame.batch.box_px[row], 0, 0, 0, 0]
    rate = parameters.birth_rate**2
    track["covariance"] = [parameters.centre_noise**2, 0, rate, parameters.size_noise**2, 0, rate]
    track["votes"], track["evidence"], track["seen_s"] = 0, 0, frame.now_s
    track["identity"], track["row"] = kernel.TENTATIVE, FREE
    _add_detection(frame, track, row)


def _add_detection(frame: _CameraFrame, track: Track, row: int) -> None:
    score = float(np.clip(frame.batch.score[row], 1 - kernel.MAX_SCORE, kernel.MAX_SCORE))
    track["votes"][frame.batch.class_id[row]] += score
    track["evidence"] += _log_odds(score) - _log_odds(frame.parameters.even_score)
    frame.out.previous[row] = track["row"]
    track["row"] = row
    reported = [row]
    if track["identity"] == kernel.TENTATIVE and track["evidence"] >= frame.parameters.confirm_evidence:
        track["identity"] = (frame.camera << kernel.CAMERA_SHIFT) | int(frame.table.issued[frame.camera])
        frame.table.issued[frame.camera] += 1
        while (before := int(frame.out.previous[reported[-1]])) != FREE:
            reported.append(before)
    if track["identity"] != kernel.TENTATIVE:
        frame.out.identity[reported] = track["identity"]
        frame.out.class_id[reported] = np.argmax(track["votes"])


def _log_odds(probability: float) -> float:
    return math.log(probability / (1 - probability))
