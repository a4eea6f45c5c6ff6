"""Who answers: the owner, whom a surely read plate of the country names. Everybody else is for an officer to find."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from engine.errors import ConfigError
from engine.types import Outcome, Plate, PlateSighting, Violation

log = structlog.get_logger()

STOLEN = "stolen"


def nobodys(text: str) -> bool:
    """The empty list."""
    return False


@dataclass(frozen=True, slots=True)
class Identification:
    """What identifies an owner without an officer."""

    country: str
    """Whose register knows the owners, ISO 3166-1 alpha-2."""
    least_confidence: float
    """Of the whole plate."""
    is_stolen: Callable[[str], bool] = nobodys
    """Is the plate reported stolen?"""

    def names(self, plate: Plate | None) -> bool:
        """Does the plate name an owner?"""
        return plate is not None and plate.confidence >= self.least_confidence and plate.country == self.country


def with_owner(
    violation: Violation, sighting: PlateSighting | None, rules: Identification, unread: str = "No plate could be read"
) -> Violation:
    """The violation with its plate: an officer's where that does not name an owner, marked where it was stolen.

    unread  why there is no plate, where there is none
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


def _obstacles(plate: Plate | None, rules: Identification, unread: str, *, stolen: bool) -> Iterator[str]:
    """Why the plate names no owner who answers, a sentence each."""
    if plate is None:
        yield f"{unread}: an officer has to identify the vehicle."
        return
    if plate.confidence < rules.least_confidence:
        yield (
            f"The plate was read with a confidence of {plate.confidence:.2f}, below {rules.least_confidence:g}: "
            "an officer has to identify the vehicle."
        )
    if plate.country != rules.country:
        yield f"The plate fits no form of {rules.country} alone: an officer has to identify the owner."
    if stolen:
        yield "The plate is reported stolen: its owner does not answer for what is done with it."


class StolenList:
    """The plates of a text file, one a line, `#` begins a comment; read anew when the file changes.

    A file that cannot be read when the engine starts is an error; later the plates known so far go on holding, and the
    log says so.
    """

    def __init__(self, path: Path) -> None:
        """Raises ConfigError."""
        self._path = path
        try:
            self._stamp, self._plates = _read(path)
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: {error}") from error

    def __call__(self, text: str) -> bool:
        """Is the plate in the list?"""
        self._renew()
        return text in self._plates

    def _renew(self) -> None:
        try:
            if self._path.stat().st_mtime_ns != self._stamp:
                self._stamp, self._plates = _read(self._path)
        except (OSError, UnicodeDecodeError) as error:
            log.error("the list of stolen plates cannot be read, the last one holds", error=str(error))


def _read(path: Path) -> tuple[int, frozenset[str]]:
    stamp = path.stat().st_mtime_ns
    lines = (line.partition("#")[0] for line in path.read_text("utf-8").splitlines())
    return stamp, frozenset("".join(line.split()).upper() for line in lines if line.strip())
