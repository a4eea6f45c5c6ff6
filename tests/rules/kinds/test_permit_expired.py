"""`permit_expired`, decided by a registry."""

from engine.rules.kinds.permit_expired import PermitExpiredRule
from engine.types import Outcome
from tests.rules.test_second_look import require_suspicions
from tests.support.twins import looked_at
from tests.support.world import Sees

EXPIRED, VALID = Sees(papers="2027-01-01,2027-01-01,2026-05-31"), Sees(papers="2027-01-01,2027-01-01,2026-06-01")
FACT = "the permit is valid today"
TWINS = (looked_at("permit_expired", PermitExpiredRule, "expired", FACT, EXPIRED, VALID, Outcome.OFFICER),)


def test_a_vehicle_that_is_seen_well_is_suspected_once() -> None:
    require_suspicions(PermitExpiredRule, "registry")
