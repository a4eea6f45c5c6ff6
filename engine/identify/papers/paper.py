"""The papers that kinds of violation are about, and what a date of expiry says at an instant."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal

from engine.types import RegistryAnswer, Validity

PAPERS = {
    "no_inspection": "technical inspection",
    "no_insurance": "insurance",
    "permit_expired": "permit",
}
"""By kind of violation."""
Until = dt.date | Literal["none"] | None
"""The last day on which a paper is valid; `none`: the registry knows that there is none; None: it does not know."""


@dataclass(frozen=True, slots=True)
class PaperRecord:
    """What a registry said of one paper."""

    until: Until
    as_of: dt.datetime
    """When it was so in the registry."""
    source: str

    def judged(self, kind: str, at: dt.datetime) -> RegistryAnswer:
        """Valid on a day at the place of the event (`at` carries its offset)? A paper that ran out after the record
        was made may have been renewed since: nobody knows."""
        paper, when = PAPERS[kind], f"{self.as_of:%Y-%m-%d %H:%M}"
        if self.until is None:
            return RegistryAnswer(Validity.UNKNOWN, f"{self.source} as of {when} UTC knows nothing of the {paper}")
        if self.until == "none":
            return RegistryAnswer(Validity.EXPIRED, f"There was no {paper}, by {self.source} as of {when} UTC.")
        if at.date() <= self.until:
            return RegistryAnswer(Validity.VALID, f"the {paper} was valid until {self.until}")
        if self.as_of.astimezone(at.tzinfo).date() <= self.until:
            return RegistryAnswer(
                Validity.UNKNOWN, f"the {paper} ran out on {self.until}, after the record of {when} UTC"
            )
        return RegistryAnswer(
            Validity.EXPIRED, f"The {paper} had expired on {self.until}, by {self.source} as of {when} UTC."
        )
