"""Everything the engine raises on purpose.

QyranError
├── ConfigError              a file of the operator's is wrong: names the file and the place in it
├── SourceError              a camera or a video file; names the camera, never its credentials
│   ├── Unreachable          no route, connection refused, host unknown
│   ├── Unauthorised         401, 403
│   ├── NotFound             404, no such file
│   ├── TlsFailed            certificate or handshake
│   ├── CodecUnsupported     no video stream, or in a codec that is not decoded here
│   ├── BadStream            what arrives is not the protocol or the container it says it is
│   └── TimedOut             nothing arrived within the time-out
├── DecodeError              a segment does not decode; costs that segment
├── DeviceError              the GPU
│   ├── OutOfDeviceMemory    a batch did not fit into its memory; a smaller one may
│   └── DeviceLost           the card or its driver gave up: this process can do nothing more with it
├── ModelError               a model file or card does not fit
├── CalibrationError         degenerate or contradictory marks
├── SignalError              a controller's report contradicts itself, an earlier one, or the time
├── EvidenceError            the proof of a case could not be made or does not verify
├── DeliveryError            a recipient did not take a case
│   ├── RecipientUnavailable     not now, whatever the case
│   ├── SubmissionFailed         not this case now
│   ├── SubmissionImpossible     not this case now, by a fault of ours: nothing was sent
│   └── SubmissionRefused        never: the recipient says that the case is wrong
├── AuditError               the audit log could not be written: what it was about is not done
├── NoCamera                 there is no camera of that name
├── Stopped                  the engine is ending and takes no more orders
└── LedgerError            the register could not append or read
    ├── CaseConflict         the same case id with another content
    ├── RecordConflict       a record that contradicts one that stands already
    ├── OutOfDate            a change made for a version that is not the newest
    ├── LimitReached         one more record than there may be
    └── NotOwned             a consumer's cursor that belongs to another credential

Degraded operation is no exception: it is a value with a reason (`types.Measurable`, `types.Clock`), and a metric.
"""

from __future__ import annotations


class QyranError(Exception):
    """Root of all errors raised on purpose."""

    exit_status = 2
    """Of a process that ends with it."""


class ConfigError(QyranError):
    """A configuration, site, rule or card file is wrong. The message names the file and the place in it."""


class SourceError(QyranError):
    """A camera or video file cannot be read. `reason` is the metric's label."""

    reason = "source"


class Unreachable(SourceError):
    reason = "unreachable"


class Unauthorised(SourceError):
    reason = "unauthorised"


class NotFound(SourceError):
    reason = "not_found"


class TlsFailed(SourceError):
    reason = "tls_failed"


class CodecUnsupported(SourceError):
    reason = "codec_unsupported"


class BadStream(SourceError):
    reason = "bad_stream"


class TimedOut(SourceError):
    reason = "timed_out"


class DecodeError(QyranError):
    """A segment does not decode."""


class DeviceError(QyranError):
    """The GPU failed."""


class OutOfDeviceMemory(DeviceError):
    """A batch did not fit into the GPU's memory."""


class DeviceLost(DeviceError):
    """The GPU's context is dead (Xid, driver reset): the process has to end, its supervisor starts it again."""

    exit_status = 75
    """EX_TEMPFAIL (sysexits.h): a fresh process may do better."""


class ModelError(QyranError):
    """A model file, its card or its outputs do not fit together."""


class CalibrationError(QyranError):
    """Marks that cannot make a calibration: degenerate, contradictory or too few. The message says which."""


class SignalError(QyranError):
    """A controller's report that cannot be believed. The message begins with the name of the field."""


class EvidenceError(QyranError):
    """The proof of a case could not be made, or does not verify."""


class DeliveryError(QyranError):
    """A recipient did not take a case. The message never shows a credential."""


class RecipientUnavailable(DeliveryError):
    """Not reached, overloaded, or it does not let us in: the same case goes again later, the others wait behind it."""

    def __init__(self, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        """How long the recipient asks to be left alone."""


class SubmissionFailed(DeliveryError):
    """No answer within the deadline, or one that says neither yes nor no: this case goes again later."""


class SubmissionImpossible(DeliveryError):
    """Evidence that should go along is gone or damaged: the recipient was not asked."""


class SubmissionRefused(DeliveryError):
    """The recipient's definitive no; the message is its reason."""


class AuditError(QyranError):
    """The audit log could not be read or written."""


class NoCamera(QyranError):
    """There is no camera of that name."""


class Stopped(QyranError):
    """The engine is ending: it takes no more orders."""


class LedgerError(QyranError):
    """The register could not append or read."""


class CaseConflict(LedgerError):
    """A case id is in the register already, with another content."""


class RecordConflict(LedgerError):
    """What was sent contradicts what is recorded already."""


class OutOfDate(LedgerError):
    """A change was made for a version that is not the newest any more."""


class LimitReached(LedgerError):
    """There are as many records of a kind as there may be: more would be read by everybody, again and again."""


class NotOwned(LedgerError):
    """A consumer's cursor belongs to another credential."""
