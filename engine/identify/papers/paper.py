"""Vehicle papers: which kinds of violation are about which, and whether one was valid at an instant."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal

from engine.types import Reason, RegistryAnswer, Validity

PAPERS = {"no_inspection": "inspection", "no_insurance": "insurance", "permit_expired": "permit"}
"""By kind of violation; the language files have the words."""
Until = dt.date | Literal["none"] | None
"""Last valid day of a paper; `none`: the registry knows that there is none; None: the registry does not know."""


@dataclass(frozen=True, slots=True)
class PaperRecord:
    """State of one paper in a registry."""

    until: Until
    as_of: dt.datetime
    """UTC time of this state."""
    source: Literal["service", "snapshot"]

    def judge(self, kind: str, at: dt.datetime) -> RegistryAnswer:
        """Was the paper valid on the day of `at`, which carries the offset of the place?

        UNKNOWN if the paper ran out after `as_of`: it may have been renewed since.
        """
        paper, as_of = PAPERS[kind], f"{self.as_of:%Y-%m-%d %H:%M}"
        if self.until is None:
            return RegistryAnswer(
                Validity.UNKNOWN, detail=f"the {self.source} has no entry on {paper}, as of {as_of} UTC"
            )
        if self.until == "none":
            return RegistryAnswer(
                Validity.EXPIRED, Reason("paper_missing", {"paper": paper, "source": self.source, "as_of": as_of})
            )
        until = self.until.isoformat()
        if at.date() <= self.until:
            return RegistryAnswer(Validity.VALID, detail=f"{paper}: valid until {until}")
        if self.as_of.astimezone(at.tzinfo).date() <= self.until:
            detail = (
                f"{paper}: valid until {until}, and may have been renewed after the registry's state of {as_of} UTC"
            )
            return RegistryAnswer(Validity.UNKNOWN, detail=detail)
        return RegistryAnswer(
            Validity.EXPIRED,
            Reason("paper_expired", {"paper": paper, "until": until, "source": self.source, "as_of": as_of}),
        )
