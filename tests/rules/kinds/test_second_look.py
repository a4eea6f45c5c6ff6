"""Kinds that a second look decides: which vehicles are suspected, and in which sighting."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import msgspec
import pytest

from engine.config import ClassifierConfig
from engine.identify.papers.paper import PAPERS
from engine.rules.kinds import rule_kinds
from engine.rules.kinds.seatbelt import SeatbeltRule
from engine.rules.second_look import BestSightingRule
from engine.site import Rule
from engine.types import Findings, Outcome, VehicleClass
from tests.support.road import Vehicle, found, site
from tests.support.twins import COMES, Twins, single
from tests.support.world import Sees

LOOKS = {name: kind.rule for name, kind in rule_kinds().items() if issubclass(kind.rule, BestSightingRule)}
BY_REGISTRY = (
    ("no_inspection", "expired", "the inspection is valid until tomorrow", Outcome.FINE),
    ("no_insurance", "none", "the registry does not know whether there is one", Outcome.FINE),
    ("permit_expired", "expired", "the permit is valid today", Outcome.OFFICER),
)
PAPERS_OF = {
    "no_inspection": ("2026-05-01,2027-01-01,2027-01-01", "2026-06-02,2027-01-01,2027-01-01"),
    "no_insurance": ("2027-01-01,none,2027-01-01", "2027-01-01,,2027-01-01"),
    "permit_expired": ("2027-01-01,2027-01-01,2026-05-31", "2027-01-01,2027-01-01,2026-06-01"),
}
"""In the registry: of the guilty, and of the innocent."""


def findings(rule: Rule, **facts: Any) -> list[Findings]:
    vehicle = Vehicle(track=1, path=COMES, end_s=4.5, **facts)
    return [one for one in found(site(rule), vehicle, lasts_s=8.0) if one.found]


@pytest.mark.parametrize("kind", LOOKS)
def test_a_vehicle_that_is_seen_well_is_suspected_once_and_a_small_one_is_not(kind: str) -> None:
    near = LOOKS[kind](name="look", zone="road", at_least_px=60.0)
    ((suspicion,),) = [one.suspicions for one in findings(near)]
    assert suspicion.violation.kind == kind
    assert [one.violations + one.crossings for one in findings(near)] == [[]]
    assert findings(LOOKS[kind](name="look", zone="far", at_least_px=600.0)) == []


def test_the_configuration_offers_what_decides_each_kind() -> None:
    registry = {name for name, rule in LOOKS.items() if rule.means == "registry"}
    classifier = {name for name, rule in LOOKS.items() if rule.means == "classifier"}
    assert registry == PAPERS.keys()
    assert classifier == LOOKS.keys() - registry == set(get_args(get_type_hints(ClassifierConfig)["kind"]))


def test_the_sighting_is_the_largest_uncut_one_in_the_zone() -> None:
    ((suspicion,),) = [one.suspicions for one in findings(SeatbeltRule(name="belt", zone="road", at_least_px=60.0))]
    suspected = suspicion.violation
    best = next(one for one in suspected.sightings if one.captured_s == suspected.decisive_s)
    whole = [one for one in suspected.sightings if one.xyxy_px[3] < 718 and one.captured_s <= suspected.decisive_s]
    assert best.xyxy_px == max(whole, key=lambda one: one.xyxy_px[2] - one.xyxy_px[0]).xyxy_px


@pytest.mark.parametrize("class_id", [VehicleClass.BICYCLE, VehicleClass.PERSON])
def test_bicycles_and_persons_are_never_suspected(class_id: VehicleClass) -> None:
    rule = SeatbeltRule(name="belt", zone="road", at_least_px=10.0)
    assert findings(rule, class_of=lambda t: class_id) == []


def test_another_zone_than_the_rule_names_is_not_watched() -> None:
    rule = SeatbeltRule(name="belt", zone="kerb", at_least_px=60.0)
    assert findings(rule) == []
    assert findings(msgspec.structs.replace(rule, zone="road"))


def decided(kind: str, name: str, fact: str, outcome: Outcome, sees: Sees, innocent_sees: Sees) -> Twins:
    """Twins that drive alike; the second look finds the offence of one of them."""
    rule, looks = LOOKS[kind](name=name, zone="road", at_least_px=60.0), {"sees": sees, "innocent_sees": innocent_sees}
    return Twins(name=name, fact=fact, rule=rule, guilty=single(COMES), outcome=outcome, **looks)


def classified(kind: str) -> Twins:
    """Twins of a kind that a classifier decides: it sees the offence only if the picture is bright."""
    sees = Sees(light=250, classified=kind), Sees(light=96, classified=kind)
    return decided(kind, "classified", "the classifier does not see it", Outcome.OFFICER, *sees)


TWINS = (
    *(decided(kind, *facts, *(Sees(papers=line) for line in PAPERS_OF[kind])) for kind, *facts in BY_REGISTRY),
    *(classified(kind) for kind, rule in LOOKS.items() if rule.means == "classifier"),
)
