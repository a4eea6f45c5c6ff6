"""Errors as statuses of gRPC, as the contract defines them, with the details of google.rpc for programs."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import NoReturn

import grpc
import structlog
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2 as details
from google.rpc import status_pb2

from engine.errors import (
    AuditError,
    CalibrationError,
    ConfigError,
    EvidenceError,
    LedgerError,
    LimitReached,
    NoCamera,
    NotOwned,
    OutOfDate,
    RecordConflict,
    SignalError,
    SourceError,
    Stopped,
)

log = structlog.get_logger()

Code = grpc.StatusCode
DOMAIN = "qyran"
DETAILS_KEY = "grpc-status-details-bin"
RETRY_S = 1.0
MESSAGE_LENGTH = 500
"""The message is in the trailers twice, and clients accept 8 KiB of trailers."""


class Refusal(Exception):
    """A call that the service refuses. The caller gets the message, up to MESSAGE_LENGTH."""

    code = Code.UNKNOWN
    reason = "UNKNOWN"
    details: Sequence[Message] = ()
    """Details for programs, besides the reason."""
    metadata: Mapping[str, str] | None = None
    """Values of the reason, by name."""


class BadRequest(Refusal):
    """A field of the request is wrong."""

    code, reason = Code.INVALID_ARGUMENT, "BAD_REQUEST"

    def __init__(self, field: str, what: str) -> None:
        super().__init__(f"{field}: {what}")
        broken = details.BadRequest.FieldViolation(field=field, description=what)
        self.details = [details.BadRequest(field_violations=[broken])]


class UnknownResource(Refusal):
    """The thing does not exist, or the caller may not see it."""

    code, reason = Code.NOT_FOUND, "NOT_FOUND"

    def __init__(self, field: str, what: str, kind: str, name: str) -> None:
        super().__init__(f"{field}: {what}")
        self.details = [details.ResourceInfo(resource_type=kind, resource_name=name, description=what)]


class Unreadable(Refusal):
    """The settings or the site of a camera cannot be read; the operator must repair them."""

    code, reason = Code.FAILED_PRECONDITION, "UNREADABLE"


class EvidenceElsewhere(Refusal):
    """Another recording system of the same ledger has the evidence; asking here again does not help."""

    code, reason = Code.FAILED_PRECONDITION, "EVIDENCE_ELSEWHERE"

    def __init__(self, case_id: str, serial: str) -> None:
        super().__init__(f"the evidence of case {case_id!r} is at the recording system {serial!r}: ask its service")
        self.metadata = {"device_serial": serial}


class BeyondEnd(Refusal):
    """A sequence or an offset beyond the end."""

    code, reason = Code.OUT_OF_RANGE, "BEYOND_THE_END"


class ServiceStops(Refusal):
    """The service ends; the client may retry."""

    code, reason = Code.UNAVAILABLE, "STOPPING"

    def __init__(self) -> None:
        super().__init__("the service stops")
        self.details = [_retry(RETRY_S)]


class Unauthenticated(Refusal):
    """The call has no valid credential."""

    code, reason = Code.UNAUTHENTICATED, "UNAUTHENTICATED"


class Forbidden(Refusal):
    """The caller's role or scope does not allow the call."""

    code, reason = Code.PERMISSION_DENIED, "FORBIDDEN"


class TooManyCalls(Refusal):
    """The caller is beyond its rate or its number of streams; `retry_s` is the time to wait, 0 if unknown."""

    code, reason = Code.RESOURCE_EXHAUSTED, "TOO_MANY"

    def __init__(self, message: str, retry_s: float = 0.0) -> None:
        super().__init__(message)
        self.details = [_retry(retry_s)] if retry_s else []


class RequestTooLarge(Refusal):
    """The request is larger than the call allows."""

    code, reason = Code.RESOURCE_EXHAUSTED, "TOO_LARGE"


class CallTimedOut(Refusal):
    """The call took longer than it may."""

    code, reason = Code.DEADLINE_EXCEEDED, "TOO_LATE"


ERRORS: dict[type[Exception], tuple[Code, str]] = {
    EvidenceError: (Code.DATA_LOSS, "EVIDENCE_LOST"),
    AuditError: (Code.UNAVAILABLE, "AUDIT_UNAVAILABLE"),
    RecordConflict: (Code.ALREADY_EXISTS, "CONFLICT"),
    OutOfDate: (Code.ABORTED, "OUT_OF_DATE"),
    LimitReached: (Code.RESOURCE_EXHAUSTED, "LIMIT_REACHED"),
    NotOwned: (Code.PERMISSION_DENIED, "NOT_OWNED"),
    LedgerError: (Code.UNAVAILABLE, "REGISTER_UNAVAILABLE"),
    NoCamera: (Code.NOT_FOUND, "NOT_FOUND"),
    SourceError: (Code.FAILED_PRECONDITION, "CAMERA_FAILS"),
    ConfigError: (Code.INVALID_ARGUMENT, "BAD_REQUEST"),
    CalibrationError: (Code.INVALID_ARGUMENT, "BAD_REQUEST"),
    SignalError: (Code.INVALID_ARGUMENT, "BAD_REQUEST"),
    Stopped: (Code.UNAVAILABLE, "STOPPING"),
}
"""Code and reason of the engine's errors; the first class that fits counts."""
ABORTING: tuple[type[Exception], ...] = (Refusal, *ERRORS)
"""Errors that end a call with their status. Any other error is a fault of the program."""
SERVICE_FAULTS = (Code.DATA_LOSS, Code.UNAVAILABLE)
"""Codes that are not the caller's fault: they are logged."""
GENERAL = {
    "REGISTER_UNAVAILABLE": "the ledger cannot be used now; the log of the service says why",
    "AUDIT_UNAVAILABLE": "the audit log cannot be written, so the call is not done; the log of the service says why",
}
"""Messages in place of texts that would reveal the server's disks and databases."""
_FOLDERS = re.compile(r"(?<![\w:/.@\]}$-])/(?:[^/:'\"\n]+/)+(?=[^\s/:'\"])")
"""Matches all but the last name of an absolute path; nothing of an address with a scheme."""


def public_message(error: Exception) -> str:
    """The message of an error of `ABORTING` for the caller, without paths of the server."""
    return GENERAL.get(_status(error)[1]) or _FOLDERS.sub("", str(error))


async def abort(context: grpc.aio.ServicerContext[object, object], error: Exception) -> NoReturn:
    """End the call with the status of an error of `ABORTING`; logs faults of the service."""
    (code, reason), message = _status(error), public_message(error)
    if (code in SERVICE_FAULTS and not isinstance(error, ServiceStops)) or message != str(error):
        log.error("call failed", code=code.name, peer=context.peer(), error=str(error))
    message = message if len(message) <= MESSAGE_LENGTH else f"{message[:MESSAGE_LENGTH]}..."
    metadata, parts = (error.metadata, error.details) if isinstance(error, Refusal) else (None, ())
    info = details.ErrorInfo(reason=reason, domain=DOMAIN, metadata=metadata)
    rich = status_pb2.Status(code=code.value[0], message=message, details=map(_packed, (info, *parts)))
    await context.abort(code, message, ((DETAILS_KEY, rich.SerializeToString()),))


def _status(error: Exception) -> tuple[Code, str]:
    """Code and reason of an error of `ABORTING`."""
    if isinstance(error, Refusal):
        return error.code, error.reason
    return next(found for kind, found in ERRORS.items() if isinstance(error, kind))


def _retry(after_s: float) -> Message:
    delay = Duration()
    delay.FromMilliseconds(math.ceil(after_s * 1000))
    info: Message = details.RetryInfo(retry_delay=delay)
    return info


def _packed(message: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(message)
    return packed
