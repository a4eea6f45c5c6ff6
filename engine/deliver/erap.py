"""The form of an administrative register such as Kazakhstan's ERAP: a thin mapping over the HTTPS channel.

The field names are our own reasoned design after what such registers ask for (article and part, place in two languages,
plate and its country, measurement with its uncertainty, the device and its certificate, attachments with hashes). The
real interface is not public; an operator that has its description changes this one module.

The answer: {"status": "REGISTERED" | "DUPLICATE" | "REJECTED", "registrationNumber": "...", "reason": "...",
"decision": {"number": "...", "ruling": "INSTITUTED", "reason": "...", "decidedAt": "..."}}; the status is required.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from typing import Literal

import msgspec

from engine.deliver.channel import Receipt, Submission
from engine.errors import EvidenceError, SubmissionFailed, SubmissionRefused
from engine.language import english
from engine.types import document as doc
from engine.types.decision import Disposition, Ruling

RULINGS = {
    "INSTITUTED": Ruling.ACCEPTED,
    "DECLINED": Ruling.REJECTED,
    "EXEMPT_OTHER_DRIVER": Ruling.EXEMPT_OTHER_DRIVER,
    "EXEMPT_STOLEN": Ruling.EXEMPT_STOLEN,
}


class ErapMessage(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Base of the request: camelCase names; unknown values are left out."""


class ErapOffence(ErapMessage, frozen=True):
    """The offence and the proposal."""

    kind: str
    article: str
    part: str
    committed_at: str
    """RFC 3339 with the site's offset."""
    clock: str
    proposed_decision: str
    reasons: tuple[str, ...]
    missing_proof: tuple[str, ...]


class ErapPlace(ErapMessage, frozen=True):
    """The camera and its place."""

    camera: str
    direction: str
    address_kk: str | None = None
    address_ru: str | None = None
    latitude: float | None = None
    longitude: float | None = None


class ErapVehicle(ErapMessage, frozen=True):
    """The vehicle and its plate."""

    vehicle_class: str
    plate: str | None = None
    plate_country: str | None = None
    plate_confidence: float | None = None


class ErapMeasurement(ErapMessage, frozen=True):
    """A measured speed against a limit."""

    speed_kmh: float
    expanded_uncertainty_kmh: float
    coverage_factor: float
    limit_kmh: float
    tolerance_kmh: float
    enforced_kmh: int


class ErapDevice(ErapMessage, frozen=True):
    """The recording system and its certificate."""

    serial_number: str
    certificate_number: str | None = None
    certificate_issued: dt.datetime | None = None
    certificate_expires: dt.datetime | None = None


class ErapAttachment(ErapMessage, frozen=True):
    """A file of the case."""

    file_name: str
    media_type: str
    size: int
    sha256: str
    content: bytes | None = None
    """Base64 in JSON; left out where the register fetches the file."""


class ErapRequest(ErapMessage, frozen=True):
    """A case for the register."""

    request_id: str
    """The case's id: the idempotency key."""
    sequence: int
    offence: ErapOffence
    place: ErapPlace
    vehicle: ErapVehicle
    device: ErapDevice
    document_sha256: str
    """SHA-256 of `case.json`, which is one of the attachments."""
    attachments: tuple[ErapAttachment, ...]
    measurement: ErapMeasurement | None = None
    evidence_target: str = ""


class ErapDecision(msgspec.Struct, frozen=True, rename="camel"):
    """A decision that comes with the answer."""

    number: str
    ruling: Literal["INSTITUTED", "DECLINED", "EXEMPT_OTHER_DRIVER", "EXEMPT_STOLEN"]
    reason: str = ""
    decided_at: dt.datetime | None = None

    def to_disposition(self, case_id: str) -> Disposition:
        """The decision on a case."""
        return Disposition(
            report_id=self.number,
            case_id=case_id,
            ruling=RULINGS[self.ruling],
            reason=self.reason,
            reference=self.number,
            decided_s=self.decided_at.timestamp() if self.decided_at else 0.0,
        )


class ErapAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """The answer."""

    status: Literal["REGISTERED", "DUPLICATE", "REJECTED"]
    registration_number: str = ""
    reason: str = ""
    decision: ErapDecision | None = None


def write(submission: Submission) -> bytes:
    """The body of the request. Raises SubmissionFailed for a document that cannot be read."""
    case = submission.entry.case
    try:
        record = doc.decode(case.document, source=f"case {case.id}")
    except EvidenceError as error:
        raise SubmissionFailed(str(error)) from error
    return msgspec.json.encode(_request(submission, record))


def read(case_id: str, answer: bytes) -> Receipt:
    """The receipt in an answer. Raises SubmissionRefused for a rejection, msgspec.DecodeError."""
    body = msgspec.json.decode(answer, type=ErapAnswer)
    if body.status == "REJECTED":
        raise SubmissionRefused(body.reason or "rejected without a reason")
    return Receipt(
        reference=body.registration_number,
        duplicate=body.status == "DUPLICATE",
        disposition=body.decision.to_disposition(case_id) if body.decision else None,
    )


def _request(submission: Submission, record: doc.CaseDocument) -> ErapRequest:
    place, plate, certificate = record.place, record.plate, record.device.certificate
    article, part = article_and_part(record.article)
    return ErapRequest(
        request_id=record.id,
        sequence=submission.entry.sequence,
        offence=ErapOffence(
            kind=record.kind,
            article=article,
            part=part,
            committed_at=record.time.local or record.time.occurred.isoformat(),
            clock=record.time.clock,
            proposed_decision=record.outcome.upper(),
            reasons=tuple(map(english, record.reasons)),
            missing_proof=tuple(map(english, record.incomplete)),
        ),
        place=ErapPlace(
            camera=place.camera,
            direction=place.direction,
            address_kk=place.address.get("kk"),
            address_ru=place.address.get("ru"),
            latitude=place.latitude,
            longitude=place.longitude,
        ),
        vehicle=ErapVehicle(
            vehicle_class=record.vehicle_class,
            plate=plate.text if plate else None,
            plate_country=(plate.country or None) if plate else None,
            plate_confidence=plate.confidence if plate else None,
        ),
        device=ErapDevice(
            serial_number=record.device.serial,
            certificate_number=certificate.number if certificate else None,
            certificate_issued=certificate.issued if certificate else None,
            certificate_expires=certificate.expires if certificate else None,
        ),
        document_sha256=hashlib.sha256(submission.entry.case.document).hexdigest(),
        attachments=tuple(
            ErapAttachment(file.name, file.media_type, file.size_bytes, file.sha256, submission.contents.get(file.name))
            for file in submission.entry.case.files
        ),
        measurement=msgspec.convert(record.measurement, ErapMeasurement | None, from_attributes=True),
        evidence_target=submission.evidence_target,
    )


def article_and_part(article: str) -> tuple[str, str]:
    """`592 p.1` as ("592", "1"); any other text as (text, "")."""
    found = re.fullmatch(r"(\d+(?:-\d+)?) p\.(\S+)", article)
    return (found[1], found[2]) if found else (article, "")
