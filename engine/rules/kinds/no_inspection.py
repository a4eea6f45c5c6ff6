"""`no_inspection`: the technical inspection has expired, decided by a second look, see `engine.rules.second_look`."""

from engine.rules.evaluator import RuleKind
from engine.rules.second_look import BestSighting, RegistryRule


class NoInspectionRule(RegistryRule, frozen=True, kw_only=True, tag="no_inspection"):
    """The technical inspection has expired."""


KIND = RuleKind(NoInspectionRule, BestSighting[NoInspectionRule])
