"""Classifies the errors of the GPU's libraries.

DALI, TensorRT and torch each raise their own exceptions, with the name of the CUDA error in the text.
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
"""Errors after which the CUDA context is inconsistent and the process must end (CUDA runtime API, cudaError_t; driver
API, CUresult), and errors of a lost card."""


def device_error(message: str) -> DeviceError | None:
    """The error for the text of a GPU library's exception; None if the device is not the cause."""
    if any(words in message for words in _LOST):
        return DeviceLost(message)
    if any(words in message for words in _NO_MEMORY):
        return OutOfDeviceMemory(message)
    return None
