"""`seatbelt`, decided by a classifier."""

from engine.rules.kinds.seatbelt import SeatbeltRule
from tests.rules.test_second_look import require_suspicions
from tests.support.twins import classified

TWINS = (classified("seatbelt", SeatbeltRule),)


def test_a_vehicle_that_is_seen_well_is_suspected_once() -> None:
    require_suspicions(SeatbeltRule, "classifier")
