"""The errors of the clients, made from the statuses of gRPC."""

from __future__ import annotations

from collections.abc import Mapping

import grpc
from google.rpc import status_pb2
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo

from engine.errors import EvidenceError, LedgerError

DETAILS_KEY = "grpc-status-details-bin"
PASSING = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.CANCELLED,
)
"""Statuses after which a stream is opened again."""


class CallRefused(LedgerError):
    """The service refused a call or could not be reached."""

    code: str = ""
    """gRPC's name of the status, e.g. `ALREADY_EXISTS`."""
    reason: str = ""
    """The service's reason for programs, e.g. `CONFLICT`; empty if the service did not answer."""
    field: str = ""
    """The wrong field of the request; empty if no field was wrong."""
    retry_s: float = 0.0
    """Seconds to wait before a retry; 0 if the service does not say."""
    device_serial: str = ""
    """Serial number of the recording system that has the evidence (`EVIDENCE_ELSEWHERE`)."""


class ClientClosed(CallRefused):
    """The client was closed before or during the call."""

    code = "CANCELLED"

    def __init__(self, target: str) -> None:
        super().__init__(f"{target}: CANCELLED: the client was closed")


def code_of(error: grpc.RpcError) -> grpc.StatusCode:
    """The status of an error; UNKNOWN if it has none."""
    return error.code() if isinstance(error, grpc.Call | grpc.aio.AioRpcError) else grpc.StatusCode.UNKNOWN


def raise_unless_passing(target: str, error: grpc.RpcError) -> None:
    """Return if the same stream may succeed later. Raises CallRefused or EvidenceError."""
    if code_of(error) not in PASSING:
        raise error_of(target, error) from error


def error_of(target: str, error: grpc.RpcError) -> CallRefused | EvidenceError:
    """The exception to raise for an error of gRPC."""
    code = code_of(error)
    known = isinstance(error, grpc.Call | grpc.aio.AioRpcError)
    message = f"{target}: {code.name}: {error.details() if known else error}"
    if code is grpc.StatusCode.DATA_LOSS:
        return EvidenceError(message)
    refused = CallRefused(message)
    refused.code = code.name
    _explain(refused, error)
    return refused


def retry_s(error: grpc.RpcError) -> float:
    """Seconds to wait before a retry; 0 if the service does not say."""
    refused = CallRefused()
    _explain(refused, error)
    return refused.retry_s


def _explain(refused: CallRefused, error: grpc.RpcError) -> None:
    """Copy the details of google.rpc into the exception."""
    if not isinstance(error, grpc.Call | grpc.aio.AioRpcError):
        return
    trailing: Mapping[str, str | bytes] = dict(error.trailing_metadata() or ())  # type: ignore[arg-type]
    content = trailing.get(DETAILS_KEY, b"")
    for packed in status_pb2.Status.FromString(content if isinstance(content, bytes) else b"").details:
        if packed.Is(ErrorInfo.DESCRIPTOR):
            info = ErrorInfo.FromString(packed.value)
            refused.reason, refused.device_serial = info.reason, info.metadata.get("device_serial", "")
        elif packed.Is(RetryInfo.DESCRIPTOR):
            refused.retry_s = RetryInfo.FromString(packed.value).retry_delay.ToMilliseconds() / 1000
        elif packed.Is(BadRequest.DESCRIPTOR):
            for violation in BadRequest.FromString(packed.value).field_violations[:1]:
                refused.field = violation.field
