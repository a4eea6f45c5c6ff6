"""The plain form of an HTTPS submission: the entry as the ledger holds it.

    {"case_id": ..., "sequence": ..., "recorded_at": ..., "kind": ..., "camera": ..., "occurred_at": ...,
     "document": the text of case.json, byte for byte in UTF-8, "document_sha256": ...,
     "files": [{"name": ..., "media_type": ..., "size_bytes": ..., "sha256": ..., "content": base64 or null}],
     "evidence_target": host:port of the gRPC service that gives the files without content}

The answer: {"receipt": "...", "duplicate": false, "disposition": {"report_id": "...", "ruling": "accepted" | "rejected"
| "exempt_other_driver" | "exempt_stolen", "reason": "...", "reference": "...", "decided_at": "..."}}, all optional.
"""

from __future__ import annotations

import datetime as dt
import hashlib

import msgspec

from engine.deliver.channel import Receipt, Submission
from engine.errors import SubmissionFailed
from engine.types import document as doc
from engine.types.decision import Disposition, Ruling


class PlainFile(msgspec.Struct, frozen=True):
    """A file of the case."""

    name: str
    media_type: str
    size_bytes: int
    sha256: str
    content: bytes | None
    """Base64 in JSON; None: fetch it from `evidence_target`."""


class PlainBody(msgspec.Struct, frozen=True):
    """The body of a request."""

    case_id: str
    sequence: int
    recorded_at: dt.datetime
    kind: str
    camera: str
    occurred_at: dt.datetime
    document: str
    document_sha256: str
    files: tuple[PlainFile, ...]
    evidence_target: str


class PlainDecision(msgspec.Struct, frozen=True):
    """A decision that comes with the answer."""

    report_id: str
    ruling: Ruling
    reason: str = ""
    reference: str = ""
    decided_at: dt.datetime | None = None

    def to_disposition(self, case_id: str) -> Disposition:
        """The decision on a case."""
        return Disposition(
            report_id=self.report_id,
            case_id=case_id,
            ruling=self.ruling,
            reason=self.reason,
            reference=self.reference,
            decided_s=self.decided_at.timestamp() if self.decided_at else 0.0,
        )


class PlainAnswer(msgspec.Struct, frozen=True):
    """The answer; unknown fields are ignored."""

    receipt: str = ""
    duplicate: bool = False
    disposition: PlainDecision | None = None


def write(submission: Submission) -> bytes:
    """The body of the request, one line of JSON. Raises SubmissionFailed for a document that is not UTF-8."""
    entry, case = submission.entry, submission.entry.case
    try:
        text = case.document.decode()
    except UnicodeDecodeError as error:
        raise SubmissionFailed(f"case {case.id}: {error}") from error
    return msgspec.json.encode(
        PlainBody(
            case_id=case.id,
            sequence=entry.sequence,
            recorded_at=doc.moment(entry.recorded_s),
            kind=case.kind,
            camera=case.camera,
            occurred_at=doc.moment(case.occurred_s),
            document=text,
            document_sha256=hashlib.sha256(case.document).hexdigest(),
            files=tuple(
                PlainFile(file.name, file.media_type, file.size_bytes, file.sha256, submission.contents.get(file.name))
                for file in case.files
            ),
            evidence_target=submission.evidence_target,
        )
    )


def read(case_id: str, answer: bytes) -> Receipt:
    """The receipt in an answer; an empty answer is a receipt without a number. Raises msgspec.DecodeError."""
    body = msgspec.json.decode(answer, type=PlainAnswer) if answer.strip() else PlainAnswer()
    return Receipt(
        reference=body.receipt,
        duplicate=body.duplicate,
        disposition=body.disposition.to_disposition(case_id) if body.disposition else None,
    )
