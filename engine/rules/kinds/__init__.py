"""The kinds of violation, one module each; a module's name is the catalogue's name of its kind.

A module holds the struct of its rules in a site file, their evaluator, and `KIND`, which names both. All modules of
this package are found and imported by `rule_kinds`; nothing else lists the kinds.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Mapping
from typing import Any

from engine.rules.evaluator import CameraContext, RuleEvaluator, RuleKind, kind_name
from engine.site import Rule


@functools.cache
def rule_kinds() -> Mapping[str, RuleKind[Any]]:
    """All kinds by name, in alphabetical order."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: importlib.import_module(f"{__name__}.{name}").KIND for name in names}


def evaluator_of(context: CameraContext, rule: Rule) -> RuleEvaluator[Any]:
    """Make a rule of a site ready. Raises ConfigError for a rule that can never be evaluated on this site."""
    return rule_kinds()[kind_name(rule)].evaluator(context, rule)
