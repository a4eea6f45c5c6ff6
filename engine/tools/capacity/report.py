"""The answer of `qyran capacity`, and the warning of `qyran run` that cameras exceed the capacity."""

from __future__ import annotations

from pathlib import Path

import structlog
from rich.console import Console
from rich.table import Table

from engine.config import DecoderConfig, DetectorConfig, EngineConfig, PipelineConfig, load_config
from engine.errors import ConfigError
from engine.rules import load_site
from engine.tools.capacity.measure import CLIPS, CapacityRequest, measure
from engine.tools.capacity.model import (
    HEADROOM,
    CameraKind,
    Capacity,
    CapacityFit,
    compute_fit,
    kinds_of,
    read_capacity,
    store_capacity,
)

log = structlog.get_logger()

PARTS = {"cpu": "the processor's cores", "nvdec": "the GPU's video decoder", "gpu": "the GPU's multiprocessors"}


def parse_camera_kind(size: str, fps: float, codec: str, detect_fps: float, regions: int) -> CameraKind:
    """A kind of camera from the arguments of the command. Raises ConfigError."""
    width, _, height = size.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise ConfigError(f"capacity: size {size!r} is not WIDTHxHEIGHT")
    return CameraKind(int(width), int(height), fps, codec, detect_fps, regions)


def answer(config_path: Path | None, kind: CameraKind, seconds: float, console: Console) -> None:
    """Measure this machine and print what fits; with a configuration, store the result in its state folder."""
    config = load_config(config_path) if config_path else None
    request = CapacityRequest(*_stages(config), tuple(CLIPS), seconds)
    capacity = measure(request, lambda what: console.print(f"measuring: {what}", style="dim"))
    console.print(_ceiling_table(capacity))
    console.print(_batch_table(capacity))
    console.print(_describe_fit(kind, compute_fit([kind], capacity)), soft_wrap=True)
    if config:
        sites = [load_site(camera.site) for camera in config.cameras]
        fit = compute_fit(kinds_of(config, sites), capacity)
        console.print(_describe_load(len(sites), fit), soft_wrap=True)
        console.print(f"stored in {store_capacity(config.state, capacity)}", soft_wrap=True)


def warn_past_capacity(config: EngineConfig) -> None:
    """Log a warning if the cameras exceed the capacity; raise ConfigError if `past_capacity` is `refuse`."""
    capacity = read_capacity(config.state)
    if capacity is None:
        return
    sites = [load_site(camera.site) for camera in config.cameras]
    fit = compute_fit(kinds_of(config, sites), capacity)
    if fit.load <= 1:
        return
    if config.pipeline.past_capacity == "refuse":
        raise ConfigError(f"pipeline.past_capacity: {_describe_load(len(sites), fit)}; measured {capacity.made}")
    log.warning("the cameras exceed the measured capacity", load=round(fit.load, 2), limit=fit.limit)


def _stages(config: EngineConfig | None) -> tuple[DecoderConfig, PipelineConfig, DetectorConfig]:
    if config is None:
        return DecoderConfig(), PipelineConfig(), DetectorConfig()
    return config.decoder, config.pipeline, config.detector


def _ceiling_table(capacity: Capacity) -> Table:
    table = Table(title=f"detector: {capacity.detector}")
    for column in ("stage", "on", "at most"):
        table.add_column(column)
    for ceiling in capacity.ceilings:
        table.add_row(ceiling.stage, PARTS[ceiling.part], f"{ceiling.per_s:,.0f} {ceiling.unit}")
    return table


def _batch_table(capacity: Capacity) -> Table:
    table = Table("batch", *capacity.batches)
    table.add_row("pictures/s", *(f"{rate:,.0f}" for rate in capacity.batches.values()))
    return table


def _describe_fit(kind: CameraKind, one: CapacityFit) -> str:
    what = f"{kind.width_px}x{kind.height_px} {kind.codec} at {kind.fps:g} fps, {kind.detect_fps:g} analysed in"
    return (
        f"cameras of {what} {kind.regions} region(s): {one.cameras} fit, with {1 - HEADROOM:.0%} kept free; "
        f"the limit is {one.limit}"
    )


def _describe_load(count: int, fit: CapacityFit) -> str:
    return f"the {count} camera(s) of the configuration take {fit.load:.0%} of what fits; the limit is {fit.limit}"
