"""`permit_expired`: the permit has expired, decided by a second look, see `engine.rules.second_look`."""

from engine.rules.evaluator import RuleKind
from engine.rules.second_look import BestSighting, RegistryRule


class PermitExpiredRule(RegistryRule, frozen=True, kw_only=True, tag="permit_expired"):
    """The permit has expired."""


KIND = RuleKind(PermitExpiredRule, BestSighting[PermitExpiredRule])
