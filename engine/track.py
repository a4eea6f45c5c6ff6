"""The tracker: gives identities to the detections of all cameras, in one compiled call per batch."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.types import TRACK_BITS, Detections, Floats, Floats32, Ints, Ints32, Persons, Tracks, VehicleClass
from kernels.assign import FREE
from kernels.track import TENTATIVE, TRACK, Associations, Batch, KernelParameters, TrackTable, track_batch, workspace

PERSON_SCORE = 0.5
"""Least score of a person's box. Rules need a person in several frames, so it may be low."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerParameters:
    """Parameters of the tracker. Times in seconds, overlaps and costs from 0 to 1, motion in sizes of the box."""

    high_score: float = 0.65
    """Detections with at least this score are associated first (ByteTrack, Zhang et al. 2022, arXiv:2110.06864)."""
    low_score: float = 0.1
    """Detections below this score are ignored. Those between the two can only continue a track."""
    birth_score: float = 0.4
    """Least score of a detection that starts a new track."""
    even_score: float = 0.5
    """Score at which a detection is a vehicle with probability 0.5. The detector's scores need not be probabilities."""
    confirm_evidence: float = 1.6
    """Sum of the log odds of a track's sightings from which it is confirmed and reported. The log odds of a sighting
    are those of its score minus those of `even_score`. With 0.5, one sighting of 0.84 is enough, or three of 0.64."""
    max_lost_s: float = 2.0
    """A track ends after this time without a sighting."""
    max_tentative_s: float = 0.5
    """The same for a track that is not confirmed yet."""
    max_doubtful_s: float = 0.8
    """After this time without a sighting, only a detection of at least `high_score` continues a track."""
    buffer: float = 0.2
    """Boxes grow by this part of their size on each side before the overlap is computed."""
    max_cost: float = 0.9
    """Largest cost of a match. Cost: 1 - overlap + doubt_cost (1 - score) + lost_cost_per_s * (time without
    sighting)."""
    doubt_cost: float = 0.2
    lost_cost_per_s: float = 0.15
    centre_agility: float = 0.75
    """Root of the spectral density of the centre's acceleration, sizes / s^1.5."""
    size_agility: float = 0.25
    """The same for the acceleration of the size."""
    centre_noise: float = 0.02
    """Standard deviation of the centre of a detection, sizes."""
    size_noise: float = 0.07
    """Standard deviation of width and height of a detection, sizes."""
    birth_rate: float = 2.0
    """Standard deviation of the unknown velocity and growth of a new track, sizes / s."""

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"TrackerParameters.{name} is {value}, expected a finite number of at least 0")
        if self.low_score > self.high_score:
            raise ValueError(f"TrackerParameters.low_score {self.low_score} is above high_score {self.high_score}")
        if not 0 < self.even_score < 1:
            raise ValueError(f"TrackerParameters.even_score is {self.even_score}, expected between 0 and 1")
        if not (self.centre_noise > 0 and self.size_noise > 0):
            raise ValueError("TrackerParameters.centre_noise and size_noise must be above 0")


class KalmanTracker:
    """`stages.Tracker`: two-stage association with a Kalman filter in seconds (`kernels.track`).

    The result of a camera depends only on that camera's frames, on one machine to the last bit. Identities are made of
    the camera's index and a count per camera, so they do not depend on the other cameras of the batch either.

    A track is reported after its confirmation, with its earlier sightings of the same batch. Sightings of earlier
    batches are not reported. Boxes are those of the detections, never those of the filter.

    A frame with the same time as the camera's last one is ignored; an earlier one ends all tracks of the camera. A
    camera without frames keeps its tracks until its next frame.
    """

    def __init__(self, parameters: TrackerParameters | None = None, capacity: int = 64) -> None:
        """`capacity` is the expected number of simultaneous tracks per camera. It grows when needed."""
        self.parameters = parameters or TrackerParameters()
        self._parameters = KernelParameters(**{k: float(v) for k, v in dataclasses.asdict(self.parameters).items()})
        self._state = _new_state(0, capacity)
        self._rows: dict[int, int] = {}
        """The row of the state for every camera, ascending."""
        self._ended: list[int] = []

    def track(self, detections: Detections) -> Tracks:
        """Give identities to the vehicles. Persons pass through as anonymous boxes.

        Raises ValueError for a negative camera index, a capture time that is not finite, or rows not ordered by frame.
        """
        frames = detections.frames
        _require_valid(detections)
        kept = _vehicle_rows(detections)
        batch = Batch(
            self._rows_of(frames.camera),
            frames.captured_s,
            frames.size_px,
            np.searchsorted(detections.frame[kept], np.arange(len(frames) + 1)),
            _to_centres(detections.xyxy_px[kept]),
            detections.score[kept],
            detections.class_id[kept],
        )
        out = self._run(batch)
        reported = np.flatnonzero(out.identity != TENTATIVE)
        ended = np.concatenate([np.array(self._ended, np.int64), self._named(out.ended[: out.ended_count[0]])])
        self._ended.clear()
        rows = kept[reported]
        return Tracks(
            frames=frames,
            frame=detections.frame[rows],
            track=self._named(out.identity[reported]),
            xyxy_px=detections.xyxy_px[rows],
            score=detections.score[rows],
            class_id=out.class_id[reported],
            ended=np.sort(ended),
            persons=_person_boxes(detections),
        )

    def end_tracks(self, camera: int) -> None:
        """End all tracks of a camera; the next `track` reports them. An unknown camera has none."""
        if (row := self._rows.get(camera)) is not None:
            identities = self._state.tracks["identity"][row, : self._state.live[row]]
            self._ended.extend(self._named(identities[identities != TENTATIVE]).tolist())
            self._state.live[row] = 0
            self._state.clock_s[row] = -np.inf

    def add_camera(self, index: int, camera: object = None) -> None:
        """Make room for one more camera. `track` does so by itself for a camera that it does not know."""
        self._add([index])

    def remove_camera(self, index: int) -> None:
        """Drop the state of a camera after `end_tracks`; between two batches."""
        if (row := self._rows.pop(index, None)) is not None:
            self._rows = {camera: row for row, camera in enumerate(self._rows)}
            self._state = TrackTable(*(np.delete(column, row, axis=0) for column in self._state))

    def _add(self, cameras: Sequence[int]) -> None:
        self._rows |= {camera: len(self._rows) + number for number, camera in enumerate(cameras)}
        self._grow(len(self._rows), self._state.tracks.shape[1])

    def _rows_of(self, camera: Ints32) -> Ints32:
        """(F,) i4: the row of the state for every frame."""
        known, place = np.unique(camera, return_inverse=True)
        if unknown := [index for index in known.tolist() if index not in self._rows]:
            self._add(unknown)
        return np.array([self._rows[index] for index in known.tolist()], np.int32)[place]

    def _named(self, identity: Ints) -> Ints:
        """Identities with the camera's index in the place of its row."""
        camera = np.array(list(self._rows), np.int64)[identity >> TRACK_BITS]
        return np.asarray((camera << TRACK_BITS) | (identity & ((1 << TRACK_BITS) - 1)))

    def _run(self, batch: Batch) -> Associations:
        rows, most = len(batch.score), int(np.diff(batch.first).max(initial=0))
        identity, row = np.full(rows, TENTATIVE, np.int64), np.full(rows, FREE, np.int64)
        ended = np.empty(int(self._state.live.sum()) + rows, np.int64)
        out = Associations(identity, np.zeros(rows, np.int32), row, ended, np.zeros(1, np.int64))
        self._state.tracks["row"] = FREE
        done = 0
        while True:
            work = workspace(rows, most, self._state.tracks.shape[1])
            done = track_batch(done, batch, self._parameters, self._state, work, out)
            if done == len(batch.camera):
                return out
            self._grow(len(self._state.live), 2 * self._state.tracks.shape[1] + most)

    def _grow(self, cameras: int, capacity: int) -> None:
        old, new = self._state, _new_state(cameras, capacity)
        new.tracks[: old.tracks.shape[0], : old.tracks.shape[1]] = old.tracks
        for name in ("live", "issued", "clock_s"):
            getattr(new, name)[: len(old.live)] = getattr(old, name)
        self._state = new


def _require_valid(detections: Detections) -> None:
    frames = detections.frames
    if (np.diff(detections.frame) < 0).any():
        raise ValueError("Detections.frame does not ascend")
    if (frames.camera < 0).any():
        raise ValueError(f"camera {frames.camera.min()} is negative")
    if not np.isfinite(frames.captured_s).all():
        row = int(np.flatnonzero(~np.isfinite(frames.captured_s))[0])
        raise ValueError(f"frame {row} of camera {frames.camera[row]} has no finite capture time")


def _vehicle_rows(detections: Detections) -> Ints:
    """Rows of vehicles with a valid box. Persons are never tracked."""
    left, top, right, bottom = detections.xyxy_px.T
    box = np.isfinite(detections.xyxy_px).all(axis=1) & (right > left) & (bottom > top)
    vehicle = (detections.class_id >= 0) & (detections.class_id < VehicleClass.PERSON)
    return np.flatnonzero(box & vehicle & (detections.score > 0))


def _person_boxes(detections: Detections) -> Persons:
    """Boxes of persons with at least PERSON_SCORE."""
    sure = np.isfinite(detections.xyxy_px).all(axis=1) & (detections.score >= PERSON_SCORE)
    rows = np.flatnonzero((detections.class_id == VehicleClass.PERSON) & sure)
    return Persons(detections.frame[rows], detections.xyxy_px[rows])


def _to_centres(xyxy_px: Floats32) -> Floats:
    """(D, 4) f8: x and y of the centre, width and height, image pixels."""
    low, high = xyxy_px[:, :2].astype(np.float64), xyxy_px[:, 2:]
    return np.concatenate([(low + high) / 2, high - low], axis=1)


def _new_state(cameras: int, capacity: int) -> TrackTable:
    live, issued = np.zeros(cameras, np.int64), np.zeros(cameras, np.int64)
    return TrackTable(np.zeros((cameras, capacity), TRACK), live, issued, np.full(cameras, -np.inf))
