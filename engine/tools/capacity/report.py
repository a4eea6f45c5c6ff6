"""`qyran capacity`: measure, print, and say what fits; and the warning of `qyran run`."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

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
    kinds_of,
    load_of,
    read_capacity,
    store_capacity,
)

log = structlog.get_logger()

PARTS = {"cpu": "the processor's cores", "nvdec": "the GPU's video decoder", "gpu": "the GPU's multiprocessors"}


class Question(NamedTuple):
    config: Path | None
    kind: CameraKind
    seconds: float


def kind_of(size: str, fps: float, codec: str, detect_fps: float, regions: int) -> CameraKind:
    """A kind of camera as the command line says it. Raises ConfigError."""
    width, _, height = size.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise ConfigError(f"capacity: size {size!r} is not WIDTHxHEIGHT")
    return CameraKind(int(width), int(height), fps, codec, detect_fps, regions)


def answer(question: Question, console: Console) -> None:
    """Measure this machine and print what fits; with a configuration, keep the result beside its register."""
    config = load_config(question.config) if question.config else None
    capacity = measure(_wish(config, question), lambda what: console.print(f"measuring: {what}", style="dim"))
    console.print(_ceilings(capacity))
    console.print(_batches(capacity))
    console.print(_said(question.kind, load_of([question.kind], capacity)), soft_wrap=True)
    if config:
        sites = [load_site(camera.site) for camera in config.cameras]
        told = load_of(kinds_of(config, sites), capacity)
        console.print(_taken(len(sites), told), soft_wrap=True)
        console.print(f"kept in {store_capacity(config.state, capacity)}", soft_wrap=True)


def warn_past(config: EngineConfig) -> None:
    """Log where the cameras take more than was measured; ConfigError where the configuration says `refuse`."""
    capacity = read_capacity(config.state)
    if capacity is None:
        return
    sites = [load_site(camera.site) for camera in config.cameras]
    taken = load_of(kinds_of(config, sites), capacity)
    if taken.load <= 1:
        return
    said = _taken(len(sites), taken)
    if config.pipeline.past_capacity == "refuse":
        raise ConfigError(f"pipeline.past_capacity: {said}; measured {capacity.made}")
    log.warning("more cameras than this machine was measured for", load=round(taken.load, 2), limit=taken.limit)


def _wish(config: EngineConfig | None, question: Question) -> CapacityRequest:
    if config is None:
        return CapacityRequest(DecoderConfig(), PipelineConfig(), DetectorConfig(), tuple(CLIPS), question.seconds)
    return CapacityRequest(config.decoder, config.pipeline, config.detector, tuple(CLIPS), question.seconds)


def _ceilings(capacity: Capacity) -> Table:
    table = Table(title=f"detector: {capacity.detector}")
    for column in ("stage", "on", "at most"):
        table.add_column(column)
    for ceiling in capacity.ceilings:
        table.add_row(ceiling.stage, PARTS[ceiling.part], f"{ceiling.per_s:,.0f} {ceiling.unit}")
    return table


def _batches(capacity: Capacity) -> Table:
    table = Table("batch", *capacity.batches)
    table.add_row("pictures/s", *(f"{rate:,.0f}" for rate in capacity.batches.values()))
    return table


def _said(kind: CameraKind, one: CapacityFit) -> str:
    what = f"{kind.width_px}x{kind.height_px} {kind.codec} at {kind.fps:g} fps, {kind.detect_fps:g} looked at in"
    return (
        f"cameras of {what} {kind.regions} region(s): {one.cameras} fit, with {1 - HEADROOM:.0%} kept free; "
        f"the limit is {one.limit}"
    )


def _taken(count: int, taken: CapacityFit) -> str:
    return f"the {count} camera(s) of the configuration take {taken.load:.0%} of what fits; the limit is {taken.limit}"
