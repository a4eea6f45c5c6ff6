"""Opens the configured decoder and frame fetcher, on the CPU or on a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

import structlog

from engine.config import DecoderConfig, PipelineConfig
from engine.decode.cpu import CpuDecoder
from engine.decode.formats import DALI_CPU_CODECS, GPU_CODECS, PictureFormats
from engine.decode.frame_fetcher import fetch_frames
from engine.decode.settings import DecodeSettings, ModelInput, settings_of
from engine.errors import ConfigError
from engine.gpu.health import has_driver
from engine.metrics import Metrics
from engine.site import WatchedCamera
from engine.stages import FrameFetcher

if TYPE_CHECKING:  # both need the packages of the extra `gpu`
    from engine.decode.device import DeviceDecoder
    from engine.decode.device_fetcher import DeviceFrameFetcher

log = structlog.get_logger()

_MEGABYTE = 1 << 20
_INSTALL = "pip install 'qyran[gpu]'"


class Decoding:
    """The decoder, and the fetcher of single full-resolution frames; both know the same cameras."""

    def __init__(
        self,
        cameras: dict[int, DecodeSettings],
        decoder: CpuDecoder | DeviceDecoder,
        fetcher: DeviceFrameFetcher | None = None,
    ) -> None:
        """`cameras` by index, shared by both. Without a `fetcher` the CPU fetches frames."""
        self.decoder, self._cameras, self._fetcher = decoder, cameras, fetcher
        self.fetch_frames: FrameFetcher = fetcher or fetch_frames

    def add_camera(self, index: int, camera: WatchedCamera) -> None:
        """Decode one more camera; between two batches. Opens the graph of a device again, since it may be too small."""
        self._cameras[index] = settings_of(camera)
        if self._fetcher:
            self.decoder.close()

    def remove_camera(self, index: int) -> None:
        """Forget a camera; between two batches."""
        del self._cameras[index]
        self.decoder.remove_camera(index)
        if self._fetcher:
            self._fetcher.remove_camera(index)


@contextmanager
def open_decoding(
    config: DecoderConfig,
    sizes: PipelineConfig,
    cameras: dict[int, DecodeSettings],
    model: ModelInput,
    metrics: Metrics,
) -> Iterator[Decoding]:
    """Open the configured decoder; close it at the end. `cameras` by index; `Decoding` changes them.

    Raises ConfigError if DALI is required and cannot run.
    """
    with closing(CpuDecoder(cameras, model, metrics, sizes.decode_threads)) as cpu:
        if not _uses_dali(config):
            _log_decoder(metrics, "cpu", "cpu")
            yield Decoding(cameras, cpu)
            return
        from engine.decode.dali import DaliGraph, DaliStillGraph
        from engine.decode.device import DeviceDecoder
        from engine.decode.device_fetcher import DeviceFrameFetcher

        device = None if config.device == "cpu" else config.device
        codecs = DALI_CPU_CODECS if device is None else GPU_CODECS

        def open_graph(most: int) -> DaliGraph:
            regions = max((len(camera.regions) for camera in cameras.values()), default=1)
            lamps = any(camera.lamps for camera in cameras.values())
            return DaliGraph(model, device, most=most, regions=regions, lamps=lamps, threads=sizes.decode_threads)

        decoder = DeviceDecoder(
            cameras,
            model,
            metrics,
            cpu=cpu,
            formats=PictureFormats(codecs),
            open_graph=open_graph,
            budget_bytes=config.memory_mb * _MEGABYTE,
            most=sizes.batch_segments,
        )
        fetcher = DeviceFrameFetcher(cameras, PictureFormats(codecs), lambda: DaliStillGraph(device, 1), metrics)
        with closing(decoder), closing(fetcher):
            _log_decoder(metrics, "dali", "cpu" if device is None else f"cuda:{device}")
            yield Decoding(cameras, decoder, fetcher)


def _uses_dali(config: DecoderConfig) -> bool:
    """True if DALI decodes. Raises ConfigError if it is required and cannot run."""
    if config.backend == "cpu":
        return False
    missing = _find_missing(config)
    if missing and config.backend == "dali":
        raise ConfigError(f"decoder.backend: {missing}")
    if missing:
        log.info("decoder not available", decoder="dali", reason=missing)
    return not missing


def _find_missing(config: DecoderConfig) -> str:
    """Reason why DALI cannot run here; empty if it can."""
    for package in ("nvidia.dali", "torch"):
        if not _is_installed(package):
            return f"{package} is not installed: {_INSTALL}"
    if config.device == "cpu":
        return ""
    if not has_driver():
        return "NVIDIA's driver is not installed: check with nvidia-smi"
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if config.device < count:
        return ""
    if not torch.version.cuda:
        return "torch is built without CUDA: install a build with CUDA, " + _INSTALL
    return f"there is no GPU {config.device}: torch finds {count}; nvidia-smi shows the GPUs that the driver finds"


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except (ModuleNotFoundError, ValueError):
        return False


def _log_decoder(metrics: Metrics, decoder: str, device: str) -> None:
    metrics.decoder.labels(decoder, device).set(1)
    log.info("decoder", decoder=decoder, device=device)
