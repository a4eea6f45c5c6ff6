"""Reference frames: pictures with vehicles by which a detector is held against another, and int8 is calibrated.

Without footage of the operator's they are the demo's clips, which come with the package.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path

import numpy as np

from engine.config import WHOLE_PICTURE, CameraConfig, Region
from engine.decode.camera import CameraView
from engine.decode.cpu import CpuDecoder
from engine.detect.agreement import Agreement, Bounds, compared
from engine.detect.cards import ModelCard
from engine.detect.network import Inputs
from engine.errors import ConfigError, SourceError
from engine.ingest import FileSource
from engine.metrics import Metrics
from engine.stages import Detector
from engine.types import FrameBatch

DEMO = tuple(sorted((Path(__file__).parent.parent / "tools" / "demo" / "footage").glob("*.mp4")))
_SEGMENTS = 20
"""Segments that are looked at, shared out among the videos."""
_FPS = 1.0
_REGIONS: tuple[Region, ...] = (WHOLE_PICTURE, (0.2, 0.2, 0.8, 0.8))
_VIEW = CameraView("reference", _FPS, _REGIONS)


def reference_frames(card: ModelCard, videos: Sequence[Path]) -> list[FrameBatch]:
    """A picture a second of the beginning of every video. Raises ConfigError where one cannot be read."""
    videos = videos or DEMO
    each = -(-_SEGMENTS // len(videos))
    return [batch for video in videos for batch in _frames(card, video, each)]


def _frames(card: ModelCard, video: Path, segments: int) -> Iterator[FrameBatch]:
    metrics = Metrics()
    camera = CameraConfig(name="reference", url=str(video), site=Path())
    with closing(CpuDecoder({0: _VIEW}, card.input, metrics, 1)) as decoder:
        try:
            for segment in islice(FileSource(0, camera, metrics, start_s=0.0, realtime=False).read(), segments):
                yield decoder.decode([segment])
        except SourceError as error:
            raise ConfigError(f"footage {video}: {error}") from error


def network_inputs(card: ModelCard, frames: Sequence[FrameBatch]) -> Iterator[Inputs]:
    """Every picture of the frames as the network takes it, one at a time."""
    for batch in frames:
        pixels = batch.pixels if card.input.layout == "nchw" else batch.pixels.transpose(0, 2, 3, 1)
        for picture in pixels:
            yield {card.input.name: np.ascontiguousarray(picture)[None]}


def agreement(
    reference: Detector, tried: Detector, card: ModelCard, frames: Sequence[FrameBatch], bounds: Bounds
) -> Agreement:
    """Let both look at the same frames."""
    whole = Agreement.none()
    for batch in frames:
        whole += compared(reference.detect(batch), tried.detect(batch), card, bounds)
    return whole
