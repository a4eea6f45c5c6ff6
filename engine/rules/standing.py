"""Standing in a zone where it is forbidden, for at least the dwell: `illegal_stop` and `illegal_parking`.

A vehicle stands if its smoothed position on the ground stays (`kernels.zones.dwell`), so that jitter, false boxes and
short hiding do not end a stand. A halt of up to the time that the catalogue states is a stop, a longer one parking;
while a vehicle stays, both are one offence, reported once, also if its track changes (`places`).
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from engine.config import Positive
from engine.rules.enforcement import road_per_pixel_m
from engine.rules.evaluator import Breach, CameraContext, Offence, RuleEvaluator, TrackState, image_to_ground
from engine.rules.places import LEFT_M, SAME_IOU, OccupiedPlace, overlap
from engine.rules.track_history import Rows, TrackHistory, foot_px, sighting
from engine.site import Rule
from engine.types import Floats, Reason, Sighting
from kernels.zones import STOP, dwell

WITHIN = 0.8
"""Share of the sightings of a stand that must be in the zone."""
BORN_S = 3.0
"""A vehicle that stands within this time of its first sighting was there before: it did not drive in."""
SETTLED_S = 2.0
"""A stand lasts at least this long; before, a vehicle that passes may only not have been seen elsewhere yet."""
COARSEST_M = 1.0
"""Largest allowance for the road that a pixel covers: farther away, standing cannot be distinguished from creeping."""


class StandingRule(Rule, frozen=True, kw_only=True):
    """A rule against standing in a zone."""

    dwell_s: Positive
    """An offence after standing for at least this time."""
    still_m: Positive = 0.5
    """A vehicle stands while it stays within this distance plus the road that a pixel at its foot covers."""


S = TypeVar("S", bound=StandingRule)


class Standing(RuleEvaluator[S]):
    """A rule of a site against stopping or parking. Raises ConfigError if the site has no calibration."""

    def __init__(self, context: CameraContext, rule: S) -> None:
        super().__init__(context, rule)
        self._image_to_ground = image_to_ground(context, rule)

    def new_state(self) -> TrackState:
        """The state of a track that has just begun."""
        return StandingState(self)

    def still_m(self, foot: Floats) -> float:
        """How far a standing vehicle with this foot point (2,) may seem to move."""
        return still_m(self._image_to_ground, foot, self.rule.still_m)

    def offence(
        self, history: TrackHistory, earlier: tuple[Sighting, ...], since_s: float, seen_s: float
    ) -> Offence | None:
        """The offence of standing from `since_s` to `seen_s`; None if that is too short."""
        kind = self.kind(seen_s)
        part = kind.part(self.rule.variant) if kind else None
        if kind is None or part is None or not self.applies_to(history, kind):
            return None
        due_s = since_s + max(self.rule.dwell_s, kind.at_least_s or 0.0)
        if seen_s < due_s:
            return None
        stood = Reason("stood", {"zone": self.rule.zone, "lasted_s": due_s - since_s})
        instants = {"halt": since_s, "dwell": due_s}
        return Breach(kind, part, since_s, due_s).offence(due_s, instants, stood, earlier=earlier)


class StandingState:
    """Where one vehicle stands, and since when."""

    def __init__(self, evaluator: Standing[Any]) -> None:
        self._evaluator = evaluator
        self._stand = np.zeros(2, STOP)
        self._epoch = 0
        self._since_s = np.nan
        """Beginning of the stand at the last update: another value is another stand."""
        self._halt: Sighting | None = None
        self._before: OccupiedPlace | None = None
        """The stand of the same vehicle before it was lost from sight."""
        self._in_hours_s: float | None = None

    def update(self, history: TrackHistory, fresh: Rows) -> Offence | None:
        """The offence, once the vehicle has stood for the dwell."""
        if not self._follow(history, fresh) or self._is_reported(history):
            return None
        offence = self._offence(history)
        if offence is not None:
            self._context.places.report(self._place(history))
        return offence

    def end(self, history: TrackHistory) -> Offence | None:
        """Remember where the vehicle stood: it may be found again, unless it drove off."""
        own = self._context.places.of_track(history.track)
        if self._settled:
            self._context.places.lose(self._place(history))
        elif own and np.hypot(*(history.rows["position_m"][-1] - own.position_m)) > LEFT_M:
            self._context.places.leave(own)
        return None

    @property
    def _settled(self) -> bool:
        """True if the vehicle stands, by its own track alone."""
        here = self._stand[0]
        return bool(here["rows"] and np.isnan(here["away_since_s"]) and here["seen_s"] - here["since_s"] >= SETTLED_S)

    @property
    def _context(self) -> CameraContext:
        return self._evaluator.context

    @property
    def _began_s(self) -> float:
        """Since when the vehicle stands, under this or an earlier track."""
        return self._before.since_s if self._before else float(self._stand[0]["since_s"])

    @property
    def _position_m(self) -> tuple[float, float]:
        here = self._stand[0]
        return float(here["mean_x_m"]), float(here["mean_y_m"])

    def _follow(self, history: TrackHistory, fresh: Rows) -> bool:
        """Add the new sightings; False while the vehicle has no position."""
        if history.epoch != self._epoch:
            self._epoch, self._stand, self._in_hours_s = history.epoch, np.zeros(2, STOP), None
        if len(fresh):
            counts = self._context.inside(fresh, self._evaluator.rule.zone)
            position_m = np.ascontiguousarray(fresh["position_m"])
            still_m = self._evaluator.still_m(foot_px(fresh[-1:])[0])
            dwell(fresh["captured_s"].copy(), position_m, counts, still_m, self._stand)
        if not self._stand[0]["rows"]:
            return False
        self._notice(history)
        self._keep_hours(fresh)
        return True

    def _notice(self, history: TrackHistory) -> None:
        """A stand that has begun is a new one, or continues one from before the vehicle was out of sight."""
        since_s = float(self._stand[0]["since_s"])
        if since_s != self._since_s:
            self._since_s, self._before = since_s, None
            self._halt = sighting(history.around(since_s, since_s)[0])
        if self._before is None and self._settled and since_s - history.first_s <= BORN_S:
            box = sighting(history.rows[-1]).xyxy_px
            self._before = self._context.places.take_lost(
                self._evaluator.rule.name, box, self._position_m, history.first_s
            )

    def _keep_hours(self, fresh: Rows) -> None:
        """Update since when the rule's hours have held without a break."""
        for at_s in (float(fresh["captured_s"][0]), float(fresh["captured_s"][-1])) if len(fresh) else ():
            if not self._context.in_hours(self._evaluator.hours, at_s):
                self._in_hours_s = None
            elif self._in_hours_s is None:
                self._in_hours_s = at_s

    def _is_reported(self, history: TrackHistory) -> bool:
        """True if this vehicle was reported where it stands; updates that place."""
        places, now_s = self._context.places, float(self._stand[0]["seen_s"])
        own = places.of_track(history.track)
        if own is None and self._settled:
            own = self._taken_over(history)
        if own is None:
            return False
        if np.hypot(*np.subtract(self._position_m, own.position_m)) > LEFT_M:
            places.leave(own)
            return False
        own.seen_s = max(own.seen_s, now_s)
        return True

    def _taken_over(self, history: TrackHistory) -> OccupiedPlace | None:
        """The place of a vehicle that was reported under an earlier track, or under another track with the same box."""
        box, places = sighting(history.rows[-1]).xyxy_px, self._context.places
        place = places.reported_at(box, self._position_m)
        if place is None:
            return None
        other = self._context.histories.get(place.track)
        if other is not None:
            return place if overlap(sighting(other.rows[-1]).xyxy_px, box) >= SAME_IOU else None
        if float(self._stand[0]["since_s"]) - history.first_s > BORN_S:
            return None
        place.track = history.track
        return place

    def _offence(self, history: TrackHistory) -> Offence | None:
        here = self._stand[0]
        if self._in_hours_s is None or here["inside"] < WITHIN * here["rows"]:
            return None
        since_s = max(self._began_s, self._in_hours_s) if self._evaluator.rule.hours else self._began_s
        earlier = (self._before.halt,) if self._before and since_s < history.first_s else ()
        return self._evaluator.offence(history, earlier, since_s, float(here["seen_s"]))

    def _place(self, history: TrackHistory) -> OccupiedPlace:
        here = self._stand[0]
        return OccupiedPlace(
            rule=self._evaluator.rule.name,
            track=history.track,
            xyxy_px=sighting(history.rows[-1]).xyxy_px,
            position_m=self._position_m,
            since_s=self._began_s,
            seen_s=float(here["seen_s"]),
            halt=(self._before.halt if self._before else self._halt) or sighting(history.rows[-1]),
        )


def still_m(image_to_ground: Floats, foot: Floats, least_m: float) -> float:
    """How far a standing vehicle may seem to move: the rule's distance plus the road that a pixel at its foot
    covers."""
    return least_m + min(COARSEST_M, float(road_per_pixel_m(image_to_ground, foot[None])[0]))
