"""`phone_use`: the driver holds a phone, decided by a second look, see `engine.rules.second_look`."""

from engine.rules.evaluator import RuleKind
from engine.rules.second_look import BestSighting, ClassifierRule


class PhoneUseRule(ClassifierRule, frozen=True, kw_only=True, tag="phone_use"):
    """The driver holds a phone."""


KIND = RuleKind(PhoneUseRule, BestSighting[PhoneUseRule])
