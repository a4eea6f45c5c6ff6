"""The rule catalogue: the kinds of violation that the law names, with article, sanction and dates.

A catalogue is data (`catalogues/*.toml`), versioned and dated; the time of an event selects what applies to it. Another
country has another file. A catalogue may hold kinds that no rule evaluates yet.
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
from engine.types import Outcome, Reason

Fact = Literal["article", "part", "sanction"]

MOTOR_VEHICLES: tuple[ClassName, ...] = ("car", "truck", "bus", "motorcycle")


Span = tuple[dt.datetime | None, dt.datetime | None]
"""From one date up to, but not including, another; None is an open end."""


def in_force(valid_from: dt.datetime | None, valid_to: dt.datetime | None, at_s: float) -> bool:
    """True if the span holds the instant (Unix seconds). It includes `valid_from` and excludes `valid_to`."""
    began = valid_from is None or valid_from.timestamp() <= at_s
    return began and (valid_to is None or at_s < valid_to.timestamp())


class Unit(Strict, frozen=True):
    """The unit of fines."""

    name: str
    title: str
    currency: str
    value_by_year: dict[int, Positive]


class UsualLimit(Strict, frozen=True):
    """A speed limit that the law sets without a sign; a help for writing site files."""

    place: str
    classes: tuple[ClassName, ...]
    kmh: Positive
    valid_from: Aware | None = None


class Part(Strict, frozen=True):
    """One part of a kind's article: a tier of a measured excess, or a variant of the place."""

    article: str
    variant: str = ""
    """The name by which a site's rule selects this part; empty: the ordinary part."""
    over_at_least_kmh: Positive | None = None
    """A tier: holds from this excess on, the value itself included."""
    over_above_kmh: Positive | None = None
    """A tier: holds above this excess, the value itself excluded."""
    units: Positive | None = None
    """The fine in units; None if there is no fine, or it is not known."""
    sanction: str = ""
    """The sanction in words, if it is not only a fine."""
    repeat_units: Positive | None = None
    """The fine for a repetition within the catalogue's `repeat_within_days`; the register decides whether it is one."""
    repeat_article: str = ""
    withdraws_licence: bool = False
    """The licence is or may be withdrawn: an officer decides, whatever the configuration says."""
    unverified: tuple[Fact, ...] = ()
    """Facts that no published source confirmed."""

    def reached_by(self, over_kmh: float) -> bool:
        """True if the excess over the limit is large enough for this tier."""
        if self.over_above_kmh is not None:
            return over_kmh > self.over_above_kmh
        return self.over_at_least_kmh is not None and over_kmh >= self.over_at_least_kmh

    @property
    def begins_kmh(self) -> float | None:
        """Excess at which the tier begins; None for a part that is no tier."""
        return self.over_at_least_kmh if self.over_above_kmh is None else self.over_above_kmh


class Kind(Strict, frozen=True):
    """One kind of violation."""

    kind: Name
    title: str
    outcome: Outcome
    """The ordinary proposal; `load_catalogue` sets it to `officer` if an officer reviews the kind."""
    proof: str
    parts: Annotated[tuple[Part, ...], Meta(min_length=1)]
    measured: bool = False
    """Based on a measurement: no fine without a valid certificate and calibration."""
    classifier: bool = False
    """Based on a classifier's result for a picture."""
    review: Review | None = None
    """None: an officer decides if `classifier`; otherwise no review is needed."""
    classes: Annotated[tuple[ClassName, ...], Meta(min_length=1)] = MOTOR_VEHICLES
    """Classes that the kind applies to; a site's rule may name others. Never pedestrians."""
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
            raise ValueError(
                f"kind {self.kind}: tiers must rise from part to part, and either all parts or no part is a tier"
            )
        if any(part.over_at_least_kmh is not None and part.over_above_kmh is not None for part in self.parts):
            raise ValueError(f"kind {self.kind}: a tier holds from a value on or above it, not both")
        if self.outcome is Outcome.INDICATION:
            raise ValueError(f"kind {self.kind}: an indication is not an outcome of the law")
        if self.withdraws_licence and self.outcome is not Outcome.OFFICER:
            raise ValueError(f"kind {self.kind}: where the licence is withdrawn the outcome is an officer's")
        variants = [part.variant for part in self.parts]
        if not tiers and len(set(variants)) < len(variants):
            raise ValueError(f"kind {self.kind}: two parts of the same variant")

    @property
    def span(self) -> Span:
        """The dates between which this version is in force."""
        return self.valid_from, self.valid_to

    @property
    def withdraws_licence(self) -> bool:
        """True if any part withdraws the licence."""
        return any(part.withdraws_licence for part in self.parts)

    @property
    def review_reason(self) -> Reason | None:
        """Why an officer reviews every case of this kind; None if no officer does."""
        if self.withdraws_licence:
            return Reason("licence_may_be_withdrawn")
        if self.review == "officer" or (self.classifier and self.review is None):
            return Reason("classifier_decided") if self.classifier else Reason("kind_is_reviewed")
        return None

    def reviewed(self, review: Review | None) -> Kind:
        """The kind with a configured `review`. Raises ConfigError if the law does not allow it."""
        if review == "automatic" and self.outcome is Outcome.OFFICER:
            raise ConfigError(f"{self.kind} cannot be automatic: all that the law leaves is an officer's decision")
        kind = msgspec.structs.replace(self, review=review or self.review)
        return msgspec.structs.replace(kind, outcome=Outcome.OFFICER) if kind.review_reason else kind

    def tier(self, over_kmh: float) -> Part | None:
        """The part for this excess over the limit; None if it is no offence."""
        reached = [part for part in self.parts if part.reached_by(over_kmh)]
        return reached[-1] if reached else None

    def part(self, variant: str = "") -> Part | None:
        """The part that a site's rule selects by `variant`; None if there is no such part."""
        return next((part for part in self.parts if part.variant == variant), None)


class Owner(Strict, frozen=True):
    """The law on the owner's liability if the driver is unknown."""

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
                if first.kind == second.kind and overlap(first.span, second.span):
                    raise ValueError(f"kind {first.kind} stands there twice for the same time")

    def kind(self, name: str, at_s: float) -> Kind | None:
        """The kind in force at `at_s` (Unix seconds); None if it is not in force."""
        if not in_force(self.valid_from, self.valid_to, at_s):
            return None
        found = (kind for kind in self.kinds if kind.kind == name)
        return next((kind for kind in found if in_force(kind.valid_from, kind.valid_to, at_s)), None)

    def versions(self, name: str, valid_from: dt.datetime, valid_to: dt.datetime | None) -> tuple[Kind, ...]:
        """Every version of the kind that is in force at some time between the two."""
        asked = (valid_from, valid_to)
        if not overlap((self.valid_from, self.valid_to), asked):
            return ()
        return tuple(kind for kind in self.kinds if kind.kind == name and overlap(kind.span, asked))


def overlap(first: Span, second: Span) -> bool:
    """True if two spans of time have an instant in common."""
    return _before(first[0], second[1]) and _before(second[0], first[1])


def _before(begin: dt.datetime | None, end: dt.datetime | None) -> bool:
    return begin is None or end is None or begin < end


def load_catalogue(name_or_path: str | Path, review: Mapping[str, Review] = MappingProxyType({})) -> Catalogue:
    """Read a shipped catalogue by name (`kz`), or a file by a path that ends in `.toml`.

    review   by kind; overrides the catalogue's `review`

    Raises ConfigError with the file and the place in it, or with a kind that does not allow its review.
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
    """Names of the catalogues in the package."""
    folder = resources.files("engine.rules") / "catalogues"
    return sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml"))


def accusable(kind: Kind, named: tuple[ClassName, ...]) -> frozenset[str]:
    """The classes that a rule applies to: those that it names, else those of its kind."""
    return frozenset(named or kind.classes)
