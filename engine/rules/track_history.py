"""The sightings of one track of one camera, as the rules read them; bounded in length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.types import Clock, Floats, Measurable, Sighting, VehicleClass

MOST_ROWS = 256
"""Sightings kept of one vehicle; beyond it, every second sighting of the older half is dropped."""
MOST_SIGHTINGS = 24
"""Sightings stored with an offence."""
UNLIKELY = 0.1
"""A class that held the vote for a smaller share of what was seen was only the tracker's first guess."""

Rows = NDArray[Any]
"""(P,) of `row_dtype`, ascending in time."""


def row_dtype(zones: int) -> np.dtype[Any]:
    """One sighting: capture time, box, position on the ground, clock, class by vote, and in which zones the foot is."""
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
    """(P, 2) f8: middle of the lower edge of every box."""
    box = rows["xyxy_px"]
    return np.stack([(box[:, 0] + box[:, 2]) / 2, box[:, 3]], axis=1)


@dataclass(frozen=True, slots=True)
class SpeedReading:
    """The speedometer's result for a track at one moment: a row of `types.Speeds`."""

    measurable: Measurable
    speed_mps: float
    sigma_mps: float
    began_s: float
    ended_s: float
    length_m: float


class TrackHistory:
    """The sightings of one track so far, the older ones thinned out, and the latest speed and class."""

    def __init__(self, track: int, dtype: np.dtype[Any]) -> None:
        self.track = track
        self.reading: SpeedReading | None = None
        """The latest result of the speedometer; None before the first."""
        self.reported: set[str] = set()
        """Kinds that were reported of the vehicle; shared by all histories of one vehicle."""
        self.succeeded = False
        """True if another track continues the vehicle."""
        self.steady_since_s = -np.inf
        """Only sightings after this instant have comparable capture times."""
        self.epoch = 0
        """Increases whenever earlier and later capture times can no longer be compared."""
        self.first_s = np.inf
        self._rows = np.zeros(MOST_ROWS, dtype)
        self._count = 0
        self._votes = np.zeros(len(VehicleClass))

    @property
    def rows(self) -> Rows:
        """The kept sightings, ascending in time; always with the first one."""
        return self._rows[: self._count]

    def refit(self, dtype: np.dtype[Any]) -> None:
        """Copy the sightings into rows with more or fewer zone columns, after a camera was added or removed."""
        rows = np.zeros(MOST_ROWS, dtype)
        for name in ("captured_s", "xyxy_px", "position_m", "clock", "class_id"):
            rows[name] = self._rows[name]
        zones = min(rows["inside"].shape[1], self._rows["inside"].shape[1])
        rows["inside"][:, :zones] = self._rows["inside"][:, :zones]
        self._rows = rows

    def succeed(self, before: TrackHistory) -> None:
        """Continue the vehicle of an earlier history: both share one set of reported kinds from now on."""
        before.succeeded, self.reported = True, before.reported

    def extend(self, run: Rows) -> Rows:
        """Add the sightings of a batch (ascending); returns those of them whose capture times can be trusted.

        After an unstable clock, or a clock that goes back, no earlier time is compared with a later one.
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
        """Names of all classes that the vehicle may be: the voted class, and each with a large enough share of votes.

        A sighting is weighed by the area of its box: a class is recognised from pixels, and far away it is a guess.
        """
        shares = self._votes / self._votes.sum()
        return frozenset(c.name.lower() for c in VehicleClass if c == self.class_id or shares[c] >= UNLIKELY)

    def between(self, began_s: float, ended_s: float) -> Rows:
        """The kept sightings between two instants, both included."""
        times = self.rows["captured_s"]
        return self.rows[np.searchsorted(times, began_s, "left") : np.searchsorted(times, ended_s, "right")]

    def around(self, began_s: float, ended_s: float) -> Rows:
        """The kept sightings between two instants, and one more on either side if there is one."""
        times = self.rows["captured_s"]
        first = int(np.searchsorted(times, began_s, "left"))
        return self.rows[max(0, first - 1) : int(np.searchsorted(times, ended_s, "right")) + 1]


def _area_px(rows: Rows) -> Floats:
    left, top, right, bottom = rows["xyxy_px"].T.astype(np.float64)
    area_px: Floats = (right - left) * (bottom - top)
    return area_px


def sighting(row: Any) -> Sighting:
    """One row as a `Sighting`."""
    left, top, right, bottom = row["xyxy_px"].tolist()
    x_m, y_m = row["position_m"].tolist()
    position = None if np.isnan(x_m) or np.isnan(y_m) else (x_m, y_m)
    return Sighting(float(row["captured_s"]), (left, top, right, bottom), position)


def choose_sightings(
    rows: Rows, instants_s: Sequence[float], earlier: tuple[Sighting, ...] = ()
) -> tuple[Sighting, ...]:
    """At most `MOST_SIGHTINGS`, ascending: those on both sides of every instant, the rest evenly over the offence.

    rows      (P,) at least one sighting around the offence
    earlier   sightings of the same vehicle from before all of them
    """
    after = np.searchsorted(rows["captured_s"], instants_s, "left")
    needed = np.unique(np.concatenate([after - 1, after]).clip(0, len(rows) - 1))
    spare = MOST_SIGHTINGS - len(needed) - len(earlier)
    even = np.linspace(0, len(rows) - 1, max(spare, 0)).round().astype(np.int64)
    return (*earlier, *(sighting(row) for row in rows[np.union1d(needed, even)]))
