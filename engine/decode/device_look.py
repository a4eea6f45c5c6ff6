"""The second look on a device: the chosen frames at full size, by the device or else by the CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Lock
from typing import Protocol

import numpy as np
import structlog

from engine.decode.camera import CameraView
from engine.decode.dali import Sample
from engine.decode.formats import PictureFormats
from engine.decode.samples import RGB, asked
from engine.decode.second_look import look, stills
from engine.errors import DecodeError, DeviceError, OutOfDeviceMemory
from engine.metrics import Metrics
from engine.types import Bytes8, Segment, Still

log = structlog.get_logger()


class StillGraph(Protocol):
    """`dali.DaliStillGraph`."""

    def run(self, sample: Sample) -> list[Bytes8]: ...

    def close(self) -> None: ...


class DeviceFrameFetcher:
    """`second_look.look`, decoded on the device; what it does not take or cannot do now, the CPU does. From any thread.

    The graph is made when it is first needed, and anew after an error.
    """

    def __init__(
        self,
        cameras: Mapping[int, CameraView],
        formats: PictureFormats,
        open_graph: Callable[[], StillGraph],
        metrics: Metrics,
    ) -> None:
        self._cameras = cameras
        self._formats = formats
        self._open_graph = open_graph
        self._metrics = metrics
        self._graph: StillGraph | None = None
        self._lock = Lock()

    def __call__(self, segments: Sequence[Segment], instants_s: Sequence[float]) -> list[Still]:
        """As `look`. Raises DecodeError where the CPU cannot decode them either."""
        return look(segments, instants_s, self._stills)

    def remove_camera(self, camera: int) -> None:
        """Forget a camera. The CPU decodes what is still asked of its recording."""
        with self._lock:
            self._formats.remove_camera(camera)

    def close(self) -> None:
        with self._lock:
            self._drop()

    def _stills(self, segment: Segment, rows: Sequence[int]) -> Iterator[tuple[int, Still]]:
        view = self._cameras.get(segment.camera)
        if view is None:
            yield from stills(segment, rows)
            return
        with self._lock:
            made = asked(segment, np.array(rows, np.int64), self._formats, RGB, view)
            pictures, reason = self._run(made, view) if isinstance(made, Sample) else ([], made)
        if reason:
            self._metrics.fallbacks.labels(view.name, reason).inc()
            yield from stills(segment, rows)
        for row, rgb in zip(rows, pictures, strict=not reason):
            yield row, Still(float(segment.captured_s[row]), rgb)

    def _run(self, sample: Sample, view: CameraView) -> tuple[list[Bytes8], str]:
        """The pictures, or why there are none (`metrics.FALLBACK_REASONS`)."""
        try:
            self._graph = self._graph or self._open_graph()
            return self._graph.run(sample), ""
        except (DecodeError, DeviceError) as error:
            log.warning("second look: the CPU takes over from the device", camera=view.name, error=str(error))
            self._drop()
            return [], "memory" if isinstance(error, OutOfDeviceMemory) else "device"

    def _drop(self) -> None:
        if self._graph is not None:
            self._graph.close()
            self._graph = None
