"""TensorRT: builds plans from networks. Only this file imports TensorRT; `plan_network` runs the plans.

`tensorrt` and `tensorrt_rtx` (TensorRT for RTX) have the same interface; the first that imports is used. TensorRT
builds on the GPU of the plan, because it times kernels. TensorRT for RTX builds on any machine, in a second or two per
compute capability, and compiles kernels on the GPU when the plan is opened. It supports consumer and workstation cards
and the smaller server cards, but not H100 and H200.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import structlog

from engine.detect.cards import ModelCard
from engine.detect.network import picture_shape
from engine.errors import ConfigError, ModelError

log = structlog.get_logger()

Progress = Callable[[str, int, int], None]
"""Called after each step with the phase, the finished steps and all steps of the phase."""

_LIBRARIES = ("tensorrt", "tensorrt_rtx")
_INSTALL = "pip install tensorrt-rtx-cu13 (RTX cards, L4, L40, A10), or tensorrt-cu13 from NVIDIA's index (all others)"


def load_library() -> ModuleType:
    """Import the TensorRT of this machine. Raises ConfigError that names the package to install."""
    for name in _LIBRARIES:
        try:
            return importlib.import_module(name)
        except (ImportError, OSError):
            continue
    raise ConfigError(f"TensorRT is not installed: {_INSTALL}")


def version_of(trt: ModuleType) -> str:
    """Name and version, for example `tensorrt_rtx 1.7.1.116`."""
    return f"{trt.__name__} {trt.__version__}"


def supports(trt: ModuleType, sm: int) -> bool:
    """True if plans for that compute capability (89: 8.9) can be built. Plain TensorRT reports it only in the build."""
    return not hasattr(trt, "ComputeCapability") or hasattr(trt.ComputeCapability, f"SM{sm}")


def builds_ahead(trt: ModuleType) -> bool:
    """True if plans can be built on a machine without their GPU."""
    return hasattr(trt, "ComputeCapability")


@dataclass(frozen=True, slots=True)
class BuiltPlan:
    """A new plan."""

    content: bytes
    facts: Mapping[str, Any]
    """Inputs and outputs with shape and type, the profile, and the number of layers per type."""


def build_plan(card: ModelCard, network: bytes, sm: int, most: int, progress: Progress) -> BuiltPlan:
    """Build a plan of the converted `network` for batches of 1 to `most` and the compute capability `sm`.

    Plain TensorRT ignores `sm` and builds for the current CUDA device. It takes minutes, TensorRT for RTX seconds.
    Raises ModelError that names the node that cannot be built, ConfigError if `sm` is not supported.
    """
    trt = load_library()
    if not supports(trt, sm):
        raise ConfigError(f"{version_of(trt)} does not support sm{sm}: {_INSTALL}")
    logger = make_logger(trt)
    builder = trt.Builder(logger)
    definition = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    _parse(trt, card, definition, network, logger)
    config = builder.create_builder_config()
    if builds_ahead(trt):
        config.num_compute_capabilities = 1
        config.set_compute_capability(getattr(trt.ComputeCapability, f"SM{sm}"), 0)
    profile = _profile(card, builder, definition, most)
    config.add_optimization_profile(profile)
    config.progress_monitor = _make_monitor(trt, progress)
    content = builder.build_serialized_network(definition, config)
    if content is None:
        raise ModelError(f"{card.name}: {version_of(trt)} could not build a plan: {logger.errors()}")
    return BuiltPlan(bytes(content), _describe(definition, profile))


def _parse(trt: ModuleType, card: ModelCard, definition: Any, network: bytes, logger: Any) -> None:
    parser = trt.OnnxParser(definition, logger)
    if parser.parse(network):
        return
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    message = "; ".join(f"{error.node_name()} ({error.node_operator()}): {error.desc()}" for error in errors)
    raise ModelError(f"{card.name}: {version_of(trt)} cannot read the network: {message or logger.errors()}")


def _profile(card: ModelCard, builder: Any, definition: Any, most: int) -> Any:
    """A profile for batches of 1 to `most`, optimised for `most`, the usual size on a loaded machine."""
    profile = builder.create_optimization_profile()
    inputs = [definition.get_input(index) for index in range(definition.num_inputs)]
    wanted = picture_shape(card)
    found = f"{inputs[0].name!r} {tuple(inputs[0].shape)}"
    if inputs[0].name != card.input.name or tuple(inputs[0].shape)[1:] != wanted:
        raise ModelError(f"{card.name}: the input is {found}, its card says {card.input.name!r} {wanted}")
    for value in inputs:
        batch, *rest = value.shape
        largest = most if batch == -1 else batch
        profile.set_shape(value.name, (1 if batch == -1 else batch, *rest), (largest, *rest), (largest, *rest))
    return profile


def _describe(definition: Any, profile: Any) -> dict[str, Any]:
    def describe(value: Any) -> dict[str, Any]:
        return {"shape": list(value.shape), "type": value.dtype.name}

    inputs = [definition.get_input(index) for index in range(definition.num_inputs)]
    outputs = [definition.get_output(index) for index in range(definition.num_outputs)]
    return {
        "inputs": {value.name: describe(value) for value in inputs},
        "outputs": {value.name: describe(value) for value in outputs},
        "profile": {value.name: [list(shape) for shape in profile.get_shape(value.name)] for value in inputs},
        "layers": dict(_layers(definition)),
    }


def _layers(definition: Any) -> Counter[str]:
    """Number of convolutions and matrix products per type, and of QUANTIZE layers, which feed 8-bit kernels."""
    found: Counter[str] = Counter()
    for layer in (definition.get_layer(index) for index in range(definition.num_layers)):
        if layer.type.name in {"CONVOLUTION", "MATRIX_MULTIPLY"}:
            found[layer.get_output(0).dtype.name] += 1
        found["QUANTIZED"] += layer.type.name == "QUANTIZE"
    return found


def make_logger(trt: ModuleType) -> Any:
    """A logger for TensorRT that writes to the engine's log. `errors()` joins its error messages for an exception."""

    class Logger(trt.ILogger):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self._errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity <= trt.ILogger.Severity.ERROR:
                self._errors.append(message)
            elif severity == trt.ILogger.Severity.WARNING:
                log.debug("tensorrt", message=message)

        def errors(self) -> str:
            return "; ".join(self._errors) or "no reason reported"

    return Logger()


def _make_monitor(trt: ModuleType, progress: Progress) -> Any:
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._steps: dict[str, int] = {}

        def phase_start(self, phase: str, parent: str | None, steps: int) -> None:
            self._steps[phase] = steps

        def step_complete(self, phase: str, step: int) -> bool:
            progress(phase, step + 1, self._steps[phase])
            return True

        def phase_finish(self, phase: str) -> None:
            steps = self._steps.pop(phase)
            progress(phase, steps, steps)

    return Monitor()
