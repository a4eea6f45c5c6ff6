"""Monitors whether a camera's view has moved since its calibration: compares key frames with the calibration's
still."""

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
from engine.measure.alignment import Background, Field, Grey, ViewShift, edge_directions, reduce_picture, reductions
from engine.metrics import Metrics
from engine.site import Site, WatchedCamera
from engine.stages import FrameFetcher
from engine.types import Bytes8, Floats, Segment

log = structlog.get_logger()

DRIFT_SHARE = 0.002
"""Default limit of the drift, as a share of the picture's width: 4 pixels of 1920. For a camera at a height of 8 m with
a focal length of 1900 pixels, this drift downwards makes a speed at 40 m wrong by 2 %."""
CLEAR_SHARE = 0.5
"""Least share of the background's tiles with edges in a picture of another scene."""


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceStill:
    """Reference for a camera's view."""

    rgb: Bytes8
    """(H, W, 3) u1: the still of the calibration."""
    area_px: Floats
    """(K, 2) f8: corners of the calibrated area in the image. The largest drift of a corner counts."""
    most_drift_px: float
    """A larger drift suspends the measurements; pixels of the camera's own picture."""


@dataclass(frozen=True, slots=True)
class CheckSchedule:
    """How often views are checked, and how many checks change the state."""

    interval_s: float = 20.0
    """Capture time between two checks of one camera."""
    checks_per_batch: int = 2
    """A call checks at most this many cameras, so that many cameras spread over time."""
    needed: int = 3
    """Number of conclusive checks, among the last `window`, that must contradict the state to change it."""
    window: int = 4


def load_references(sites: Mapping[int, Site]) -> dict[int, ReferenceStill]:
    """References by camera index, of all sites whose calibration has a still. Raises ConfigError for a bad file."""
    return {index: found for index, site in sites.items() if (found := _load_reference(site)) is not None}


def _load_reference(site: Site) -> ReferenceStill | None:
    calibration = site.calibration
    if calibration is None or calibration.still is None:
        return None
    try:
        with Image.open(calibration.still) as picture:
            rgb = np.asarray(picture.convert("RGB"))
    except OSError as error:
        raise ConfigError(f"{calibration.still}: the still of calibration {calibration.id}: {error}") from error
    most_drift_px = calibration.most_drift_px or DRIFT_SHARE * site.image_size_px[0]
    return ReferenceStill(rgb, np.array(calibration.area_px), most_drift_px)


def key_frame(segment: Segment) -> Segment:
    """A segment with only the first packet: one frame, the cheapest to decode."""
    return dataclasses.replace(
        segment,
        payload=segment.payload[: segment.size_bytes[0]],
        **{name: getattr(segment, name)[:1] for name in ("size_bytes", "pts", "dts", "key", "captured_s")},
    )


class DriftState:
    """State of one camera's view; `window` is the number of conclusive checks that it remembers."""

    def __init__(self, reference: ReferenceStill, window: int) -> None:
        self.most_drift_px = reference.most_drift_px
        self.moved = False
        self.checked_s = -math.inf
        """Capture time of the latest check."""
        self._beyond: deque[bool] = deque(maxlen=window)
        """For the latest conclusive checks: True if the drift was beyond the limit."""
        self._shape, self._area_px = reference.rgb.shape, reference.area_px
        self._levels = [(by, Background(reduce_picture(reference.rgb, by))) for by in reductions(self._shape[1])]
        """Factors of reduction and reduced stills: fine, then coarse."""
        self._other_scene: Background | None = None
        """The latest picture, coarse, if it did not show the background."""

    def drift_px(self, rgb: Bytes8) -> float | None:
        """Largest drift of a corner of the calibrated area in a picture (H, W, 3) u1, in its pixels.

        Infinite if the picture clearly shows another, static scene; None if the check is not conclusive.
        """
        if rgb.shape != self._shape:
            return None
        for by, background in self._levels:
            grey = reduce_picture(rgb, by)
            now = edge_directions(grey)
            if found := background.locate_in(now):
                self._other_scene = None
                return self._significant_drift_px(found, by)
        return math.inf if self._is_other_scene(background, grey, now) else None

    def _significant_drift_px(self, found: ViewShift, by: int) -> float | None:
        """The drift if its distance from the limit exceeds three standard uncertainties, else None."""
        corners = self._area_px @ np.array([1.0, 1j]) / by
        drift_px, sigma_px = np.abs(found.of(corners)) * by, found.sigma_px(corners) * by
        farthest = drift_px.argmax()
        margin_px = abs(drift_px[farthest] - self.most_drift_px)
        return float(drift_px[farthest]) if margin_px > 3 * sigma_px[farthest] else None

    def _is_other_scene(self, background: Background, grey: Grey, now: Field) -> bool:
        """True if this and the previous picture clearly show the same other scene, not night, noise, rain or fog."""
        before, self._other_scene = self._other_scene, None
        if background.clear_share(now) < CLEAR_SHARE:
            return False
        self._other_scene = Background(grey)
        return before is not None and before.locate_in(now) is not None

    def update(self, drift_px: float, needed: int) -> bool:
        """Take in the drift of a conclusive check. Returns True if `moved` changes."""
        self._beyond.append(drift_px > self.most_drift_px)
        against = sum(beyond != self.moved for beyond in self._beyond)
        self.moved ^= against >= needed
        return against >= needed


class ViewDriftMonitor:
    """`stages.DriftMonitor`: checks the cameras that have a reference. Called from one thread.

    fetch_frames  fetches single frames
    names         names by camera index, for metrics and the log
    """

    def __init__(
        self,
        references: Mapping[int, ReferenceStill],
        fetch_frames: FrameFetcher,
        metrics: Metrics,
        names: Mapping[int, str],
        schedule: CheckSchedule = CheckSchedule(),
    ) -> None:
        self._fetch_frames, self._metrics, self._names, self._schedule = fetch_frames, metrics, names, schedule
        self._states = {index: DriftState(reference, schedule.window) for index, reference in references.items()}

    def add_camera(self, index: int, camera: WatchedCamera) -> None:
        """Check one more camera if its calibration has a still; between two batches. Raises ConfigError."""
        if (reference := _load_reference(camera.site)) is not None:
            self._states[index] = DriftState(reference, self._schedule.window)

    def remove_camera(self, index: int) -> None:
        """Stop checking a camera; between two batches."""
        self._states.pop(index, None)

    def check(self, segments: Sequence[Segment]) -> frozenset[int]:
        """Check the cameras that are due. Returns all cameras that have moved, also those not in this batch."""
        due = {segment.camera: segment for segment in reversed(segments) if self._is_due(segment)}
        longest_ago = sorted(due, key=lambda camera: self._states[camera].checked_s)
        for camera in longest_ago[: self._schedule.checks_per_batch]:
            self._check_view(camera, due[camera])
        return frozenset(camera for camera, state in self._states.items() if state.moved)

    def _is_due(self, segment: Segment) -> bool:
        """True if the camera is due, also after its clock was set back."""
        state = self._states.get(segment.camera)
        return state is not None and not 0 <= segment.began_s - state.checked_s < self._schedule.interval_s

    def _check_view(self, camera: int, segment: Segment) -> None:
        state, name = self._states[camera], self._names[camera]
        state.checked_s = segment.began_s
        try:
            [still] = self._fetch_frames([key_frame(segment)], [float(segment.captured_s[0])])
            drift_px = state.drift_px(still.rgb)
        except DecodeError:
            drift_px = None
        if drift_px is None:
            self._metrics.view_unclear.labels(name).inc()
            return
        self._metrics.view_drift_px.labels(name).set(drift_px)
        if state.update(drift_px, self._schedule.needed):
            self._metrics.camera_moved.labels(name).set(state.moved)
            facts = {"camera": name, "drift_px": round(drift_px, 1), "most_drift_px": round(state.most_drift_px, 1)}
            if state.moved:
                log.warning("camera moved: its measurements are suspended", **facts)
            else:
                log.info("camera back at its calibrated view", **facts)
