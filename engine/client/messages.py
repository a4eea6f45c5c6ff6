"""Arguments and results of the clients to and from the messages of the protocol, and the progress of a watch."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import msgspec
from qyran.v1 import camera_service_pb2 as camera_pb
from qyran.v1 import violation_service_pb2 as pb

from engine import wire
from engine.config import Region
from engine.types import Entry, document
from engine.types.decision import Disposition, Finding, Review, Ruling

SHORTEST_WAIT_S, LONGEST_WAIT_S = 0.2, 10.0
INTERVAL_S = 10.0
"""Interval of heartbeats until the first heartbeat says it."""
GRACE_S = 5.0
"""A watch that is silent for three intervals and this is given up."""


class Wanted(TypedDict, total=False):
    """The filter of a watch or a list. A missing, empty or None field does not restrict; all others must match."""

    kinds: Sequence[str]
    cameras: Sequence[str]
    areas: Sequence[str]
    occurred_from_s: float | None
    """Occurred at or after, Unix seconds UTC."""
    occurred_to_s: float | None
    """Occurred before, Unix seconds UTC."""


@dataclass(slots=True)
class WatchProgress:
    """One watch over all its connections: the sequence it has reached, and when to reconnect."""

    sequence: int
    consumer: str
    wanted: pb.EntryFilter
    interval_s: float = INTERVAL_S
    _known: bool = False
    """True once the service has sent something; until then a consumer's cursor says where the watch begins."""
    _heard: bool = False
    """True if this connection has received something."""
    _wait_s: float = SHORTEST_WAIT_S

    def request(self) -> pb.WatchViolationsRequest:
        """The request of the next connection."""
        self._heard = False
        if self.consumer and not self._known:
            return pb.WatchViolationsRequest(consumer=self.consumer, filter=self.wanted)
        return pb.WatchViolationsRequest(after_sequence=self.sequence, filter=self.wanted)

    def receive(self, response: pb.WatchViolationsResponse) -> Entry | None:
        """Take a message in. Returns its entry; None for a heartbeat."""
        self._heard = self._known = True
        if response.HasField("entry"):
            self.sequence = response.entry.sequence
            return wire.entry_from_message(response.entry)
        self.sequence = max(self.sequence, response.heartbeat.last_sequence)
        self.interval_s = response.heartbeat.interval_s
        return None

    @property
    def timeout_s(self) -> float:
        """The longest silence of a service that is alive."""
        return 3 * self.interval_s + GRACE_S

    def next_wait_s(self, at_least_s: float = 0.0) -> float:
        """Pause before the next connection: doubled each time and jittered until something is received."""
        self._wait_s = SHORTEST_WAIT_S if self._heard else min(2 * self._wait_s, LONGEST_WAIT_S)
        return max(at_least_s, self._wait_s * random.uniform(0.5, 1.0))


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """A camera, as the service describes it."""

    name: str
    version: int
    """Pass it to the next change."""
    state: str
    """`watched`, `paused` or `removed`."""
    url: str
    """Without user and password."""
    site: str
    area: str
    detect_fps: float
    changed_by: str


def case_of(entry: Entry) -> document.CaseDocument:
    """The case, typed: `case_of(entry).measurement.enforced_kmh`. Raises EvidenceError for an unreadable document."""
    return document.decode(entry.case.document, source=f"case {entry.case.id}")


def filter_of(wanted: Wanted) -> pb.EntryFilter:
    """The message of a filter. Raises TypeError for an unknown name."""
    if unknown := wanted.keys() - Wanted.__annotations__.keys():
        raise TypeError(f"unexpected filter: {', '.join(sorted(unknown))}")
    from_s, to_s = wanted.get("occurred_from_s"), wanted.get("occurred_to_s")
    return pb.EntryFilter(
        kinds=wanted.get("kinds"),
        cameras=wanted.get("cameras"),
        areas=wanted.get("areas"),
        occurred_from=None if from_s is None else wire.timestamp(from_s),
        occurred_to=None if to_s is None else wire.timestamp(to_s),
    )


def report_of(
    case_id: str, ruling: Ruling, report_id: str, reason: str, reference: str, decided_s: float | None
) -> pb.ReportDispositionRequest:
    """The request that reports a register's decision; its id and time default to a new id and now."""
    disposition = Disposition(
        report_id=report_id or str(uuid.uuid4()),
        case_id=case_id,
        ruling=ruling,
        reason=reason,
        reference=reference,
        decided_s=time.time() if decided_s is None else decided_s,
    )
    return pb.ReportDispositionRequest(case_id=case_id, disposition=wire.disposition_to_message(disposition))


def review_of(
    case_id: str, finding: Finding, person: str, review_id: str, reason: str, supersedes: str
) -> pb.ReviewCaseRequest:
    """The request that sends an officer's decision; its id defaults to a new one."""
    review = Review(
        review_id=review_id or str(uuid.uuid4()),
        case_id=case_id,
        finding=finding,
        person=person,
        reason=reason,
        supersedes=supersedes,
    )
    return pb.ReviewCaseRequest(case_id=case_id, review=wire.review_to_message(review))


def decisions_of(response: pb.GetCaseResponse) -> tuple[list[Disposition], list[Review]]:
    """The decisions of registers and of officers about a case."""
    case_id = response.entry.case.id
    return (
        [wire.disposition_from_message(case_id, message) for message in response.dispositions],
        [wire.review_from_message(case_id, message) for message in response.reviews],
    )


def camera_of(message: camera_pb.Camera) -> CameraStatus:
    """The camera of a message."""
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
    """The request that adds a camera."""
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
    """An entry as one line of JSON: `sequence`, `recorded`, `folder`, `case` (the document unchanged) and `files`."""
    case = entry.case
    line = {
        "sequence": entry.sequence,
        "recorded": document.moment(entry.recorded_s),
        "folder": case.folder,
        "case": msgspec.Raw(msgspec.json.format(case.document, indent=-1)),
        "files": case.files,
    }
    return msgspec.json.encode(line).decode()
