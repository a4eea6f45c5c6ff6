"""What every kind of violation has in common: how a rule watches a vehicle, and what it says when it finds an offence.

A kind is a file of its own with a judge (one rule of one site, made ready once) that gives every vehicle a watch (the
little that must be remembered of that vehicle for that rule). A watch is born and dies with its vehicle's trail. It
reads the trail, the scene (the other vehicles, the site, the law) and the answers of the kernels; it changes nothing
but itself and the scene's memory of who stands where.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from zoneinfo import ZoneInfo

import numpy as np

from engine.errors import ConfigError
from engine.rules.catalogue import Catalogue, Kind, Part, accusable
from engine.rules.hours import Hours, local_minute, parse_hours
from engine.rules.pedestrians import Pedestrians
from engine.rules.places import OccupiedPlaces
from engine.rules.relinking import LONGEST_GAP_S
from engine.rules.track_history import Rows, TrackHistory
from engine.site import Calibration, Rule, Site
from engine.types import Flags, Floats, Measurement, Phase, Sighting

UNVERIFIED = "Not confirmed by any published source: the {facts} of {article}."


@dataclass(frozen=True, slots=True)
class Offence:
    """What a watch found."""

    kind: Kind
    part: Part
    began_s: float
    ended_s: float
    decisive_s: float
    instants: Mapping[str, float]
    outcome: str
    reasons: tuple[str, ...]
    measurement: Measurement | None = None
    earlier: tuple[Sighting, ...] = ()
    """Sightings of the same vehicle from before its track was lost and found again."""
    confirm: str = ""
    """What a second look has to confirm it by; empty: nothing, it is proved."""


class TrackState(Protocol):
    """One rule's eye on one vehicle."""

    def look(self, trail: TrackHistory, fresh: Rows) -> Offence | None:
        """The vehicle was seen again: `fresh` are the new sightings whose times can be trusted; may be empty."""

    def end(self, trail: TrackHistory) -> Offence | None:
        """Nothing more will be seen of the vehicle."""


class RuleEvaluator(Protocol):
    """One rule of one site."""

    @property
    def rule(self) -> Rule: ...

    def watch(self) -> TrackState:
        """A watch for a vehicle that has just appeared."""


class Phases(Protocol):
    """What signals showed: `engine.signals.SignalBook`."""

    def at(self, camera: int, signal: str, at_s: float) -> Phase:
        """What the signal surely showed at an instant; UNKNOWN where nobody can tell."""

    def since_s(
        self, camera: int, signals: Sequence[str], phases: Collection[Phase], began_s: float, ended_s: float
    ) -> float | None:
        """Since when one of the phases has surely been shown without a break up to `ended_s`; None unless it was from
        `began_s` on."""


class NoSignals:
    """Nobody knows anything of any signal."""

    def at(self, camera: int, signal: str, at_s: float) -> Phase:
        return Phase.UNKNOWN

    def since_s(
        self, camera: int, signals: Sequence[str], phases: Collection[Phase], began_s: float, ended_s: float
    ) -> float | None:
        return None


@dataclass(slots=True)
class CameraContext:
    """One camera: its site, the law, and the vehicles that are in the picture now."""

    camera: int
    site: Site
    catalogue: Catalogue
    signals: Phases = field(default_factory=NoSignals)
    zone: ZoneInfo = field(init=False)
    columns: dict[str, int] = field(init=False)
    """Zone name to its column of `inside`."""
    trails: dict[int, TrackHistory] = field(init=False, default_factory=dict)
    departed: list[TrackHistory] = field(init=False, default_factory=list)
    """Of the vehicles that were in the picture a moment ago."""
    places: OccupiedPlaces = field(init=False, default_factory=OccupiedPlaces)
    crowd: Pedestrians = field(init=False, default_factory=Pedestrians)

    def __post_init__(self) -> None:
        self.zone = ZoneInfo(self.site.place.timezone)
        self.columns = {zone.name: column for column, zone in enumerate(self.site.zones)}

    def forget(self, now_s: float) -> None:
        """Drop what is too old to be of use."""
        self.departed = [t for t in self.departed if now_s - t.rows["captured_s"][-1] <= LONGEST_GAP_S]
        self.places.forget(now_s)
        self.crowd.forget(now_s)

    def inside(self, rows: Rows, zone: str) -> Flags:
        """(P,) whether the foot point is in the zone."""
        return np.asarray(rows["inside"][:, self.columns[zone]])

    def hold(self, hours: Hours, *instants_s: float) -> bool:
        """Do the hours hold at all the instants, by the clock of the place?"""
        return all(hours.hold(local_minute(at_s, self.zone)) for at_s in instants_s)


@dataclass(frozen=True, slots=True)
class RuleContext:
    """A rule of a site together with what the catalogue says of its kind."""

    scene: CameraContext
    rule: Rule
    name: str
    """Of the kind."""
    hours: Hours

    @classmethod
    def of(cls, scene: CameraContext, rule: Rule) -> RuleContext:
        return cls(scene, rule, kind_name(rule), parse_hours(rule.hours))

    def kind(self, at_s: float) -> Kind | None:
        """The kind as it is in force at the instant, if it is."""
        return self.scene.catalogue.kind(self.name, at_s)

    def accuses(self, trail: TrackHistory, kind: Kind) -> bool:
        """Is the vehicle, whatever it may plausibly be, one that the rule is about?"""
        return trail.plausible <= accusable(kind, self.rule.classes)

    def charge(self, trail: TrackHistory, began_s: float, ended_s: float) -> Breach | None:
        """What a vehicle may be accused of for what it did between two instants; None where class, hours or law
        do not let it be.
        """
        kind = self.kind(ended_s)
        part = kind.part(self.rule.variant) if kind else None
        if kind is None or part is None or self.name in trail.told or not self.accuses(trail, kind):
            return None
        return Breach(kind, part, began_s, ended_s) if self.scene.hold(self.hours, began_s, ended_s) else None


@dataclass(frozen=True, slots=True)
class Breach:
    """A part of the law that was broken between two instants."""

    kind: Kind
    part: Part
    began_s: float
    ended_s: float

    def offence(
        self, decisive_s: float, instants: Mapping[str, float], *reasons: str, outcome: str | None = None
    ) -> Offence:
        """The offence, for the catalogue's outcome unless another one is given."""
        return Offence(
            kind=self.kind,
            part=self.part,
            began_s=self.began_s,
            ended_s=self.ended_s,
            decisive_s=decisive_s,
            instants=instants,
            outcome=outcome or self.kind.outcome,
            reasons=(*reasons, *doubts(self.part)),
        )


def require_calibration(scene: CameraContext, rule: Rule) -> Calibration:
    """The site's calibration, for a rule that measures on the road. Raises ConfigError where there is none."""
    if scene.site.calibration is None:
        raise ConfigError(f"site {scene.site.name}: rule {rule.name} ({kind_name(rule)}) needs a calibration")
    return scene.site.calibration


def image_to_ground(scene: CameraContext, rule: Rule) -> Floats:
    """(3, 3) f8: the site's homography, any scale and sign. Raises ConfigError where there is none."""
    return np.array(require_calibration(scene, rule).image_to_ground, np.float64)


def kind_name(rule: Rule) -> str:
    """The catalogue's key of the rule's kind."""
    return str(type(rule).__struct_config__.tag)


def doubts(part: Part) -> tuple[str, ...]:
    """What must be said of a part of the law that is not fully verified."""
    if not part.unverified:
        return ()
    return (UNVERIFIED.format(facts=" and ".join(part.unverified), article=part.article or "this kind"),)
