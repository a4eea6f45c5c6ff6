"""Decisions of others about a case: of the register that took it, and of the officer that reviewed it."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Ruling(enum.Enum):
    """The decision of a register."""

    ACCEPTED = "accepted"
    """A proceeding was opened."""
    REJECTED = "rejected"
    """No proceeding; the reason is given."""
    EXEMPT_OTHER_DRIVER = "exempt_other_driver"
    """Another person than the owner drove."""
    EXEMPT_STOLEN = "exempt_stolen"
    """The vehicle had left the owner's possession through unlawful acts."""


class Finding(enum.Enum):
    """The decision of an officer."""

    UPHELD = "upheld"
    """It is the offence that the case describes."""
    DISMISSED = "dismissed"
    """It is no offence, or cannot be proved; the reason is given."""


@dataclass(frozen=True, slots=True)
class Disposition:
    """A register's decision on a case. A later one follows an earlier one; a record never changes."""

    report_id: str
    """Chosen by the register: the same report sent twice is recorded once."""
    case_id: str
    ruling: Ruling
    reason: str = ""
    reference: str = ""
    """The register's own number of the proceeding."""
    decided_s: float = 0.0
    """Time of the decision by the register's clock, Unix seconds UTC; 0 if unknown."""
    reporter: str = ""
    """Name of the credential that reported it."""
    recorded_s: float = 0.0
    """When it was recorded here, Unix seconds UTC."""


@dataclass(frozen=True, slots=True)
class Review:
    """An officer's decision on a case. The last one counts; a new one must name the one that it replaces."""

    review_id: str
    """Chosen by the officer's system: the same review sent twice is recorded once."""
    case_id: str
    finding: Finding
    person: str
    """Name of the officer, as the officers' system writes it."""
    reason: str = ""
    supersedes: str = ""
    """The review that this one replaces; empty for the first."""
    officer: str = ""
    """Name of the credential that sent it."""
    recorded_s: float = 0.0
    """When it was recorded here, Unix seconds UTC."""
