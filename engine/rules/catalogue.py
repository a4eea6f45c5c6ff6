"""The rule catalogue: which kinds of violation the law names, by which article, with which sanction, since when.

A catalogue is data (`catalogues/*.toml`), versioned and dated; what applies to an event is selected by the event's
time. Another country brings another file. Kinds that no rule judges yet may stand in it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from importlib import resources
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from engine.config import Name, Positive, Review, Strict, tomlfile
from engine.errors import ConfigError
from engine.site import Aware, ClassName

Outcome = Literal["fine", "warning", "officer"]
Fact = Literal["article", "part", "sanction"]
WITHDRAWN = "The licence may be withdrawn for this: an officer decides, never a machine."
CLASSIFIED = "A classifier decided what is to be seen: an officer reviews it."
REVIEWED = "This kind is reviewed by an officer before anything is issued."

MOTOR_VEHICLES: tuple[ClassName, ...] = ("car", "truck", "bus", "motorcycle")


def in_force(valid_from: dt.datetime | None, valid_to: dt.datetime | None, at_s: float) -> bool:
    """Does the span hold the instant (Unix seconds)? It begins with `valid_from` and ends just before `valid_to`."""
    began = valid_from is None or valid_from.timestamp() <= at_s
    return began and (valid_to is None or at_s < valid_to.timestamp())


class Unit(Strict, frozen=True):
    """What sanctions are counted in."""

    name: str
    title: str
    currency: str
    value_by_year: dict[int, Positive]


class UsualLimit(Strict, frozen=True):
    """A speed limit that the law sets where no sign does; for whoever writes a site file."""

    place: str
    classes: tuple[ClassName, ...]
    kmh: Positive
    valid_from: Aware | None = None


class Part(Strict, frozen=True):
    """One part of a kind's article: a tier of a measured excess, or a variant of the place."""

    article: str
    variant: str = ""
    """What a site's rule calls this part by; empty: the ordinary one."""
    over_at_least_kmh: Positive | None = None
    """A tier: holds from this excess on, the value itself included."""
    over_above_kmh: Positive | None = None
    """A tier: holds above this excess, the value itself excluded."""
    units: Positive | None = None
    """The fine in units; None where there is none, or none is known."""
    sanction: str = ""
    """The sanction in words where it is not, or not only, a fine."""
    repeat_units: Positive | None = None
    """The fine for a repetition within the catalogue's `repeat_within_days`; whether it is one, a register knows."""
    repeat_article: str = ""
    withdraws_licence: bool = False
    """The licence is withdrawn, or may be: an officer's matter, whatever the configuration says."""
    unverified: tuple[Fact, ...] = ()
    """What no published source confirmed."""

    def reached_by(self, over_kmh: float) -> bool:
        """Is the excess over the limit large enough for this tier?"""
        if self.over_above_kmh is not None:
            return over_kmh > self.over_above_kmh
        return self.over_at_least_kmh is not None and over_kmh >= self.over_at_least_kmh

    @property
    def begins_kmh(self) -> float | None:
        """Where the tier begins; None for a part that is no tier."""
        return self.over_at_least_kmh if self.over_above_kmh is None else self.over_above_kmh


class Kind(Strict, frozen=True):
    """One kind of violation."""

    kind: Name
    title: str
    outcome: Outcome
    """What is proposed where nothing speaks against it; `load_catalogue` makes it `officer` where one reviews."""
    proof: str
    parts: Annotated[tuple[Part, ...], Meta(min_length=1)]
    measured: bool = False
    """Rests on a measurement: never issued without a valid certificate and calibration."""
    classifier: bool = False
    """Rests on what a classifier says of a picture."""
    review: Review | None = None
    """Who decides; None: an officer where a classifier does, nobody else where not."""
    classes: Annotated[tuple[ClassName, ...], Meta(min_length=1)] = MOTOR_VEHICLES
    """Who can be accused of it; a site's rule may name others. Vehicles only: nobody on foot can be."""
    at_least_s: Positive | None = None
    """Of standing: a shorter halt is another kind."""
    at_most_s: Positive | None = None
    """Of standing: a longer halt is another kind."""
    valid_from: Aware | None = None
    valid_to: Aware | None = None

    def __post_init__(self) -> None:
        begins = [part.begins_kmh for part in self.parts]
        tiers = [value for value in begins if value is not None]
        if tiers and (len(tiers) < len(begins) or any(b <= a for a, b in pairwise(tiers))):
            raise ValueError(f"kind {self.kind}: tiers must rise from part to part, and all parts be tiers or none")
        if any(part.over_at_least_kmh is not None and part.over_above_kmh is not None for part in self.parts):
            raise ValueError(f"kind {self.kind}: a tier holds from a value on or above it, not both")
        if self.withdraws_licence and self.outcome != "officer":
            raise ValueError(f"kind {self.kind}: where the licence is withdrawn the outcome is an officer's")
        variants = [part.variant for part in self.parts]
        if not tiers and len(set(variants)) < len(variants):
            raise ValueError(f"kind {self.kind}: two parts of the same variant")

    @property
    def withdraws_licence(self) -> bool:
        return any(part.withdraws_licence for part in self.parts)

    @property
    def review_reason(self) -> str:
        """Why an officer reviews every case of this kind; empty where that is not so."""
        if self.withdraws_licence:
            return WITHDRAWN
        if self.review == "officer" or (self.classifier and self.review is None):
            return CLASSIFIED if self.classifier else REVIEWED
        return ""

    def reviewed(self, review: Review | None) -> Kind:
        """The kind as it is judged where `review` is configured. Raises ConfigError where that cannot be."""
        if review == "automatic" and self.outcome == "officer":
            raise ConfigError(f"{self.kind} cannot be automatic: all that the law leaves is an officer's decision")
        kind = msgspec.structs.replace(self, review=review or self.review)
        return msgspec.structs.replace(kind, outcome="officer") if kind.review_reason else kind

    def tier(self, over_kmh: float) -> Part | None:
        """The part for this excess over the limit; None where it is no offence."""
        reached = [part for part in self.parts if part.reached_by(over_kmh)]
        return reached[-1] if reached else None

    def part(self, variant: str = "") -> Part | None:
        """The part that a site's rule calls `variant`."""
        return next((part for part in self.parts if part.variant == variant), None)


class Owner(Strict, frozen=True):
    """Who answers for what a vehicle did when nobody saw the driver."""

    article: str
    says: dict[str, str]
    """By language: `ru`, `kk`, `en`."""


class Catalogue(Strict, frozen=True):
    """The whole file."""

    name: Name
    version: str
    country: str
    law: str
    valid_from: Aware
    unit: Unit
    kinds: tuple[Kind, ...]
    valid_to: Aware | None = None
    repeat_within_days: Annotated[int, Meta(ge=1)] = 365
    usual_limits: tuple[UsualLimit, ...] = ()
    owner: Owner | None = None

    def __post_init__(self) -> None:
        for place, first in enumerate(self.kinds):
            for second in self.kinds[place + 1 :]:
                if first.kind == second.kind and _overlap(first, second):
                    raise ValueError(f"kind {first.kind} stands there twice for the same time")

    def kind(self, name: str, at_s: float) -> Kind | None:
        """The kind as the law in force at `at_s` (Unix seconds) has it; None where it has none."""
        if not in_force(self.valid_from, self.valid_to, at_s):
            return None
        found = (kind for kind in self.kinds if kind.kind == name)
        return next((kind for kind in found if in_force(kind.valid_from, kind.valid_to, at_s)), None)

    def versions(self, name: str, valid_from: dt.datetime, valid_to: dt.datetime | None) -> tuple[Kind, ...]:
        """Every version of the kind that is in force at some time between the two."""
        if not _meet((self.valid_from, self.valid_to), (valid_from, valid_to)):
            return ()
        return tuple(
            kind
            for kind in self.kinds
            if kind.kind == name and _meet((kind.valid_from, kind.valid_to), (valid_from, valid_to))
        )


Span = tuple[dt.datetime | None, dt.datetime | None]


def _meet(first: Span, second: Span) -> bool:
    """Do two spans of time have an instant in common? None is open."""
    return _before(first[0], second[1]) and _before(second[0], first[1])


def _before(begin: dt.datetime | None, end: dt.datetime | None) -> bool:
    return begin is None or end is None or begin < end


def _overlap(first: Kind, second: Kind) -> bool:
    return _meet((first.valid_from, first.valid_to), (second.valid_from, second.valid_to))


def load_catalogue(name_or_path: str | Path, review: Mapping[str, Review] = MappingProxyType({})) -> Catalogue:
    """Read a shipped catalogue by name (`kz`), or a file by a path that ends in `.toml`; `review` by kind goes before
    what the catalogue says of who decides.

    Raises ConfigError that names the file and the place in it, or a kind whose review cannot be like that.
    """
    catalogue = _read(name_or_path)
    if unknown := review.keys() - {kind.kind for kind in catalogue.kinds}:
        raise ConfigError(f"review: {', '.join(sorted(unknown))}: not in catalogue {catalogue.version}")
    kinds = tuple(kind.reviewed(review.get(kind.kind)) for kind in catalogue.kinds)
    return msgspec.structs.replace(catalogue, kinds=kinds)


def _read(name_or_path: str | Path) -> Catalogue:
    if str(name_or_path).endswith(".toml"):
        return tomlfile.load(Path(name_or_path), Catalogue)
    shipped = resources.files("engine.rules") / "catalogues" / f"{name_or_path}.toml"
    if not shipped.is_file():
        raise ConfigError(f"catalogue {str(name_or_path)!r}: not shipped (there is {', '.join(shipped_catalogues())})")
    return tomlfile.parse(shipped.read_text("utf-8"), Catalogue, source=f"catalogue {name_or_path}")


def shipped_catalogues() -> list[str]:
    """Names of the catalogues that come with the program."""
    folder = resources.files("engine.rules") / "catalogues"
    return sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml"))


def accusable(kind: Kind, named: tuple[ClassName, ...]) -> frozenset[str]:
    """The classes that a rule may accuse: those it names, else those of its kind."""
    return frozenset(named or kind.classes)
