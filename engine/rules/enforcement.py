"""What is enforced: the lower bound of a measured speed, its rounding, and the most lenient limit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import ArrayLike

from engine.rules.catalogue import in_force
from engine.rules.hours import local_minute, parse_hours
from engine.rules.track_history import Rows
from engine.site import Limit, Site
from engine.types import KMH, Clock, Floats, Measurement, Reason

COVERAGE_FACTOR = 3.0
"""k of the expanded uncertainty: this many standard uncertainties (JCGM 100:2008, 6.2)."""


def enforced_kmh(speed_mps: float, sigma_mps: float, tolerance_kmh: float) -> int:
    """The speed that is held against the driver: whole km/h, less tolerance and expanded uncertainty.

    A billionth is added before the floor, so that 80 km/h given in m/s is not cut to 79 by binary fractions.
    """
    return math.floor(speed_mps * KMH - tolerance_kmh - COVERAGE_FACTOR * sigma_mps * KMH + 1e-9)


def measurement(
    *,
    speed_mps: float,
    sigma_mps: float,
    limit_kmh: float,
    tolerance_kmh: float,
    began_s: float,
    ended_s: float,
    length_m: float,
) -> Measurement:
    """A measured speed against a limit, with the speed that is enforced."""
    return Measurement(
        speed_mps=speed_mps,
        sigma_mps=sigma_mps,
        coverage_factor=COVERAGE_FACTOR,
        limit_kmh=limit_kmh,
        tolerance_kmh=tolerance_kmh,
        enforced_kmh=enforced_kmh(speed_mps, sigma_mps, tolerance_kmh),
        began_s=began_s,
        ended_s=ended_s,
        length_m=length_m,
    )


def stated_speed_kmh(measured: Measurement) -> float:
    """The measured speed as a document states it, to 0.01 km/h."""
    return round(measured.speed_mps * KMH, 2)


def stated_uncertainty_kmh(measured: Measurement) -> float:
    """The expanded uncertainty as a document states it, rounded up to 0.01 km/h."""
    return math.ceil(measured.coverage_factor * measured.sigma_mps * KMH * 100) / 100


def account(measured: Measurement) -> Reason:
    """How the enforced speed is computed."""
    return Reason(
        "speed_enforced",
        {
            "enforced_kmh": measured.enforced_kmh,
            "measured_kmh": measured.speed_mps * KMH,
            "tolerance_kmh": measured.tolerance_kmh,
            "coverage_factor": measured.coverage_factor,
            "sigma_kmh": measured.sigma_mps * KMH,
            "limit_kmh": measured.limit_kmh,
        },
    )


def obstacles(site: Site, rows: Rows, at_s: float) -> Iterator[Reason]:
    """Why a measurement of the site at an instant may not be used for a fine: papers, and the clock of `rows`."""
    calibration, certificate = site.calibration, site.certificate
    if calibration is None or not in_force(calibration.made, calibration.expires, at_s):
        yield Reason("calibration_invalid")
    if certificate is None or not in_force(certificate.issued, certificate.expires, at_s):
        yield Reason("certificate_invalid")
    if (rows["clock"] == Clock.UNSTABLE).any():
        yield Reason("clock_unstable")


def most_lenient(limits: Sequence[float | None]) -> float | None:
    """The highest of the limits that may apply, km/h; None if one of them is unknown."""
    known = [limit for limit in limits if limit is not None]
    return max(known) if known and len(known) == len(limits) else None


class SpeedLimits:
    """The limits of a site or a section: the first one that fits class, hour and zone is in force."""

    def __init__(
        self, limits: Iterable[Limit], timezone: ZoneInfo, columns: Mapping[str, int] = MappingProxyType({})
    ) -> None:
        """`columns`: column of `inside` by the zone's name."""
        self._limits = [(limit, parse_hours(limit.hours)) for limit in limits]
        self._timezone = timezone
        self._columns = columns

    def in_force(self, at_s: float, vehicle: str, inside: ArrayLike = ()) -> float | None:
        """km/h for a class of vehicle at an instant; None if no limit fits. `inside`: (zones,) bool."""
        minute, within = local_minute(at_s, self._timezone), np.asarray(inside)
        for limit, hours in self._limits:
            in_zone = not limit.zone or bool(within[self._columns[limit.zone]])
            if (not limit.classes or vehicle in limit.classes) and hours.hold(minute) and in_zone:
                return limit.kmh
        return None

    def most_lenient(self, rows: Rows, vehicles: Iterable[str]) -> float | None:
        """The highest limit for any of the classes anywhere on a stretch; None if a class had no limit somewhere."""
        changes = rows[_changes(rows)]
        return most_lenient(
            [self.in_force(float(row["captured_s"]), name, row["inside"]) for row in changes for name in vehicles]
        )


def _changes(rows: Rows) -> Any:
    """The rows at which a limit may change: the first, those with other zones or another minute, and the last."""
    if len(rows) < 3:
        return np.arange(len(rows))
    other = (rows["inside"][1:] != rows["inside"][:-1]).any(axis=1)
    minute = np.floor(rows["captured_s"] / 60)
    return np.unique([0, *(np.flatnonzero(other | (minute[1:] != minute[:-1])) + 1), len(rows) - 1])


def road_per_pixel_m(image_to_ground: Floats, foot_px: Floats) -> Floats:
    """(P,) f8: length of road that one pixel down the picture covers at every point of (P, 2) f8."""
    mapped = np.hstack([foot_px, np.ones((len(foot_px), 1))]) @ image_to_ground.T
    place, w = mapped[:, :2] / mapped[:, 2:], mapped[:, 2:]
    along = (image_to_ground[:2, 1] - place * image_to_ground[2, 1]) / w
    return np.asarray(np.hypot(*along.T))
