"""`qyran build-engine`: TensorRT's plans ahead of time, on the machine that will run them or on another."""

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
    detector: DetectorConfig
    sm: tuple[int, ...]
    """Compute capabilities; empty: the GPU of this machine."""
    force: bool
    """Build even where a plan is there."""


def ordered(
    config: Path | None, card: str, precision: str, batch: int, plans: Path | None, footage: tuple[Path, ...]
) -> DetectorConfig:
    """The [detector] of the configuration, or the default one, with what was said besides. Raises ConfigError."""
    said = {"card": card, "precision": precision, "batch": batch, "plans": plans, "footage": footage}
    detector = load_config(config).detector if config else DetectorConfig()
    detector = msgspec.structs.replace(detector, **{key: value for key, value in said.items() if value})
    try:
        return msgspec.convert(msgspec.structs.asdict(detector), DetectorConfig)
    except msgspec.ValidationError as error:
        raise ConfigError(f"build-engine: {error}") from error


def build_plans(order: PlanRequest, console: Console) -> None:
    """Build what is not there yet and print what there is. Raises ConfigError or ModelError."""
    require_modules("torch", "onnx")
    card = find_card(order.detector.card)
    if order.sm:
        for sm in order.sm:
            _ahead(card, order, sm, console)
    else:
        _here(card, order, console)


def _ahead(card: ModelCard, order: PlanRequest, sm: int, console: Console) -> None:
    """For a GPU that need not be here."""
    from engine.detect.tensorrt import builds_ahead, load_library, version_of

    if not builds_ahead(trt := load_library()):
        raise ConfigError(f"{version_of(trt)} builds for the GPU of this machine only; tensorrt-rtx-cu13 builds ahead")
    _tell(_plan(card, order, sm, f"sm{sm}", console), order, console)


def _here(card: ModelCard, order: PlanRequest, console: Console) -> None:
    """For the GPU of this machine, where the plan also has to prove itself."""
    gpu = find_gpu()
    plan = _plan(card, order, gpu.sm, gpu.name, console)
    wish = msgspec.structs.replace(order.detector, runtime="tensorrt")
    open_detector(card, wish, Metrics()).close()
    _tell(plan_folder(order.detector).find(plan.record.key) or plan, order, console)


def _plan(card: ModelCard, order: PlanRequest, sm: int, gpu: str, console: Console) -> Plan:
    key = plan_key(card, order.detector, sm, gpu)
    there = None if order.force else plan_folder(order.detector).find(key)
    if there:
        return there
    with Progress(console=console, transient=True) as progress:
        return make_plan(card, order.detector, key, sm, Bars(progress))


class Bars:
    """One bar a phase of the builder, gone when the phase ends."""

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


def _tell(plan: Plan, order: PlanRequest, console: Console) -> None:
    record = plan.record
    size = f"{len(plan.content) / 1e6:.1f} MB"
    layers = ", ".join(f"{count} {kind}" for kind, count in record.facts["layers"].items() if count)
    console.print(f"{plan_folder(order.detector).path(record.key)}: {size}, {layers}", soft_wrap=True)
    for where, numbers in (("converted, on the CPU", record.converted), ("on the GPU", record.on_device)):
        console.print(f"  {where}: {_compared(numbers)}", soft_wrap=True)


def _compared(numbers: dict[str, float] | None) -> str:
    if numbers is None:
        return "not run yet; compared with the CPU when it is first opened, and refused if it differs"
    said = "{found:g} of {reference:g} boxes found, {known:g} of {plan:g} known, scores within {worst_score:.3f}"
    return said.format(**numbers)
