"""The checks of requests. Every function returns the checked value or raises BadRequest with the field."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from google.protobuf.timestamp_pb2 import Timestamp
from qyran.v1 import violation_service_pb2 as pb

from engine import wire
from engine.access import Scope
from engine.ledger import Filter
from engine.serve.status import BadRequest
from engine.types.decision import Disposition, Finding, Review, Ruling

NAMES = 200
"""Limit of kinds, cameras or areas in a filter."""
NAME_LENGTH = 255
TEXT_LENGTH = 1000
CONSUMER_LENGTH = 63
KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*")
PAGE_DEFAULT = 50
PAGE_LIMIT = 200
EARLIEST_S, LATEST_S = -62_135_596_800, 253_402_300_799
"""Range of a google.protobuf.Timestamp: the first second of year 1 to the last of year 9999."""
NO_NAME = "-"
"""Matches nothing: names begin with a letter or a digit."""


def require(condition: bool, field: str, what: str) -> None:
    """Raises BadRequest unless `condition`."""
    if not condition:
        raise BadRequest(field, what)


def cursor(value: int, field: str) -> int:
    """A sequence or an offset."""
    require(value >= 0, field, f"must not be negative, got {value}")
    return value


def name(value: str, field: str) -> str:
    """A name of something, required."""
    require(0 < len(value) <= NAME_LENGTH, field, f"must have 1 to {NAME_LENGTH} characters, got {len(value)}")
    return _storable(value, field)


def key(value: str, field: str, limit: int = NAME_LENGTH) -> str:
    """A name that the client chooses as a key."""
    well_formed = KEY.fullmatch(value) is not None and len(value) <= limit
    require(well_formed, field, f"must be 1 to {limit} letters, digits or any of . _ : -")
    return value


def consumer(value: str) -> str:
    """The name of a consumer."""
    return key(value, "consumer", CONSUMER_LENGTH)


def text(value: str, field: str, *, required: bool = False, limit: int = TEXT_LENGTH) -> str:
    """A free text."""
    require(len(value) <= limit, field, f"must have at most {limit} characters, got {len(value)}")
    require(bool(value.strip()) or not required, field, "is required")
    return _storable(value, field)


def filter_of(message: pb.EntryFilter, scope: Scope) -> Filter:
    """The filter, limited to the caller's scope."""
    from_s = _time(message, "occurred_from")
    to_s = _time(message, "occurred_to")
    if from_s is not None and to_s is not None:
        require(from_s < to_s, "filter.occurred_to", "must be after occurred_from")
    return Filter(
        kinds=_both(_names(message.kinds, "filter.kinds"), scope.kinds),
        cameras=_both(_names(message.cameras, "filter.cameras"), scope.cameras),
        areas=_both(_names(message.areas, "filter.areas"), scope.areas),
        occurred_from_s=from_s,
        occurred_to_s=to_s,
    )


def page_size(value: int) -> int:
    """The size of a page; 0 asks for the default."""
    require(0 <= value <= PAGE_LIMIT, "page_size", f"must be 0 to {PAGE_LIMIT}, got {value}")
    return value or PAGE_DEFAULT


def page_token(value: str) -> int:
    """The sequence that a page begins after; opaque to the client."""
    require(not value or (value.isascii() and value.isdigit() and len(value) < 19), "page_token", "is invalid")
    return int(value or 0)


def disposition(request: pb.ReportDispositionRequest, reporter: str) -> Disposition:
    """A register's decision; `reporter` is the caller."""
    message = request.disposition
    require(message.ruling in _RULINGS, "disposition.ruling", "is required")
    ruling = _RULINGS[message.ruling]
    return Disposition(
        report_id=key(message.report_id, "disposition.report_id"),
        case_id=name(request.case_id, "case_id"),
        ruling=ruling,
        reason=text(message.reason, "disposition.reason", required=ruling is Ruling.REJECTED),
        reference=text(message.reference, "disposition.reference", limit=NAME_LENGTH),
        decided_s=stamp(message.decided_at, "disposition.decided_at"),
        reporter=reporter,
    )


def review(request: pb.ReviewCaseRequest, officer: str) -> Review:
    """An officer's decision; `officer` is the caller."""
    message = request.review
    require(message.finding in _FINDINGS, "review.finding", "is required")
    finding = _FINDINGS[message.finding]
    return Review(
        review_id=key(message.review_id, "review.review_id"),
        case_id=name(request.case_id, "case_id"),
        finding=finding,
        person=name(message.person, "review.person"),
        reason=text(message.reason, "review.reason", required=finding is Finding.DISMISSED),
        supersedes=message.supersedes and key(message.supersedes, "review.supersedes"),
        officer=officer,
    )


_RULINGS = {pb.Ruling.Value(f"RULING_{ruling.name}"): ruling for ruling in Ruling}
_FINDINGS = {pb.Finding.Value(f"FINDING_{finding.name}"): finding for finding in Finding}


def _both(asked: tuple[str, ...], allowed: tuple[str, ...]) -> tuple[str, ...]:
    """The names in both; an empty tuple is every name."""
    if not asked or not allowed:
        return asked or allowed
    return tuple(one for one in asked if one in allowed) or (NO_NAME,)


def _storable(value: str, field: str) -> str:
    require("\0" not in value, field, "must not hold a NUL")
    return value


def _names(values: Sequence[str], field: str) -> tuple[str, ...]:
    require(len(values) <= NAMES, field, f"must be at most {NAMES}, got {len(values)}")
    return tuple(name(value, field) for value in values)


def stamp(value: Timestamp, field: str) -> float:
    """Unix seconds of a valid Timestamp: an invalid one could not be sent back."""
    require(0 <= value.nanos < wire.NANO, field, f"nanos must be 0 to 999999999, got {value.nanos}")
    require(EARLIEST_S <= value.seconds <= LATEST_S, field, "must lie in the years 1 to 9999")
    return wire.seconds(value)


def _time(message: pb.EntryFilter, field: Literal["occurred_from", "occurred_to"]) -> float | None:
    return stamp(getattr(message, field), f"filter.{field}") if message.HasField(field) else None
