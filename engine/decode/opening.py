"""Opens the decoder that the configuration asks for, on the CPU or on a GPU, and the second look beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec

import structlog

from engine.config import DecoderConfig, PipelineConfig
from engine.decode.camera import CameraView
from engine.decode.cpu import CpuDecoder
from engine.decode.formats import ON_DALI_CPU, ON_GPU, PictureFormats
from engine.decode.model_input import ModelInput
from engine.decode.second_look import look
from engine.errors import ConfigError
from engine.gpu.health import has_driver
from engine.metrics import Metrics
from engine.stages import Decoder, FrameFetcher

log = structlog.get_logger()

_MEGABYTE = 1 << 20
_INSTALL = "pip install 'qyran[gpu]'"

Device = int | None
"""Index of a GPU; None for DALI's CPU backend."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """The decoder, and the frames of few instants at full size."""

    decoder: Decoder
    look: FrameFetcher
    renew: Callable[[], None] = lambda: None
    """Call it when a camera has come to the mapping that this was opened with; between two batches."""


@contextmanager
def open_decoding(
    config: DecoderConfig, sizes: PipelineConfig, cameras: Mapping[int, CameraView], model: ModelInput, metrics: Metrics
) -> Iterator[Decoding]:
    """Open what `config` asks for; closes it. Cameras may come to `cameras` and go between two batches.

    Raises ConfigError where DALI is asked for and cannot run.
    """
    cpu = CpuDecoder(cameras, model, metrics, sizes.decode_threads)
    try:
        if not _on_device(config):
            _tell(metrics, "cpu", "cpu")
            yield Decoding(cpu, look)
            return
        device = None if config.device == "cpu" else config.device
        with _device_decoding(config, sizes, cameras, model, metrics, device, cpu) as decoding:
            _tell(metrics, "dali", "cpu" if device is None else f"cuda:{device}")
            yield decoding
    finally:
        cpu.close()


@contextmanager
def _device_decoding(
    config: DecoderConfig,
    sizes: PipelineConfig,
    cameras: Mapping[int, CameraView],
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
        cameras,
        model,
        metrics,
        cpu=cpu,
        formats=PictureFormats(codecs),
        open_graph=lambda most: DaliGraph(
            model,
            device,
            most=most,
            regions=max((len(view.regions) for view in cameras.values()), default=1),
            lamps=any(view.lamps for view in cameras.values()),
            threads=threads,
        ),
        budget_bytes=config.memory_mb * _MEGABYTE,
        most=sizes.batch_segments,
    )
    device_look = DeviceFrameFetcher(cameras, PictureFormats(codecs), lambda: DaliStillGraph(device, 1), metrics)
    try:
        yield Decoding(decoder, device_look, renew=decoder.close)
    finally:
        device_look.close()
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


def _tell(metrics: Metrics, decoder: str, device: str) -> None:
    metrics.decoder.labels(decoder, device).set(1)
    log.info("decoder", decoder=decoder, device=device)
