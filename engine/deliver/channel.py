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
    """The connection to one recipient, made of its `RecipientConfig` (`deliverer.CHANNELS`). One thread uses it.

    It raises ConfigError only for an address or option that can never work; what may come back is unavailable. It does
    not remember what it delivered: another process may deliver between two calls, and two recipients may share a place.
    """

    def submit(self, submission: Submission) -> Receipt:
        """Hand over one case and block for the answer; over a network at most for the recipient's deadline.

        Returns only when the recipient keeps the case for good (on a disk: synced). The case comes again after a lost
        answer or a crash, so if the recipient has its id, make sure that it is kept, store nothing and return
        `Receipt(duplicate=True)`. Sequences mostly rise, but a case that failed comes later than its successors.
        Raises RecipientUnavailable where any case would fail now, SubmissionFailed where this case fails now,
        SubmissionRefused where the recipient never takes this case.
        """

    def close(self) -> None:
        """Release the connection. A submission under way fails."""
