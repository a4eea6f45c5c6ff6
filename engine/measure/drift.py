"""Does a camera still look where it looked when it was calibrated? Now and then a key frame against its still."""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import structlog
from PIL import Image

from engine.errors import ConfigError, DecodeError
from engine.measure.alignment import Background, Field, Grey, Shift, edge_directions, reduced, reductions
from engine.metrics import Metrics
from engine.site import Site, WatchedCamera
from engine.stages import FrameFetcher
from engine.types import Bytes8, Floats, Segment

log = structlog.get_logger()

DRIFT_SHARE = 0.002
"""Drift that is borne where the site states none, as a share of the picture's width: 4 pixels of 1920. At 40 m,
seen from 8 m up through a lens of 1900 pixels' focal length, a picture so much lower makes a speed 2 % wrong."""
CLEAR_SHARE = 0.5
"""Share of the background's tiles in which a picture must show edges before it is said to show something else."""


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceStill:
    """What a camera's view is held against."""

    rgb: Bytes8
    """(H, W, 3) u1: the still that it was calibrated with."""
    area_px: Floats
    """(K, 2) f8: corners of the calibrated area in the image: drift is told there, where it is largest."""
    most_drift_px: float
    """Drift beyond this suspends what is measured; pixels of the camera's own picture."""


@dataclass(frozen=True, slots=True)
class CheckSchedule:
    """How often is looked, and how many looks it takes to change the answer."""

    every_s: float = 20.0
    """Capture time between two looks at one camera."""
    looks_a_batch: int = 2
    """Looks in one call at the most, so that many cameras spread themselves over time."""
    needed: int = 3
    of: int = 4
    """`needed` of the last `of` clear looks must contradict the answer to change it: one lorry is not enough."""


def references(sites: Mapping[int, Site]) -> dict[int, ReferenceStill]:
    """By camera index, for every site whose calibration has a still. Raises ConfigError for one that does not load."""
    return {index: found for index, site in sites.items() if (found := _reference(site)) is not None}


def _reference(site: Site) -> ReferenceStill | None:
    calibration = site.calibration
    if calibration is None or calibration.still is None:
        return None
    try:
        with Image.open(calibration.still) as picture:
            rgb = np.asarray(picture.convert("RGB"))
    except OSError as error:
        raise ConfigError(f"{calibration.still}: still of calibration {calibration.id}: {error}") from error
    most_drift_px = calibration.most_drift_px or DRIFT_SHARE * site.image_size_px[0]
    return ReferenceStill(rgb, np.array(calibration.area_px), most_drift_px)


def key_frame(segment: Segment) -> Segment:
    """The first packet of a segment as a segment: one frame, the cheapest to decode."""
    return dataclasses.replace(
        segment,
        payload=segment.payload[: segment.size_bytes[0]],
        **{name: getattr(segment, name)[:1] for name in ("size_bytes", "pts", "dts", "key", "captured_s")},
    )


class DriftState:
    """What is known of one camera's view; of the still, only what is needed to recognise it is kept.

    kept  how many looks are remembered
    """

    def __init__(self, reference: ReferenceStill, kept: int) -> None:
        self.most_drift_px = reference.most_drift_px
        self.moved = False
        self.looked_s = -math.inf
        """Capture time of the latest look."""
        self._beyond: deque[bool] = deque(maxlen=kept)
        """Of the latest looks that could tell: was the drift beyond the bound?"""
        self._shape, self._area_px = reference.rgb.shape, reference.area_px
        self._levels = [(by, Background(reduced(reference.rgb, by))) for by in reductions(self._shape[1])]
        """By how much the still was reduced, and what came of it: fine, then coarse."""
        self._strange: Background | None = None
        """The latest look, coarse, where it showed something else than the background."""

    def drift_px(self, rgb: Bytes8) -> float | None:
        """How far the calibrated area's corners have moved in a picture, the farthest of them, in its pixels.

        Infinite where another scene is seen, clearly and still; None where it cannot be told.
        """
        if rgb.shape != self._shape:
            return None
        for by, background in self._levels:
            grey = reduced(rgb, by)
            now = edge_directions(grey)
            if found := background.seen_in(now):
                self._strange = None
                return self._told(found, by)
        return math.inf if self._elsewhere(background, grey, now) else None

    def _told(self, found: Shift, by: int) -> float | None:
        """The drift, where it is known on which side of the bound it is."""
        corners = self._area_px @ np.array([1.0, 1j]) / by
        drift_px, sigma_px = np.abs(found.of(corners)) * by, found.sigma_px(corners) * by
        farthest = drift_px.argmax()
        margin_px = abs(drift_px[farthest] - self.most_drift_px)
        return float(drift_px[farthest]) if margin_px > 3 * sigma_px[farthest] else None

    def _elsewhere(self, background: Background, grey: Grey, now: Field) -> bool:
        """Is it something else that is seen, and stands still? Night, noise, rain and fog are not."""
        before, self._strange = self._strange, None
        if background.clear_in(now) < CLEAR_SHARE:
            return False
        self._strange = Background(grey)
        return before is not None and before.seen_in(now) is not None

    def judge(self, drift_px: float, needed: int) -> bool:
        """Take a look's drift in; True where that changes the answer."""
        self._beyond.append(drift_px > self.most_drift_px)
        against = sum(beyond != self.moved for beyond in self._beyond)
        self.moved ^= against >= needed
        return against >= needed


class ViewDriftMonitor:
    """Watches the cameras that have a reference. Called from one thread.

    look   decodes one frame (`FrameFetcher`)
    names  the name of every camera index, for metrics and the log
    """

    def __init__(
        self,
        references: Mapping[int, ReferenceStill],
        look: FrameFetcher,
        metrics: Metrics,
        names: Mapping[int, str],
        pace: CheckSchedule = CheckSchedule(),
    ) -> None:
        self._look, self._metrics, self._names, self._pace = look, metrics, names, pace
        self._watched = {index: DriftState(reference, pace.of) for index, reference in references.items()}

    def add_camera(self, index: int, camera: WatchedCamera) -> None:
        """Watch one more camera if its calibration has a still; between two batches. Raises ConfigError."""
        if (reference := _reference(camera.site)) is not None:
            self._watched[index] = DriftState(reference, self._pace.of)

    def remove_camera(self, index: int) -> None:
        """Forget a camera; between two batches."""
        self._watched.pop(index, None)

    def check(self, segments: Sequence[Segment]) -> frozenset[int]:
        """Look at the cameras whose turn it is; gives all that have moved, whether in this batch or not."""
        due = {segment.camera: segment for segment in reversed(segments) if self._due(segment)}
        longest_ago = sorted(due, key=lambda camera: self._watched[camera].looked_s)
        for camera in longest_ago[: self._pace.looks_a_batch]:
            self._look_at(camera, due[camera])
        return frozenset(camera for camera, watch in self._watched.items() if watch.moved)

    def _due(self, segment: Segment) -> bool:
        """A clock that was set back makes it due as well."""
        watch = self._watched.get(segment.camera)
        return watch is not None and not 0 <= segment.began_s - watch.looked_s < self._pace.every_s

    def _look_at(self, camera: int, segment: Segment) -> None:
        watch, name = self._watched[camera], self._names[camera]
        watch.looked_s = segment.began_s
        drift_px = self._drift_px(watch, segment)
        if drift_px is None:
            self._metrics.view_unclear.labels(name).inc()
            return
        self._metrics.view_drift_px.labels(name).set(drift_px)
        if watch.judge(drift_px, self._pace.needed):
            self._metrics.camera_moved.labels(name).set(watch.moved)
            _tell(name, watch, drift_px)

    def _drift_px(self, watch: DriftState, segment: Segment) -> float | None:
        try:
            [still] = self._look([key_frame(segment)], [float(segment.captured_s[0])])
        except DecodeError:
            return None
        return watch.drift_px(still.rgb)


def _tell(name: str, watch: DriftState, drift_px: float) -> None:
    bound_px = watch.most_drift_px
    facts = {"camera": name, "drift_px": round(drift_px, 1), "most_drift_px": round(bound_px, 1)}
    if watch.moved:
        log.warning("the camera has moved: what is measured is suspended", **facts)
    else:
        log.info("the camera looks where it was calibrated again", **facts)
