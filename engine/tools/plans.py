"""TensorRT plans built in advance, for the GPU of this machine or for another one."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec
from rich.console import Console
from rich.progress import Progress, TaskID

from engine.config import DetectorConfig, load_config
from engine.detect.cards import ModelCard, find_card
from engine.detect.opening import find_gpu, make_plan, open_detector, plan_folder, plan_key, require_modules
from engine.detect.plans import Plan
from engine.errors import ConfigError
from engine.metrics import Metrics


class PlanRequest(NamedTuple):
    """Which plans to build."""

    detector: DetectorConfig
    sm: tuple[int, ...]
    """Compute capabilities; empty means the GPU of this machine."""
    force: bool
    """Build even if the plan exists."""


def detector_config(
    config: Path | None, card: str, precision: str, batch: int, plans: Path | None, footage: tuple[Path, ...]
) -> DetectorConfig:
    """The detector of `config`, or the default one, with the other arguments applied. Raises ConfigError."""
    options = {"card": card, "precision": precision, "batch": batch, "plans": plans, "footage": footage}
    detector = load_config(config).detector if config else DetectorConfig()
    detector = msgspec.structs.replace(detector, **{key: value for key, value in options.items() if value})
    try:
        return msgspec.convert(msgspec.structs.asdict(detector), DetectorConfig)
    except msgspec.ValidationError as error:
        raise ConfigError(f"build-engine: {error}") from error


def build_plans(request: PlanRequest, console: Console) -> None:
    """Build the plans that do not exist yet and print all. Raises ConfigError or ModelError."""
    require_modules("torch", "onnx")
    card = find_card(request.detector.card)
    if request.sm:
        for sm in request.sm:
            _build_ahead(card, request, sm, console)
    else:
        _build_here(card, request, console)


def _build_ahead(card: ModelCard, request: PlanRequest, sm: int, console: Console) -> None:
    """Build for a GPU of the given compute capability; no GPU is needed here."""
    from engine.detect.tensorrt import builds_ahead, load_library, version_of

    if not builds_ahead(trt := load_library()):
        raise ConfigError(
            f"{version_of(trt)} builds only for the GPU of this machine; tensorrt-rtx-cu13 builds for others"
        )
    _print_plan(_plan(card, request, sm, f"sm{sm}", console), request, console)


def _build_here(card: ModelCard, request: PlanRequest, console: Console) -> None:
    """Build for the GPU of this machine, and compare the plan's results with the CPU's on it."""
    gpu = find_gpu()
    plan = _plan(card, request, gpu.sm, gpu.name, console)
    config = msgspec.structs.replace(request.detector, runtime="tensorrt")
    open_detector(card, config, Metrics()).close()
    _print_plan(plan_folder(request.detector).find(plan.record.key) or plan, request, console)


def _plan(card: ModelCard, request: PlanRequest, sm: int, gpu: str, console: Console) -> Plan:
    key = plan_key(card, request.detector, sm, gpu)
    existing = None if request.force else plan_folder(request.detector).find(key)
    if existing:
        return existing
    with Progress(console=console, transient=True) as progress:
        return make_plan(card, request.detector, key, sm, ProgressBars(progress))


class ProgressBars:
    """One bar for each phase of the builder; a bar disappears when its phase ends."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, phase: str, done: int, steps: int) -> None:
        task = self._tasks.get(phase)
        if task is None:
            task = self._tasks[phase] = self._progress.add_task(phase, total=steps)
        self._progress.update(task, completed=done)
        if done >= steps:
            self._progress.remove_task(self._tasks.pop(phase))


def _print_plan(plan: Plan, request: PlanRequest, console: Console) -> None:
    record = plan.record
    size = f"{len(plan.content) / 1e6:.1f} MB"
    layers = ", ".join(f"{count} {kind}" for kind, count in record.facts["layers"].items() if count)
    console.print(f"{plan_folder(request.detector).path(record.key)}: {size}, {layers}", soft_wrap=True)
    for where, numbers in (("converted, on the CPU", record.converted), ("on the GPU", record.on_device)):
        console.print(f"  {where}: {_describe_agreement(numbers)}", soft_wrap=True)


def _describe_agreement(numbers: dict[str, float] | None) -> str:
    if numbers is None:
        return (
            "not run yet; its results are compared with the CPU's at the first start, and it is refused if they differ"
        )
    text = "{found:g} of {reference:g} boxes found, {known:g} of {plan:g} known, scores within {worst_score:.3f}"
    return text.format(**numbers)
