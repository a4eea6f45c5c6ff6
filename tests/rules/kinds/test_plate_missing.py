"""`plate_missing`, decided by a classifier."""

from engine.rules.kinds.plate_missing import PlateMissingRule
from tests.rules.test_second_look import require_suspicions
from tests.support.twins import classified

TWINS = (classified("plate_missing", PlateMissingRule),)


def test_a_vehicle_that_is_seen_well_is_suspected_once() -> None:
    require_suspicions(PlateMissingRule, "classifier")
