"""The decoder on the CPU: libavcodec, and a kernel that scales its planes straight to the detector's input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import av
import numpy as np
import structlog

from engine.decode.codec import decode_frames
from engine.decode.lamps import empty_lamps, read_lamps, select_lamps
from engine.decode.picture import colour_encoding, lamp_layout, model_colour, picture_planes, to_supported_format
from engine.decode.regions import place_region
from engine.decode.sampling import FrameSelection, FrameSelector, PartialBatch, frames_of, indices_of
from engine.decode.settings import DecodeSettings, ModelInput
from engine.errors import DecodeError
from engine.metrics import Metrics
from engine.types import FrameBatch, Frames, Segment
from kernels.letterbox import letterbox

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Task:
    """The sampled frames of one segment, and the rows of the batch that are reserved for it."""

    selection: FrameSelection
    first_frame: int
    first_row: int
    first_lamp: int

    @property
    def frames(self) -> slice:
        return slice(self.first_frame, self.first_frame + len(self.selection.wanted))

    @property
    def rows(self) -> slice:
        return slice(self.first_row, self.first_row + len(self.selection.wanted) * len(self.selection.settings.regions))

    @property
    def lamps(self) -> slice:
        return slice(self.first_lamp, self.first_lamp + len(self.selection.wanted) * len(self.selection.settings.lamps))


class CpuDecoder:
    """Decodes the segments of a batch in parallel, each on one thread of its pool.

    cameras  by index in the running configuration; cameras may be added and removed between two batches
    model    the input of the detector's network
    threads  number of segments that are decoded at the same time
    """

    def __init__(
        self, cameras: Mapping[int, DecodeSettings], model: ModelInput, metrics: Metrics, threads: int
    ) -> None:
        self._model, self._metrics = model, metrics
        self._selector = FrameSelector(cameras)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")

    def decode(self, segments: Sequence[Segment]) -> FrameBatch:
        """Sample and scale the frames of the segments, which are in the order of capture for each camera.

        A segment that does not decode is counted, logged with its camera's name, and omitted as a whole.
        """
        return self.decode_selected(self._selector.select(segments)).batch

    def decode_selected(self, selections: Sequence[FrameSelection]) -> PartialBatch:
        """As `decode`, with frames that another decoder selected."""
        tasks = _plan_tasks(selections)
        part = PartialBatch(_empty_batch(selections, self._model), indices_of(selections))
        sound = self._pool.map(lambda task: self._fill(task, part.batch), tasks)
        corrupt = [task for task, ok in zip(tasks, sound, strict=True) if not ok]
        return _remove_tasks(corrupt, part) if corrupt else part

    def remove_camera(self, camera: int) -> None:
        """Forget a camera; between two batches."""
        self._selector.remove_camera(camera)

    def close(self) -> None:
        """Wait for the threads to end."""
        self._pool.shutdown()

    def _fill(self, task: _Task, batch: FrameBatch) -> bool:
        """Decode one segment into its rows of `batch`. Returns False if it is corrupt."""
        places = {int(row): place for place, row in enumerate(task.selection.wanted)}
        try:
            for row, frame in decode_frames(task.selection.segment, task.selection.wanted):
                self._fill_frame(task, places[row], frame, batch)
        except DecodeError as error:
            name, sequence = task.selection.settings.name, task.selection.segment.sequence
            self._metrics.corrupt.labels(name).inc()
            log.warning("segment does not decode", camera=name, sequence=sequence, error=str(error))
            return False
        return True

    def _fill_frame(self, task: _Task, place_in_task: int, frame: av.VideoFrame, batch: FrameBatch) -> None:
        frame = to_supported_format(frame)
        planes, subsampling = picture_planes(frame)
        values = model_colour(colour_encoding(frame), self._model)
        batch.frames.size_px[task.first_frame + place_in_task] = subsampling.size_px
        regions = task.selection.settings.regions
        for row, region in enumerate(regions, task.first_row + place_in_task * len(regions)):
            placement = place_region(subsampling, region, self._model)
            batch.model_to_image[row] = placement.crop.model_to_image
            batch.region_xyxy_px[row] = placement.crop.region_xyxy_px
            letterbox(planes, placement.geometry, values, batch.pixels[row])
        lamps = len(task.selection.settings.lamps)
        first_lamp = task.first_lamp + place_in_task * lamps
        looks = batch.lamps.appearance[first_lamp : first_lamp + lamps]
        read_lamps(task.selection.settings, planes, lamp_layout(subsampling, colour_encoding(frame)), looks)


def _plan_tasks(selections: Sequence[FrameSelection]) -> list[_Task]:
    tasks, frame, row, lamp = [], 0, 0, 0
    for selection in selections:
        tasks.append(_Task(selection, frame, row, lamp))
        frame, row, lamp = tasks[-1].frames.stop, tasks[-1].rows.stop, tasks[-1].lamps.stop
    return tasks


def _empty_batch(selections: Sequence[FrameSelection], model: ModelInput) -> FrameBatch:
    """A batch with room for all frames. It contains what is known before decoding."""
    settings = [selection.settings for selection in selections for _ in selection.wanted]
    regions = np.array([len(of_frame.regions) for of_frame in settings], np.int64)
    rows = int(regions.sum())
    return FrameBatch(
        frames=frames_of(selections),
        pixels=_empty_pixels(rows, model),
        frame=np.repeat(np.arange(len(regions), dtype=np.int32), regions),
        model_to_image=np.zeros((rows, 4), np.float32),
        region_xyxy_px=np.zeros((rows, 4), np.float32),
        lamps=empty_lamps([len(of_frame.lamps) for of_frame in settings]),
    )


def _empty_pixels(rows: int, model: ModelInput) -> np.ndarray:
    """(N, 3, H, W) with strides in the model's layout, so that the network reads it without a copy."""
    if model.layout == "nchw":
        return np.empty((rows, 3, model.height_px, model.width_px), model.dtype)
    return np.empty((rows, model.height_px, model.width_px, 3), model.dtype).transpose(0, 3, 1, 2)


def _remove_tasks(corrupt: Sequence[_Task], part: PartialBatch) -> PartialBatch:
    """Remove the rows of the corrupt segments."""
    batch = part.batch
    frames, rows = np.ones(len(batch.frames), np.bool_), np.ones(len(batch.frame), np.bool_)
    for task in corrupt:
        frames[task.frames] = rows[task.rows] = False
    place = np.cumsum(frames, dtype=np.int32) - 1
    columns = ("camera", "captured_s", "size_px", "clock")
    sound = FrameBatch(
        frames=Frames(*(getattr(batch.frames, column)[frames] for column in columns)),
        pixels=batch.pixels[rows],
        frame=place[batch.frame[rows]],
        model_to_image=batch.model_to_image[rows],
        region_xyxy_px=batch.region_xyxy_px[rows],
        lamps=select_lamps(frames, place, batch.lamps),
    )
    return PartialBatch(sound, part.index[frames])
