"""The kinds that a second look decides: one suspicion per vehicle, dated to the sighting that shows it best.

What a rule asks (a registry, a classifier) stands in the engine's configuration; a rule without it is refused when the
engine starts.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, TypeVar

from msgspec import Meta

from engine.config import Positive
from engine.rules.evaluator import Offence, StatelessEvaluator
from engine.rules.track_history import Rows, TrackHistory
from engine.site import Rule
from engine.types import RuleFinding, Suspicion, Violation

LONGEST_WAIT_S = 3.0
"""The best sighting is reported if no better one came for this time."""
AROUND_S = 1.5
"""The sightings around the best one go with the suspicion."""
BORDER_PX = 2.0
"""A box nearer to the border of the picture is cut by it."""


class LookRule(Rule, frozen=True, kw_only=True):
    """A rule that looks at each vehicle once, as often as its budget allows."""

    means: ClassVar[str]
    """What decides: `registry`, `classifier` or `section`."""
    a_minute: Annotated[float, Meta(gt=0, le=600)] = 12.0
    """Mean number of vehicles per minute that are looked at; the others are counted and dropped."""


class BestSightingRule(LookRule, frozen=True, kw_only=True):
    """A rule that looks at every vehicle that is seen well in the zone, where it is seen best."""

    at_least_px: Positive = 140.0
    """Smallest width of the box of a vehicle that is seen well."""


class RegistryRule(BestSightingRule, frozen=True, kw_only=True):
    """Decided by the plate and the answer of a registry."""

    means: ClassVar[str] = "registry"


class ClassifierRule(BestSightingRule, frozen=True, kw_only=True):
    """Decided by the operator's own classifier on the vehicle, in several frames."""

    means: ClassVar[str] = "classifier"


B = TypeVar("B", bound=BestSightingRule)


class BestSighting(StatelessEvaluator[B]):
    """A rule of a site that a second look decides."""

    def as_finding(self, violation: Violation) -> RuleFinding:
        """A suspicion: identification confirms or drops it."""
        return Suspicion(violation)

    def update(self, history: TrackHistory, fresh: Rows) -> Offence | None:
        """Report the best sighting when no better one came for a while."""
        if not len(fresh) or self.kind_name in history.reported:
            return None
        best = self._best(history)
        if best is None or float(history.rows["captured_s"][-1] - best["captured_s"]) < LONGEST_WAIT_S:
            return None
        return self._suspect(history, best)

    def end(self, history: TrackHistory) -> Offence | None:
        """Report the best sighting; not if another track continues the vehicle."""
        if history.succeeded or self.kind_name in history.reported:
            return None
        best = self._best(history)
        return None if best is None else self._suspect(history, best)

    def _best(self, history: TrackHistory) -> Any | None:
        """The sighting (one row) with the largest uncut box in the zone; None if no box is large enough."""
        width_px, height_px = self.context.site.image_size_px
        rows = history.rows[self.context.inside(history.rows, self.rule.zone)]
        left, top, right, bottom = rows["xyxy_px"].T
        whole = (left > BORDER_PX) & (top > BORDER_PX) & (right < width_px - BORDER_PX)
        rows = rows[whole & (bottom < height_px - BORDER_PX) & (right - left >= self.rule.at_least_px)]
        if not len(rows):
            return None
        size = (rows["xyxy_px"][:, 2:] - rows["xyxy_px"][:, :2]).prod(axis=1)
        return rows[int(size.argmax())]

    def _suspect(self, history: TrackHistory, best: Any) -> Offence | None:
        at_s = float(best["captured_s"])
        times_s = history.rows["captured_s"]
        began_s = float(times_s[times_s >= at_s - AROUND_S].min())
        ended_s = float(times_s[times_s <= at_s + AROUND_S].max())
        breach = self.breach(history, began_s, ended_s)
        return None if breach is None else breach.offence(at_s, {"first": began_s, "last": ended_s})
