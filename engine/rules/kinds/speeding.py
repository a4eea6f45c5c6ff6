"""`speeding`: faster than the limit in force for the class, the hour and the place (measured).

A vehicle is judged once, by its best measurement: the one of least uncertainty whose stretch of road lies in the rule's
zone. This choice does not depend on the measured speed, so it does not bias the result.

The enforced speed (`engine.rules.enforcement`) is compared with the most lenient limit for the classes that the vehicle
may have and the places and hours of the stretch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

from msgspec import Meta

from engine.rules.enforcement import SpeedLimits, account, measurement, obstacles
from engine.rules.evaluator import (
    Breach,
    CameraContext,
    Offence,
    RuleEvaluator,
    RuleKind,
    TrackState,
    require_calibration,
)
from engine.rules.track_history import Rows, SpeedReading, TrackHistory
from engine.rules.vehicle_size import HEAVY, is_heavy
from engine.rules.zones import covered
from engine.site import Rule
from engine.types import Measurable, Outcome, Reason

WITHIN = 0.9
"""Share of the stretch's sightings that must be in the zone; the rest is jitter at its border."""
LONG_ENOUGH_S = 10.0
"""A stretch of this length is judged at once."""
SETTLED_S = 3.0
"""So is a stretch that did not become better for this time,"""
LEFT_ROWS = 3
"""and that of a vehicle with this many latest sightings out of the zone."""
DOUBTFUL = frozenset({Measurable.INCONSISTENT, Measurable.OCCLUDED, Measurable.CLOCK_UNSTABLE, Measurable.MOVED})
"""After these, earlier measurements are dropped: they may belong to another vehicle, or time or place are wrong."""


class SpeedingRule(Rule, frozen=True, kw_only=True, tag="speeding"):
    """Faster than the limit in force for the class (measured)."""

    tolerance_kmh: Annotated[float, Meta(ge=0)] = 0.0
    """Subtracted from the measured speed besides the expanded uncertainty, in favour of the driver."""


class Speeding(RuleEvaluator[SpeedingRule]):
    """A speeding rule of a site. Raises ConfigError if the site has no calibration."""

    needs_certificate: ClassVar[bool] = True

    def __init__(self, context: CameraContext, rule: SpeedingRule) -> None:
        super().__init__(context, rule)
        require_calibration(context, rule)
        self._limits = SpeedLimits(context.site.limits, context.timezone, context.columns)

    def new_state(self) -> TrackState:
        """The state of a track that has just begun."""
        return SpeedingState(self)

    def doubts(self) -> Iterator[str]:
        """A missing limit, and a zone smaller than the calibrated area."""
        site = self.context.site
        if not site.limits:
            yield "the site states no limit: no vehicle is too fast"
        if site.calibration is None:
            return
        zone = next(zone for zone in site.zones if zone.name == self.rule.zone)
        area = covered(site.calibration.area_px, site.image_size_px)
        share = (covered(zone.polygon_px, site.image_size_px) & area).sum() / max(1, area.sum())
        if share < 0.9:
            yield (
                f"zone {zone.name} holds {share:.0%} of the calibrated area: "
                "a vehicle that is measured from outside of it on is not judged"
            )

    def belongs(self, history: TrackHistory, reading: SpeedReading) -> bool:
        """True if the measured stretch lies in the zone."""
        rows = history.between(reading.began_s, reading.ended_s)
        return len(rows) > 0 and bool(self.context.inside(rows, self.rule.zone).mean() >= WITHIN)

    def offence(self, history: TrackHistory, reading: SpeedReading) -> Offence | None:
        """The offence that a measurement proves; None if it proves no offence."""
        kind = self.kind(reading.ended_s)
        in_hours = self.context.in_hours(self.hours, reading.began_s, reading.ended_s)
        if kind is None or not in_hours or not self.applies_to(history, kind):
            return None
        rows = history.between(reading.began_s, reading.ended_s)
        classes = self._classes(history, rows)
        limit_kmh = self._limits.most_lenient(rows, classes)
        if limit_kmh is None:
            return None
        measured = measurement(
            speed_mps=reading.speed_mps,
            sigma_mps=reading.sigma_mps,
            limit_kmh=limit_kmh,
            tolerance_kmh=self.rule.tolerance_kmh,
            began_s=reading.began_s,
            ended_s=reading.ended_s,
            length_m=reading.length_m,
        )
        part = kind.tier(measured.enforced_kmh - limit_kmh)
        if part is None:
            return None
        instants = {"entry": measured.began_s, "exit": measured.ended_s}
        against_a_fine = tuple(obstacles(self.context.site, rows, measured.ended_s))
        return Breach(kind, part, measured.began_s, measured.ended_s).offence(
            measured.ended_s,
            instants,
            account(measured),
            *_class_doubt(classes, limit_kmh),
            *against_a_fine,
            outcome=Outcome.INDICATION if kind.measured and against_a_fine else kind.outcome,
            measurement=measured,
        )

    def _classes(self, history: TrackHistory, rows: Rows) -> frozenset[str]:
        """Classes that the vehicle may have: by the detector's votes, and a car unless it is seen to be larger."""
        heavy = not history.plausible & HEAVY or is_heavy(rows, self.context.site.calibration)
        return history.plausible if heavy else history.plausible | {"car"}


class SpeedingState:
    """The best measurement of one vehicle so far; it is judged once."""

    def __init__(self, evaluator: Speeding) -> None:
        self._evaluator = evaluator
        self._best: SpeedReading | None = None
        self._judged = False

    def update(self, history: TrackHistory, fresh: Rows) -> Offence | None:
        """Judge the best measurement when a better one is not expected."""
        self._weigh(history)
        if self._best is None or not (self._is_settled(history, self._best) or self._has_left(history)):
            return None
        return self.end(history)

    def end(self, history: TrackHistory) -> Offence | None:
        if self._best is None or self._judged or self._evaluator.kind_name in history.reported:
            return None
        self._judged = True
        return self._evaluator.offence(history, self._best)

    def _weigh(self, history: TrackHistory) -> None:
        """Keep the reading if it is better than the best so far, or drop the best after a doubtful reading."""
        reading = history.reading
        if reading is None or reading.measurable in DOUBTFUL:
            self._best = None
        elif reading.measurable is Measurable.YES and self._is_better(history, reading):
            self._best = reading

    def _is_better(self, history: TrackHistory, reading: SpeedReading) -> bool:
        better = self._best is None or reading.sigma_mps < self._best.sigma_mps
        return better and self._evaluator.belongs(history, reading)

    def _is_settled(self, history: TrackHistory, best: SpeedReading) -> bool:
        """True if waiting for more sightings would not help."""
        now_s = float(history.rows["captured_s"][-1])
        return best.ended_s - best.began_s >= LONG_ENOUGH_S or now_s - best.ended_s >= SETTLED_S

    def _has_left(self, history: TrackHistory) -> bool:
        """True if the vehicle is out of the zone, and not only by the jitter of one box."""
        return not self._evaluator.context.inside(history.rows[-LEFT_ROWS:], self._evaluator.rule.zone).any()


def _class_doubt(classes: frozenset[str], limit_kmh: float) -> tuple[Reason, ...]:
    """The reason that states an uncertain class; else empty."""
    if len(classes) == 1:
        return ()
    return (Reason("class_uncertain", {"classes": tuple(sorted(classes)), "limit_kmh": limit_kmh}),)


KIND = RuleKind(SpeedingRule, Speeding)
