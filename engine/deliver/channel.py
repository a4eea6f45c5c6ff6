"""What passes between a line and its recipient, whatever the protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from engine.types import Entry
from engine.types.decision import Disposition


@dataclass(frozen=True, slots=True)
class Submission:
    """A case on its way. `entry.case.id` is the key for idempotence: the same id is the same submission."""

    entry: Entry
    contents: Mapping[str, bytes] = field(default_factory=dict)
    """Evidence that goes along, by the file's name, verified against its hash."""
    evidence_target: str = ""
    """host:port of the service that gives the rest; empty where none is offered."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The recipient's yes."""

    reference: str = ""
    """Its own number of the case."""
    duplicate: bool = False
    """It had the case already: an earlier answer was lost."""
    disposition: Disposition | None = None
    """What it decided at once, where it did."""


class Channel(Protocol):
    def submit(self, submission: Submission) -> Receipt:
        """Hand the case over and wait for the answer, at most for the deadline.

        Raises RecipientUnavailable, SubmissionFailed or SubmissionRefused.
        """

    def close(self) -> None: ...
