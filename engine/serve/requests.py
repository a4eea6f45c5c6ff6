"""What a client may ask: every check of a request, each error naming its field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from google.protobuf.timestamp_pb2 import Timestamp
from qyran.v1 import violation_service_pb2 as pb

from engine import wire
from engine.register import Filter

NAMES = 200
"""Kinds or cameras that one filter may name."""
NAME_LENGTH = 255
PAGE_DEFAULT = 50
PAGE_MOST = 200


class BadRequest(ValueError):
    """The message begins with the name of the field."""


def require(condition: bool, field: str, what: str) -> None:
    if not condition:
        raise BadRequest(f"{field}: {what}")


def cursor(value: int, field: str) -> int:
    require(value >= 0, field, f"must not be negative, got {value}")
    return value


def name(value: str, field: str) -> str:
    require(0 < len(value) <= NAME_LENGTH, field, f"must have 1 to {NAME_LENGTH} characters, got {len(value)}")
    return value


def filter_of(message: pb.EntryFilter) -> Filter:
    from_s = _time(message, "occurred_from")
    to_s = _time(message, "occurred_to")
    if from_s is not None and to_s is not None:
        require(from_s < to_s, "filter.occurred_to", "must be after occurred_from")
    return Filter(_names(message.kinds, "filter.kinds"), _names(message.cameras, "filter.cameras"), from_s, to_s)


def page_size(value: int) -> int:
    require(0 <= value <= PAGE_MOST, "page_size", f"must be 0 to {PAGE_MOST}, got {value}")
    return value or PAGE_DEFAULT


def page_token(value: str) -> int:
    """The sequence that a page begins after; to the client it is opaque."""
    require(not value or (value.isascii() and value.isdigit() and len(value) < 19), "page_token", "is not one of ours")
    return int(value or 0)


def _names(values: Sequence[str], field: str) -> tuple[str, ...]:
    require(len(values) <= NAMES, field, f"must be {NAMES} at the most, got {len(values)}")
    return tuple(name(value, field) for value in values)


def _time(message: pb.EntryFilter, field: Literal["occurred_from", "occurred_to"]) -> float | None:
    if not message.HasField(field):
        return None
    stamp: Timestamp = getattr(message, field)
    require(0 <= stamp.nanos < wire.NANO, f"filter.{field}", f"nanos must be 0 to 999999999, got {stamp.nanos}")
    return wire.seconds(stamp)
