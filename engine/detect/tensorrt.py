"""TensorRT: plans out of networks. The only file that imports TensorRT; `plan_network` runs what it makes.

`tensorrt` and `tensorrt_rtx` (TensorRT for RTX) have the same interface; what imports is used. TensorRT builds on the
GPU that the plan is for, and times kernels to do so. TensorRT for RTX builds on any machine, a second or two for one
compute capability, and compiles the kernels on the GPU when the plan is opened; it knows consumer and workstation cards
and the smaller server ones, not H100 and H200.
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
"""Told of every step: the phase, steps done, steps in all."""

_LIBRARIES = ("tensorrt", "tensorrt_rtx")
_INSTALL = "pip install tensorrt-rtx-cu13 (RTX cards, L4, L40, A10), or tensorrt-cu13 from NVIDIA's index (all others)"


def library() -> ModuleType:
    """The TensorRT of this machine. Raises ConfigError that says what to install."""
    for name in _LIBRARIES:
        try:
            return importlib.import_module(name)
        except (ImportError, OSError):
            continue
    raise ConfigError(f"TensorRT is not installed: {_INSTALL}")


def version(trt: ModuleType) -> str:
    """`tensorrt_rtx 1.7.1.116`."""
    return f"{trt.__name__} {trt.__version__}"


def supports(trt: ModuleType, sm: int) -> bool:
    """Whether plans for that compute capability (89: 8.9) can be made. TensorRT proper says so only when building."""
    return not hasattr(trt, "ComputeCapability") or hasattr(trt.ComputeCapability, f"SM{sm}")


def builds_ahead(trt: ModuleType) -> bool:
    """Whether plans can be made on a machine without the GPU they are for."""
    return hasattr(trt, "ComputeCapability")


@dataclass(frozen=True, slots=True)
class Built:
    content: bytes
    facts: Mapping[str, Any]
    """Inputs and outputs with shape and type, the profile, and how many layers compute in which type."""


def build(card: ModelCard, network: bytes, sm: int, most: int, progress: Progress) -> Built:
    """A plan of the prepared `network` for batches of 1 to `most`, for the compute capability `sm`.

    TensorRT proper builds for the current CUDA device, whatever `sm` says. Takes seconds with TensorRT for RTX, minutes
    with TensorRT. Raises ModelError that names the node that cannot be built, ConfigError where `sm` is not supported.
    """
    trt = library()
    if not supports(trt, sm):
        raise ConfigError(f"{version(trt)} knows no sm{sm}: {_INSTALL}")
    told = logger(trt)
    builder = trt.Builder(told)
    definition = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    _parse(trt, card, definition, network, told)
    config = builder.create_builder_config()
    if builds_ahead(trt):
        config.num_compute_capabilities = 1
        config.set_compute_capability(getattr(trt.ComputeCapability, f"SM{sm}"), 0)
    profile = _profile(card, builder, definition, most)
    config.add_optimization_profile(profile)
    config.progress_monitor = _monitor(trt, progress)
    content = builder.build_serialized_network(definition, config)
    if content is None:
        raise ModelError(f"{card.name}: {version(trt)} could not build a plan: {told.errors()}")
    return Built(bytes(content), _facts(definition, profile))


def _parse(trt: ModuleType, card: ModelCard, definition: Any, network: bytes, told: Any) -> None:
    parser = trt.OnnxParser(definition, told)
    if parser.parse(network):
        return
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    said = "; ".join(f"{error.node_name()} ({error.node_operator()}): {error.desc()}" for error in errors)
    raise ModelError(f"{card.name}: {version(trt)} cannot read the network: {said or told.errors()}")


def _profile(card: ModelCard, builder: Any, definition: Any, most: int) -> Any:
    """Batches of 1 to `most`, tuned for `most`, which a loaded machine runs."""
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


def _facts(definition: Any, profile: Any) -> dict[str, Any]:
    def told(value: Any) -> dict[str, Any]:
        return {"shape": list(value.shape), "type": value.dtype.name}

    inputs = [definition.get_input(index) for index in range(definition.num_inputs)]
    outputs = [definition.get_output(index) for index in range(definition.num_outputs)]
    return {
        "inputs": {value.name: told(value) for value in inputs},
        "outputs": {value.name: told(value) for value in outputs},
        "profile": {value.name: [list(shape) for shape in profile.get_shape(value.name)] for value in inputs},
        "layers": dict(_layers(definition)),
    }


def _layers(definition: Any) -> Counter[str]:
    """How many convolutions and matrix products compute in which type; those fed by Q/DQ pairs run in 8 bits."""
    found: Counter[str] = Counter()
    for layer in (definition.get_layer(index) for index in range(definition.num_layers)):
        if layer.type.name in {"CONVOLUTION", "MATRIX_MULTIPLY"}:
            found[layer.get_output(0).dtype.name] += 1
        found["QUANTIZED"] += layer.type.name == "QUANTIZE"
    return found


def logger(trt: ModuleType) -> Any:
    """What TensorRT tells goes to the log; `errors()` is what the exception that follows them says."""

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
            return "; ".join(self._errors) or "it did not say why"

    return Logger()


def _monitor(trt: ModuleType, progress: Progress) -> Any:
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
