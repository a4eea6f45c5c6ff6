"""Selects and opens the detector, and makes its plan.

`auto` takes the fastest runtime of the machine: a TensorRT plan, else ONNX Runtime on CUDA, else ONNX Runtime on the
CPU. The log states each unavailable runtime with the reason; a metric shows the runtime in use. A runtime that is
configured by name is never replaced.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from engine.config import DetectorConfig
from engine.detect.agreement import BOUNDS, Agreement, measure_agreement
from engine.detect.cards import ModelCard
from engine.detect.onnx import OnnxDetector, read_model
from engine.detect.plans import Plan, PlanFolder, PlanKey
from engine.detect.reference import load_reference_frames, network_inputs
from engine.detect.tensorrt import Progress
from engine.errors import ConfigError, ModelError
from engine.gpu.health import has_driver
from engine.metrics import Metrics
from engine.stages import Detector
from engine.types import FrameBatch

if TYPE_CHECKING:
    import torch

log = structlog.get_logger()

_INSTALL = "pip install 'qyran[gpu]'"


def open_detector(card: ModelCard, config: DetectorConfig, metrics: Metrics, gpu: int = 0) -> Detector:
    """Open the configured detector; `gpu` is the index of the GPU, if it uses one.

    Raises ConfigError that names what is missing, or ModelError.
    """
    if config.runtime != "auto":
        return _announce(_OPENERS[config.runtime](card, config, metrics, gpu), metrics, fallback=False)
    unavailable = 0
    for runtime in ("tensorrt", "torch") if has_driver() else ():
        try:
            return _announce(_OPENERS[runtime](card, config, metrics, gpu), metrics, fallback=unavailable > 0)
        except (ConfigError, ModelError) as error:
            unavailable += 1
            log.warning("detector not available", runtime=runtime, reason=str(error))
    return _announce(_open_onnx(card, config, metrics, gpu), metrics, fallback=unavailable > 0)


def _announce(detector: Detector, metrics: Metrics, *, fallback: bool) -> Detector:
    model = detector.model
    metrics.detector.labels(model.name, model.runtime, "yes" if fallback else "no").set(1)
    log.info("detector", model=model.name, runtime=model.runtime, fallback=fallback, **model.details)
    return detector


def _open_onnx(card: ModelCard, config: DetectorConfig, metrics: Metrics, gpu: int) -> Detector:
    return OnnxDetector(card, config.threads)


def _open_torch(card: ModelCard, config: DetectorConfig, metrics: Metrics, gpu: int) -> Detector:
    require_modules("torch")
    from engine.detect.device import DeviceDetector
    from engine.detect.onnx_network import OnnxNetwork

    network = OnnxNetwork(card, read_model(card), "fp32", find_gpu(gpu).device, config.batch)
    return DeviceDetector(card, network, metrics.left_out.inc)


def _open_tensorrt(card: ModelCard, config: DetectorConfig, metrics: Metrics, gpu: int) -> Detector:
    """Build the plan if it does not exist yet. Check its accuracy if it has not run on this GPU yet."""
    require_modules("torch", "onnx")
    from engine.detect.device import DeviceDetector
    from engine.detect.plan_network import PlanNetwork, on_device

    here, folder = find_gpu(gpu), plan_folder(config)
    key = plan_key(card, config, here.sm, here.name)
    with on_device(here.device):
        plan = folder.find(key) or make_plan(card, config, key, here.sm, _log_progress)
    network = PlanNetwork(card, plan.content, config.precision, here.device, folder.path(key).with_suffix(".jit"))
    detector = DeviceDetector(card, network, metrics.left_out.inc)
    if plan.record.on_device is None:
        found = _check_agreement(card, config, detector, load_reference_frames(card, config.footage))
        folder.confirm(plan, asdict(found))
    return detector


_OPENERS: dict[str, Callable[[ModelCard, DetectorConfig, Metrics, int], Detector]] = {
    "onnx": _open_onnx,
    "torch": _open_torch,
    "tensorrt": _open_tensorrt,
}


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU as torch shows it."""

    device: torch.device
    sm: int
    """Compute capability: 89 for 8.9."""
    name: str


def find_gpu(index: int = 0) -> Gpu:
    """The GPU with that index among those in CUDA_VISIBLE_DEVICES. Raises ConfigError if there is none."""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if index >= count:
        built = "" if torch.version.cuda else f"; torch {torch.__version__} is built without CUDA"
        raise ConfigError(f"detector: there is no GPU {index}, torch finds {count}{built}")
    major, minor = torch.cuda.get_device_capability(index)
    return Gpu(torch.device("cuda", index), 10 * major + minor, torch.cuda.get_device_name(index))


def require_modules(*names: str) -> None:
    """Raises ConfigError if a Python module is not installed."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(f"detector: {', '.join(missing)} is not installed: {_INSTALL}")


# -- plans


def plan_folder(config: DetectorConfig) -> PlanFolder:
    """The configured folder of plans; without a configuration file `var/plans` in the current folder."""
    return PlanFolder(config.plans or Path("var/plans"))


def plan_key(card: ModelCard, config: DetectorConfig, sm: int, gpu: str) -> PlanKey:
    """The key of the plan for a GPU."""
    from engine.detect.tensorrt import builds_ahead, load_library, version_of

    # A plan of TensorRT runs only on the GPU model it was built on, a plan of TensorRT for RTX on a compute capability.
    trt = load_library()
    place = f"sm{sm}" if builds_ahead(trt) else f"sm{sm} {gpu}"
    return PlanKey(card.name, card.sha256, place, version_of(trt), config.precision, config.batch)


def make_plan(card: ModelCard, config: DetectorConfig, key: PlanKey, sm: int, progress: Progress) -> Plan:
    """Build and store a plan. Raises ModelError if the network cannot be built, or if its precision costs accuracy."""
    import torch

    from engine.detect import tensorrt
    from engine.detect.device import DeviceDetector
    from engine.detect.onnx_network import OnnxNetwork
    from engine.detect.precision import convert_network

    if config.precision == "int8" and not config.footage:
        raise ConfigError("detector: int8 is calibrated with footage of your own cameras: set detector.footage")
    frames = load_reference_frames(card, config.footage)
    network = convert_network(card, read_model(card), config.precision, network_inputs(card, frames))
    tried = DeviceDetector(card, OnnxNetwork(card, network, config.precision, torch.device("cpu"), 1))
    converted = _check_agreement(card, config, tried, frames)
    built = tensorrt.build_plan(card, network, sm, config.batch, progress)
    return plan_folder(config).keep(key, built.content, built.facts, asdict(converted))


def _check_agreement(
    card: ModelCard, config: DetectorConfig, tried: Detector, frames: Sequence[FrameBatch]
) -> Agreement:
    bounds = BOUNDS[config.precision]
    with closing(OnnxDetector(card, config.threads)) as reference:
        found = measure_agreement(reference, tried, card, frames, bounds)
    if problems := found.problems(bounds):
        raise ModelError(f"{card.name}: refused in {config.precision} by {tried.model.runtime}: {'; '.join(problems)}")
    return found


def _log_progress(phase: str, done: int, steps: int) -> None:
    if done == steps:
        log.debug("building a plan", phase=phase)
