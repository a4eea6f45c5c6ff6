"""`no_insurance`: there is no valid insurance, decided by a second look, see `engine.rules.second_look`."""

from engine.rules.evaluator import RuleKind
from engine.rules.second_look import BestSighting, RegistryRule


class NoInsuranceRule(RegistryRule, frozen=True, kw_only=True, tag="no_insurance"):
    """There is no valid insurance."""


KIND = RuleKind(NoInsuranceRule, BestSighting[NoInsuranceRule])
