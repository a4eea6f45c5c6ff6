"""What goes wrong in a call as the status that the contract gives it, with google.rpc's details for programs."""

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
LONGEST = 500
"""Characters of a message: it stands in the trailers twice, for which clients take 8 KiB."""


class Refusal(Exception):
    """A call that is not done. What is raised from here is `told` to the caller, up to LONGEST."""

    code = Code.UNKNOWN
    reason = "UNKNOWN"

    def details(self) -> Sequence[Message]:
        """What programs are told besides the reason."""
        return ()

    def metadata(self) -> Mapping[str, str]:
        """What the reason speaks of, by name."""
        return {}


class BadRequest(Refusal):
    code, reason = Code.INVALID_ARGUMENT, "BAD_REQUEST"

    def __init__(self, field: str, what: str) -> None:
        super().__init__(f"{field}: {what}")
        self.field, self.what = field, what

    def details(self) -> Sequence[Message]:
        broken = details.BadRequest.FieldViolation(field=self.field, description=self.what)
        return [details.BadRequest(field_violations=[broken])]


class NotThere(Refusal):
    """No such thing, or none that the caller may see."""

    code, reason = Code.NOT_FOUND, "NOT_FOUND"

    def __init__(self, field: str, what: str, kind: str, name: str) -> None:
        super().__init__(f"{field}: {what}")
        self.kind, self.name, self.what = kind, name, what

    def details(self) -> Sequence[Message]:
        return [details.ResourceInfo(resource_type=self.kind, resource_name=self.name, description=self.what)]


class Unreadable(Refusal):
    """A camera on record or in the configuration that cannot be read any more: the operator's to mend."""

    code, reason = Code.FAILED_PRECONDITION, "UNREADABLE"


class Elsewhere(Refusal):
    """Evidence that another recording system of the same register has: to ask again here is of no use."""

    code, reason = Code.FAILED_PRECONDITION, "EVIDENCE_ELSEWHERE"

    def __init__(self, case_id: str, serial: str) -> None:
        super().__init__(f"the evidence of case {case_id!r} is at the recording system {serial!r}: ask its service")
        self.serial = serial

    def metadata(self) -> Mapping[str, str]:
        return {"device_serial": self.serial}


class BeyondEnd(Refusal):
    """A sequence or an offset that is not reached."""

    code, reason = Code.OUT_OF_RANGE, "BEYOND_THE_END"


class Stopping(Refusal):
    """The service ends; the client may come back."""

    code, reason = Code.UNAVAILABLE, "STOPPING"

    def details(self) -> Sequence[Message]:
        return [_retry(RETRY_S)]


class Unauthenticated(Refusal):
    code, reason = Code.UNAUTHENTICATED, "UNAUTHENTICATED"


class Forbidden(Refusal):
    code, reason = Code.PERMISSION_DENIED, "FORBIDDEN"


class TooMany(Refusal):
    code, reason = Code.RESOURCE_EXHAUSTED, "TOO_MANY"

    def __init__(self, message: str, retry_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_s = retry_s

    def details(self) -> Sequence[Message]:
        return [_retry(self.retry_s)] if self.retry_s else []


class TooLarge(Refusal):
    code, reason = Code.RESOURCE_EXHAUSTED, "TOO_LARGE"


class TooLate(Refusal):
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
"""Of the engine's own errors, the first that fits."""
TOLD: tuple[type[Exception], ...] = (Refusal, *ERRORS)
SERVICE_FAULTS = (Code.DATA_LOSS, Code.UNAVAILABLE)
"""Not the caller's doing: the log has them."""
IN_GENERAL = {
    "REGISTER_UNAVAILABLE": "the register cannot be used now; the log of the service says why",
    "AUDIT_UNAVAILABLE": "the audit log cannot be written, so the call is not done; the log of the service says why",
}
"""What is told of errors whose own words speak of the server's disks and databases."""
_FOLDERS = re.compile(r"(?<![\w:/.@\]}$-])/(?:[^/:'\"\n]+/)+(?=[^\s/:'\"])")
"""Of an absolute path all but the last name; of an address with a scheme nothing."""


def status_of(error: Exception) -> tuple[Code, Sequence[Message]]:
    """The code and the details of an error of `TOLD`."""
    if isinstance(error, Refusal):
        return error.code, [_info(error.reason, error.metadata()), *error.details()]
    code, reason = _known(error)
    return code, [_info(reason, {})]


def told(error: Exception) -> str:
    """What a caller is told of an error of `TOLD`: never where on the server's disks something lies."""
    reason = error.reason if isinstance(error, Refusal) else _known(error)[1]
    return IN_GENERAL.get(reason) or _FOLDERS.sub("", str(error))


async def abort(context: grpc.aio.ServicerContext[object, object], error: Exception) -> NoReturn:
    """End the call with the error's status."""
    code, parts = status_of(error)
    message = told(error)
    if (code in SERVICE_FAULTS and not isinstance(error, Stopping)) or message != str(error):
        log.error("call failed", code=code.name, peer=context.peer(), error=str(error))
    message = message if len(message) <= LONGEST else f"{message[:LONGEST]}..."
    rich = status_pb2.Status(code=code.value[0], message=message, details=map(_packed, parts))
    await context.abort(code, message, ((DETAILS_KEY, rich.SerializeToString()),))


def _known(error: Exception) -> tuple[Code, str]:
    return next(found for kind, found in ERRORS.items() if isinstance(error, kind))


def _info(reason: str, metadata: Mapping[str, str]) -> Message:
    info: Message = details.ErrorInfo(reason=reason, domain=DOMAIN, metadata=metadata)
    return info


def _retry(after_s: float) -> Message:
    delay = Duration()
    delay.FromMilliseconds(math.ceil(after_s * 1000))
    info: Message = details.RetryInfo(retry_delay=delay)
    return info


def _packed(message: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(message)
    return packed
