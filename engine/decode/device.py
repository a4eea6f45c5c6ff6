"""The decoder on a device: decodes batches of segments with DALI, and with the CPU what the device refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import structlog
import torch

from engine.decode.cpu import CpuDecoder
from engine.decode.dali import DaliGraph, DecodedFrames, Sample
from engine.decode.formats import PictureFormats, is_regular, presentation_order
from engine.decode.lamps import empty_lamps, lamp_box, read_lamps_in_crop
from engine.decode.picture import rgb_correction
from engine.decode.regions import crop_region
from engine.decode.sampling import FrameSelection, FrameSelector, PartialBatch, frames_of, indices_of, join_parts
from engine.decode.settings import DecodeSettings, ModelInput
from engine.errors import DecodeError, EvidenceError, OutOfDeviceMemory
from engine.ingest import remux
from engine.metrics import Metrics
from engine.types import FrameBatch, Ints, Lamps, Segment

log = structlog.get_logger()

REFUSALS = 3
"""After this many refused segments of a camera in a row, the CPU decodes the camera until its format changes."""
_RESERVE_FRAMES = 20
"""Full-size RGB frames that decoding a segment needs besides the wanted ones: DALI's reorder buffer (8), and NVDEC's
surfaces (up to 20 of half the size)."""
RGB = ModelInput(name="", width_px=1, height_px=1)
"""Plain values: red, green, blue, 0 to 255. The size is not used."""


def prepare_sample(
    segment: Segment, wanted: Ints, formats: PictureFormats, model: ModelInput, settings: DecodeSettings
) -> Sample | str:
    """The segment in the form that the device decodes, or the reason why it cannot (`metrics.FALLBACK_REASONS`)."""
    if settings.lossy:
        return "lossy"
    try:
        found = formats.of(segment)
        if found.refused or not is_regular(segment):
            return found.refused or "packets"
        container = remux.to_mp4([segment])
    except (DecodeError, EvidenceError):
        return "packets"
    size_px = (segment.width_px, segment.height_px)
    crops = tuple(crop_region(size_px, region, model) for region in settings.regions)
    colour = rgb_correction(found.encoding, model)
    return Sample(container, presentation_order(segment)[wanted], *colour, crops, lamp_box(settings, size_px))


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """Frames of one segment for the device."""

    selection: FrameSelection
    sample: Sample

    @property
    def size_bytes(self) -> int:
        """Approximate memory that it needs on the device."""
        segment = self.selection.segment
        return 3 * segment.width_px * segment.height_px * (len(self.selection.wanted) + _RESERVE_FRAMES)


@dataclass(frozen=True, slots=True, eq=False)
class _Refused:
    """Frames of one segment that the device cannot decode."""

    selection: FrameSelection
    reason: str
    """One of `metrics.FALLBACK_REASONS`."""


class DeviceDecoder:
    """Decodes the segments of a batch on a device, as many at a time as fit into its memory; the others on the CPU.

    cpu           decodes what the device refuses; the caller closes it
    open_graph    opens the graph for at most this number of samples
    budget_bytes  approximate memory of the device that one run may use
    most          a run has at most this many segments
    """

    def __init__(
        self,
        cameras: Mapping[int, DecodeSettings],
        model: ModelInput,
        metrics: Metrics,
        *,
        cpu: CpuDecoder,
        formats: PictureFormats,
        open_graph: Callable[[int], DaliGraph],
        budget_bytes: int,
        most: int,
    ) -> None:
        self._selector = FrameSelector(cameras)
        self._model, self._metrics, self._cpu, self._formats = model, metrics, cpu, formats
        self._open_graph, self._budget_bytes = open_graph, budget_bytes
        self._most = 0
        self._refusals: dict[int, int] = {}
        self._limit(most)
        self._graph: DaliGraph | None = open_graph(self._most)

    def decode(self, segments: Sequence[Segment]) -> FrameBatch:
        """Sample and scale the frames of the segments, which are in the order of capture for each camera.

        What the device refuses is counted with the reason, and the CPU's decoder decodes it. That decoder counts, logs
        and omits segments that do not decode at all. Raises DeviceLost.
        """
        done = list(self._decode_parts(self._selector.select(segments)))
        parts = [one for one in done if isinstance(one, PartialBatch)]
        refused = [one.selection for one in done if isinstance(one, _Refused)]
        if refused or not parts:
            parts.append(self._cpu.decode_selected(refused))
        return join_parts(parts, _join_pixels([part.batch.pixels for part in parts]))

    def remove_camera(self, camera: int) -> None:
        """Forget a camera; between two batches."""
        self._selector.remove_camera(camera)
        self._formats.remove_camera(camera)
        self._refusals.pop(camera, None)

    def close(self) -> None:
        """Release the device's memory; the next batch takes it again."""
        if self._graph is not None:
            self._graph.close()
            self._graph = None

    def _decode_parts(self, selections: Sequence[FrameSelection]) -> Iterator[PartialBatch | _Refused]:
        prepared = [self._prepare(selection) for selection in selections if len(selection.wanted)]
        for one in prepared:
            if isinstance(one, _Refused):
                yield self._record(one)
        for chunk in self._chunks([one for one in prepared if isinstance(one, _Job)]):
            yield from self._attempt(chunk)

    def _prepare(self, selection: FrameSelection) -> _Job | _Refused:
        made = prepare_sample(selection.segment, selection.wanted, self._formats, self._model, selection.settings)
        return _Job(selection, made) if isinstance(made, Sample) else _Refused(selection, made)

    def _chunks(self, jobs: Sequence[_Job]) -> Iterator[Sequence[_Job]]:
        """Split the jobs into runs that fit the budget, each of a power of two of jobs."""
        while jobs:
            total = np.cumsum([job.size_bytes for job in jobs[: self._most]])
            count = _floor_power_of_two(max(1, int((total <= self._budget_bytes).sum())))
            yield jobs[:count]
            jobs = jobs[count:]

    def _attempt(self, jobs: Sequence[_Job]) -> Iterator[PartialBatch | _Refused]:
        """Decode the jobs in one run. If the device refuses, halve them; a single refused job is left to the CPU."""
        try:
            yield self._run(jobs)
        except OutOfDeviceMemory as error:
            log.warning("batch does not fit into the device's memory", segments=len(jobs), error=str(error))
            self.close()
            self._limit(len(jobs) // 2)
            yield from self._halves(jobs, "memory")
        except DecodeError as error:
            if len(jobs) == 1:
                name = jobs[0].selection.settings.name
                log.warning("segment does not decode on the device", camera=name, error=str(error))
            self.close()  # after an error in `run` a DALI pipeline must not run again
            yield from self._halves(jobs, "device")

    def _halves(self, jobs: Sequence[_Job], reason: str) -> Iterator[PartialBatch | _Refused]:
        if len(jobs) == 1:
            yield self._record(_Refused(jobs[0].selection, reason))
            return
        middle = len(jobs) // 2
        for half in (jobs[:middle], jobs[middle:]):
            yield from self._attempt(half)

    def _run(self, jobs: Sequence[_Job]) -> PartialBatch:
        self._graph = self._graph or self._open_graph(self._most)
        decoded = self._graph.run([job.sample for job in jobs])
        self._metrics.decode_batch.observe(len(jobs))
        for job in jobs:
            self._refusals.pop(job.selection.segment.camera, None)
        batch = _to_batch(jobs, decoded.pixels)
        self._read_lamps(jobs, decoded, batch.lamps)
        return PartialBatch(batch, indices_of(job.selection for job in jobs))

    def _read_lamps(self, jobs: Sequence[_Job], decoded: DecodedFrames, out: Lamps) -> None:
        """Read the lamps of all jobs into the rows of `out`. A graph without lamps returns no crops."""
        first = 0
        for job, crops in zip(jobs, decoded.lamps, strict=False):
            settings, box = job.selection.settings, job.sample.lamps_px
            looks = out.appearance[first : first + len(job.selection.wanted) * len(settings.lamps)]
            first += len(looks)
            if box is None:
                continue
            encoding = self._formats.of(job.selection.segment).encoding
            to_rgb = np.column_stack(rgb_correction(encoding, RGB)).astype(np.float64)
            for crop, look in zip(crops, np.split(looks, len(crops)), strict=True):
                read_lamps_in_crop(settings, box, crop, to_rgb, look)

    def _limit(self, most: int) -> None:
        self._most = _floor_power_of_two(max(1, most))
        self._metrics.decode_batch_limit.set(self._most)

    def _record(self, refused: _Refused) -> _Refused:
        """Count it. A camera that the device refuses repeatedly is left to the CPU."""
        camera = refused.selection.segment.camera
        self._metrics.fallbacks.labels(refused.selection.settings.name, refused.reason).inc()
        if refused.reason == "device":
            self._refusals[camera] = self._refusals.get(camera, 0) + 1
            if self._refusals[camera] >= REFUSALS:
                self._formats.refuse(camera)
        return refused


def _floor_power_of_two(count: int) -> int:
    """The largest power of two that is at most `count`."""
    return 1 << (count.bit_length() - 1)


def _to_batch(jobs: Sequence[_Job], pixels: Any) -> FrameBatch:
    """The pixels of the graph as a batch. Rows are ordered by job, then by region, then by frame."""
    frames = frames_of([job.selection for job in jobs])
    frame, to_image, regions = [], [], []
    first = 0
    for job in jobs:
        segment, count, crops = job.selection.segment, len(job.selection.wanted), job.sample.crops
        frames.size_px[first : first + count] = segment.width_px, segment.height_px
        frame.append(np.tile(np.arange(first, first + count, dtype=np.int32), len(crops)))
        to_image.append(np.repeat(np.array([one.model_to_image for one in crops], np.float32), count, axis=0))
        regions.append(np.repeat(np.array([one.region_xyxy_px for one in crops], np.float32), count, axis=0))
        first += count
    return FrameBatch(
        frames=frames,
        pixels=pixels,
        frame=np.concatenate(frame),
        model_to_image=np.concatenate(to_image),
        region_xyxy_px=np.concatenate(regions),
        lamps=empty_lamps([len(job.selection.settings.lamps) for job in jobs for _ in job.selection.wanted]),
    )


def _join_pixels(pixels: Sequence[Any]) -> Any:
    """Concatenate the parts' pixels on the device; a single part is returned without a copy.

    The result is complete, and the parts may be freed (rules 2 and 3 of Note [Frame lifetime across streams]).
    """
    if len(pixels) == 1:
        return pixels[0]
    device = next((one.device for one in pixels if isinstance(one, torch.Tensor)), None)
    together = torch.cat([torch.as_tensor(one, device=device) for one in pixels])
    if together.is_cuda:
        torch.cuda.current_stream(together.device).synchronize()
    return together
