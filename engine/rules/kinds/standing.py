"""`illegal_stop` and `illegal_parking`: stands in a zone where that is forbidden, for at least the dwell.

What stands is a smoothed place on the ground (`kernels.zones.dwell`), so that jitter, false boxes and short hiding do
not end it. A halt of up to the time that the catalogue names is a stop, a longer one parking; while a vehicle stays,
both are one offence, told once, whatever its track is called by then (`places`).
"""

from __future__ import annotations

import numpy as np

from engine.rules.catalogue import Kind, Part
from engine.rules.evaluator import CameraContext, Offence, RuleContext, doubts, image_to_ground
from engine.rules.places import LEFT_M, SAME_IOU, OccupiedPlace, overlap
from engine.rules.track_history import Rows, TrackHistory, foot_px, sighting
from engine.site import IllegalStopRule
from engine.types import Floats, Sighting
from kernels.zones import STOP, dwell

WITHIN = 0.8
"""Share of the sightings of a stand that must be in the zone."""
BORN_S = 3.0
"""A vehicle that stands from within this time of its first sighting on was there before: it did not drive in."""
SETTLED_S = 2.0
"""A stand of at least this long is one: before, a vehicle that passes may only not have been seen elsewhere yet."""
COARSEST_M = 1.0
"""Where a pixel is worth more road than this, no more is granted: who could tell standing from creeping there?"""


class Standing:
    """A rule of a site against stopping or parking."""

    def __init__(self, scene: CameraContext, rule: IllegalStopRule) -> None:
        self.rule = rule
        self.law = RuleContext.of(scene, rule)
        self._image_to_ground = image_to_ground(scene, rule)

    def watch(self) -> StandingWatch:
        return StandingWatch(self)

    def dwell_s(self, kind: Kind) -> float:
        """How long a vehicle must stand: the rule's dwell, and longer than a stop where the kind is parking."""
        return max(self.rule.dwell_s, kind.at_least_s or 0.0)

    def still_m(self, foot: Floats) -> float:
        """How far a standing vehicle may seem to stray (`still_m` below)."""
        return still_m(self._image_to_ground, foot, self.rule.still_m)

    def offence(
        self, trail: TrackHistory, earlier: tuple[Sighting, ...], since_s: float, seen_s: float
    ) -> Offence | None:
        """The offence of standing from `since_s` to `seen_s`, if that is long enough."""
        kind = self.law.kind(seen_s)
        part = kind.part(self.rule.variant) if kind else None
        if kind is None or part is None or not self.law.accuses(trail, kind):
            return None
        due_s = since_s + self.dwell_s(kind)
        return self._offence(kind, part, earlier, since_s, due_s) if seen_s >= due_s else None

    def _offence(self, kind: Kind, part: Part, earlier: tuple[Sighting, ...], since_s: float, due_s: float) -> Offence:
        return Offence(
            kind=kind,
            part=part,
            began_s=since_s,
            ended_s=due_s,
            decisive_s=due_s,
            instants={"halt": since_s, "dwell": due_s},
            outcome=kind.outcome,
            reasons=(f"Stood in zone {self.rule.zone} for at least {due_s - since_s:g} s.", *doubts(part)),
            earlier=earlier,
        )


class StandingWatch:
    """Where one vehicle stands, and since when."""

    def __init__(self, judge: Standing) -> None:
        self._judge = judge
        self._stand = np.zeros(2, STOP)
        self._epoch = 0
        self._since_s = np.nan
        """What the stand's beginning was at the last look: another one is another stand."""
        self._halt: Sighting | None = None
        self._before: OccupiedPlace | None = None
        """The same vehicle's stand before it was lost from sight."""
        self._in_hours_s: float | None = None

    def look(self, trail: TrackHistory, fresh: Rows) -> Offence | None:
        if not self._follow(trail, fresh) or self._told(trail):
            return None
        offence = self._offence(trail)
        if offence is not None:
            self._scene.places.tell(self._place(trail))
        return offence

    def end(self, trail: TrackHistory) -> Offence | None:
        """A vehicle that stood when it was last seen may be found again; one that drove off may not."""
        own = self._scene.places.of_track(trail.track)
        if self._settled:
            self._scene.places.lose(self._place(trail))
        elif own and np.hypot(*(trail.rows["position_m"][-1] - own.position_m)) > LEFT_M:
            self._scene.places.leave(own)
        return None

    @property
    def _settled(self) -> bool:
        """Does the vehicle stand, as far as its own track has shown?"""
        here = self._stand[0]
        return bool(here["rows"] and np.isnan(here["away_since_s"]) and here["seen_s"] - here["since_s"] >= SETTLED_S)

    @property
    def _scene(self) -> CameraContext:
        return self._judge.law.scene

    @property
    def _began_s(self) -> float:
        """Since when the vehicle stands, under this or its earlier track."""
        return self._before.since_s if self._before else float(self._stand[0]["since_s"])

    @property
    def _position_m(self) -> tuple[float, float]:
        here = self._stand[0]
        return float(here["mean_x_m"]), float(here["mean_y_m"])

    def _follow(self, trail: TrackHistory, fresh: Rows) -> bool:
        """Take in the new sightings; False while nothing is known of a place."""
        if trail.epoch != self._epoch:
            self._epoch, self._stand, self._in_hours_s = trail.epoch, np.zeros(2, STOP), None
        if len(fresh):
            counts = self._scene.inside(fresh, self._judge.rule.zone)
            position_m = np.ascontiguousarray(fresh["position_m"])
            still_m = self._judge.still_m(foot_px(fresh[-1:])[0])
            dwell(fresh["captured_s"].copy(), position_m, counts, still_m, self._stand)
        if not self._stand[0]["rows"]:
            return False
        self._notice(trail)
        self._keep_hours(fresh)
        return True

    def _notice(self, trail: TrackHistory) -> None:
        """A stand that has begun is a new one, or one that goes on after the vehicle was out of sight."""
        since_s = float(self._stand[0]["since_s"])
        if since_s != self._since_s:
            self._since_s, self._before = since_s, None
            self._halt = sighting(trail.around(since_s, since_s)[0])
        if self._before is None and self._settled and since_s - trail.first_s <= BORN_S:
            box = sighting(trail.rows[-1]).xyxy_px
            self._before = self._scene.places.found(self._judge.rule.name, box, self._position_m, trail.first_s)

    def _keep_hours(self, fresh: Rows) -> None:
        """Since when the rule's hours have held without a break."""
        for at_s in (float(fresh["captured_s"][0]), float(fresh["captured_s"][-1])) if len(fresh) else ():
            if not self._scene.hold(self._judge.law.hours, at_s):
                self._in_hours_s = None
            elif self._in_hours_s is None:
                self._in_hours_s = at_s

    def _told(self, trail: TrackHistory) -> bool:
        """Has this vehicle been accused where it stands? Keeps that memory up to date."""
        places, now_s = self._scene.places, float(self._stand[0]["seen_s"])
        own = places.of_track(trail.track)
        if own is None and self._settled:
            own = self._taken_over(trail)
        if own is None:
            return False
        if np.hypot(*np.subtract(self._position_m, own.position_m)) > LEFT_M:
            places.leave(own)
            return False
        own.seen_s = max(own.seen_s, now_s)
        return True

    def _taken_over(self, trail: TrackHistory) -> OccupiedPlace | None:
        """The place of a vehicle that was accused under an earlier track, or is under another one of the same box."""
        box, places = sighting(trail.rows[-1]).xyxy_px, self._scene.places
        place = places.accused(box, self._position_m)
        if place is None:
            return None
        other = self._scene.trails.get(place.track)
        if other is not None:
            return place if overlap(sighting(other.rows[-1]).xyxy_px, box) >= SAME_IOU else None
        if float(self._stand[0]["since_s"]) - trail.first_s > BORN_S:
            return None
        place.track = trail.track
        return place

    def _offence(self, trail: TrackHistory) -> Offence | None:
        here = self._stand[0]
        if self._in_hours_s is None or here["inside"] < WITHIN * here["rows"]:
            return None
        since_s = max(self._began_s, self._in_hours_s) if self._judge.rule.hours else self._began_s
        earlier = (self._before.halt,) if self._before and since_s < trail.first_s else ()
        return self._judge.offence(trail, earlier, since_s, float(here["seen_s"]))

    def _place(self, trail: TrackHistory) -> OccupiedPlace:
        here = self._stand[0]
        return OccupiedPlace(
            rule=self._judge.rule.name,
            track=trail.track,
            xyxy_px=sighting(trail.rows[-1]).xyxy_px,
            position_m=self._position_m,
            since_s=self._began_s,
            seen_s=float(here["seen_s"]),
            halt=(self._before.halt if self._before else self._halt) or sighting(trail.rows[-1]),
        )


def still_m(image_to_ground: Floats, foot: Floats, least_m: float) -> float:
    """How far a standing vehicle may seem to stray: the rule's distance and a pixel's worth of road at its foot."""
    u, v = foot
    x, y, w = image_to_ground @ (u, v, 1.0)
    along = image_to_ground[:2, 1] - np.array([x, y]) / w * image_to_ground[2, 1]
    return least_m + min(COARSEST_M, float(np.hypot(*along) / abs(w)))
