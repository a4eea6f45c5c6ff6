"""`lights_off`, decided by a classifier."""

from engine.rules.kinds.lights_off import LightsOffRule
from tests.rules.test_second_look import require_suspicions
from tests.support.twins import classified

TWINS = (classified("lights_off", LightsOffRule),)


def test_a_vehicle_that_is_seen_well_is_suspected_once() -> None:
    require_suspicions(LightsOffRule, "classifier")
