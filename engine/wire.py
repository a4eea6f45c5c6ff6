"""The engine's types to and from the protocol's messages (`proto/qyran/v1`).

An entry is equal after a round trip: `document` travels byte for byte, and the other fields of a case repeat it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

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


def timestamp(time_s: float) -> Timestamp:
    """Unix seconds as a Timestamp; `seconds` returns the same float."""
    whole, nanos = _parts(time_s)
    return Timestamp(seconds=whole, nanos=nanos)


def _parts(time_s: float) -> tuple[int, int]:
    """Whole seconds and nanoseconds of Unix seconds."""
    whole = math.floor(time_s)
    carry, nanos = divmod(round((time_s - whole) * NANO), NANO)
    return whole + carry, nanos


def seconds(stamp: Timestamp) -> float:
    """A Timestamp as Unix seconds."""
    return (stamp.seconds * NANO + stamp.nanos) / NANO


def entry_to_message(entry: Entry) -> pb.Entry:
    """The message of an entry. Uses `entry.summary`; the document is read only where the entry has no summary."""
    message = pb.Entry(sequence=entry.sequence)
    _set_time(message.recorded_at, entry.recorded_s)
    if entry.removed_s is None:
        message.case.MergeFromString(entry.summary or summarise(entry.case)[0])
        message.case.document = entry.case.document
    else:
        _fill_from_row(message.case, entry.case)
        _set_time(message.removed_at, entry.removed_s)
    return message


def entry_from_message(message: pb.Entry) -> Entry:
    """The entry of a message."""
    removed_s = seconds(message.removed_at) if message.HasField("removed_at") else None
    return Entry(
        sequence=message.sequence,
        recorded_s=seconds(message.recorded_at),
        case=case_from_message(message.case),
        removed_s=removed_s,
    )


def summarise(case: Case) -> tuple[bytes, str]:
    """The serialized message of a case without its document, and the outcome that the document proposes.

    The ledger stores both, so that `case.json` is read once. A document that cannot be read never holds a case back:
    `incomplete` of its message says so, and its outcome is "".
    """
    message, outcome = pb.Case(), ""
    _fill_from_row(message, case)
    try:
        summary = doc.summarise(case.document, source=f"case {case.id}")
    except EvidenceError as error:
        _fill_reasons(message, (), (Reason("sentence", {"text": str(error)}),))
    else:
        _fill_from_document(message, summary)
        outcome = summary.outcome
    return message.SerializeToString(), outcome


def serialize_entry(sequence: int, recorded_s: float, summary: bytes, document: bytes) -> bytes:
    """The serialized WatchViolationsResponse of an entry, put together without parsing its stored `summary`.

    Serialized messages end to end are one message (protobuf.dev/programming-guides/encoding, "Last One Wins").
    """
    head = pb.Entry(sequence=sequence)
    _set_time(head.recorded_at, recorded_s)
    case = summary + _length_delimited(pb.Case.DOCUMENT_FIELD_NUMBER, document)
    entry = head.SerializeToString() + _length_delimited(pb.Entry.CASE_FIELD_NUMBER, case)
    return _length_delimited(calls_pb.WatchViolationsResponse.ENTRY_FIELD_NUMBER, entry)


def _length_delimited(number: int, content: bytes) -> bytes:
    """A field of the wire type LEN; `number` is 1 to 15."""
    length, size = bytearray((number << 3 | 2,)), len(content)
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    length.append(size)
    return bytes(length) + content


def _set_time(stamp: Timestamp, time_s: float) -> None:
    """Write Unix seconds in place: a message that is assigned to a field is copied."""
    stamp.seconds, stamp.nanos = _parts(time_s)


def _fill_from_row(message: pb.Case, case: Case) -> None:
    """What the ledger knows of a case without its document."""
    message.id, message.kind, message.camera, message.folder = case.id, case.kind, case.camera, case.folder
    _set_time(message.occurred_at, case.occurred_s)
    for file in case.files:
        message.files.add(name=file.name, media_type=file.media_type, size_bytes=file.size_bytes, sha256=file.sha256)


def case_from_message(message: pb.Case) -> Case:
    """The case of a message."""
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
    """The message of a file's description."""
    return pb.EvidenceFile(name=file.name, media_type=file.media_type, size_bytes=file.size_bytes, sha256=file.sha256)


def file_from_message(message: pb.EvidenceFile) -> EvidenceFile:
    """A file's description."""
    return EvidenceFile(message.name, message.media_type, message.size_bytes, message.sha256)


def disposition_to_message(decided: Disposition) -> calls_pb.Disposition:
    """The message of a register's decision."""
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
    """A register's decision on a case. Raises ValueError for a ruling that is not set."""
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
    """The message of an officer's review."""
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
    """An officer's review of a case. Raises ValueError for a finding that is not set."""
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


def _fill_from_document(message: pb.Case, document: doc.CaseSummary) -> None:
    """What the message repeats of the document."""
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


def _value(enum: Any, prefix: str, name: str) -> Any:
    """`officer` as OUTCOME_OFFICER; a word that this version of the protocol does not know is ..._UNSPECIFIED."""
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
    """The message of a camera's place at a site."""
    message = pb.Place()
    _fill_place(message, place, site)
    return message


def _fill_measurement(message: pb.Measurement, speed: doc.SpeedRecord) -> None:
    message.speed_kmh = speed.speed_kmh
    message.expanded_uncertainty_kmh = speed.expanded_uncertainty_kmh
    message.coverage_factor = speed.coverage_factor
    message.limit_kmh, message.tolerance_kmh = speed.limit_kmh, speed.tolerance_kmh
    message.enforced_kmh, message.length_m = speed.enforced_kmh, speed.length_m
    _set_time(message.began_at, speed.began.timestamp())
    _set_time(message.ended_at, speed.ended.timestamp())
