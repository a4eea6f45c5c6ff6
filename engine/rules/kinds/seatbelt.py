"""`seatbelt`: the driver wears no seat belt, decided by a second look, see `engine.rules.second_look`."""

from engine.rules.evaluator import RuleKind
from engine.rules.second_look import BestSighting, ClassifierRule


class SeatbeltRule(ClassifierRule, frozen=True, kw_only=True, tag="seatbelt"):
    """The driver wears no seat belt."""


KIND = RuleKind(SeatbeltRule, BestSighting[SeatbeltRule])
