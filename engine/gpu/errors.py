"""What the GPU's libraries say when they fail, in the engine's terms.

DALI, TensorRT and torch hand on the names of CUDA's errors as text, each in an exception of its own.
"""

from __future__ import annotations

from engine.errors import DeviceError, DeviceLost, OutOfDeviceMemory

_NO_MEMORY = (
    "cudaErrorMemoryAllocation",
    "CUDA_ERROR_OUT_OF_MEMORY",
    "out of memory",
    "std::bad_alloc",
    "Could not allocate physical storage",
)
_LOST = (
    "cudaErrorContextIsDestroyed",
    "cudaErrorDevicesUnavailable",
    "cudaErrorECCUncorrectable",
    "cudaErrorHardwareStackError",
    "cudaErrorIllegalAddress",
    "cudaErrorIllegalInstruction",
    "cudaErrorLaunchFailure",
    "cudaErrorMisalignedAddress",
    "cudaErrorMpsClientTerminated",
    "cudaErrorSystemNotReady",
    "cudaErrorUnknown",
    "CUDA_ERROR_CONTEXT_IS_DESTROYED",
    "CUDA_ERROR_DEVICE_UNAVAILABLE",
    "CUDA_ERROR_ECC_UNCORRECTABLE",
    "CUDA_ERROR_HARDWARE_STACK_ERROR",
    "CUDA_ERROR_ILLEGAL_ADDRESS",
    "CUDA_ERROR_ILLEGAL_INSTRUCTION",
    "CUDA_ERROR_LAUNCH_FAILED",
    "CUDA_ERROR_MISALIGNED_ADDRESS",
    "CUDA_ERROR_MPS_CLIENT_TERMINATED",
    "CUDA_ERROR_SYSTEM_NOT_READY",
    "CUDA_ERROR_UNKNOWN",
    "an illegal memory access was encountered",
    "unspecified launch failure",
    "uncorrectable ECC error encountered",
)
"""Errors of which CUDA says that the context is inconsistent and the process must be ended (CUDA runtime API,
cudaError_t; driver API, CUresult), and those of a card that is gone."""


def device_error(message: str) -> DeviceError | None:
    """The error that the text of a GPU library's exception tells of; None where it is none of the device's."""
    if any(words in message for words in _LOST):
        return DeviceLost(message)
    if any(words in message for words in _NO_MEMORY):
        return OutOfDeviceMemory(message)
    return None
