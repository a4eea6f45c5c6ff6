"""The kinds that a second look decides: one suspicion a vehicle, dated to the sighting that shows it best.

A suspicion is no offence: it asks for a look (`Offence.confirm`), and the inquiry confirms it or drops it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from engine.rules.evaluator import CameraContext, Offence, RuleContext
from engine.rules.track_history import Rows, TrackHistory
from engine.site.looks import BestSightingRule

LONGEST_WAIT_S = 3.0
"""Nothing better came for this long: the best sighting is told."""
AROUND_S = 1.5
"""The sightings around the best one go with the suspicion."""
BORDER_PX = 2.0
"""A box nearer to the border of the picture is cut by it."""


class Suspicion:
    """A rule of a site that a second look decides."""

    def __init__(self, scene: CameraContext, rule: BestSightingRule) -> None:
        self.rule = rule
        self.law = RuleContext.of(scene, rule)

    def watch(self) -> Suspicion:
        """The rule itself: everything it needs of a vehicle is in the trail."""
        return self

    def look(self, trail: TrackHistory, fresh: Rows) -> Offence | None:
        """Tell the best sighting when it has stayed the best for a while."""
        if not len(fresh) or self.law.name in trail.told:
            return None
        best = self._best(trail)
        if best is None or float(trail.rows["captured_s"][-1] - best["captured_s"]) < LONGEST_WAIT_S:
            return None
        return self._suspect(trail, best)

    def end(self, trail: TrackHistory) -> Offence | None:
        """Tell the best sighting there was; a track that another one goes on with has not ended."""
        if trail.succeeded or self.law.name in trail.told:
            return None
        best = self._best(trail)
        return None if best is None else self._suspect(trail, best)

    def _best(self, trail: TrackHistory) -> Any | None:
        """The sighting (one row) with the largest whole box in the zone; None where none is large enough."""
        width_px, height_px = self.law.scene.site.image_size_px
        rows = trail.rows[self.law.scene.inside(trail.rows, self.rule.zone)]
        left, top, right, bottom = rows["xyxy_px"].T
        whole = (left > BORDER_PX) & (top > BORDER_PX) & (right < width_px - BORDER_PX)
        rows = rows[whole & (bottom < height_px - BORDER_PX) & (right - left >= self.rule.at_least_px)]
        if not len(rows):
            return None
        size = (rows["xyxy_px"][:, 2:] - rows["xyxy_px"][:, :2]).prod(axis=1)
        return rows[int(size.argmax())]

    def _suspect(self, trail: TrackHistory, best: Any) -> Offence | None:
        at_s = float(best["captured_s"])
        times_s = trail.rows["captured_s"]
        began_s = float(times_s[times_s >= at_s - AROUND_S].min())
        ended_s = float(times_s[times_s <= at_s + AROUND_S].max())
        charge = self.law.charge(trail, began_s, ended_s)
        if charge is None:
            return None
        offence = charge.offence(at_s, {"first": began_s, "last": ended_s})
        return replace(offence, confirm=self.rule.means)
