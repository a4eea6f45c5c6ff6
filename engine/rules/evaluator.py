"""What all kinds of violation share: how a rule follows a vehicle, and what it returns when it finds an offence.

A kind has an evaluator (one rule of one site, made ready once) that gives every track a state (what the rule must
remember of that track). A state lives as long as its track. It reads the track's history, the context (the site, the
law, the other vehicles of the camera) and what the kernels compute; it changes only itself and the context's places.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Generic, Protocol, TypeVar
from zoneinfo import ZoneInfo

import numpy as np

from engine.errors import ConfigError
from engine.rules.catalogue import Catalogue, Kind, Part, accusable
from engine.rules.hours import Hours, local_minute, parse_hours
from engine.rules.pedestrians import Pedestrians
from engine.rules.places import OccupiedPlaces
from engine.rules.relinking import LONGEST_GAP_S
from engine.rules.track_history import Rows, TrackHistory
from engine.site import Calibration, Line, Rule, Site
from engine.types import Flags, Floats, Measurement, Outcome, Phase, Reason, RuleFinding, Sighting, Violation

R = TypeVar("R", bound=Rule)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offence:
    """What a rule found of one vehicle."""

    kind: Kind
    part: Part
    began_s: float
    ended_s: float
    decisive_s: float
    instants: Mapping[str, float]
    outcome: Outcome
    reasons: tuple[Reason, ...]
    measurement: Measurement | None = None
    earlier: tuple[Sighting, ...] = ()
    """Sightings of the same vehicle under an earlier track."""


class TrackState(Protocol):
    """What one rule remembers of one track."""

    def update(self, history: TrackHistory, fresh: Rows) -> Offence | None:
        """The track has new sightings; `fresh` are those of them whose times can be trusted, possibly empty."""

    def end(self, history: TrackHistory) -> Offence | None:
        """The track has ended."""


class RuleEvaluator(ABC, Generic[R]):
    """One rule of one site. Raises ConfigError for a rule that can never be evaluated on this site."""

    needs_certificate: ClassVar[bool] = False
    """True if the kind gives indications only while the site has no valid verification certificate."""

    def __init__(self, context: CameraContext, rule: R) -> None:
        self.context = context
        self.rule = rule
        self.kind_name = kind_name(rule)
        self.hours = parse_hours(rule.hours)

    @abstractmethod
    def new_state(self) -> TrackState:
        """The state of a track that has just begun."""

    def kind(self, at_s: float) -> Kind | None:
        """The catalogue's entry of the kind in force at the instant; None if it has no such entry."""
        return self.context.catalogue.kind(self.kind_name, at_s)

    def versions(self) -> tuple[Kind, ...]:
        """Every version of the kind that is in force while the site is valid."""
        return self.context.catalogue.versions(self.kind_name, self.context.site.valid_from, self.context.site.valid_to)

    def applies_to(self, history: TrackHistory, kind: Kind) -> bool:
        """True if the rule applies to every class that the vehicle may have."""
        return history.plausible <= accusable(kind, self.rule.classes)

    def breach(self, history: TrackHistory, began_s: float, ended_s: float) -> Breach | None:
        """The part of the law that the vehicle broke between two instants.

        None if the class, the hours or the dates of the law exclude it, or if the kind was reported already.
        """
        kind = self.kind(ended_s)
        part = kind.part(self.rule.variant) if kind else None
        if kind is None or part is None or self.kind_name in history.reported or not self.applies_to(history, kind):
            return None
        return Breach(kind, part, began_s, ended_s) if self.context.in_hours(self.hours, began_s, ended_s) else None

    def as_finding(self, violation: Violation) -> RuleFinding:
        """An offence of this rule as the rulebook returns it: a violation, unless more is needed to prove it."""
        return violation

    def doubts(self) -> Iterable[str]:
        """What is doubtful about the rule on this site, one sentence each (`qyran check`)."""
        return ()


class StatelessEvaluator(RuleEvaluator[R]):
    """A rule that needs only the history of a track: the evaluator itself is the state of every track."""

    def new_state(self) -> TrackState:
        return self

    @abstractmethod
    def update(self, history: TrackHistory, fresh: Rows) -> Offence | None:
        """See `TrackState`."""

    def end(self, history: TrackHistory) -> Offence | None:
        """Nothing is left to find: `update` has seen the last sightings."""
        return None


@dataclass(frozen=True, slots=True)
class RuleKind(Generic[R]):
    """A kind of violation: the struct of its rules in a site file, and its evaluator."""

    rule: type[R]
    evaluator: Callable[[CameraContext, R], RuleEvaluator[R]]


class Phases(Protocol):
    """What signals showed: `engine.signals.SignalBook`."""

    def at(self, camera: int, signal: str, at_s: float) -> Phase:
        """The phase that the signal showed at an instant; UNKNOWN if it is not certain."""

    def since_s(
        self, camera: int, signals: Sequence[str], phases: Collection[Phase], began_s: float, ended_s: float
    ) -> float | None:
        """Since when one of the phases was certainly shown without a break up to `ended_s`; None unless it was shown
        from `began_s` on."""


class NoSignals:
    """No phase of any signal is known."""

    def at(self, camera: int, signal: str, at_s: float) -> Phase:
        return Phase.UNKNOWN

    def since_s(
        self, camera: int, signals: Sequence[str], phases: Collection[Phase], began_s: float, ended_s: float
    ) -> float | None:
        return None


@dataclass(slots=True)
class CameraContext:
    """One camera: its site, the law, and the vehicles and pedestrians in its picture."""

    camera: int
    site: Site
    catalogue: Catalogue
    signals: Phases = field(default_factory=NoSignals)
    timezone: ZoneInfo = field(init=False)
    columns: dict[str, int] = field(init=False)
    """Column of `inside` by the zone's name."""
    histories: dict[int, TrackHistory] = field(init=False, default_factory=dict)
    """Of the vehicles in the picture, by track."""
    departed: list[TrackHistory] = field(init=False, default_factory=list)
    """Of the tracks that ended a moment ago."""
    places: OccupiedPlaces = field(init=False, default_factory=OccupiedPlaces)
    pedestrians: Pedestrians = field(init=False, default_factory=Pedestrians)

    def __post_init__(self) -> None:
        self.timezone = ZoneInfo(self.site.place.timezone)
        self.columns = {zone.name: column for column, zone in enumerate(self.site.zones)}

    def forget(self, now_s: float) -> None:
        """Drop what is too old to be of use."""
        self.departed = [h for h in self.departed if now_s - h.rows["captured_s"][-1] <= LONGEST_GAP_S]
        self.places.forget(now_s)
        self.pedestrians.forget(now_s)

    def others(self, history: TrackHistory) -> Iterator[TrackHistory]:
        """The other vehicles in the picture, and those with a track that ended a moment ago."""
        return (other for other in (*self.histories.values(), *self.departed) if other.track != history.track)

    def inside(self, rows: Rows, zone: str) -> Flags:
        """(P,) bool: the foot point is in the zone."""
        return np.asarray(rows["inside"][:, self.columns[zone]])

    def line(self, name: str) -> Line:
        """The site's line of that name."""
        return next(line for line in self.site.lines if line.name == name)

    def in_hours(self, hours: Hours, *instants_s: float) -> bool:
        """True if all instants lie within the hours, by the local clock of the site."""
        return all(hours.hold(local_minute(at_s, self.timezone)) for at_s in instants_s)


@dataclass(frozen=True, slots=True)
class Breach:
    """A part of the law that was broken between two instants."""

    kind: Kind
    part: Part
    began_s: float
    ended_s: float

    def offence(
        self,
        decisive_s: float,
        instants: Mapping[str, float],
        *reasons: Reason,
        outcome: Outcome | None = None,
        measurement: Measurement | None = None,
        earlier: tuple[Sighting, ...] = (),
    ) -> Offence:
        """The offence, with the catalogue's outcome unless another one is given."""
        return Offence(
            kind=self.kind,
            part=self.part,
            began_s=self.began_s,
            ended_s=self.ended_s,
            decisive_s=decisive_s,
            instants=instants,
            outcome=outcome or self.kind.outcome,
            reasons=(*reasons, *unverified(self.part)),
            measurement=measurement,
            earlier=earlier,
        )


def require_calibration(context: CameraContext, rule: Rule) -> Calibration:
    """The site's calibration, for a rule that measures on the road. Raises ConfigError without one."""
    if context.site.calibration is None:
        raise ConfigError(f"site {context.site.name}: rule {rule.name} ({kind_name(rule)}) needs a calibration")
    return context.site.calibration


def image_to_ground(context: CameraContext, rule: Rule) -> Floats:
    """(3, 3) f8: the site's homography, any scale and sign. Raises ConfigError without a calibration."""
    return np.array(require_calibration(context, rule).image_to_ground, np.float64)


def kind_name(rule: Rule) -> str:
    """The catalogue's name of the rule's kind."""
    return str(type(rule).__struct_config__.tag)


def unverified(part: Part) -> tuple[Reason, ...]:
    """The reason that a case must state if its part of the law is not fully verified; else empty."""
    if not part.unverified:
        return ()
    if not part.article:
        return (Reason("law_unverified_for_kind", {"facts": part.unverified}),)
    return (Reason("law_unverified", {"facts": part.unverified, "article": part.article}),)
