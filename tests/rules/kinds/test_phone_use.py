"""`phone_use`, decided by a classifier."""

from engine.rules.kinds.phone_use import PhoneUseRule
from tests.rules.test_second_look import require_suspicions
from tests.support.twins import classified

TWINS = (classified("phone_use", PhoneUseRule),)


def test_a_vehicle_that_is_seen_well_is_suspected_once() -> None:
    require_suspicions(PhoneUseRule, "classifier")
