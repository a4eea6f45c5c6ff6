"""`no_insurance`, decided by a registry."""

from engine.rules.kinds.no_insurance import NoInsuranceRule
from engine.types import Outcome
from tests.rules.test_second_look import require_suspicions
from tests.support.twins import looked_at
from tests.support.world import Sees

EXPIRED, VALID = Sees(papers="2027-01-01,none,2027-01-01"), Sees(papers="2027-01-01,,2027-01-01")
FACT = "the registry does not know whether there is one"
TWINS = (looked_at("no_insurance", NoInsuranceRule, "none", FACT, EXPIRED, VALID, Outcome.FINE),)


def test_a_vehicle_that_is_seen_well_is_suspected_once() -> None:
    require_suspicions(NoInsuranceRule, "registry")
