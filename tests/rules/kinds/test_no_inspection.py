"""`no_inspection`, decided by a registry."""

from engine.rules.kinds.no_inspection import NoInspectionRule
from engine.types import Outcome
from tests.rules.test_second_look import require_suspicions
from tests.support.twins import looked_at
from tests.support.world import Sees

EXPIRED, VALID = Sees(papers="2026-05-01,2027-01-01,2027-01-01"), Sees(papers="2026-06-02,2027-01-01,2027-01-01")
FACT = "the inspection is valid until tomorrow"
TWINS = (looked_at("no_inspection", NoInspectionRule, "expired", FACT, EXPIRED, VALID, Outcome.FINE),)


def test_a_vehicle_that_is_seen_well_is_suspected_once() -> None:
    require_suspicions(NoInspectionRule, "registry")
