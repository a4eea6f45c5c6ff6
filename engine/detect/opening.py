"""Which detector runs, and the plans that it runs on.

`auto` takes the best that the machine has: a TensorRT plan; else the network in ONNX Runtime on CUDA; else on the CPU.
What was passed over, and why, is in the log, and which one runs is a metric. A runtime that is asked for by name is
never replaced by another.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from engine.config import DetectorConfig
from engine.detect.agreement import BOUNDS, Agreement
from engine.detect.cards import ModelCard
from engine.detect.onnx import OnnxDetector, verified
from engine.detect.plans import Plan, PlanFolder, PlanKey
from engine.detect.reference import agreement, network_inputs, reference_frames
from engine.errors import ConfigError, ModelError
from engine.gpu.health import has_driver
from engine.metrics import Metrics
from engine.stages import Detector
from engine.types import FrameBatch

if TYPE_CHECKING:
    import torch

log = structlog.get_logger()

Progress = Callable[[str, int, int], None]
_INSTALL = "pip install 'qyran[gpu]'"


def open_detector(card: ModelCard, config: DetectorConfig, metrics: Metrics, gpu: int = 0) -> Detector:
    """The detector that `config` asks for, on the GPU of that index, if on any.

    Raises ConfigError that says what is missing, or ModelError.
    """
    if config.runtime != "auto":
        return _told(_OPENERS[config.runtime](card, config, metrics, gpu), metrics, fallback=False)
    passed_over = 0
    for runtime in ("tensorrt", "torch") if has_driver() else ():
        try:
            return _told(_OPENERS[runtime](card, config, metrics, gpu), metrics, fallback=passed_over > 0)
        except (ConfigError, ModelError) as error:
            passed_over += 1
            log.warning("detector passed over", runtime=runtime, reason=str(error))
    return _told(_open_onnx(card, config, metrics, gpu), metrics, fallback=passed_over > 0)


def _told(detector: Detector, metrics: Metrics, *, fallback: bool) -> Detector:
    model = detector.model
    metrics.detector.labels(model.name, model.runtime, "yes" if fallback else "no").set(1)
    log.info("detector", model=model.name, runtime=model.runtime, fallback=fallback, **model.details)
    return detector


def _open_onnx(card: ModelCard, config: DetectorConfig, metrics: Metrics, gpu: int) -> Detector:
    return OnnxDetector(card, config.threads)


def _open_torch(card: ModelCard, config: DetectorConfig, metrics: Metrics, gpu: int) -> Detector:
    need_modules("torch")
    from engine.detect.bound import BoundNetwork
    from engine.detect.device import DeviceDetector

    network = BoundNetwork(card, verified(card), "fp32", this_gpu(gpu).device, config.batch)
    return DeviceDetector(card, network, metrics.left_out.inc)


def _open_tensorrt(card: ModelCard, config: DetectorConfig, metrics: Metrics, gpu: int) -> Detector:
    """A plan that is not there yet is built first; one that has not run on this GPU yet has to prove itself."""
    need_modules("torch", "onnx")
    from engine.detect.device import DeviceDetector
    from engine.detect.plan_network import PlanNetwork, on_device

    here, folder = this_gpu(gpu), plan_folder(config)
    key = plan_key(card, config, here.sm, here.name)
    with on_device(here.device):
        plan = folder.find(key) or make_plan(card, config, key, here.sm, _log_progress)
    network = PlanNetwork(card, plan.content, config.precision, here.device, folder.path(key).with_suffix(".jit"))
    detector = DeviceDetector(card, network, metrics.left_out.inc)
    if plan.record.on_device is None:
        _prove(card, config, folder, plan, detector)
    return detector


_OPENERS: dict[str, Callable[[ModelCard, DetectorConfig, Metrics, int], Detector]] = {
    "onnx": _open_onnx,
    "torch": _open_torch,
    "tensorrt": _open_tensorrt,
}


@dataclass(frozen=True, slots=True)
class Gpu:
    device: torch.device
    sm: int
    """Compute capability: 89 for 8.9."""
    name: str


def this_gpu(index: int = 0) -> Gpu:
    """The GPU of that index, of those that CUDA_VISIBLE_DEVICES leaves. Raises ConfigError where there is none."""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if index >= count:
        built = "" if torch.version.cuda else f"; torch {torch.__version__} is built without CUDA"
        raise ConfigError(f"detector: there is no GPU {index}, torch sees {count}{built}")
    major, minor = torch.cuda.get_device_capability(index)
    return Gpu(torch.device("cuda", index), 10 * major + minor, torch.cuda.get_device_name(index))


def need_modules(*names: str) -> None:
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(f"detector: {', '.join(missing)} is not installed: {_INSTALL}")


# -- plans


def plan_folder(config: DetectorConfig) -> PlanFolder:
    """Where the plans are; without a configuration file below the current folder."""
    return PlanFolder(config.plans or Path("var/plans"))


def plan_key(card: ModelCard, config: DetectorConfig, sm: int, gpu: str) -> PlanKey:
    """What the plan for a GPU is found by: TensorRT's are for one model of card, those for RTX for a capability."""
    from engine.detect.tensorrt import builds_ahead, library, version

    trt = library()
    place = f"sm{sm}" if builds_ahead(trt) else f"sm{sm} {gpu}"
    return PlanKey(card.name, card.sha256, place, version(trt), config.precision, config.batch)


def make_plan(card: ModelCard, config: DetectorConfig, key: PlanKey, sm: int, progress: Progress) -> Plan:
    """Build a plan and keep it. Raises ModelError where the network cannot be built or its precision costs too much."""
    from engine.detect import tensorrt
    from engine.detect.precision import prepared

    if config.precision == "int8" and not config.footage:
        raise ConfigError("detector: int8 is calibrated with footage of your own cameras: name it (footage)")
    frames = reference_frames(card, config.footage)
    network = prepared(card, verified(card), config.precision, network_inputs(card, frames))
    converted = _converted(card, config, network, frames)
    built = tensorrt.build(card, network, sm, config.batch, progress)
    return plan_folder(config).keep(key, built.content, built.facts, converted.numbers())


def _converted(card: ModelCard, config: DetectorConfig, network: bytes, frames: Sequence[FrameBatch]) -> Agreement:
    """What the precision costs, seen on the CPU before anything is built. Raises ModelError where it is too much."""
    import torch

    from engine.detect.bound import BoundNetwork
    from engine.detect.device import DeviceDetector

    tried = DeviceDetector(card, BoundNetwork(card, network, config.precision, torch.device("cpu"), 1))
    return _accepted(card, config, tried, frames)


def _prove(card: ModelCard, config: DetectorConfig, folder: PlanFolder, plan: Plan, detector: Detector) -> None:
    """The plan on its GPU against ONNX Runtime; written into its record, so that it is done once."""
    found = _accepted(card, config, detector, reference_frames(card, config.footage))
    folder.confirm(plan, found.numbers())


def _accepted(card: ModelCard, config: DetectorConfig, tried: Detector, frames: Sequence[FrameBatch]) -> Agreement:
    bounds = BOUNDS[config.precision]
    with closing(OnnxDetector(card, config.threads)) as reference:
        found = agreement(reference, tried, card, frames, bounds)
    if problems := found.problems(bounds):
        raise ModelError(f"{card.name}: refused in {config.precision} by {tried.model.runtime}: {'; '.join(problems)}")
    return found


def _log_progress(phase: str, done: int, steps: int) -> None:
    if done == steps:
        log.debug("building a plan", phase=phase)
