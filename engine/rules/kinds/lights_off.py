"""`lights_off`: the lights are off where they must be on, decided by a second look, see `engine.rules.second_look`."""

from engine.rules.evaluator import RuleKind
from engine.rules.second_look import BestSighting, ClassifierRule


class LightsOffRule(ClassifierRule, frozen=True, kw_only=True, tag="lights_off"):
    """The lights are off where they must be on."""


KIND = RuleKind(LightsOffRule, BestSighting[LightsOffRule])
