"""A vehicle's way through one picture, as the rules see it: bounded, with an owner (the scene) and an end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.types import Clock, Floats, Measurable, Sighting, VehicleClass

MOST_ROWS = 256
"""Sightings kept of one vehicle; when there are more, every second of the older half goes."""
UNLIKELY = 0.1
"""A class that had the vote for a smaller share of what was seen was the tracker's first guess, no doubt."""

Rows = NDArray[Any]
"""(P,) of `row_dtype`, ascending in time."""


def row_dtype(zones: int) -> np.dtype[Any]:
    """One sighting: capture time, box, place on the ground, clock, class by vote, and which zones the foot is in."""
    return np.dtype(
        [
            ("captured_s", np.float64),
            ("xyxy_px", np.float64, (4,)),
            ("position_m", np.float64, (2,)),
            ("clock", np.uint8),
            ("class_id", np.int32),
            ("inside", np.bool_, (zones,)),
        ]
    )


def foot_px(rows: Rows) -> NDArray[np.float64]:
    """(P, 2) middle of the lower edge of the boxes."""
    box = rows["xyxy_px"]
    return np.stack([(box[:, 0] + box[:, 2]) / 2, box[:, 3]], axis=1)


@dataclass(frozen=True, slots=True)
class SpeedReading:
    """What the speedometer says of a track at one moment: a row of `types.Speeds`."""

    speed_mps: float
    sigma_mps: float
    measurable: Measurable
    began_s: float
    ended_s: float
    length_m: float


class TrackHistory:
    """The sightings of one track so far, the older ones thinned out, and the latest word on its speed and class."""

    def __init__(self, track: int, dtype: np.dtype[Any]) -> None:
        self.track = track
        self.reading: SpeedReading | None = None
        self.told: set[str] = set()
        """Kinds that the vehicle has been accused of already; shared by the trails of one vehicle."""
        self.succeeded = False
        """Another track goes on with the vehicle."""
        self.steady_since_s = -np.inf
        """Only sightings after this instant share a trustworthy clock."""
        self.epoch = 0
        """Grows whenever times before and after can no longer be compared."""
        self.first_s = np.inf
        self._rows = np.zeros(MOST_ROWS, dtype)
        self._count = 0
        self._votes = np.zeros(len(VehicleClass))

    @property
    def rows(self) -> Rows:
        """The sightings that are kept, ascending in time; the first one always is."""
        return self._rows[: self._count]

    def refit(self, dtype: np.dtype[Any]) -> None:
        """Keep the sightings in rows that have room for more zones, or for fewer, as other cameras come and go."""
        rows = np.zeros(MOST_ROWS, dtype)
        for name in ("captured_s", "xyxy_px", "position_m", "clock", "class_id"):
            rows[name] = self._rows[name]
        zones = min(rows["inside"].shape[1], self._rows["inside"].shape[1])
        rows["inside"][:, :zones] = self._rows["inside"][:, :zones]
        self._rows = rows

    def succeed(self, before: TrackHistory) -> None:
        """This is the vehicle of an earlier trail: what was told of it, or will be, was told of this one."""
        before.succeeded, self.told = True, before.told

    def extend(self, run: Rows) -> Rows:
        """Add the sightings of a batch (ascending); returns those of them that may be judged by their times.

        A clock that is unstable or goes back makes everything before it useless for measuring time.
        """
        if self._count and run["captured_s"][0] < self.rows["captured_s"][-1]:
            self._count, self.reading, self.first_s = 0, None, np.inf
            self.steady_since_s, self.epoch = -np.inf, self.epoch + 1
        self.first_s = min(self.first_s, float(run["captured_s"][0]))
        self._votes += np.bincount(run["class_id"], weights=_area_px(run), minlength=len(VehicleClass))
        self._append(run)
        unstable = np.flatnonzero(run["clock"] == Clock.UNSTABLE)
        if len(unstable):
            self.steady_since_s, self.epoch = float(run["captured_s"][unstable[-1]]), self.epoch + 1
            return run[unstable[-1] + 1 :]
        return run

    def _append(self, run: Rows) -> None:
        for begin in range(0, len(run), MOST_ROWS // 4):
            part = run[begin : begin + MOST_ROWS // 4]
            if self._count + len(part) > MOST_ROWS:
                self._thin()
            self._rows[self._count : self._count + len(part)] = part
            self._count += len(part)

    def _thin(self) -> None:
        half = self._count // 2
        kept = np.concatenate([np.arange(0, half, 2), np.arange(half, self._count)])
        self._rows[: len(kept)] = self._rows[kept]
        self._count = len(kept)

    @property
    def class_id(self) -> VehicleClass:
        """The class by the vote of all sightings."""
        return VehicleClass(int(self.rows["class_id"][-1]))

    @property
    def plausible(self) -> frozenset[str]:
        """Every class that the vehicle may be: the voted one, and those that had the vote for long.

        A sighting weighs as much as its box has pixels: a class is told from them, and far away it is a guess.
        """
        shares = self._votes / self._votes.sum()
        return frozenset(c.name.lower() for c in VehicleClass if c == self.class_id or shares[c] >= UNLIKELY)

    def between(self, began_s: float, ended_s: float) -> Rows:
        """The kept sightings of a stretch of time, both ends included."""
        times = self.rows["captured_s"]
        return self.rows[np.searchsorted(times, began_s, "left") : np.searchsorted(times, ended_s, "right")]

    def around(self, began_s: float, ended_s: float) -> Rows:
        """The same with one more sighting on either side, where there is one."""
        times = self.rows["captured_s"]
        first = int(np.searchsorted(times, began_s, "left"))
        return self.rows[max(0, first - 1) : int(np.searchsorted(times, ended_s, "right")) + 1]


def _area_px(rows: Rows) -> Floats:
    left, top, right, bottom = rows["xyxy_px"].T.astype(np.float64)
    area_px: Floats = (right - left) * (bottom - top)
    return area_px


def sighting(row: Any) -> Sighting:
    """One row as the rest of the engine knows it."""
    left, top, right, bottom = row["xyxy_px"].tolist()
    x_m, y_m = row["position_m"].tolist()
    position = None if np.isnan(x_m) or np.isnan(y_m) else (x_m, y_m)
    return Sighting(float(row["captured_s"]), (left, top, right, bottom), position)
