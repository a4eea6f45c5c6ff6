"""The interface between a `DeliveryWorker` and a recipient, whatever the protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from engine.types import Entry
from engine.types.decision import Disposition


@dataclass(frozen=True, slots=True)
class Submission:
    """A case for a recipient. `entry.case.id` is the idempotency key: the same id is the same submission."""

    entry: Entry
    contents: Mapping[str, bytes] = field(default_factory=dict)
    """Evidence sent with the case, by file name, checked against its hash."""
    evidence_target: str = ""
    """host:port of the gRPC service that gives the other files; empty: no such service."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A recipient has taken a case."""

    reference: str = ""
    """The recipient's number of the case."""
    duplicate: bool = False
    """True if the recipient had the case already, because an earlier answer was lost."""
    disposition: Disposition | None = None
    """The recipient's decision, if it decided at once."""


class Channel(Protocol):
    """The connection to one recipient, made of its `RecipientConfig` (`deliverer.CHANNELS`). One thread uses it."""

    def submit(self, submission: Submission) -> Receipt:
        """Hand over one case and block for the answer, at most for the recipient's deadline.

        Returns only when the recipient keeps the case for good. The case comes again after a lost answer or a crash,
        so a recipient that has its id must answer with a receipt and store nothing.
        Raises RecipientUnavailable where any case would fail now, SubmissionFailed where this case fails now,
        SubmissionRefused where the recipient never takes this case.
        """

    def close(self) -> None:
        """Release the connection. A submission under way fails."""
