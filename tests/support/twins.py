"""Twins: for every kind a guilty drive and an innocent one, the same scene with one fact changed.

The tests in `tests/rules/kinds` hold the `TWINS` of their kinds; `tests/app/test_world_kinds.py` runs them through the
whole engine, docs/rules.md lists them.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass, field
from pathlib import Path

from engine.rules.evaluator import kind_name
from engine.site import Rule
from engine.types import Outcome, Phase, document
from tests.support.junction import Phases
from tests.support.road import Trajectory, Vehicle, project, scene, still, straight
from tests.support.world import FPS, Sees, Traffic, cases

KINDS = Path(__file__).parents[1] / "rules" / "kinds"


@dataclass(frozen=True, kw_only=True)
class Twins:
    """A guilty and an innocent drive on a scene; what is stated of the innocent only is the changed fact."""

    name: str
    """Of the pair; unique within the kind."""
    fact: str
    """What the innocent does otherwise."""
    rule: Rule
    innocent_rule: Rule | None = None
    guilty: Traffic
    innocent: Traffic | None = None
    outcome: str = Outcome.FINE
    lasts_s: float = 10.0
    fps: int = FPS
    phases: Phases = field(default_factory=dict)
    innocent_phases: Phases | None = None
    sees: Sees = field(default_factory=Sees)
    innocent_sees: Sees | None = None

    @property
    def kind(self) -> str:
        """The kind of the offence."""
        return kind_name(self.rule)

    def guilty_cases(self, folder: Path) -> list[document.CaseDocument]:
        """The cases in the ledger after the guilty drive."""
        return self._cases(folder, self.guilty, self.rule, self.phases, self.sees)

    def innocent_cases(self, folder: Path) -> list[document.CaseDocument]:
        """The cases in the ledger after the innocent drive."""
        phases = self.phases if self.innocent_phases is None else self.innocent_phases
        rule, sees = self.innocent_rule or self.rule, self.innocent_sees or self.sees
        return self._cases(folder, self.innocent or self.guilty, rule, phases, sees)

    def _cases(
        self, folder: Path, traffic: Traffic, rule: Rule, phases: Phases, sees: Sees
    ) -> list[document.CaseDocument]:
        return cases(traffic, scene(rule), folder, lasts_s=self.lasts_s, fps=self.fps, phases=phases, sees=sees)


MAIN_RED, MAIN_GREEN = {"main": [(Phase.RED, -5.0)]}, {"main": [(Phase.GREEN, -5.0)]}
AHEAD, BACK = (project(3, 30), project(3, 60)), (project(-3, 60), project(-3, 30))
SLOW = Vehicle(track=2, path=straight(3, 34, 25))
STANDS = Vehicle(track=2, path=still(3, 52))
COMES = straight(0, 74, -45)
"""Onto the crossing, from beyond it, 3.2 s after the start."""


def single(path: Trajectory, **facts: object) -> Traffic:
    """A single vehicle."""
    return Traffic([Vehicle(track=1, path=path, **facts)])


def find_twins() -> tuple[Twins, ...]:
    """The twins of all kinds."""
    modules = (
        importlib.import_module(f"tests.rules.kinds.{found.name}") for found in pkgutil.iter_modules([str(KINDS)])
    )
    return tuple(twins for module in modules for twins in getattr(module, "TWINS", ()))
