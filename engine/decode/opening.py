"""Opens the decoder that the configuration asks for, on the CPU or on a GPU, and the second look beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

import structlog

from engine.config import DecoderConfig, PipelineConfig
from engine.decode.camera import CameraView, view_of
from engine.decode.cpu import CpuDecoder
from engine.decode.formats import ON_DALI_CPU, ON_GPU, PictureFormats
from engine.decode.model_input import ModelInput
from engine.decode.second_look import look
from engine.errors import ConfigError
from engine.gpu.health import has_driver
from engine.metrics import Metrics
from engine.site import WatchedCamera
from engine.stages import FrameFetcher

if TYPE_CHECKING:  # both need the packages of the extra `gpu`
    from engine.decode.device import DeviceDecoder
    from engine.decode.device_look import DeviceFrameFetcher

log = structlog.get_logger()

_MEGABYTE = 1 << 20
_INSTALL = "pip install 'qyran[gpu]'"

Device = int | None
"""Index of a GPU; None for DALI's CPU backend."""


class Decoding:
    """The decoder, and the fetcher of single frames at full size; both know the same cameras."""

    def __init__(
        self,
        views: dict[int, CameraView],
        decoder: CpuDecoder | DeviceDecoder,
        fetcher: DeviceFrameFetcher | None = None,
    ) -> None:
        """`views` by camera index, shared by both. Without a `fetcher` the CPU fetches frames."""
        self.decoder, self._views, self._fetcher = decoder, views, fetcher
        self.fetch_frames: FrameFetcher = fetcher or look

    def add_camera(self, index: int, camera: WatchedCamera) -> None:
        """Decode one more camera; between two batches. A graph on a device is made anew, since it may be too small."""
        self._views[index] = view_of(camera)
        if self._fetcher:
            self.decoder.close()

    def remove_camera(self, index: int) -> None:
        """Forget a camera; between two batches."""
        del self._views[index]
        self.decoder.remove_camera(index)
        if self._fetcher:
            self._fetcher.remove_camera(index)


@contextmanager
def open_decoding(
    config: DecoderConfig, sizes: PipelineConfig, views: dict[int, CameraView], model: ModelInput, metrics: Metrics
) -> Iterator[Decoding]:
    """Open what `config` asks for, for the cameras of `views`; closes it.

    Raises ConfigError if DALI is asked for and cannot run.
    """
    cpu = CpuDecoder(views, model, metrics, sizes.decode_threads)
    try:
        if not _on_device(config):
            _log_decoder(metrics, "cpu", "cpu")
            yield Decoding(views, cpu)
            return
        device = None if config.device == "cpu" else config.device
        with _device_decoding(config, sizes, views, model, metrics, device, cpu) as decoding:
            _log_decoder(metrics, "dali", "cpu" if device is None else f"cuda:{device}")
            yield decoding
    finally:
        cpu.close()


@contextmanager
def _device_decoding(
    config: DecoderConfig,
    sizes: PipelineConfig,
    views: dict[int, CameraView],
    model: ModelInput,
    metrics: Metrics,
    device: Device,
    cpu: CpuDecoder,
) -> Iterator[Decoding]:
    from engine.decode.dali import DaliGraph, DaliStillGraph
    from engine.decode.device import DeviceDecoder
    from engine.decode.device_look import DeviceFrameFetcher

    codecs = ON_DALI_CPU if device is None else ON_GPU
    threads = sizes.decode_threads
    decoder = DeviceDecoder(
        views,
        model,
        metrics,
        cpu=cpu,
        formats=PictureFormats(codecs),
        open_graph=lambda most: DaliGraph(
            model,
            device,
            most=most,
            regions=max((len(view.regions) for view in views.values()), default=1),
            lamps=any(view.lamps for view in views.values()),
            threads=threads,
        ),
        budget_bytes=config.memory_mb * _MEGABYTE,
        most=sizes.batch_segments,
    )
    fetcher = DeviceFrameFetcher(views, PictureFormats(codecs), lambda: DaliStillGraph(device, 1), metrics)
    try:
        yield Decoding(views, decoder, fetcher)
    finally:
        fetcher.close()
        decoder.close()


def _on_device(config: DecoderConfig) -> bool:
    """Is it DALI that decodes? Raises ConfigError where it shall and cannot."""
    if config.backend == "cpu":
        return False
    missing = _missing(config)
    if missing and config.backend == "dali":
        raise ConfigError(f"decoder.backend: {missing}")
    if missing:
        log.info("decoder passed over", decoder="dali", reason=missing)
    return not missing


def _missing(config: DecoderConfig) -> str:
    """What DALI lacks here; empty where it can run."""
    for package in ("nvidia.dali", "torch"):
        if not _is_installed(package):
            return f"{package} is not installed: {_INSTALL}"
    if config.device == "cpu":
        return ""
    if not has_driver():
        return "NVIDIA's driver is not installed: nvidia-smi tells"
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if config.device < count:
        return ""
    if not torch.version.cuda:
        return "torch is a build without CUDA: install one with it, " + _INSTALL
    return f"there is no GPU {config.device}: torch finds {count}; nvidia-smi tells whether the driver does"


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except (ModuleNotFoundError, ValueError):
        return False


def _log_decoder(metrics: Metrics, decoder: str, device: str) -> None:
    metrics.decoder.labels(decoder, device).set(1)
    log.info("decoder", decoder=decoder, device=device)
