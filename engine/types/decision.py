"""What others decide about a case: the register that took it, and the officer who looked at it."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Ruling(enum.Enum):
    """What a register decided."""

    ACCEPTED = "accepted"
    """A proceeding was opened."""
    REJECTED = "rejected"
    """Not proceeded with; the reason is given."""
    EXEMPT_OTHER_DRIVER = "exempt_other_driver"
    """Another person than the owner drove."""
    EXEMPT_STOLEN = "exempt_stolen"
    """The vehicle had left the owner's possession through unlawful acts."""


class Finding(enum.Enum):
    """What an officer decided."""

    UPHELD = "upheld"
    """It is an offence as the case describes it."""
    DISMISSED = "dismissed"
    """It is none, or cannot be proved; the reason is given."""


@dataclass(frozen=True, slots=True)
class Disposition:
    """A register's word on a case. Later ones follow earlier ones; none is ever changed."""

    report_id: str
    """Chosen by the register: the same report sent twice is recorded once."""
    case_id: str
    ruling: Ruling
    reason: str = ""
    reference: str = ""
    """The register's own number of the proceeding."""
    decided_s: float = 0.0
    """When the register decided, by its clock, Unix seconds UTC; 0 where it does not say."""
    reporter: str = ""
    """Name of the credential that it was reported with."""
    recorded_s: float = 0.0
    """When it was recorded here, Unix seconds UTC."""


@dataclass(frozen=True, slots=True)
class Review:
    """An officer's word on a case. One stands at a time; another must name the one that it replaces."""

    review_id: str
    """Chosen by the officer's system: the same review sent twice is recorded once."""
    case_id: str
    finding: Finding
    person: str
    """Who decided, as the officers' system names people."""
    reason: str = ""
    supersedes: str = ""
    """The review that this one replaces; empty for the first."""
    officer: str = ""
    """Name of the credential that it was sent with."""
    recorded_s: float = 0.0
    """When it was recorded here, Unix seconds UTC."""
