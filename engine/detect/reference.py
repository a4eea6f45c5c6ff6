"""Reference frames: pictures with vehicles, to compare detectors and to calibrate int8.

They come from the operator's footage, else from the demo's clips in the package.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path

import numpy as np

from engine.config import WHOLE_PICTURE, CameraConfig, Region
from engine.decode.cpu import CpuDecoder
from engine.decode.settings import DecodeSettings
from engine.detect.cards import ModelCard
from engine.detect.network import Inputs
from engine.errors import ConfigError, SourceError
from engine.ingest import FileSource
from engine.metrics import Metrics
from engine.types import FrameBatch

DEMO = tuple(sorted((Path(__file__).parent.parent / "tools" / "demo" / "footage").glob("*.mp4")))
_SEGMENTS = 20
"""Number of segments, spread over the videos."""
_FPS = 1.0
_REGIONS: tuple[Region, ...] = (WHOLE_PICTURE, (0.2, 0.2, 0.8, 0.8))
_VIEW = DecodeSettings("reference", _FPS, _REGIONS)


def load_reference_frames(card: ModelCard, videos: Sequence[Path]) -> list[FrameBatch]:
    """One picture per second from the beginning of each video. Raises ConfigError if a video cannot be read."""
    videos = videos or DEMO
    each = -(-_SEGMENTS // len(videos))
    return [batch for video in videos for batch in _load_frames(card, video, each)]


def _load_frames(card: ModelCard, video: Path, segments: int) -> Iterator[FrameBatch]:
    metrics = Metrics()
    camera = CameraConfig(name="reference", url=str(video), site=Path())
    with closing(CpuDecoder({0: _VIEW}, card.input, metrics, 1)) as decoder:
        try:
            for segment in islice(FileSource(0, camera, metrics, start_s=0.0, realtime=False).read(), segments):
                yield decoder.decode([segment])
        except SourceError as error:
            raise ConfigError(f"footage {video}: {error}") from error


def network_inputs(card: ModelCard, frames: Sequence[FrameBatch]) -> Iterator[Inputs]:
    """Yield each picture of the frames as an input of the network."""
    for batch in frames:
        pixels = batch.pixels if card.input.layout == "nchw" else batch.pixels.transpose(0, 2, 3, 1)
        for picture in pixels:
            yield {card.input.name: np.ascontiguousarray(picture)[None]}
