"""All errors that the engine raises on purpose, as one tree below `QyranError`.

Degraded operation is not an exception: it is a value with a reason (`types.Measurable`, `types.Clock`) and a metric.
"""

from __future__ import annotations


class QyranError(Exception):
    """Base of all errors raised on purpose."""

    exit_status = 2
    """Exit status of a process that ends with this error."""


class ConfigError(QyranError):
    """A configuration, site, rule or card file is wrong. The message names the file and the place in it."""


class SourceError(QyranError):
    """A camera or video file cannot be read. The message never shows credentials; `reason` is the metric's label."""

    reason = "source"


class Unreachable(SourceError):
    """No route to the host, connection refused, or host unknown."""

    reason = "unreachable"


class Unauthorised(SourceError):
    """The camera refuses the credentials (401, 403)."""

    reason = "unauthorised"


class NotFound(SourceError):
    """The stream (404) or the file does not exist."""

    reason = "not_found"


class TlsFailed(SourceError):
    """The certificate or the TLS handshake failed."""

    reason = "tls_failed"


class CodecUnsupported(SourceError):
    """There is no video stream, or its codec is not supported."""

    reason = "codec_unsupported"


class BadStream(SourceError):
    """The data does not follow its protocol or container format."""

    reason = "bad_stream"


class TimedOut(SourceError):
    """No data within the time-out."""

    reason = "timed_out"


class DecodeError(QyranError):
    """A segment does not decode. Only that segment is lost."""


class DeviceError(QyranError):
    """The GPU failed."""


class OutOfDeviceMemory(DeviceError):
    """A batch does not fit into the GPU's memory; a smaller one may."""


class DeviceLost(DeviceError):
    """The GPU's context is dead (Xid, driver reset). The process must end; its supervisor restarts it."""

    exit_status = 75
    """EX_TEMPFAIL (sysexits.h): a new process may succeed."""


class ModelError(QyranError):
    """A model file, its card and its outputs do not fit together."""


class CalibrationError(QyranError):
    """The marks do not determine a calibration: degenerate, contradictory or too few. The message names the cause."""


class SignalError(QyranError):
    """A controller's report is not credible. The message begins with the name of the field."""


class EvidenceError(QyranError):
    """The evidence of a case cannot be made or does not verify."""


class DeliveryError(QyranError):
    """A recipient did not accept a case. The message never shows a credential."""


class RecipientUnavailable(DeliveryError):
    """Not reachable, overloaded, or the login failed. The same case is sent again later; the other cases wait."""

    def __init__(self, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        """Pause that the recipient asks for."""


class SubmissionFailed(DeliveryError):
    """No answer within the deadline, or an answer that is neither yes nor no. This case is sent again later."""


class SubmissionImpossible(DeliveryError):
    """Evidence of the case is missing or damaged. Nothing was sent."""


class SubmissionRefused(DeliveryError):
    """The recipient refuses the case for good. The message is its reason."""


class AuditError(QyranError):
    """The audit log cannot be read or written. The audited action is not done."""


class NoCamera(QyranError):
    """No camera has that name."""


class Stopped(QyranError):
    """The engine is stopping and accepts no more orders."""


class LedgerError(QyranError):
    """The ledger cannot append or read."""


class CaseConflict(LedgerError):
    """The ledger holds a case with the same id and other content."""


class RecordConflict(LedgerError):
    """The record contradicts an existing record."""


class OutOfDate(LedgerError):
    """The change is for a version that is not the newest."""


class LimitReached(LedgerError):
    """The number of records of a kind has reached its limit. Readers load all of them each time."""


class NotOwned(LedgerError):
    """The consumer's cursor belongs to another credential."""
