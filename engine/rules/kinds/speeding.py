"""`speeding`: faster than the limit in force for the class, the hour and the place (measured).

A vehicle is judged once, by its best measurement: the one with the least uncertainty whose stretch of road lies in the
rule's zone. Which one that is does not depend on how fast it says the vehicle was, so choosing does not bias.

Enforced is floor(measured - tolerance - 3 sigma) in km/h, held against the most lenient limit among the classes that
the vehicle may be and the places and hours that the stretch has touched.
"""

from __future__ import annotations

import datetime as dt
import math

from engine.rules.catalogue import Kind, Part
from engine.rules.evaluator import CameraContext, Offence, RuleContext, doubts, require_calibration
from engine.rules.limits import SpeedLimits
from engine.rules.size import HEAVY, is_heavy
from engine.rules.track_history import Rows, SpeedReading, TrackHistory
from engine.site import SpeedingRule
from engine.types import KMH, Clock, Measurable, Measurement

COVERAGE = 3.0
"""Expanded uncertainty is this many standard uncertainties (k = 3)."""
WITHIN = 0.9
"""Share of the stretch's sightings that must be in the zone; the rest is jitter at its border."""
LONG_ENOUGH_S = 10.0
"""A stretch of this length is judged without waiting for more."""
SETTLED_S = 3.0
"""So is one that has not become better for this long."""
LEFT_ROWS = 3
"""So is that of a vehicle whose latest sightings, this many, are out of the zone."""
DOUBTFUL = frozenset({Measurable.INCONSISTENT, Measurable.OCCLUDED, Measurable.CLOCK_UNSTABLE, Measurable.MOVED})
"""What was measured before could belong to another vehicle, to no time, or to no place: it is thrown away."""


def enforced_kmh(speed_mps: float, sigma_mps: float, tolerance_kmh: float) -> int:
    """The speed that is held against the driver: whole km/h, tolerance and expanded uncertainty taken off.

    A billionth is added before the floor, so that 80 km/h given in m/s is not cut to 79 by binary fractions.
    """
    return math.floor(speed_mps * KMH - tolerance_kmh - COVERAGE * sigma_mps * KMH + 1e-9)


class Speeding:
    """A speeding rule of a site."""

    def __init__(self, scene: CameraContext, rule: SpeedingRule) -> None:
        self.rule = rule
        self.law = RuleContext.of(scene, rule)
        require_calibration(scene, rule)
        self.limits = SpeedLimits(scene)

    def watch(self) -> SpeedingWatch:
        return SpeedingWatch(self)

    def belongs(self, trail: TrackHistory, reading: SpeedReading) -> bool:
        """Does the measured stretch lie in the zone?"""
        rows = trail.between(reading.began_s, reading.ended_s)
        return len(rows) > 0 and bool(self.law.scene.inside(rows, self.rule.zone).mean() >= WITHIN)

    def verdict(self, trail: TrackHistory, reading: SpeedReading) -> Offence | None:
        """The offence that a measurement proves, if it does."""
        kind = self.law.kind(reading.ended_s)
        in_time = self.law.scene.hold(self.law.hours, reading.began_s, reading.ended_s)
        if kind is None or not in_time or not self.law.accuses(trail, kind):
            return None
        rows = trail.between(reading.began_s, reading.ended_s)
        classes = self._classes(trail, rows)
        limit_kmh = self.limits.most_lenient(rows, classes)
        if limit_kmh is None:
            return None
        held = self._measurement(reading, limit_kmh)
        part = kind.tier(held.enforced_kmh - limit_kmh)
        return None if part is None else self._offence(classes, rows, kind, part, held)

    def _classes(self, trail: TrackHistory, rows: Rows) -> frozenset[str]:
        """What the vehicle may be: by the detector's vote, and a car where it is not seen to be larger than one."""
        heavy = not trail.plausible & HEAVY or is_heavy(rows, self.law.scene.site.calibration)
        return trail.plausible if heavy else trail.plausible | {"car"}

    def _measurement(self, reading: SpeedReading, limit_kmh: float) -> Measurement:
        tolerance_kmh = self.rule.tolerance_kmh
        return Measurement(
            speed_mps=reading.speed_mps,
            sigma_mps=reading.sigma_mps,
            limit_kmh=limit_kmh,
            tolerance_kmh=tolerance_kmh,
            enforced_kmh=enforced_kmh(reading.speed_mps, reading.sigma_mps, tolerance_kmh),
            began_s=reading.began_s,
            ended_s=reading.ended_s,
            length_m=reading.length_m,
        )

    def _offence(self, classes: frozenset[str], rows: Rows, kind: Kind, part: Part, held: Measurement) -> Offence:
        obstacles = (*self._paper_obstacles(held.ended_s), *_clock_obstacles(rows))
        reasons = (_account(held), *_class_doubt(classes, held), *obstacles, *doubts(part))
        return Offence(
            kind=kind,
            part=part,
            began_s=held.began_s,
            ended_s=held.ended_s,
            decisive_s=held.ended_s,
            instants={"entry": held.began_s, "exit": held.ended_s},
            outcome="indication" if kind.measured and obstacles else kind.outcome,
            reasons=reasons,
            measurement=held,
        )

    def _paper_obstacles(self, at_s: float) -> tuple[str, ...]:
        """Why the measuring system may not be used for a fine at the instant."""
        calibration, certificate = self.law.scene.site.calibration, self.law.scene.site.certificate
        papers = [
            ("calibration", calibration and (calibration.made, calibration.expires)),
            ("verification certificate", certificate and (certificate.issued, certificate.expires)),
        ]
        return tuple(
            f"Indication only: the site has no {paper} that is valid at the time."
            for paper, span in papers
            if not span or not _covers(*span, at_s)
        )


class SpeedingWatch:
    """The best measurement of one vehicle so far; one verdict."""

    def __init__(self, judge: Speeding) -> None:
        self._judge = judge
        self._best: SpeedReading | None = None
        self._judged = False

    def look(self, trail: TrackHistory, fresh: Rows) -> Offence | None:
        self._weigh(trail)
        if self._best is None or not (self._settled(trail, self._best) or self._left(trail)):
            return None
        return self.end(trail)

    def end(self, trail: TrackHistory) -> Offence | None:
        if self._best is None or self._judged or self._judge.law.name in trail.told:
            return None
        self._judged = True
        return self._judge.verdict(trail, self._best)

    def _weigh(self, trail: TrackHistory) -> None:
        reading = trail.reading
        if reading is None or reading.measurable in DOUBTFUL:
            self._best = None
        elif reading.measurable is Measurable.YES and self._better(reading) and self._judge.belongs(trail, reading):
            self._best = reading

    def _better(self, reading: SpeedReading) -> bool:
        return self._best is None or reading.sigma_mps < self._best.sigma_mps

    def _settled(self, trail: TrackHistory, best: SpeedReading) -> bool:
        """Would waiting for more not help?"""
        now_s = float(trail.rows["captured_s"][-1])
        return best.ended_s - best.began_s >= LONG_ENOUGH_S or now_s - best.ended_s >= SETTLED_S

    def _left(self, trail: TrackHistory) -> bool:
        """Is the vehicle out of the zone, and not by the jitter of one box?"""
        return not self._judge.law.scene.inside(trail.rows[-LEFT_ROWS:], self._judge.rule.zone).any()


def _covers(begin: dt.datetime, end: dt.datetime, at_s: float) -> bool:
    return begin.timestamp() <= at_s < end.timestamp()


def _clock_obstacles(rows: Rows) -> tuple[str, ...]:
    unstable = bool((rows["clock"] == Clock.UNSTABLE).any())
    return ("Indication only: the camera's clock was not stable.",) if unstable else ()


def _account(held: Measurement) -> str:
    return (
        f"Enforced {held.enforced_kmh} km/h = {held.speed_mps * KMH:.1f} measured - {held.tolerance_kmh:g} tolerance "
        f"- 3 x {held.sigma_mps * KMH:.2f} standard uncertainty, rounded down; limit {held.limit_kmh:g} km/h."
    )


def _class_doubt(classes: frozenset[str], held: Measurement) -> tuple[str, ...]:
    if len(classes) == 1:
        return ()
    named = " or ".join(sorted(classes))
    return (f"The class is uncertain ({named}): the most lenient limit, {held.limit_kmh:g} km/h, was applied.",)
