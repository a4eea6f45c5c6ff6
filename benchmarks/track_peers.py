"""Published trackers behind one call, each only if its package is installed.

A peer is made anew for every sequence and called once a frame, as its documentation shows, with its own default
parameters at the sequence's frame rate. The scores are fitted to its thresholds: of the floors 0, 0.05 ... 0.35, 0.4,
0.5 ... 0.7, and of the shifts of the log odds by -1, -0.5 ... 2.5, it has those found best for it on ten public KITTI
sequences by HOTA.
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

from benchmarks.mot import Result, Sequence

Rows = NDArray[np.float64]
Update = Callable[[Rows], tuple[Rows, NDArray[np.int64]]]
"""(D, 5) x1, y1, x2, y2, score of a frame to (T, 4) boxes and (T,) identities."""


@dataclass(frozen=True, slots=True)
class Peer:
    name: str
    package: str
    """Distribution on PyPI."""
    make: Callable[[float], Update]
    """From the frame rate, Hz."""
    min_score: float
    """Detections below it, before the shift, are kept from the peer."""
    shift: float = 0.0
    """Added to the log odds of the scores."""

    @property
    def installed(self) -> str | None:
        """The version; None if there is none."""
        try:
            return version(self.package)
        except PackageNotFoundError:
            return None


def _supervision(tracker: str) -> Callable[[float], Update]:
    """A tracker of the package `trackers`; it takes and returns Supervision's detections."""

    def make(rate_hz: float) -> Update:
        supervision, trackers = import_module("supervision"), import_module("trackers")
        one = getattr(trackers, tracker)(frame_rate=rate_hz)

        def update(rows: Rows) -> tuple[Rows, NDArray[np.int64]]:
            found = supervision.Detections(xyxy=rows[:, :4], confidence=rows[:, 4], class_id=np.zeros(len(rows), int))
            told = one.update(found)
            if told.tracker_id is None or not len(told):
                return np.empty((0, 4)), np.empty(0, np.int64)
            known = told.tracker_id >= 0
            return np.asarray(told.xyxy[known], np.float64), np.asarray(told.tracker_id[known], np.int64)

        return update

    return make


def _compiled(tracker: str, **parameters: Any) -> Callable[[float], Update]:
    """A tracker of the package `pyxtrackers`: arrays in, arrays out."""

    def make(rate_hz: float) -> Update:
        more = {"frame_rate": rate_hz} if tracker == "BYTETracker" else {}
        one = getattr(import_module("pyxtrackers"), tracker)(**parameters, **more)

        def update(rows: Rows) -> tuple[Rows, NDArray[np.int64]]:
            told = np.asarray(one.update(rows), np.float64).reshape(-1, 5)
            return told[:, :4], told[:, 4].astype(np.int64)

        return update

    return make


PEERS = (
    Peer("trackers ByteTrack", "trackers", _supervision("ByteTrackTracker"), 0.15, 0.5),
    Peer("trackers C-BIoU", "trackers", _supervision("CBIoUTracker"), 0.0, 1.0),
    Peer("trackers OC-SORT", "trackers", _supervision("OCSORTTracker"), 0.0, 2.0),
    Peer("trackers SORT", "trackers", _supervision("SORTTracker"), 0.2),
    Peer("pyxtrackers SORT", "pyxtrackers", _compiled("Sort"), 0.1),
    Peer("pyxtrackers OC-SORT", "pyxtrackers", _compiled("OCSort", det_thresh=0.0), 0.25),
    Peer("pyxtrackers ByteTrack", "pyxtrackers", _compiled("BYTETracker"), 0.0, 0.5),
)


def run_peer(peer: Peer, sequences: list[Sequence], rate_hz: float) -> tuple[list[Result], float]:
    """The peer's results and the CPU seconds it spent in its calls."""
    results, spent_s = [], 0.0
    for sequence in sequences:
        frames = [_adapted(rows, peer) for rows in sequence.frame_rows()]
        update = peer.make(rate_hz)
        began_s = time.process_time()
        told = [update(rows) for rows in frames]
        spent_s += time.process_time() - began_s
        results.append(_result(told))
    return results, spent_s


def _adapted(rows: Rows, peer: Peer) -> Rows:
    """The detections as the peer gets them."""
    kept = rows[rows[:, 4] >= peer.min_score]
    odds = kept[:, 4] * np.exp(peer.shift)
    return np.concatenate([kept[:, :4], (odds / (odds + 1 - kept[:, 4]))[:, None]], axis=1)


def _result(told: list[tuple[Rows, NDArray[np.int64]]]) -> Result:
    frame = np.concatenate([np.full(len(identity), at, np.int64) for at, (_, identity) in enumerate(told)])
    xyxy_px = np.concatenate([boxes for boxes, _ in told])
    identity = np.concatenate([identity for _, identity in told])
    return Result(frame, identity, xyxy_px, np.ones(len(frame)))
