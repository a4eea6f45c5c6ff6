"""`qyran still`: the picture of a camera's place that its calibration is made on, without what drives through it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from threading import Timer

import numpy as np
from PIL import Image

from engine.config import CameraConfig, EngineConfig
from engine.decode.frame_fetcher import fetch_frames
from engine.errors import BadStream, ConfigError, DecodeError
from engine.ingest import FileSource, RtspSource, probe
from engine.measure.drift import key_frame
from engine.metrics import Metrics
from engine.types import Bytes8, Segment

MOST_PICTURES = 25
FEWEST_PICTURES = 5
"""Of fewer, a vehicle that stood for a moment is in half."""


def take_still(camera: CameraConfig, seconds: float) -> Bytes8:
    """(H, W, 3) u1: the median, pixel by pixel, of key frames spread over so many seconds.

    Whatever covers a place for less than half of the time is not in it. Raises SourceError where the camera cannot be
    opened, or sends too few key frames that decode.
    """
    probe(camera)
    pictures = list(_pictures(camera, seconds))
    if len(pictures) < FEWEST_PICTURES:
        raise BadStream(
            f"camera {camera.name}: {len(pictures)} key frame(s) within {seconds:g} s, at least {FEWEST_PICTURES} are "
            "needed: wait longer, or set a shorter GOP"
        )
    middle = len(pictures) // 2
    return np.asarray(np.partition(np.stack(pictures), middle, axis=0)[middle])


def _pictures(camera: CameraConfig, seconds: float) -> Iterator[Bytes8]:
    """Key frames evenly in time, all of one size; those that do not decode are left out."""
    due_s, size = -np.inf, None
    for segment in _segments(camera, seconds):
        if segment.began_s < due_s:
            continue
        due_s = segment.began_s + seconds / MOST_PICTURES
        try:
            [still] = fetch_frames([key_frame(segment)], [float(segment.captured_s[0])])
        except DecodeError:
            continue
        size = size or still.rgb.shape
        if still.rgb.shape == size:
            yield still.rgb


def _segments(camera: CameraConfig, seconds: float) -> Iterator[Segment]:
    """What the camera sends in so many seconds of capture time; a camera that is lost in between is given up on."""
    live, metrics = "://" in camera.url, Metrics()
    source = (
        RtspSource(0, camera, metrics) if live else FileSource(0, camera, metrics, start_s=time.time(), realtime=False)
    )
    patience = Timer(seconds + camera.open_timeout_s + camera.read_timeout_s, source.close)
    patience.daemon = True
    patience.start()
    try:
        until_s = np.inf
        for segment in source.read():
            until_s = min(until_s, segment.began_s + seconds)
            if segment.began_s > until_s:
                break
            yield segment
    finally:
        patience.cancel()
        source.close()


def save_still(config: EngineConfig, camera: str, out: Path, seconds: float) -> None:
    """Take a camera's still and write it. Raises ConfigError for a name that the configuration does not have."""
    found = next((one for one in config.cameras if one.name == camera), None)
    if found is None:
        names = ", ".join(one.name for one in config.cameras)
        raise ConfigError(f"no camera is called {camera!r}; there are: {names}")
    Image.fromarray(take_still(found, seconds)).save(out)
