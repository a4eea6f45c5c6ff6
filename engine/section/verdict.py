"""`average_speed`: what the law says of a measured drive."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from zoneinfo import ZoneInfo

from engine.errors import ConfigError
from engine.rules.catalogue import Catalogue, Kind, Part, accusable
from engine.rules.evaluator import doubts
from engine.rules.hours import local_minute, parse_hours
from engine.rules.kinds.speeding import COVERAGE, enforced_kmh
from engine.section.crossing import Crossing
from engine.section.file import Section
from engine.section.speed import Measured, SectionSpeed
from engine.types import KMH, Clock, Measurement, Violation

KIND = "average_speed"
MINUTE_S = 60


class Drive(NamedTuple):
    """A measured drive, from line to line."""

    section: Section
    entry: Crossing
    exit: Crossing


def require(sections: Iterable[Section], catalogue: Catalogue) -> None:
    """Raise ConfigError for a section that the law knows nothing of while it is valid."""
    for section in sections:
        if not catalogue.versions(KIND, section.valid_from, section.valid_to):
            raise ConfigError(
                f"section {section.name}: {KIND} is not in catalogue {catalogue.version} while the section is valid"
            )


def violation(row: SectionSpeed, catalogue: Catalogue) -> Violation | None:
    """The offence that a drive proves; None where it proves none.

    Dated to the exit, and of the exit's camera and track: there the offence is complete. The sightings of the entry are
    of the other camera's picture, named by the section.
    """
    if row.finding is not Measured.MEASURED or row.entry is None or row.exit is None:
        return None
    drive = Drive(row.section, row.entry, row.exit)
    kind = catalogue.kind(KIND, drive.exit.captured_s)
    limit_kmh = most_lenient(drive)
    if kind is None or limit_kmh is None or not _accuses(drive, kind):
        return None
    held = _measurement(row, drive, limit_kmh)
    part = kind.tier(held.enforced_kmh - limit_kmh)
    return None if part is None else _violation(drive, kind, part, held, catalogue.version)


def most_lenient(drive: Drive) -> float | None:
    """The highest limit, km/h, that the class had at any time of the drive; None where it had none for a while.

    Hours change on the minute, so a look at every minute that the drive has touched sees every limit.
    """
    began_s, ended_s = drive.entry.captured_s, drive.exit.captured_s
    full_s = range(int(began_s // MINUTE_S + 1) * MINUTE_S, int(ended_s // MINUTE_S + 1) * MINUTE_S, MINUTE_S)
    limits = [_in_force(drive, at_s) for at_s in (began_s, *full_s, ended_s)]
    known = [limit for limit in limits if limit is not None]
    return max(known) if len(known) == len(limits) else None


def _in_force(drive: Drive, at_s: float) -> float | None:
    """The first limit that fits class and hour, km/h."""
    minute, vehicle = local_minute(at_s, ZoneInfo(drive.section.timezone)), drive.exit.class_id.name.lower()
    fitting = (
        limit.kmh
        for limit in drive.section.limits
        if (not limit.classes or vehicle in limit.classes) and parse_hours(limit.hours).hold(minute)
    )
    return next(fitting, None)


def _accuses(drive: Drive, kind: Kind) -> bool:
    return drive.exit.class_id.name.lower() in accusable(kind, drive.section.classes)


def _measurement(row: SectionSpeed, drive: Drive, limit_kmh: float) -> Measurement:
    tolerance_kmh = drive.section.tolerance_kmh
    return Measurement(
        speed_mps=row.speed_mps,
        sigma_mps=row.sigma_mps,
        limit_kmh=limit_kmh,
        tolerance_kmh=tolerance_kmh,
        enforced_kmh=enforced_kmh(row.speed_mps, row.sigma_mps, tolerance_kmh),
        began_s=drive.entry.captured_s,
        ended_s=drive.exit.captured_s,
        length_m=drive.section.length_m,
    )


def _violation(drive: Drive, kind: Kind, part: Part, held: Measurement, catalogue_version: str) -> Violation:
    obstacles = tuple(_obstacles(drive))
    return Violation(
        kind=kind.kind,
        rule=drive.section.name,
        camera=drive.exit.camera,
        track=drive.exit.track,
        class_id=drive.exit.class_id,
        began_s=held.began_s,
        ended_s=held.ended_s,
        decisive_s=held.ended_s,
        sightings=(*drive.entry.sightings, *drive.exit.sightings),
        instants={"entry": held.began_s, "exit": held.ended_s},
        measurement=held,
        article=part.article,
        outcome="indication" if obstacles else kind.outcome,
        reasons=(_account(drive, held), *obstacles, *doubts(part)),
        clock=max(drive.entry.clock, drive.exit.clock),
        catalogue_version=catalogue_version,
    )


def _obstacles(drive: Drive) -> Iterable[str]:
    """Why a drive may be measured and yet not fined."""
    if not drive.section.straight_out_of_town:
        yield "Indication only: the section is not a straight one out of town."
    if not drive.entry.clock == drive.exit.clock == Clock.SYNCHRONISED:
        yield "Indication only: the clocks of entry and exit were not both synchronised."


def _account(drive: Drive, held: Measurement) -> str:
    begin, end, lasting_s = drive.section.entry, drive.section.exit, held.ended_s - held.began_s
    return (
        f"Plate {drive.exit.plate} from {begin.camera} ({begin.line}) to {end.camera} ({end.line}): "
        f"{held.length_m:g} m in {lasting_s:.2f} s. "
        f"Enforced {held.enforced_kmh} km/h = {held.speed_mps * KMH:.1f} measured - {held.tolerance_kmh:g} tolerance "
        f"- {COVERAGE:g} x {held.sigma_mps * KMH:.2f} standard uncertainty, rounded down; "
        f"limit {held.limit_kmh:g} km/h."
    )
