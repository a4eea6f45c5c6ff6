"""`average_speed`: applies the law to a measured drive."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from zoneinfo import ZoneInfo

from engine.errors import ConfigError
from engine.rules.catalogue import Catalogue, Kind, Part, accusable
from engine.rules.enforcement import SpeedLimits, account, measurement, most_lenient
from engine.rules.evaluator import unverified
from engine.section.crossing import Crossing
from engine.section.file import Section
from engine.section.speed import Measured, SectionSpeed
from engine.types import Clock, Measurement, Outcome, Reason, Violation

KIND = "average_speed"
MINUTE_S = 60


class Drive(NamedTuple):
    """A measured drive, from line to line."""

    section: Section
    entry: Crossing
    exit: Crossing

    @property
    def vehicle(self) -> str:
        """The class of the vehicle, as the law names it."""
        return self.exit.class_id.name.lower()


def require(sections: Iterable[Section], catalogue: Catalogue) -> None:
    """Raise ConfigError for a section whose kind is not in the catalogue while it is valid."""
    for section in sections:
        if not catalogue.versions(KIND, section.valid_from, section.valid_to):
            raise ConfigError(
                f"section {section.name}: {KIND} is not in catalogue {catalogue.version} while the section is valid"
            )


def violation(row: SectionSpeed, catalogue: Catalogue) -> Violation | None:
    """The offence that a drive proves; None if it proves no offence.

    It has the date, the camera and the track of the exit, where the offence is complete. The sightings of the entry are
    in the picture of the other camera, which the section names.
    """
    if row.finding is not Measured.MEASURED or row.entry is None or row.exit is None:
        return None
    drive = Drive(row.section, row.entry, row.exit)
    kind = catalogue.kind(KIND, drive.exit.captured_s)
    limit_kmh = limit_of(drive)
    if kind is None or limit_kmh is None or drive.vehicle not in accusable(kind, drive.section.classes):
        return None
    measured = measurement(
        speed_mps=row.speed_mps,
        sigma_mps=row.sigma_mps,
        limit_kmh=limit_kmh,
        tolerance_kmh=drive.section.tolerance_kmh,
        began_s=drive.entry.captured_s,
        ended_s=drive.exit.captured_s,
        length_m=drive.section.length_m,
    )
    part = kind.tier(measured.enforced_kmh - limit_kmh)
    return None if part is None else _violation(drive, kind, part, measured, catalogue.version)


def limit_of(drive: Drive) -> float | None:
    """The most lenient limit for the class during the drive, km/h; None if some part of it had no limit.

    Hours change on the minute, so one look at every minute of the drive finds every limit.
    """
    began_s, ended_s = drive.entry.captured_s, drive.exit.captured_s
    full_s = range(int(began_s // MINUTE_S + 1) * MINUTE_S, int(ended_s // MINUTE_S + 1) * MINUTE_S, MINUTE_S)
    limits = SpeedLimits(drive.section.limits, ZoneInfo(drive.section.timezone))
    return most_lenient([limits.in_force(at_s, drive.vehicle) for at_s in (began_s, *full_s, ended_s)])


def _violation(drive: Drive, kind: Kind, part: Part, measured: Measurement, catalogue_version: str) -> Violation:
    obstacles = tuple(_obstacles(drive))
    return Violation(
        kind=kind.kind,
        rule=drive.section.name,
        camera=drive.exit.camera,
        track=drive.exit.track,
        class_id=drive.exit.class_id,
        began_s=measured.began_s,
        ended_s=measured.ended_s,
        decisive_s=measured.ended_s,
        sightings=(*drive.entry.sightings, *drive.exit.sightings),
        instants={"entry": measured.began_s, "exit": measured.ended_s},
        measurement=measured,
        article=part.article,
        outcome=Outcome.INDICATION if obstacles else kind.outcome,
        reasons=(_driven(drive, measured), account(measured), *obstacles, *unverified(part)),
        clock=max(drive.entry.clock, drive.exit.clock),
        catalogue_version=catalogue_version,
    )


def _obstacles(drive: Drive) -> Iterable[Reason]:
    """Why a drive may be measured and yet not fined."""
    if not drive.section.straight_out_of_town:
        yield Reason("section_not_straight")
    if not drive.entry.clock == drive.exit.clock == Clock.SYNCHRONISED:
        yield Reason("section_clocks_not_synchronised")


def _driven(drive: Drive, measured: Measurement) -> Reason:
    begin, end = drive.section.entry, drive.section.exit
    return Reason(
        "section_driven",
        {
            "plate": drive.exit.plate,
            "entry": begin.camera,
            "entry_line": begin.line,
            "exit": end.camera,
            "exit_line": end.line,
            "length_m": measured.length_m,
            "lasted_s": measured.ended_s - measured.began_s,
        },
    )
