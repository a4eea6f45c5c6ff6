"""Decides whether a speed may be stated; if not, gives the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.types import Bytes8, Flags, Floats, Ints, Measurable
from kernels.speed import Fits


@dataclass(frozen=True, slots=True)
class SpeedBounds:
    """Bounds within which a speed may be stated."""

    min_sightings: int = 6
    min_duration_s: float = 0.4
    min_length_m: float = 8.0
    border_px: float = 2.0
    """The border of the picture cuts a box within this distance."""
    max_hidden: float = 0.15
    """A sighting is not used if a nearer box covers a larger share of its box."""
    max_hidden_sightings: float = 0.3
    """With a larger share of hidden sightings the track could belong to another vehicle."""
    max_widening: float = 1.35
    """A box that is wider than its track's narrow quarter by this factor includes a neighbour, which hides the
    vehicle."""
    min_inliers: float = 0.7
    """Least share of the sightings on one straight motion."""
    max_sway_m: float = 1.0
    """Largest root mean square distance sideways from that motion."""
    max_scatter: float = 6.0
    """Largest residuals along the road, in units of the expected noise."""
    max_gap_s: float = 1.0
    """After a longer gap between sightings it could be another vehicle."""
    max_speed_change: float = 0.2
    """Largest change of speed over the stretch, as a share of the speed, in addition to two standard errors."""
    max_sigma_mps: float = 1.0
    """A standard uncertainty above both this and `max_sigma_share` is not a measurement."""
    max_sigma_share: float = 0.03
    """The same as a share of the speed."""
    noise_px: float = 1.0
    """Expected noise of a foot point, each axis."""
    wobble_m: float = 0.15
    """Expected noise of the outline relative to the vehicle, along the road."""
    outline_m: float = 0.3
    """Standard uncertainty of the end of the outline on the road, at each end of the stretch, correlated over
    neighbouring frames: a detector's box includes more of the shadow in the near range than in the far range, and
    another part of it in another region."""
    momentary_s: float = 1.0
    """Length of the window of the momentary velocity."""
    max_sightings: int = 400
    """Number of sightings that are stored of one track."""


def decide(bounds: SpeedBounds, fit: Fits, sigma_mps: Floats, tally: Ints) -> Bytes8:
    """(N,) u1: `Measurable` of each track. If several reasons hold, the first in the list counts."""
    usable, hidden = tally[:, Measurable.YES], tally[:, Measurable.OCCLUDED]
    lost = tally.copy()
    lost[:, Measurable.YES] = 0
    worst = np.where(lost.sum(axis=1) > usable, lost.argmax(axis=1), Measurable.TOO_SHORT)
    fits = np.isfinite(fit.speed_mps)
    short = (fit.length_m < bounds.min_length_m) | (fit.ended_s - fit.began_s < bounds.min_duration_s)
    astray = (fit.inliers < bounds.min_inliers) | (fit.lateral_rms_m > bounds.max_sway_m)
    wide = np.maximum(bounds.max_sigma_mps, bounds.max_sigma_share * fit.speed_mps)
    reasons = [
        (tally[:, Measurable.MOVED] > 0, Measurable.MOVED),
        (tally[:, Measurable.CLOCK_UNSTABLE] > 0, Measurable.CLOCK_UNSTABLE),
        (hidden > bounds.max_hidden_sightings * (hidden + usable), Measurable.OCCLUDED),
        (fit.gap_s > bounds.max_gap_s, Measurable.OCCLUDED),
        (usable < bounds.min_sightings, worst),
        (~fits, Measurable.INCONSISTENT),
        (short, worst),
        (astray | (fit.scatter > bounds.max_scatter), Measurable.INCONSISTENT),
        (np.abs(fit.speed_change) - 2.0 * fit.speed_change_sigma > bounds.max_speed_change, Measurable.ACCELERATING),
        (~(sigma_mps <= wide), Measurable.UNCERTAIN),
    ]
    return first_applicable(reasons, np.full(len(usable), Measurable.YES))


def count_reasons(reason: Bytes8, offset: Ints) -> Ints:
    """(N, K) number of sightings of each track with each of the K values of `Measurable`."""
    track, kinds = np.repeat(np.arange(len(offset) - 1), np.diff(offset)), len(Measurable)
    counts = np.bincount(track * kinds + reason, minlength=(len(offset) - 1) * kinds)
    return np.asarray(counts.reshape(-1, kinds))


def first_applicable(reasons: list[tuple[Flags, Any]], otherwise: NDArray[Any]) -> Bytes8:
    """(N,) u1: for each row, the first reason whose condition (N,) holds, else the row of `otherwise` (N,)."""
    chosen = np.select([holds for holds, _ in reasons], [reason for _, reason in reasons], otherwise)
    return np.asarray(chosen, np.uint8)
