"""The rules of a site file that a second look decides: the rulebook only says that a vehicle was seen well.

What they name (a registry, a classifier) is in the engine's configuration; a rule whose means are not there is refused
when the engine starts.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from engine.config import Positive
from engine.site.rules import Rule

Means = Literal["registry", "classifier", "section"]


class LookRule(Rule, frozen=True, kw_only=True):
    """Vehicles are looked at, each once, as often as the rule's budget allows."""

    a_minute: Annotated[float, Meta(gt=0, le=600)] = 12.0
    """Vehicles that are looked at, in the mean; what comes beyond is counted and not looked at."""

    @property
    def means(self) -> Means:
        """What decides."""
        raise NotImplementedError


class BestSightingRule(LookRule, frozen=True, kw_only=True):
    """Every vehicle that is seen well in the zone, where it is seen best."""

    at_least_px: Positive = 140.0
    """Width of a vehicle's box that is seen well."""


class RegistryRule(BestSightingRule, frozen=True, kw_only=True):
    """By the plate and a registry's answer."""

    @property
    def means(self) -> Means:
        return "registry"


class NoInspectionRule(RegistryRule, frozen=True, kw_only=True, tag="no_inspection"):
    """The technical inspection has expired."""


class NoInsuranceRule(RegistryRule, frozen=True, kw_only=True, tag="no_insurance"):
    """There is no valid insurance."""


class PermitExpiredRule(RegistryRule, frozen=True, kw_only=True, tag="permit_expired"):
    """The permit has expired."""


class ClassifierRule(BestSightingRule, frozen=True, kw_only=True):
    """By the operator's own classifier on the vehicle, in several frames."""

    @property
    def means(self) -> Means:
        return "classifier"


class PhoneUseRule(ClassifierRule, frozen=True, kw_only=True, tag="phone_use"):
    """The driver holds a telephone."""


class SeatbeltRule(ClassifierRule, frozen=True, kw_only=True, tag="seatbelt"):
    """The driver wears no belt."""


class LightsOffRule(ClassifierRule, frozen=True, kw_only=True, tag="lights_off"):
    """The lights are off where they have to be on."""


class PlateMissingRule(ClassifierRule, frozen=True, kw_only=True, tag="plate_missing"):
    """There is no plate, or none that could be read."""


class SectionEndRule(LookRule, frozen=True, kw_only=True, tag="average_speed"):
    """Who crosses the line forward enters or leaves a section: its plate is read, and the other end has the rest."""

    line: str
    a_minute: Annotated[float, Meta(gt=0, le=600)] = 30.0

    @property
    def means(self) -> Means:
        return "section"

    @property
    def lines(self) -> tuple[str, ...]:
        return (self.line,)


AnyLookRule = (
    SectionEndRule
    | NoInspectionRule
    | NoInsuranceRule
    | PermitExpiredRule
    | PhoneUseRule
    | SeatbeltRule
    | LightsOffRule
    | PlateMissingRule
)
