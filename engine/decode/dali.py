"""NVIDIA DALI: encoded segments in, the detector's input out, on one device. The only file that imports nvidia.dali.

One graph does a batch: decode the wanted frames, cut out and scale the regions, mend and normalise the colours, pad.
With a GPU it is NVDEC and CUDA kernels; without one, for the tests, DALI's own CPU code behind the same words.

Note [Frame lifetime across streams]
DALI works on CUDA streams of its own, the detector on another, and batch n + 1 is decoded while batch n is looked at.
Three rules make that safe, and every stage keeps them by itself:

1. What is decoded is written over by nobody: the executor allocates the outputs of every run anew and takes them back
   when the last view is gone (`exec_dynamic`, DALI's default).
2. What is handed over is finished: `Pipeline.run` without a stream returns when its kernels are done, and whoever puts
   parts together afterwards (`device.DeviceDecoder`) waits for that, too. So it may be read on any stream at once. The
   waiting is that of the decoding thread alone; copies, NVDEC, the network and the host's work overlap across threads.
3. Whoever reads keeps the batch alive until its kernels are done, for when the last view goes, DALI may give the memory
   to the next batch at once. `Detector.detect` holds the batch and returns boxes in host memory, so it has waited for
   its stream by then; the batch is dropped after that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from nvidia.dali import Pipeline, fn, types
from nvidia.dali.backend import ReleaseUnusedMemory
from torch.utils.dlpack import from_dlpack

from engine.decode.model_input import ModelInput
from engine.decode.regions import Cut
from engine.errors import DecodeError, DeviceError
from engine.gpu.errors import device_error
from engine.types import Bytes8, Floats32, Ints32

Device = int | None
"""Index of the GPU; None for DALI's CPU backend."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One segment as the graph takes it."""

    container: bytes
    """A file with the segment's packets."""
    shown: Ints32
    """(W,) i4: wanted frames by their place in the order of presentation."""
    matrix: Floats32
    """(3, 3) f4, with `shift` (3,) f4: value = matrix . (R, G, B) + shift, see `picture.recolour`."""
    shift: Floats32
    cuts: tuple[Cut, ...]
    """The regions of every frame, at least one."""
    lamps_px: tuple[int, int, int, int] | None = None
    """Left, top, right, bottom of what is wanted of every frame as it is, for its signal lamps; pixels of the image."""


@dataclass(frozen=True, slots=True, eq=False)
class DecodedFrames:
    """What one run of the graph gave."""

    pixels: torch.Tensor
    """(N, 3, H, W) on the device: sample by sample, cut by cut, the frames in their order. No copy of DALI's output."""
    lamps: Sequence[Bytes8]
    """By sample (W, h, w, 3) u1 in host memory: R, G, B as DALI makes them of `lamps_px`; (0, 1, 1, 3) without."""


class DaliGraph:
    """Cuts of many segments, decoded and scaled on one device. Not thread-safe.

    most     samples in one run at the most
    regions  cuts of one sample at the most
    lamps    does any sample want them?
    threads  of the host: each works on one segment at a time
    """

    def __init__(
        self, model: ModelInput, device: Device, *, most: int, regions: int, lamps: bool, threads: int
    ) -> None:
        self._model = model
        self._regions = regions
        self._lamps = lamps
        self._pipe = _pipeline(device, most, threads)
        with self._pipe:
            video, colour = _video(device), _colour()
            parts = [_scaled(video, colour, model, region) for region in range(regions)]
            rows = fn.cat(*parts, axis_name="F") if regions > 1 else parts[0]
            rows = fn.transpose(rows, perm=[0, 3, 1, 2]) if model.layout == "nchw" else rows
            self._pipe.set_outputs(rows, *([_lamps(video)] if lamps else []))
        _build(self._pipe)

    def run(self, samples: Sequence[Sample]) -> DecodedFrames:
        """Decode at least one sample. Raises DecodeError where the device does not decode one of them,
        OutOfDeviceMemory, DeviceLost."""
        inputs = [_inputs(samples), *(_cut_inputs(region, self._model, samples) for region in range(self._regions))]
        if not self._lamps:
            return DecodedFrames(self._view(_run(self._pipe, *inputs)[0], samples), [])
        rows, lamps = _run(self._pipe, *inputs, _lamp_inputs(samples))
        return DecodedFrames(self._view(rows, samples), [np.array(some) for some in lamps])

    def _view(self, rows: Any, samples: Sequence[Sample]) -> torch.Tensor:
        """DALI's list of samples as one tensor in the order (N, 3, H, W), wherever its memory is."""
        count = sum(len(sample.shown) * len(sample.cuts) for sample in samples)
        height, width = self._model.height_px, self._model.width_px
        if self._model.layout == "nchw":
            return from_dlpack(rows.as_reshaped_tensor([count, 3, height, width]))
        return from_dlpack(rows.as_reshaped_tensor([count, height, width, 3])).permute(0, 3, 1, 2)

    def close(self) -> None:
        """Give the memory back to the device. What `run` has returned stays good."""
        del self._pipe
        ReleaseUnusedMemory()


class DaliStillGraph:
    """Whole frames of one segment, decoded on one device, in host memory. Not thread-safe."""

    def __init__(self, device: Device, threads: int) -> None:
        self._pipe = _pipeline(device, 1, threads)
        with self._pipe:
            self._pipe.set_outputs(fn.coord_transform(_video(device), **_colour(), dtype=types.UINT8))
        _build(self._pipe)

    def run(self, sample: Sample) -> list[Bytes8]:
        """(H, W, 3) u1 of every wanted frame; its `cuts` do not count. Raises as `DaliGraph.run`."""
        (frames,) = _run(self._pipe, _inputs([sample]))
        return list(np.array(frames.as_cpu()[0]))

    def close(self) -> None:
        """Give the memory back to the device."""
        del self._pipe
        ReleaseUnusedMemory()


def _pipeline(device: Device, most: int, threads: int) -> Pipeline:
    """One batch in flight: batches ahead of it are `Pipeline.overlapped`'s affair."""
    return Pipeline(batch_size=most, num_threads=threads, device_id=device, prefetch_queue_depth=1)


def _build(pipe: Pipeline) -> None:
    """Raises DeviceError where DALI cannot work on this device."""
    try:
        pipe.build()
    except RuntimeError as error:
        said = f"DALI: {_said(str(error))}"
        raise (device_error(said) or DeviceError(said)) from error


def _video(device: Device) -> Any:
    """The wanted frames of every sample, (W, H, W, 3) u1 RGB. Threads stay where the scheduler puts them: pinned, those
    of two processes on one host would share the first cores."""
    return fn.decoders.video(
        _input("container", types.UINT8),
        frames=_input("frames", types.INT32),
        device="cpu" if device is None else "mixed",
        pad_mode="none",  # a frame that is not there is an error, not a black picture
        affine=False,
    )


def _colour() -> dict[str, Any]:
    return {"M": _input("matrix", types.FLOAT, 2), "T": _input("shift", types.FLOAT)}


def _scaled(video: Any, colour: dict[str, Any], model: ModelInput, region: int) -> Any:
    """One region of every sample in the model's values, (W, H, W, 3), or (0, H, W, 3) where a sample has fewer.

    Of DALI's filters the Gaussian comes nearest to the mean over an area, which the CPU's kernel takes.
    """
    scaled = fn.resize(
        video,
        size=_input(f"size{region}", types.FLOAT),
        roi_start=_input(f"roi_start{region}", types.FLOAT),
        roi_end=_input(f"roi_end{region}", types.FLOAT),
        min_filter=types.INTERP_GAUSSIAN,
        mag_filter=types.INTERP_LINEAR,
        dtype=types.FLOAT,
    )
    values = fn.coord_transform(scaled, **colour)
    return fn.slice(
        fn.cast(values, dtype=types.UINT8) if model.dtype == "uint8" else values,
        _input(f"start{region}", types.INT32),
        _input(f"shape{region}", types.INT32),
        axis_names="FHW",
        out_of_bounds_policy="pad",
        fill_values=((model.pad - np.array(model.mean)) / np.array(model.std)).tolist(),
    )


def _lamps(video: Any) -> Any:
    """The part of every frame in which lamps are, as it was decoded, in host memory: it is small."""
    start, shape = _input("lamps_start", types.INT32), _input("lamps_shape", types.INT32)
    return fn.slice(video, start, shape, axis_names="FHW").cpu()


def _input(name: str, dtype: types.DALIDataType, axes: int = 1) -> Any:
    return fn.external_source(name=name, dtype=dtype, ndim=axes)


Inputs = dict[str, list[NDArray[Any]]]
"""By the name of the graph's input, an array a sample."""


def _inputs(samples: Sequence[Sample]) -> Inputs:
    return {
        "container": [np.frombuffer(sample.container, np.uint8) for sample in samples],
        "frames": [sample.shown for sample in samples],
        "matrix": [sample.matrix for sample in samples],
        "shift": [sample.shift for sample in samples],
    }


_NOTHING = Cut((0, 0, 1, 1), (1, 1), (0, 0), (1.0, 1.0, 0.0, 0.0))
"""The cut of a sample that has fewer regions than the graph: one pixel, of no frame."""


def _cut_inputs(region: int, model: ModelInput, samples: Sequence[Sample]) -> Inputs:
    """The inputs of one region; DALI's axes are rows, then columns."""
    inputs: Inputs = {f"{name}{region}": [] for name in ("size", "roi_start", "roi_end", "start", "shape")}
    for sample in samples:
        has = region < len(sample.cuts)
        cut = sample.cuts[region] if has else _NOTHING
        left, top, right, bottom = cut.region_xyxy_px
        inputs[f"size{region}"].append(np.array(cut.size_px[::-1], np.float32))
        inputs[f"roi_start{region}"].append(np.array((top, left), np.float32))
        inputs[f"roi_end{region}"].append(np.array((bottom, right), np.float32))
        inputs[f"start{region}"].append(np.array((0, -cut.corner_px[1], -cut.corner_px[0]), np.int32))
        frames = len(sample.shown) if has else 0
        inputs[f"shape{region}"].append(np.array((frames, model.height_px, model.width_px), np.int32))
    return inputs


def _lamp_inputs(samples: Sequence[Sample]) -> Inputs:
    starts, shapes = [], []
    for sample in samples:
        left, top, right, bottom = sample.lamps_px or (0, 0, 1, 1)
        frames = len(sample.shown) if sample.lamps_px else 0
        starts.append(np.array((0, top, left), np.int32))
        shapes.append(np.array((frames, bottom - top, right - left), np.int32))
    return {"lamps_start": starts, "lamps_shape": shapes}


def _run(pipe: Pipeline, *inputs: Inputs) -> tuple[Any, ...]:
    """One run; DALI's errors in the engine's terms."""
    try:
        outputs: tuple[Any, ...] = pipe.run(**{name: values for some in inputs for name, values in some.items()})
    except RuntimeError as error:
        said = f"DALI: {_said(str(error))}"
        raise (device_error(said) or DecodeError(said)) from error
    return outputs


def _said(message: str) -> str:
    """What went wrong of an error that quotes the graph's code around it, in one line."""
    return " ".join(message.partition("encountered:")[2].partition("Current pipeline")[0].split()) or message.strip()
