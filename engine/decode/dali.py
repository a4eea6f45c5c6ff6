"""NVIDIA DALI: encoded segments to the detector's input, on one device. Only this file imports nvidia.dali.

One graph processes a batch: decode the wanted frames, crop and scale the regions, correct and normalise the colours,
pad. On a GPU it uses NVDEC and CUDA kernels. Without a GPU, for tests, DALI's CPU backend runs the same graph.

Note [Frame lifetime across streams]
DALI works on its own CUDA streams, the detector on another one, and batch n + 1 is decoded during the detection of
batch n. Three rules make that safe:

1. Nothing overwrites decoded frames: DALI's dynamic executor (`exec_dynamic`, the default) allocates the outputs of
   each run and frees them when the last view is gone.
2. Outputs are complete when they are returned: `Pipeline.run` without a stream waits for its kernels, and so does
   `device.DeviceDecoder` after it joins parts. So they may be read on any stream. Only the decoding thread waits;
   copies, NVDEC, the network and the host's work overlap across threads.
3. A reader keeps the batch alive until its kernels are done, because DALI may reuse the memory as soon as the last view
   is gone. `Detector.detect` holds the batch and returns boxes in host memory, so its stream is complete by then.
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

from engine.decode.regions import RegionCrop
from engine.decode.settings import ModelInput
from engine.errors import DecodeError, DeviceError
from engine.gpu.errors import device_error
from engine.types import Bytes8, Floats32, Ints32

Device = int | None
"""Index of the GPU; None for the CPU backend."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One segment in the form that the graph takes."""

    container: bytes
    """Content of an MP4 file with the segment's packets."""
    shown: Ints32
    """(W,) i4: positions of the wanted frames in presentation order."""
    matrix: Floats32
    """(3, 3) f4: value = matrix . (R, G, B) + shift, see `picture.rgb_correction`."""
    shift: Floats32
    """(3,) f4."""
    crops: tuple[RegionCrop, ...]
    """The regions of each frame, at least one."""
    lamps_px: tuple[int, int, int, int] | None = None
    """Left, top, right, bottom of the part of each frame with the signal lamps, image pixels; None without lamps."""


@dataclass(frozen=True, slots=True, eq=False)
class DecodedFrames:
    """Output of one run of the graph."""

    pixels: torch.Tensor
    """(N, 3, H, W) on the device, ordered by sample, then region, then frame. A view of DALI's output."""
    lamps: Sequence[Bytes8]
    """Per sample (W, h, w, 3) u1 in host memory: `lamps_px` in DALI's R, G, B; (0, 1, 1, 3) without `lamps_px`."""


class DaliGraph:
    """Decodes and scales the regions of many segments on one device. Not thread-safe.

    most     a run has at most this many samples
    regions  a sample has at most this many regions
    lamps    True if samples may have lamps
    threads  threads of the host; each processes one segment at a time
    """

    def __init__(
        self, model: ModelInput, device: Device, *, most: int, regions: int, lamps: bool, threads: int
    ) -> None:
        self._model, self._regions, self._lamps = model, regions, lamps
        self._pipe = _new_pipeline(device, most, threads)
        with self._pipe:
            video, colour = _add_decoder(device), _colour_inputs()
            parts = [_add_scaling(video, colour, model, region) for region in range(regions)]
            rows = fn.cat(*parts, axis_name="F") if regions > 1 else parts[0]
            rows = fn.transpose(rows, perm=[0, 3, 1, 2]) if model.layout == "nchw" else rows
            self._pipe.set_outputs(rows, *([_add_lamp_crop(video)] if lamps else []))
        _build_pipeline(self._pipe)

    def run(self, samples: Sequence[Sample]) -> DecodedFrames:
        """Decode at least one sample. Raises DecodeError if the device does not decode one of them, OutOfDeviceMemory,
        DeviceLost."""
        inputs = [
            _sample_inputs(samples),
            *(_region_inputs(region, self._model, samples) for region in range(self._regions)),
        ]
        if not self._lamps:
            return DecodedFrames(self._view(_run_pipeline(self._pipe, *inputs)[0], samples), [])
        rows, lamps = _run_pipeline(self._pipe, *inputs, _lamp_inputs(samples))
        return DecodedFrames(self._view(rows, samples), [np.array(some) for some in lamps])

    def _view(self, rows: Any, samples: Sequence[Sample]) -> torch.Tensor:
        """DALI's list of samples as one tensor (N, 3, H, W) in the same memory."""
        count = sum(len(sample.shown) * len(sample.crops) for sample in samples)
        height, width = self._model.height_px, self._model.width_px
        if self._model.layout == "nchw":
            return from_dlpack(rows.as_reshaped_tensor([count, 3, height, width]))
        return from_dlpack(rows.as_reshaped_tensor([count, height, width, 3])).permute(0, 3, 1, 2)

    def close(self) -> None:
        """Return the memory to the device. Earlier results of `run` stay valid."""
        del self._pipe
        ReleaseUnusedMemory()


class DaliStillGraph:
    """Decodes whole frames of one segment on one device into host memory. Not thread-safe."""

    def __init__(self, device: Device, threads: int) -> None:
        self._pipe = _new_pipeline(device, 1, threads)
        with self._pipe:
            self._pipe.set_outputs(fn.coord_transform(_add_decoder(device), **_colour_inputs(), dtype=types.UINT8))
        _build_pipeline(self._pipe)

    def run(self, sample: Sample) -> list[Bytes8]:
        """(H, W, 3) u1 of each wanted frame; `crops` are ignored. Raises as `DaliGraph.run`."""
        (frames,) = _run_pipeline(self._pipe, _sample_inputs([sample]))
        return list(np.array(frames.as_cpu()[0]))

    def close(self) -> None:
        """Return the memory to the device."""
        del self._pipe
        ReleaseUnusedMemory()


def _new_pipeline(device: Device, most: int, threads: int) -> Pipeline:
    # A queue of 1: the engine's pipeline decodes ahead by itself, so DALI must not prefetch as well.
    return Pipeline(batch_size=most, num_threads=threads, device_id=device, prefetch_queue_depth=1)


def _build_pipeline(pipe: Pipeline) -> None:
    """Raises DeviceError if DALI cannot work on this device."""
    try:
        pipe.build()
    except RuntimeError as error:
        message = f"DALI: {_error_text(str(error))}"
        raise (device_error(message) or DeviceError(message)) from error


def _add_decoder(device: Device) -> Any:
    """The wanted frames of each sample, (W, H, W, 3) u1 RGB."""
    return fn.decoders.video(
        _add_input("container", types.UINT8),
        frames=_add_input("frames", types.INT32),
        device="cpu" if device is None else "mixed",
        pad_mode="none",  # a missing frame is an error, not a black picture
        affine=False,  # True pins each thread to a core, and two processes on one host would share the first cores
    )


def _colour_inputs() -> dict[str, Any]:
    return {"M": _add_input("matrix", types.FLOAT, 2), "T": _add_input("shift", types.FLOAT)}


def _add_scaling(video: Any, colour: dict[str, Any], model: ModelInput, region: int) -> Any:
    """One region of each sample in the model's values, (W, H, W, 3); (0, H, W, 3) if a sample has fewer regions.

    The Gaussian is the filter of DALI that is closest to the mean over an area, which the CPU's kernel computes.
    """
    scaled = fn.resize(
        video,
        size=_add_input(f"size{region}", types.FLOAT),
        roi_start=_add_input(f"roi_start{region}", types.FLOAT),
        roi_end=_add_input(f"roi_end{region}", types.FLOAT),
        min_filter=types.INTERP_GAUSSIAN,
        mag_filter=types.INTERP_LINEAR,
        dtype=types.FLOAT,
    )
    values = fn.coord_transform(scaled, **colour)
    return fn.slice(
        fn.cast(values, dtype=types.UINT8) if model.dtype == "uint8" else values,
        _add_input(f"start{region}", types.INT32),
        _add_input(f"shape{region}", types.INT32),
        axis_names="FHW",
        out_of_bounds_policy="pad",
        fill_values=((model.pad - np.array(model.mean)) / np.array(model.std)).tolist(),
    )


def _add_lamp_crop(video: Any) -> Any:
    """The part of each frame with the lamps, unscaled, in host memory. It is small."""
    start, shape = _add_input("lamps_start", types.INT32), _add_input("lamps_shape", types.INT32)
    return fn.slice(video, start, shape, axis_names="FHW").cpu()


def _add_input(name: str, dtype: types.DALIDataType, axes: int = 1) -> Any:
    return fn.external_source(name=name, dtype=dtype, ndim=axes)


Inputs = dict[str, list[NDArray[Any]]]
"""By name of the graph's input: one array per sample."""


def _sample_inputs(samples: Sequence[Sample]) -> Inputs:
    return {
        "container": [np.frombuffer(sample.container, np.uint8) for sample in samples],
        "frames": [sample.shown for sample in samples],
        "matrix": [sample.matrix for sample in samples],
        "shift": [sample.shift for sample in samples],
    }


_EMPTY_CROP = RegionCrop((0, 0, 1, 1), (1, 1), (0, 0), (1.0, 1.0, 0.0, 0.0))
"""Crop of a sample that has fewer regions than the graph: one pixel of no frame."""


def _region_inputs(region: int, model: ModelInput, samples: Sequence[Sample]) -> Inputs:
    """The inputs of one region. DALI's axes are rows, then columns."""
    inputs: Inputs = {f"{name}{region}": [] for name in ("size", "roi_start", "roi_end", "start", "shape")}
    for sample in samples:
        has = region < len(sample.crops)
        crop = sample.crops[region] if has else _EMPTY_CROP
        left, top, right, bottom = crop.region_xyxy_px
        inputs[f"size{region}"].append(np.array(crop.size_px[::-1], np.float32))
        inputs[f"roi_start{region}"].append(np.array((top, left), np.float32))
        inputs[f"roi_end{region}"].append(np.array((bottom, right), np.float32))
        inputs[f"start{region}"].append(np.array((0, -crop.corner_px[1], -crop.corner_px[0]), np.int32))
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


def _run_pipeline(pipe: Pipeline, *inputs: Inputs) -> tuple[Any, ...]:
    """Run the graph once. Raises DeviceError or DecodeError."""
    try:
        outputs: tuple[Any, ...] = pipe.run(**{name: values for some in inputs for name, values in some.items()})
    except RuntimeError as error:
        message = f"DALI: {_error_text(str(error))}"
        raise (device_error(message) or DecodeError(message)) from error
    return outputs


def _error_text(message: str) -> str:
    """The cause in one line. DALI's errors quote the code of the graph before and after it."""
    return " ".join(message.partition("encountered:")[2].partition("Current pipeline")[0].split()) or message.strip()
