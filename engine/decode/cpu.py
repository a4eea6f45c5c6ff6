"""The decoder on the CPU: libavcodec, and from its planes straight to the detector's input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import av
import numpy as np
import structlog

from engine.decode.camera import CameraView
from engine.decode.codec import decoded
from engine.decode.lamps import lamps_of, read_lamps, unread
from engine.decode.model_input import ModelInput
from engine.decode.picture import colour, encoding, layout, picture, readable
from engine.decode.plan import Choice, DecodedPart, Planner, frames_of, indices_of
from engine.decode.regions import place
from engine.errors import DecodeError
from engine.metrics import Metrics
from engine.types import Flags, FrameBatch, Frames, Segment
from kernels.letterbox import letterbox

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Task:
    """What is looked at of one segment, and the rows of the batch that are kept free for it."""

    choice: Choice
    first_frame: int
    first_row: int
    first_lamp: int

    @property
    def frames(self) -> slice:
        return slice(self.first_frame, self.first_frame + len(self.choice.wanted))

    @property
    def rows(self) -> slice:
        return slice(self.first_row, self.first_row + len(self.choice.wanted) * len(self.choice.view.regions))

    @property
    def lamps(self) -> slice:
        return slice(self.first_lamp, self.first_lamp + len(self.choice.wanted) * len(self.choice.view.lamps))


class CpuDecoder:
    """Decodes the segments of a batch side by side, each on one thread of its pool.

    cameras  by their index in the running configuration
    model    what the detector's card asks of the pixels
    threads  segments that are decoded at the same time
    """

    def __init__(self, cameras: Mapping[int, CameraView], model: ModelInput, metrics: Metrics, threads: int) -> None:
        self._model = model
        self._metrics = metrics
        self._planner = Planner(cameras)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")

    def decode(self, segments: Sequence[Segment]) -> FrameBatch:
        """Sample and scale the frames of the segments, which come in the order of capture for every camera.

        A segment that does not decode is counted, logged with its camera's name, and left out whole.
        """
        return self.decode_chosen(self._planner.choose(segments)).batch

    def decode_chosen(self, choices: Sequence[Choice]) -> DecodedPart:
        """The same of segments of which another decoder has chosen the frames."""
        tasks = _tasks(choices)
        batch, index = _empty(choices, self._model), indices_of(choices)
        sound = list(self._pool.map(lambda task: self._fill(task, batch), tasks))
        if all(sound):
            return DecodedPart(batch, index)
        return _without([task for task, ok in zip(tasks, sound, strict=True) if not ok], DecodedPart(batch, index))

    def remove_camera(self, camera: int) -> None:
        """Forget a camera; between two batches."""
        self._planner.remove_camera(camera)

    def close(self) -> None:
        """Wait for the threads to end."""
        self._pool.shutdown()

    def _fill(self, task: _Task, batch: FrameBatch) -> bool:
        """Decode one segment into its rows of `batch`; False where it is corrupt."""
        try:
            for place_in_task, frame in _in_order(task):
                self._fill_frame(task, place_in_task, frame, batch)
        except DecodeError as error:
            name, sequence = task.choice.view.name, task.choice.segment.sequence
            self._metrics.corrupt.labels(name).inc()
            log.warning("segment does not decode", camera=name, sequence=sequence, error=str(error))
            return False
        return True

    def _fill_frame(self, task: _Task, place_in_task: int, frame: av.VideoFrame, batch: FrameBatch) -> None:
        frame = readable(frame)
        planes, subsampling = picture(frame)
        values = colour(encoding(frame), self._model)
        batch.frames.size_px[task.first_frame + place_in_task] = subsampling.size_px
        regions = task.choice.view.regions
        for row, region in enumerate(regions, task.first_row + place_in_task * len(regions)):
            placement = place(subsampling, region, self._model)
            batch.model_to_image[row] = placement.cut.model_to_image
            batch.region_xyxy_px[row] = placement.cut.region_xyxy_px
            letterbox(planes, placement.geometry, values, batch.pixels[row])
        lamps = len(task.choice.view.lamps)
        first_lamp = task.first_lamp + place_in_task * lamps
        looks = batch.lamps.look[first_lamp : first_lamp + lamps]
        read_lamps(task.choice.view, planes, layout(subsampling, encoding(frame)), looks)


def _tasks(choices: Sequence[Choice]) -> list[_Task]:
    tasks, frame, row, lamp = [], 0, 0, 0
    for choice in choices:
        tasks.append(_Task(choice, frame, row, lamp))
        frame, row, lamp = tasks[-1].frames.stop, tasks[-1].rows.stop, tasks[-1].lamps.stop
    return tasks


def _in_order(task: _Task) -> Iterator[tuple[int, av.VideoFrame]]:
    """The wanted frames with their place among the wanted ones."""
    places = {int(row): place for place, row in enumerate(task.choice.wanted)}
    for row, frame in decoded(task.choice.segment, task.choice.wanted):
        yield places[row], frame


def _empty(choices: Sequence[Choice], model: ModelInput) -> FrameBatch:
    """A batch with room for every frame; what is known before decoding is in it already."""
    regions = np.array([len(choice.view.regions) for choice in choices for _ in choice.wanted], np.int64)
    rows = int(regions.sum())
    return FrameBatch(
        frames=frames_of(choices),
        pixels=_pixels(rows, model),
        frame=np.repeat(np.arange(len(regions), dtype=np.int32), regions),
        model_to_image=np.zeros((rows, 4), np.float32),
        region_xyxy_px=np.zeros((rows, 4), np.float32),
        lamps=unread([len(choice.view.lamps) for choice in choices for _ in choice.wanted]),
    )


def _pixels(rows: int, model: ModelInput) -> np.ndarray:
    """(N, 3, H, W) in the memory order that the model reads without a copy."""
    if model.layout == "nchw":
        return np.empty((rows, 3, model.height_px, model.width_px), model.dtype)
    return np.empty((rows, model.height_px, model.width_px, 3), model.dtype).transpose(0, 3, 1, 2)


def _without(corrupt: Sequence[_Task], part: DecodedPart) -> DecodedPart:
    """The part without the rows of the corrupt segments."""
    batch = part.batch
    frames, rows = np.ones(len(batch.frames), np.bool_), np.ones(len(batch.frame), np.bool_)
    for task in corrupt:
        frames[task.frames] = rows[task.rows] = False
    place = np.cumsum(frames, dtype=np.int32) - 1
    sound = FrameBatch(
        frames=_those(frames, batch.frames),
        pixels=batch.pixels[rows],
        frame=place[batch.frame[rows]],
        model_to_image=batch.model_to_image[rows],
        region_xyxy_px=batch.region_xyxy_px[rows],
        lamps=lamps_of(frames, place, batch.lamps),
    )
    return DecodedPart(sound, part.index[frames])


def _those(keep: Flags, frames: Frames) -> Frames:
    return Frames(frames.camera[keep], frames.captured_s[keep], frames.size_px[keep], frames.clock[keep])
