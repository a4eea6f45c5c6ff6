"""Run published trackers; each needs its own package.

A tracker is created for each sequence and called once a frame, as its documentation shows, with its default parameters
at the frame rate of the sequence. The scores are adapted to its thresholds: the score floor (0, 0.05 ... 0.35, 0.4,
0.5 ... 0.7) and the shift of the log odds (-1, -0.5 ... 2.5) are those with the best HOTA of this tracker on ten public
KITTI sequences.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.mot import DetectionSequence, TrackingResult

Rows = NDArray[np.float64]
Update = Callable[[Rows], tuple[Rows, NDArray[np.int64]]]
"""Takes (D, 5) x1, y1, x2, y2, score of a frame; returns (T, 4) boxes and (T,) identities."""


@dataclass(frozen=True, slots=True)
class PublishedTracker:
    """A published tracker, and how the scores are adapted to it."""

    name: str
    package: str
    """Package on PyPI."""
    make: Callable[[float], Update]
    """Makes a tracker for a frame rate, Hz."""
    min_score: float
    """Detections with a lower score, before the shift, are removed."""
    shift: float = 0.0
    """Added to the log odds of the scores."""

    @property
    def installed(self) -> str | None:
        """The installed version of the package; None if it is not installed."""
        try:
            return version(self.package)
        except PackageNotFoundError:
            return None


def _supervision(tracker: str) -> Callable[[float], Update]:
    """A tracker of the package `trackers`. It takes and returns detections of Supervision."""

    def make(rate_hz: float) -> Update:
        supervision, trackers = import_module("supervision"), import_module("trackers")
        one = getattr(trackers, tracker)(frame_rate=rate_hz)

        def update(rows: Rows) -> tuple[Rows, NDArray[np.int64]]:
            found = supervision.Detections(xyxy=rows[:, :4], confidence=rows[:, 4], class_id=np.zeros(len(rows), int))
            tracked = one.update(found)
            if tracked.tracker_id is None or not len(tracked):
                return np.empty((0, 4)), np.empty(0, np.int64)
            known = tracked.tracker_id >= 0
            return np.asarray(tracked.xyxy[known], np.float64), np.asarray(tracked.tracker_id[known], np.int64)

        return update

    return make


def _compiled(tracker: str, **parameters: Any) -> Callable[[float], Update]:
    """A tracker of the package `pyxtrackers`. It takes and returns arrays."""

    def make(rate_hz: float) -> Update:
        more = {"frame_rate": rate_hz} if tracker == "BYTETracker" else {}
        one = getattr(import_module("pyxtrackers"), tracker)(**parameters, **more)

        def update(rows: Rows) -> tuple[Rows, NDArray[np.int64]]:
            tracked = np.asarray(one.update(rows), np.float64).reshape(-1, 5)
            return tracked[:, :4], tracked[:, 4].astype(np.int64)

        return update

    return make


PEERS = (
    PublishedTracker("trackers ByteTrack", "trackers", _supervision("ByteTrackTracker"), 0.15, 0.5),
    PublishedTracker("trackers C-BIoU", "trackers", _supervision("CBIoUTracker"), 0.0, 1.0),
    PublishedTracker("trackers OC-SORT", "trackers", _supervision("OCSORTTracker"), 0.0, 2.0),
    PublishedTracker("trackers SORT", "trackers", _supervision("SORTTracker"), 0.2),
    PublishedTracker("pyxtrackers SORT", "pyxtrackers", _compiled("Sort"), 0.1),
    PublishedTracker("pyxtrackers OC-SORT", "pyxtrackers", _compiled("OCSort", det_thresh=0.0), 0.25),
    PublishedTracker("pyxtrackers ByteTrack", "pyxtrackers", _compiled("BYTETracker"), 0.0, 0.5),
)


def run_peer(
    peer: PublishedTracker, sequences: list[DetectionSequence], rate_hz: float
) -> tuple[list[TrackingResult], float]:
    """The results of a tracker, and the CPU seconds in its calls."""
    results, spent_s = [], 0.0
    for sequence in sequences:
        frames = [_adapt(rows, peer) for rows in sequence.frame_rows()]
        update = peer.make(rate_hz)
        began_s = time.process_time()
        tracked = [update(rows) for rows in frames]
        spent_s += time.process_time() - began_s
        results.append(_result(tracked))
    return results, spent_s


def _adapt(rows: Rows, peer: PublishedTracker) -> Rows:
    """The detections with adapted scores, as input of the tracker."""
    kept = rows[rows[:, 4] >= peer.min_score]
    odds = kept[:, 4] * np.exp(peer.shift)
    return np.concatenate([kept[:, :4], (odds / (odds + 1 - kept[:, 4]))[:, None]], axis=1)


def _result(tracked: list[tuple[Rows, NDArray[np.int64]]]) -> TrackingResult:
    frame = np.concatenate([np.full(len(identity), at, np.int64) for at, (_, identity) in enumerate(tracked)])
    xyxy_px = np.concatenate([boxes for boxes, _ in tracked])
    identity = np.concatenate([identity for _, identity in tracked])
    return TrackingResult(frame, identity, xyxy_px, np.ones(len(frame)))
