"""The tracker: detections of all cameras to identities, in one compiled call a batch."""

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
"""A person is passed on from this score on: one box is no proof, several frames must agree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerParameters:
    """How the tracker decides. Times in seconds, overlaps and costs between 0 and 1, motion in sizes of the box."""

    high_score: float = 0.65
    """Detections from this score on choose their track first."""
    low_score: float = 0.1
    """Detections below this score are not looked at; those between may only carry on a track."""
    birth_score: float = 0.4
    """A detection without a track begins one from this score on."""
    even_score: float = 0.5
    """A detection of this score is as likely a vehicle as not; the detector's scores need not be probabilities."""
    confirm_evidence: float = 1.6
    """A track is believed, and reported, once the log odds of its sightings add up to this. A sighting's are those of
    its score less those of `even_score`: with 0.5, one of 0.84 is enough, or three of 0.64."""
    max_lost_s: float = 2.0
    """A track that has not been seen for longer has ended."""
    max_tentative_s: float = 0.5
    """The same while it is not believed yet."""
    max_doubtful_s: float = 0.8
    """A track that has not been seen for longer is not carried on by a detection below `high_score`."""
    buffer: float = 0.2
    """Boxes are widened by this part of their size on every side before their overlap is taken."""
    max_cost: float = 0.9
    """A pair costs 1 - overlap + doubt_cost (1 - score) + lost_cost_per_s * (time unseen); a dearer one is no match."""
    doubt_cost: float = 0.2
    lost_cost_per_s: float = 0.15
    centre_agility: float = 0.75
    """Root of the spectral density of the centre's acceleration, sizes / s^1.5."""
    size_agility: float = 0.25
    """The same of the size."""
    centre_noise: float = 0.02
    """Standard deviation of a detection's centre, sizes."""
    size_noise: float = 0.07
    """Standard deviation of a detection's width and height, sizes."""
    birth_rate: float = 2.0
    """Standard deviation of the unknown velocity and growth of a new track, sizes / s."""

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"TrackerParameters.{name} is {value}, expected a finite number not below 0")
        if self.low_score > self.high_score:
            raise ValueError(f"TrackerParameters.low_score {self.low_score} is above high_score {self.high_score}")
        if not 0 < self.even_score < 1:
            raise ValueError(f"TrackerParameters.even_score is {self.even_score}, expected between 0 and 1")
        if not (self.centre_noise > 0 and self.size_noise > 0):
            raise ValueError("TrackerParameters.centre_noise and size_noise must be above 0")


class KalmanTracker:
    """Two-stage association with a Kalman filter in seconds (`kernels.track`), implementing `stages.Tracker`.

    What it says of a camera is a function of that camera's frames alone, on one machine to the last bit. Identities are
    the camera's index and a count of its own, so they too are the same with whomever it shares a batch.

    A track is reported once it is believed. Its earlier sightings in the same batch are reported with it; those of
    earlier batches, which have gone out already, are not. Boxes are the detections' own, never the filter's.

    A frame that is not later than the camera's one before says nothing if the times are equal, and ends all tracks of
    the camera if time went backwards. A camera that falls silent keeps its tracks until it speaks again.
    """

    def __init__(self, parameters: TrackerParameters | None = None, capacity: int = 64) -> None:
        """`capacity`: tracks a camera is expected to have at once; grows by itself."""
        self.parameters = parameters or TrackerParameters()
        self._parameters = KernelParameters(**{k: float(v) for k, v in dataclasses.asdict(self.parameters).items()})
        self._state = _new_state(0, capacity)
        self._rows: dict[int, int] = {}
        """The row of the state for every camera, ascending."""
        self._ended: list[int] = []

    def track(self, detections: Detections) -> Tracks:
        """Give identities to the vehicles; persons stay without, and pass through as anonymous boxes.

        Raises ValueError for a negative camera or a capture time that is not finite.
        """
        frames = detections.frames
        _check(detections)
        kept = _vehicles(detections)
        out = self._run(_batch(detections, kept, self._rows_of(frames.camera)))
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
            persons=_persons(detections),
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
        out = _new_sightings(rows, int(self._state.live.sum()) + rows)
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


def _check(detections: Detections) -> None:
    frames = detections.frames
    if (np.diff(detections.frame) < 0).any():
        raise ValueError("Detections.frame does not ascend")
    if (frames.camera < 0).any():
        raise ValueError(f"camera {frames.camera.min()} is negative")
    if not np.isfinite(frames.captured_s).all():
        row = int(np.flatnonzero(~np.isfinite(frames.captured_s))[0])
        raise ValueError(f"frame {row} of camera {frames.camera[row]} has no finite capture time")


def _vehicles(detections: Detections) -> Ints:
    """Rows that may be tracked: no persons, no boxes without an area."""
    left, top, right, bottom = detections.xyxy_px.T
    box = np.isfinite(detections.xyxy_px).all(axis=1) & (right > left) & (bottom > top)
    vehicle = (detections.class_id >= 0) & (detections.class_id < VehicleClass.PERSON)
    return np.flatnonzero(box & vehicle & (detections.score > 0))


def _persons(detections: Detections) -> Persons:
    """Boxes of people, passed on as they are."""
    sure = np.isfinite(detections.xyxy_px).all(axis=1) & (detections.score >= PERSON_SCORE)
    rows = np.flatnonzero((detections.class_id == VehicleClass.PERSON) & sure)
    return Persons(detections.frame[rows], detections.xyxy_px[rows])


def _batch(detections: Detections, kept: Ints, row: Ints32) -> Batch:
    frames = detections.frames
    return Batch(
        row,
        frames.captured_s,
        frames.size_px,
        np.searchsorted(detections.frame[kept], np.arange(len(frames) + 1)),
        _centred(detections.xyxy_px[kept]),
        detections.score[kept],
        detections.class_id[kept],
    )


def _centred(xyxy_px: Floats32) -> Floats:
    """(D, 4) f8: x and y of the centre, width and height."""
    low, high = xyxy_px[:, :2].astype(np.float64), xyxy_px[:, 2:]
    return np.concatenate([(low + high) / 2, high - low], axis=1)


def _new_state(cameras: int, capacity: int) -> TrackTable:
    return TrackTable(
        np.zeros((cameras, capacity), TRACK),
        np.zeros(cameras, np.int64),
        np.zeros(cameras, np.int64),
        np.full(cameras, -np.inf),
    )


def _new_sightings(rows: int, most_ended: int) -> Associations:
    return Associations(
        np.full(rows, TENTATIVE, np.int64),
        np.zeros(rows, np.int32),
        np.full(rows, FREE, np.int64),
        np.empty(most_ended, np.int64),
        np.zeros(1, np.int64),
    )
