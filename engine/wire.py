"""The engine's types to and from the protocol's messages (`proto/qyran/v1`).

An entry is equal after a round trip: `document` travels byte for byte, and the other fields of a case repeat it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp
from qyran.v1 import case_pb2 as pb
from qyran.v1 import violation_service_pb2 as calls_pb

from engine.errors import EvidenceError
from engine.language import english
from engine.site import Place
from engine.types import Case, Entry, EvidenceFile, Reason
from engine.types import document as doc
from engine.types.decision import Disposition, Finding, Review, Ruling

NANO = 1_000_000_000
SUMMARY_FORM = 2
"""Raised when `summary` gives other bytes for the same case: a ledger makes summaries of another form anew."""


def timestamp(time_s: float) -> Timestamp:
    """Unix seconds to a Timestamp; `seconds` gives the very same float back."""
    whole, nanos = _parts(time_s)
    return Timestamp(seconds=whole, nanos=nanos)


def _parts(time_s: float) -> tuple[int, int]:
    """Whole seconds and nanoseconds."""
    whole = math.floor(time_s)
    carry, nanos = divmod(round((time_s - whole) * NANO), NANO)
    return whole + carry, nanos


def seconds(stamp: Timestamp) -> float:
    """A Timestamp to Unix seconds."""
    return (stamp.seconds * NANO + stamp.nanos) / NANO


def entry_to_message(entry: Entry) -> pb.Entry:
    message = pb.Entry()
    fill_entry(message, entry)
    return message


def fill_entry(message: pb.Entry, entry: Entry) -> None:
    """Write an entry into an empty message, each part in its place: a message put into another is copied."""
    message.sequence = entry.sequence
    message.recorded_at.seconds, message.recorded_at.nanos = _parts(entry.recorded_s)
    if entry.removed_s is None:
        _fill_case(message.case, entry.case)
    else:
        _fill_named(message.case, entry.case)
        message.removed_at.seconds, message.removed_at.nanos = _parts(entry.removed_s)


def entry_from_message(message: pb.Entry) -> Entry:
    removed_s = seconds(message.removed_at) if message.HasField("removed_at") else None
    return Entry(message.sequence, seconds(message.recorded_at), case_from_message(message.case), removed_s)


def case_to_message(case: Case) -> pb.Case:
    message = pb.Case()
    _fill_case(message, case)
    return message


def summary(case: Case) -> bytes:
    """The serialised message of a case without its document: what a register keeps beside it, made once."""
    message = case_to_message(case)
    message.ClearField("document")
    return message.SerializeToString()


def watched(sequence: int, recorded_s: float, summary: bytes, document: bytes) -> bytes:
    """The serialised WatchViolationsResponse of an entry whose case has its `summary` already.

    Messages end to end are one message (protobuf.dev/programming-guides/encoding, "Last One Wins"), so none is parsed.
    """
    head = pb.Entry(sequence=sequence)
    head.recorded_at.seconds, head.recorded_at.nanos = _parts(recorded_s)
    case = summary + _delimited(pb.Case.DOCUMENT_FIELD_NUMBER, document)
    entry = head.SerializeToString() + _delimited(pb.Entry.CASE_FIELD_NUMBER, case)
    return _delimited(calls_pb.WatchViolationsResponse.ENTRY_FIELD_NUMBER, entry)


def _delimited(number: int, content: bytes) -> bytes:
    """A field of the wire type LEN, number 1 to 15."""
    length, size = bytearray((number << 3 | 2,)), len(content)
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    length.append(size)
    return bytes(length) + content


def _fill_case(message: pb.Case, case: Case) -> None:
    """A case is never held back: if its document cannot be read, it is sent and `incomplete` says why."""
    _fill_named(message, case)
    try:
        _fill_told(message, doc.summarise(case.document, source=f"case {case.id}"))
    except EvidenceError as error:
        _fill_reasons(message, (), (Reason("sentence", {"text": str(error)}),))


def _fill_named(message: pb.Case, case: Case) -> None:
    """What the register knows of a case without reading its document."""
    message.id, message.kind, message.camera = case.id, case.kind, case.camera
    message.folder, message.document = case.folder, case.document
    message.occurred_at.seconds, message.occurred_at.nanos = _parts(case.occurred_s)
    for file in case.files:
        message.files.add(name=file.name, media_type=file.media_type, size_bytes=file.size_bytes, sha256=file.sha256)


def case_from_message(message: pb.Case) -> Case:
    return Case(
        id=message.id,
        camera=message.camera,
        kind=message.kind,
        occurred_s=seconds(message.occurred_at),
        document=message.document,
        files=tuple(file_from_message(file) for file in message.files),
        folder=message.folder,
        area=message.place.area,
    )


def file_to_message(file: EvidenceFile) -> pb.EvidenceFile:
    return pb.EvidenceFile(name=file.name, media_type=file.media_type, size_bytes=file.size_bytes, sha256=file.sha256)


def file_from_message(message: pb.EvidenceFile) -> EvidenceFile:
    return EvidenceFile(message.name, message.media_type, message.size_bytes, message.sha256)


def disposition_to_message(decided: Disposition) -> calls_pb.Disposition:
    return calls_pb.Disposition(
        report_id=decided.report_id,
        ruling=_value(calls_pb.Ruling, "RULING", decided.ruling.value),
        reason=decided.reason,
        reference=decided.reference,
        decided_at=timestamp(decided.decided_s) if decided.decided_s else None,
        reporter=decided.reporter,
        recorded_at=timestamp(decided.recorded_s),
    )


def disposition_from_message(case_id: str, message: calls_pb.Disposition) -> Disposition:
    return Disposition(
        report_id=message.report_id,
        case_id=case_id,
        ruling=Ruling(calls_pb.Ruling.Name(message.ruling).removeprefix("RULING_").lower()),
        reason=message.reason,
        reference=message.reference,
        decided_s=seconds(message.decided_at),
        reporter=message.reporter,
        recorded_s=seconds(message.recorded_at),
    )


def review_to_message(decided: Review) -> calls_pb.Review:
    return calls_pb.Review(
        review_id=decided.review_id,
        finding=_value(calls_pb.Finding, "FINDING", decided.finding.value),
        person=decided.person,
        reason=decided.reason,
        supersedes=decided.supersedes,
        officer=decided.officer,
        recorded_at=timestamp(decided.recorded_s),
    )


def review_from_message(case_id: str, message: calls_pb.Review) -> Review:
    return Review(
        review_id=message.review_id,
        case_id=case_id,
        finding=Finding(calls_pb.Finding.Name(message.finding).removeprefix("FINDING_").lower()),
        person=message.person,
        reason=message.reason,
        supersedes=message.supersedes,
        officer=message.officer,
        recorded_s=seconds(message.recorded_at),
    )


def _fill_told(message: pb.Case, document: doc.CaseSummary) -> None:
    """What a message repeats of the document."""
    message.clock = _value(pb.Clock, "CLOCK", document.time.clock)
    message.article = document.article
    message.outcome = _value(pb.Outcome, "OUTCOME", document.outcome)
    _fill_reasons(message, document.reasons, document.incomplete)
    message.vehicle_class = _value(pb.VehicleClass, "VEHICLE_CLASS", document.vehicle_class)
    _fill_place(message.place, document.place, document.place.site)
    if document.measurement:
        _fill_measurement(message.measurement, document.measurement)
    if document.plate:
        message.plate.MergeFrom(_plate(document.plate))


def _fill_reasons(message: pb.Case, reasons: Sequence[Reason], incomplete: Sequence[Reason]) -> None:
    message.reasons.extend(map(english, reasons))
    message.incomplete.extend(map(english, incomplete))
    message.coded_reasons.extend(map(_reason, reasons))
    message.coded_incomplete.extend(map(_reason, incomplete))


def _reason(reason: Reason) -> pb.Reason:
    """The reason as data."""
    message = pb.Reason(code=reason.code)
    for name, value in reason.params.items():
        match value:
            case str():
                message.params.add(name=name, text=value)
            case int():
                message.params.add(name=name, integer=value)
            case float():
                message.params.add(name=name, number=value)
            case _:
                message.params.add(name=name, words=pb.ReasonWords(values=value))
    return message


Number = TypeVar("Number", bound=int, covariant=True)


class _Enum(Protocol[Number]):
    """A generated enumeration."""

    def Value(self, name: str) -> Number: ...  # noqa: N802 - protobuf's name


@lru_cache(maxsize=256)
def _value(enum: _Enum[Number], prefix: str, name: str) -> Number:
    """`officer` to OUTCOME_OFFICER; what this version of the protocol does not know becomes unspecified."""
    try:
        return enum.Value(f"{prefix}_{name.upper()}")
    except ValueError:
        return enum.Value(f"{prefix}_UNSPECIFIED")


def _fill_place(message: pb.Place, place: doc.PlaceRecord | Place, site: str) -> None:
    message.site, message.direction, message.area = site, place.direction, place.area
    message.address.update(place.address)
    if place.latitude is not None:
        message.latitude = place.latitude
    if place.longitude is not None:
        message.longitude = place.longitude


def _plate(plate: doc.PlateRecord) -> pb.Plate:
    return pb.Plate(
        text=plate.text,
        country=plate.country,
        region=plate.region,
        form=plate.form,
        confidence=plate.confidence,
        alternatives=[pb.PlateAlternative(text=one.text, confidence=one.confidence) for one in plate.alternatives],
        marks=plate.marks,
    )


def place_to_message(place: Place, site: str) -> pb.Place:
    message = pb.Place()
    _fill_place(message, place, site)
    return message


def _fill_measurement(message: pb.Measurement, speed: doc.SpeedRecord) -> None:
    message.speed_kmh = speed.speed_kmh
    message.expanded_uncertainty_kmh = speed.expanded_uncertainty_kmh
    message.coverage_factor = speed.coverage_factor
    message.limit_kmh, message.tolerance_kmh = speed.limit_kmh, speed.tolerance_kmh
    message.enforced_kmh, message.length_m = speed.enforced_kmh, speed.length_m
    message.began_at.seconds, message.began_at.nanos = _parts(speed.began.timestamp())
    message.ended_at.seconds, message.ended_at.nanos = _parts(speed.ended.timestamp())
