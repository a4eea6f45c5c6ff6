"""Liability: a surely read plate of the country identifies the owner; otherwise an officer has to find out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from engine.errors import ConfigError
from engine.types import Outcome, Plate, PlateSighting, Reason, Violation

log = structlog.get_logger()

STOLEN = "stolen"
UNREAD = Reason("plate_unread")


@dataclass(frozen=True, slots=True)
class Identification:
    """What a plate must fulfil to identify an owner without an officer."""

    country: str
    """The country that registers the owners, ISO 3166-1 alpha-2."""
    least_confidence: float
    """Of the whole plate."""
    is_stolen: Callable[[str], bool] = frozenset[str]().__contains__
    """True for a plate that is reported stolen; always False without a list."""

    def is_sure(self, plate: Plate) -> bool:
        """True if the plate was read with enough confidence."""
        return plate.confidence >= self.least_confidence

    def names_owner(self, plate: Plate) -> bool:
        """True if the plate identifies the owner without an officer."""
        return self.is_sure(plate) and plate.country == self.country


def with_owner(
    violation: Violation, sighting: PlateSighting | None, rules: Identification, unread: Reason = UNREAD
) -> Violation:
    """The violation with its plate: for an officer if the plate names no owner, marked if it is stolen.

    `unread` is the reason for a missing plate.
    """
    plate = sighting.plate if sighting else None
    stolen = plate is not None and rules.is_stolen(plate.text)
    obstacles = tuple(_obstacles(plate, rules, unread, stolen=stolen))
    return replace(
        violation,
        plate=sighting,
        marks=(STOLEN,) if stolen else (),
        outcome=Outcome.OFFICER if obstacles and violation.outcome.is_decided else violation.outcome,
        reasons=(*violation.reasons, *obstacles),
    )


def _obstacles(plate: Plate | None, rules: Identification, unread: Reason, *, stolen: bool) -> Iterator[Reason]:
    """Why the plate names no liable owner."""
    if plate is None:
        yield unread
        return
    if not rules.is_sure(plate):
        yield Reason("plate_doubtful", {"confidence": plate.confidence, "least": rules.least_confidence})
    if plate.country != rules.country:
        yield Reason("plate_country_uncertain", {"country": rules.country})
    if stolen:
        yield Reason("plate_stolen")


class StolenList:
    """The plates of a text file, one per line; `#` begins a comment. The file is read again when it changes.

    If it cannot be read later, the last list stays in use and an error is logged.
    """

    def __init__(self, path: Path) -> None:
        """Raises ConfigError if the file cannot be read."""
        self._path = path
        try:
            self._stamp, self._plates = _read(path)
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: {error}") from error

    def __call__(self, text: str) -> bool:
        """True if the plate is in the list."""
        self._renew()
        return text in self._plates

    def _renew(self) -> None:
        try:
            if self._path.stat().st_mtime_ns != self._stamp:
                self._stamp, self._plates = _read(self._path)
        except (OSError, UnicodeDecodeError) as error:
            log.error("the list of stolen plates cannot be read, the last one stays in use", error=str(error))


def _read(path: Path) -> tuple[int, frozenset[str]]:
    """Time of change (ns) and plates. Raises OSError, UnicodeDecodeError."""
    stamp = path.stat().st_mtime_ns
    lines = (line.partition("#")[0] for line in path.read_text("utf-8").splitlines())
    return stamp, frozenset("".join(line.split()).upper() for line in lines if line.strip())
