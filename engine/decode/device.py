"""The decoder on a device: batches of segments to DALI, and to the CPU what the device does not take."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import structlog
import torch

from engine.decode.camera import CameraView
from engine.decode.cpu import CpuDecoder
from engine.decode.dali import DecodedFrames, Sample
from engine.decode.formats import PictureFormats
from engine.decode.lamps import read_lamps_in_crop, unread
from engine.decode.model_input import ModelInput
from engine.decode.picture import recolour
from engine.decode.plan import Choice, DecodedPart, Planner, frames_of, indices_of, joined
from engine.decode.samples import RGB, asked
from engine.errors import DecodeError, OutOfDeviceMemory
from engine.metrics import Metrics
from engine.types import FrameBatch, Lamps, Segment

log = structlog.get_logger()

REFUSALS = 3
"""So many segments of a camera refused in a row, and the device is not asked again until its format changes."""
_RESERVE_FRAMES = 20
"""Full-size RGB frames beside the wanted ones that a segment takes while it is decoded: DALI's reorder buffer (8), and
NVDEC's surfaces (up to 20 of half the size)."""


class Graph(Protocol):
    """`dali.Graph`."""

    def run(self, samples: Sequence[Sample]) -> DecodedFrames: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """What the device is asked to decode of one segment."""

    choice: Choice
    sample: Sample

    @property
    def size_bytes(self) -> int:
        """About what it takes of the device's memory."""
        segment, frames = self.choice.segment, len(self.choice.wanted)
        return 3 * segment.width_px * segment.height_px * (frames + _RESERVE_FRAMES)


@dataclass(frozen=True, slots=True, eq=False)
class _Refused:
    """What the device is not asked to decode, or could not."""

    choice: Choice
    reason: str
    """One of `metrics.FALLBACK_REASONS`."""


class DeviceDecoder:
    """Decodes the segments of a batch on a device, as many at a time as its memory holds; the others on the CPU.

    cpu           decodes what the device does not; closed by whoever made it
    open_graph    makes the graph for so many samples at the most
    budget_bytes  memory of the device that a run may take, about
    most          segments in one run at the most
    """

    def __init__(
        self,
        cameras: Mapping[int, CameraView],
        model: ModelInput,
        metrics: Metrics,
        *,
        cpu: CpuDecoder,
        formats: PictureFormats,
        open_graph: Callable[[int], Graph],
        budget_bytes: int,
        most: int,
    ) -> None:
        self._planner = Planner(cameras)
        self._model = model
        self._metrics = metrics
        self._cpu = cpu
        self._formats = formats
        self._open_graph = open_graph
        self._budget_bytes = budget_bytes
        self._most = 0
        self._refusals: dict[int, int] = {}
        self._limit(most)
        self._graph: Graph | None = open_graph(self._most)

    def decode(self, segments: Sequence[Segment]) -> FrameBatch:
        """Sample and scale the frames of the segments, which come in the order of capture for every camera.

        What the device does not take is counted with the reason and decoded by the CPU's decoder, which counts, logs
        and leaves out what does not decode at all. Raises DeviceLost.
        """
        done = list(self._decoded(self._planner.choose(segments)))
        parts = [one for one in done if isinstance(one, DecodedPart)]
        refused = [one.choice for one in done if isinstance(one, _Refused)]
        if refused or not parts:
            parts.append(self._cpu.decode_chosen(refused))
        return joined(parts, _end_to_end([part.batch.pixels for part in parts]))

    def remove_camera(self, camera: int) -> None:
        """Forget a camera; between two batches."""
        self._planner.remove_camera(camera)
        self._formats.remove_camera(camera)
        self._refusals.pop(camera, None)

    def close(self) -> None:
        """Free the device's memory; the next batch takes it again."""
        if self._graph is not None:
            self._graph.close()
            self._graph = None

    def _decoded(self, choices: Sequence[Choice]) -> Iterator[DecodedPart | _Refused]:
        prepared = [self._prepared(choice) for choice in choices if len(choice.wanted)]
        for one in prepared:
            if isinstance(one, _Refused):
                yield self._told(one)
        for chunk in self._chunks([one for one in prepared if isinstance(one, _Job)]):
            yield from self._attempt(chunk)

    def _prepared(self, choice: Choice) -> _Job | _Refused:
        made = asked(choice.segment, choice.wanted, self._formats, self._model, choice.view)
        return _Job(choice, made) if isinstance(made, Sample) else _Refused(choice, made)

    def _chunks(self, jobs: Sequence[_Job]) -> Iterator[Sequence[_Job]]:
        """Runs of a power of two of jobs that fit the budget, at least one."""
        while jobs:
            total = np.cumsum([job.size_bytes for job in jobs[: self._most]])
            count = _power_of_two(max(1, int((total <= self._budget_bytes).sum())))
            yield jobs[:count]
            jobs = jobs[count:]

    def _attempt(self, jobs: Sequence[_Job]) -> Iterator[DecodedPart | _Refused]:
        """Decode the jobs in one run, or where the device refuses that, in two; alone refused, a job is the CPU's."""
        try:
            yield self._run(jobs)
        except OutOfDeviceMemory as error:
            log.warning("the device's memory is too small for the batch", segments=len(jobs), error=str(error))
            self.close()
            self._limit(len(jobs) // 2)
            yield from self._halves(jobs, "memory")
        except DecodeError as error:
            if len(jobs) == 1:
                log.warning("the device does not decode a segment", camera=jobs[0].choice.view.name, error=str(error))
            self.close()  # DALI: after an error the pipeline object is no longer valid
            yield from self._halves(jobs, "device")

    def _halves(self, jobs: Sequence[_Job], reason: str) -> Iterator[DecodedPart | _Refused]:
        if len(jobs) == 1:
            yield self._told(_Refused(jobs[0].choice, reason))
            return
        middle = len(jobs) // 2
        for half in (jobs[:middle], jobs[middle:]):
            yield from self._attempt(half)

    def _run(self, jobs: Sequence[_Job]) -> DecodedPart:
        self._graph = self._graph or self._open_graph(self._most)
        decoded = self._graph.run([job.sample for job in jobs])
        self._metrics.decode_batch.observe(len(jobs))
        for job in jobs:
            self._refusals.pop(job.choice.segment.camera, None)
        batch = _batch(jobs, decoded.pixels)
        self._read_lamps(jobs, decoded, batch.lamps)
        return DecodedPart(batch, indices_of(job.choice for job in jobs))

    def _read_lamps(self, jobs: Sequence[_Job], decoded: DecodedFrames, out: Lamps) -> None:
        """Into the rows of `out`; a graph without lamps gives none to read."""
        first = 0
        for job, crops in zip(jobs, decoded.lamps, strict=False):
            view, box = job.choice.view, job.sample.lamps_px
            looks = out.look[first : first + len(job.choice.wanted) * len(view.lamps)]
            first += len(looks)
            if box is None:
                continue
            to_rgb = np.column_stack(recolour(self._formats.of(job.choice.segment).encoding, RGB)).astype(np.float64)
            for crop, look in zip(crops, np.split(looks, len(crops)), strict=True):
                read_lamps_in_crop(view, box, crop, to_rgb, look)

    def _limit(self, most: int) -> None:
        self._most = _power_of_two(max(1, most))
        self._metrics.decode_batch_limit.set(self._most)

    def _told(self, refused: _Refused) -> _Refused:
        """Count it; a camera that the device refuses again and again is left to the CPU."""
        camera = refused.choice.segment.camera
        self._metrics.fallbacks.labels(refused.choice.view.name, refused.reason).inc()
        if refused.reason == "device":
            self._refusals[camera] = self._refusals.get(camera, 0) + 1
            if self._refusals[camera] >= REFUSALS:
                self._formats.refuse(camera)
        return refused


def _power_of_two(count: int) -> int:
    """The largest that is not above `count`."""
    return 1 << (count.bit_length() - 1)


def _batch(jobs: Sequence[_Job], pixels: Any) -> FrameBatch:
    """What the graph gave, with its rows explained: job by job, cut by cut, frame by frame."""
    frames = frames_of([job.choice for job in jobs])
    frame, to_image, regions = [], [], []
    first = 0
    for job in jobs:
        segment, count, cuts = job.choice.segment, len(job.choice.wanted), job.sample.cuts
        frames.size_px[first : first + count] = segment.width_px, segment.height_px
        frame.append(np.tile(np.arange(first, first + count, dtype=np.int32), len(cuts)))
        to_image.append(np.repeat(np.array([one.model_to_image for one in cuts], np.float32), count, axis=0))
        regions.append(np.repeat(np.array([one.region_xyxy_px for one in cuts], np.float32), count, axis=0))
        first += count
    return FrameBatch(
        frames=frames,
        pixels=pixels,
        frame=np.concatenate(frame),
        model_to_image=np.concatenate(to_image),
        region_xyxy_px=np.concatenate(regions),
        lamps=unread([len(job.choice.view.lamps) for job in jobs for _ in job.choice.wanted]),
    )


def _end_to_end(pixels: Sequence[Any]) -> Any:
    """The parts' pixels as one array: where there is one part, that very array, else on the device.

    Rules 2 and 3 of Note [Frame lifetime across streams]: it is finished, and the parts may go.
    """
    if len(pixels) == 1:
        return pixels[0]
    device = next((one.device for one in pixels if isinstance(one, torch.Tensor)), None)
    together = torch.cat([torch.as_tensor(one, device=device) for one in pixels])
    if together.is_cuda:
        torch.cuda.current_stream(together.device).synchronize()
    return together
