"""The client's words to and from the protocol's messages: what both clients share."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from qyran.v1 import camera_service_pb2 as camera_pb
from qyran.v1 import violation_service_pb2 as pb

from engine import wire
from engine.config import Region
from engine.types import Entry, document
from engine.types.decision import Disposition, Finding, Review, Ruling


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """A camera as the service tells of it."""

    name: str
    version: int
    """To be named in the next change."""
    state: str
    """`watched`, `paused` or `removed`."""
    url: str
    """Without user and password."""
    site: str
    area: str
    detect_fps: float
    changed_by: str


def case_of(entry: Entry) -> document.CaseDocument:
    """The case, typed: `case_of(entry).measurement.enforced_kmh`. Raises EvidenceError for one that does not read."""
    return document.decode(entry.case.document, source=f"case {entry.case.id}")


def filter_of(
    kinds: Sequence[str], cameras: Sequence[str], areas: Sequence[str], from_s: float | None, to_s: float | None
) -> pb.EntryFilter:
    return pb.EntryFilter(
        kinds=kinds,
        cameras=cameras,
        areas=areas,
        occurred_from=None if from_s is None else wire.timestamp(from_s),
        occurred_to=None if to_s is None else wire.timestamp(to_s),
    )


def report_of(
    case_id: str, ruling: Ruling, report_id: str, reason: str, reference: str, decided_s: float | None
) -> pb.ReportDispositionRequest:
    decided = Disposition(
        report_id=report_id or str(uuid.uuid4()),
        case_id=case_id,
        ruling=ruling,
        reason=reason,
        reference=reference,
        decided_s=time.time() if decided_s is None else decided_s,
    )
    return pb.ReportDispositionRequest(case_id=case_id, disposition=wire.disposition_to_message(decided))


def review_of(
    case_id: str, finding: Finding, person: str, review_id: str, reason: str, supersedes: str
) -> pb.ReviewCaseRequest:
    decided = Review(review_id or str(uuid.uuid4()), case_id, finding, person, reason, supersedes)
    return pb.ReviewCaseRequest(case_id=case_id, review=wire.review_to_message(decided))


def decisions_of(response: pb.GetCaseResponse) -> tuple[list[Disposition], list[Review]]:
    case_id = response.entry.case.id
    return (
        [wire.disposition_from_message(case_id, message) for message in response.dispositions],
        [wire.review_from_message(case_id, message) for message in response.reviews],
    )


def camera_of(message: camera_pb.Camera) -> CameraStatus:
    return CameraStatus(
        name=message.name,
        version=message.version,
        state=camera_pb.CameraState.Name(message.state).removeprefix("CAMERA_STATE_").lower(),
        url=message.url,
        site=message.place.site,
        area=message.place.area,
        detect_fps=message.detect_fps,
        changed_by=message.changed_by,
    )


def new_camera(
    name: str, url: str, site: str, still: bytes, detect_fps: float, regions: Sequence[Region], *, untried: bool
) -> camera_pb.AddCameraRequest:
    return camera_pb.AddCameraRequest(
        name=name,
        url=url,
        site=site,
        still=still,
        detect_fps=detect_fps,
        regions=[
            camera_pb.Region(left=left, top=top, right=right, bottom=bottom) for left, top, right, bottom in regions
        ],
        untried=untried,
    )


def to_json(entry: Entry) -> str:
    """One line of JSON: `sequence`, `recorded`, `folder`, `case` (the document as it is) and `files`."""
    case = entry.case
    line = {
        "sequence": entry.sequence,
        "recorded": document.moment(entry.recorded_s),
        "folder": case.folder,
        "case": msgspec.Raw(msgspec.json.format(case.document, indent=-1)),
        "files": case.files,
    }
    return msgspec.json.encode(line).decode()
