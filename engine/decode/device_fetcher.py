"""Fetches full-resolution frames with the device's decoder, or with the CPU's if the device cannot decode them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Lock

import numpy as np
import structlog

from engine.decode.dali import DaliStillGraph, Sample
from engine.decode.device import RGB, prepare_sample
from engine.decode.formats import PictureFormats
from engine.decode.frame_fetcher import decode_stills, fetch_frames
from engine.decode.settings import DecodeSettings
from engine.errors import DecodeError, DeviceError, OutOfDeviceMemory
from engine.metrics import Metrics
from engine.types import Bytes8, Segment, Still

log = structlog.get_logger()


class DeviceFrameFetcher:
    """`frame_fetcher.fetch_frames` on the device. The CPU decodes what the device refuses. Thread-safe.

    The graph is opened at the first call, and opened again after an error.
    """

    def __init__(
        self,
        cameras: Mapping[int, DecodeSettings],
        formats: PictureFormats,
        open_graph: Callable[[], DaliStillGraph],
        metrics: Metrics,
    ) -> None:
        self._cameras, self._formats, self._open_graph, self._metrics = cameras, formats, open_graph, metrics
        self._graph: DaliStillGraph | None = None
        self._lock = Lock()

    def __call__(self, segments: Sequence[Segment], instants_s: Sequence[float]) -> list[Still]:
        """As `fetch_frames`. Raises DecodeError if the CPU cannot decode them either."""
        return fetch_frames(segments, instants_s, self._decode_stills)

    def remove_camera(self, camera: int) -> None:
        """Forget a camera. The CPU decodes what is still asked of its recording."""
        with self._lock:
            self._formats.remove_camera(camera)

    def close(self) -> None:
        """Release the device's memory."""
        with self._lock:
            self._drop_graph()

    def _decode_stills(self, segment: Segment, rows: Sequence[int]) -> Iterator[tuple[int, Still]]:
        settings = self._cameras.get(segment.camera)
        if settings is None:
            yield from decode_stills(segment, rows)
            return
        with self._lock:
            made = prepare_sample(segment, np.array(rows, np.int64), self._formats, RGB, settings)
            pictures, reason = self._run(made, settings) if isinstance(made, Sample) else ([], made)
        if reason:
            self._metrics.fallbacks.labels(settings.name, reason).inc()
            yield from decode_stills(segment, rows)
        for row, rgb in zip(rows, pictures, strict=not reason):
            yield row, Still(float(segment.captured_s[row]), rgb)

    def _run(self, sample: Sample, settings: DecodeSettings) -> tuple[list[Bytes8], str]:
        """The pictures and "", or no pictures and the reason (`metrics.FALLBACK_REASONS`)."""
        try:
            self._graph = self._graph or self._open_graph()
            return self._graph.run(sample), ""
        except (DecodeError, DeviceError) as error:
            log.warning("frames fetched by the CPU instead of the device", camera=settings.name, error=str(error))
            self._drop_graph()
            return [], "memory" if isinstance(error, OutOfDeviceMemory) else "device"

    def _drop_graph(self) -> None:
        if self._graph is not None:
            self._graph.close()
            self._graph = None
