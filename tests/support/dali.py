"""The device's decoder and the CPU's, for comparison."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from engine.config import CameraConfig
from engine.decode.cpu import CpuDecoder
from engine.decode.dali import DaliGraph
from engine.decode.device import DeviceDecoder
from engine.decode.formats import DALI_CPU_CODECS, GPU_CODECS, PictureFormats
from engine.decode.settings import DecodeSettings, ModelInput
from engine.ingest import FileSource
from engine.metrics import Metrics
from engine.site.signals import Lamp
from engine.types import FrameBatch, Segment
from rig.videos import SIZE_PX

MODEL = ModelInput(name="x", width_px=96, height_px=96)
FAR = (0.25, 0.25, 0.75, 0.75)
WHOLE = (0.0, 0.0, 1.0, 1.0)
LAMPS = tuple(Lamp(colour="red", centre_px=at, radius_px=4) for at in ((2.0, 90.0), (60.5, 80.0), (75.0, 100.25)))
CAMERAS = {
    0: DecodeSettings("north", 8.0),
    1: DecodeSettings("south", 100.0),
    2: DecodeSettings("east", 5.0, (WHOLE, FAR, (0.5, 0.0, 1.0, 0.5))),
    3: DecodeSettings("lamps", 8.0, lamps=LAMPS, lamps_size_px=SIZE_PX),
    4: DecodeSettings("moved lamps", 8.0, lamps=LAMPS, lamps_size_px=(640, 480)),
    5: DecodeSettings("over UDP", 8.0, lossy=True),
}

Open = Callable[[int], Any]


def of(segment: Segment, camera: int) -> Segment:
    return dataclasses.replace(segment, camera=camera)


def first_segment(clip: Path) -> Segment:
    """The first segment of a real recording."""
    config = CameraConfig(name=clip.stem, url=str(clip), site=clip)
    return next(iter(FileSource(0, config, Metrics(), start_s=1.78e9, realtime=False).read()))


@contextmanager
def decoders(
    model: ModelInput = MODEL,
    *,
    device: int | None = None,
    cameras: Mapping[int, DecodeSettings] = CAMERAS,
    wrap: Callable[[Open], Open] = lambda open_graph: open_graph,
    most: int = 8,
    budget_bytes: int = 1 << 30,
) -> Iterator[tuple[DeviceDecoder, CpuDecoder, Metrics]]:
    """A decoder on the device, one on the CPU, and the metrics of the first. `wrap` may put itself before the graph."""
    metrics = Metrics()
    regions = max(len(view.regions) for view in cameras.values())

    def open_graph(most: int) -> DaliGraph:
        return DaliGraph(model, device, most=most, regions=regions, lamps=True, threads=2)

    with ExitStack() as stack:
        fallback, cpu = CpuDecoder(cameras, model, metrics, 1), CpuDecoder(cameras, model, Metrics(), 2)
        stack.callback(fallback.close)
        stack.callback(cpu.close)
        decoder = DeviceDecoder(
            cameras,
            model,
            metrics,
            cpu=fallback,
            formats=PictureFormats(DALI_CPU_CODECS if device is None else GPU_CODECS),
            open_graph=wrap(open_graph),
            budget_bytes=budget_bytes,
            most=most,
        )
        stack.callback(decoder.close)
        yield decoder, cpu, metrics


def fallbacks(metrics: Metrics) -> dict[tuple[str, str], float]:
    """Number of segments that the CPU decoded instead, by camera and reason."""
    return {
        (sample.labels["camera"], sample.labels["reason"]): sample.value
        for sample in metrics.fallbacks.collect()[0].samples
        if sample.name.endswith("_total") and sample.value
    }


def assert_same(found: FrameBatch, wanted: FrameBatch, *, mean: float, p99: float) -> None:
    """Equal frames and rows. In each row the mean difference of pixels is at most `mean`, its 99th percentile `p99`."""
    for name in ("camera", "captured_s", "size_px", "clock"):
        np.testing.assert_array_equal(getattr(found.frames, name), getattr(wanted.frames, name))
    np.testing.assert_array_equal(np.sort(found.model_to_image, axis=0), np.sort(wanted.model_to_image, axis=0))
    found_rows, wanted_rows = _by_region(found), _by_region(wanted)
    assert found_rows.keys() == wanted_rows.keys()
    for place, row in found_rows.items():
        apart = np.abs(row.astype(float) - wanted_rows[place].astype(float))
        assert apart.mean() <= mean, place
        assert np.percentile(apart, 99) <= p99, place


def _by_region(batch: FrameBatch) -> dict[tuple[int, float, tuple[float, ...]], np.ndarray]:
    """The pixels of each row by its camera, instant and region. Decoders may order rows differently."""
    frames, pixels = batch.frames, on_host(batch.pixels)
    return {
        (int(frames.camera[f]), float(frames.captured_s[f]), tuple(region)): row
        for f, region, row in zip(batch.frame, batch.region_xyxy_px.tolist(), pixels, strict=True)
    }


def on_host(pixels: Any) -> np.ndarray:
    return pixels if isinstance(pixels, np.ndarray) else np.asarray(pixels.cpu())
