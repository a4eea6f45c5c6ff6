"""Splits a batch of motion by vehicle, leaves out frames that may not be judged, and adds the zones of every foot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise

import numpy as np

from engine.rules.track_history import Rows, SpeedReading, row_dtype
from engine.rules.zones import ZoneTable
from engine.site import Site
from engine.types import Flags, Frames, Ints, Ints32, Measurable, Motion, Speeds

Unjudged = Callable[[int, str, int], None]
"""Called with camera, reason (`picture_size` or `site_not_valid`) and number of the frames that are not judged."""


class Batches:
    """The sites of all cameras as tables, by which batches are split. Keeps nothing of a batch."""

    def __init__(self, sites: Mapping[int, Site]) -> None:
        known = list(sites.values())
        self._camera = np.array(list(sites), np.int64)
        self._size_px = np.array([site.image_size_px for site in known], np.int64).reshape(-1, 2)
        self._valid_s = np.array([_span(site) for site in known], np.float64).reshape(-1, 2)
        self._zones = ZoneTable(known)
        self.dtype = row_dtype(self._zones.width)

    def runs(self, motion: Motion, unjudged: Unjudged) -> Iterator[tuple[int, int, Rows]]:
        """Camera, track and sightings in time order, for every track in a frame that may be judged."""
        tracks, group = motion.tracks, self._group(motion.tracks.frames)
        judged = self._judged(motion.tracks.frames, group, unjudged)
        chosen = np.flatnonzero(judged[tracks.frame])
        order = chosen[np.lexsort((tracks.captured_s[chosen], tracks.track[chosen]))]
        rows, track = self._rows(motion, order, group[tracks.frame[order]]), tracks.track[order]
        camera = tracks.camera[order]
        for begin, end in _stretches(track):
            yield int(camera[begin]), int(track[begin]), rows[begin:end]

    def _group(self, frames: Frames) -> Ints32:
        """(F,) i4: index of the site of every frame; -1 if its camera has no site."""
        if not len(self._camera):
            return np.full(len(frames), -1, np.int32)
        at = np.searchsorted(self._camera, frames.camera).clip(max=len(self._camera) - 1)
        return np.where(self._camera[at] == frames.camera, at, -1).astype(np.int32)

    def _judged(self, frames: Frames, group: Ints32, unjudged: Unjudged) -> Flags:
        """(F,) bool: the frame has the size of its site and lies within its dates."""
        if not len(self._camera):
            return np.zeros(len(frames), np.bool_)
        known = group >= 0
        fits = (frames.size_px == self._size_px[group]).all(axis=1)
        valid = (self._valid_s[group, 0] <= frames.captured_s) & (frames.captured_s < self._valid_s[group, 1])
        for reason, refused in (("picture_size", known & ~fits), ("site_not_valid", known & fits & ~valid)):
            for camera, count in zip(*np.unique(frames.camera[refused], return_counts=True), strict=True):
                unjudged(int(camera), reason, int(count))
        return np.asarray(known & fits & valid)

    def _rows(self, motion: Motion, order: Ints, group: Ints32) -> Rows:
        tracks = motion.tracks
        rows = np.empty(len(order), self.dtype)
        rows["captured_s"], rows["xyxy_px"] = tracks.captured_s[order], tracks.xyxy_px[order]
        rows["position_m"], rows["class_id"] = motion.position_m[order], tracks.class_id[order]
        rows["clock"] = tracks.frames.clock[tracks.frame[order]]
        rows["inside"] = self._zones.inside(tracks.foot_px[order].astype(np.float64), group)
        return rows


def readings(speeds: Speeds) -> dict[int, SpeedReading]:
    """The speedometer's results by track."""
    s = speeds
    columns = (s.track, s.measurable, s.speed_mps, s.sigma_mps, s.began_s, s.ended_s, s.length_m)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return {track: SpeedReading(Measurable(why), *measured) for track, why, *measured in rows}


def latest(frames: Frames) -> dict[int, float]:
    """The capture time of the newest frame of every camera of the batch."""
    newest: dict[int, float] = {}
    for camera, at_s in zip(frames.camera.tolist(), frames.captured_s.tolist(), strict=True):
        newest[camera] = max(at_s, newest.get(camera, at_s))
    return newest


def _span(site: Site) -> tuple[float, float]:
    return site.valid_from.timestamp(), site.valid_to.timestamp() if site.valid_to else np.inf


def _stretches(track: Ints) -> Iterator[tuple[int, int]]:
    """First and last + 1 row of every run of equal values."""
    if len(track):
        borders = [0, *(np.flatnonzero(np.diff(track)) + 1).tolist(), len(track)]
        yield from pairwise(borders)
