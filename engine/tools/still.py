"""The still of a calibration: a picture of the empty road, as the median of key frames."""

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
"""With fewer, a vehicle that stops briefly covers half of the pictures and stays in the median."""


def take_still(camera: CameraConfig, seconds: float) -> Bytes8:
    """(H, W, 3) u1: the pixel-wise median of key frames spread over `seconds`.

    An object that covers a place for less than half of the time is not in it. Raises SourceError if the camera cannot
    be opened or sends too few key frames that decode.
    """
    probe(camera)
    pictures = list(_pictures(camera, seconds))
    if len(pictures) < FEWEST_PICTURES:
        raise BadStream(
            f"camera {camera.name}: {len(pictures)} key frame(s) within {seconds:g} s; at least {FEWEST_PICTURES} are "
            "needed: watch longer, or set a shorter GOP"
        )
    middle = len(pictures) // 2
    return np.asarray(np.partition(np.stack(pictures), middle, axis=0)[middle])


def _pictures(camera: CameraConfig, seconds: float) -> Iterator[Bytes8]:
    """Key frames at even intervals, all of the same size; frames that do not decode are skipped."""
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
    """The camera's segments during `seconds` of capture time; ends early if the camera is lost."""
    live, metrics = "://" in camera.url, Metrics()
    source = (
        RtspSource(0, camera, metrics) if live else FileSource(0, camera, metrics, start_s=time.time(), realtime=False)
    )
    watchdog = Timer(seconds + camera.open_timeout_s + camera.read_timeout_s, source.close)
    watchdog.daemon = True
    watchdog.start()
    try:
        until_s = np.inf
        for segment in source.read():
            until_s = min(until_s, segment.began_s + seconds)
            if segment.began_s > until_s:
                break
            yield segment
    finally:
        watchdog.cancel()
        source.close()


def save_still(config: EngineConfig, camera: str, out: Path, seconds: float) -> None:
    """Take a camera's still and write it. Raises ConfigError if the configuration has no camera of that name."""
    found = next((one for one in config.cameras if one.name == camera), None)
    if found is None:
        names = ", ".join(one.name for one in config.cameras)
        raise ConfigError(f"there is no camera {camera!r}; the cameras are: {names}")
    Image.fromarray(take_still(found, seconds)).save(out)
