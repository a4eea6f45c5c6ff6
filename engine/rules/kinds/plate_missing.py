"""`plate_missing`: there is no plate, or no readable one, decided by a second look, see `engine.rules.second_look`."""

from engine.rules.evaluator import RuleKind
from engine.rules.second_look import BestSighting, ClassifierRule


class PlateMissingRule(ClassifierRule, frozen=True, kw_only=True, tag="plate_missing"):
    """There is no plate, or no readable one."""


KIND = RuleKind(PlateMissingRule, BestSighting[PlateMissingRule])
