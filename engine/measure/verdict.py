"""Whether a speed may be stated, and if not, why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.types import Bytes8, Flags, Floats, Ints, Measurable
from kernels.speed import Fits


@dataclass(frozen=True, slots=True)
class SpeedBounds:
    """When a speed may be stated."""

    fewest_sightings: int = 6
    shortest_s: float = 0.4
    shortest_m: float = 8.0
    border_px: float = 2.0
    """A box nearer than this to the border of the picture is cut by it."""
    most_hidden: float = 0.15
    """A sighting is not used when a nearer box covers a larger share of its box."""
    most_hidden_sightings: float = 0.3
    """Share of hidden sightings from which on the track could be another vehicle's."""
    widest_box: float = 1.35
    """A box that is so many times as wide as its track's narrow quarter holds a neighbour too: it hides the vehicle."""
    fewest_inliers: float = 0.7
    """Share of the sightings that must lie on one straight motion."""
    widest_sway_m: float = 1.0
    """Root mean square distance sideways from that motion."""
    widest_scatter: float = 6.0
    """Residuals along the road in units of the expected noise."""
    longest_gap_s: float = 1.0
    """After a longer time unseen it could be another vehicle."""
    most_drift: float = 0.2
    """Change of speed over the stretch as a share of the speed, beyond its own two standard errors."""
    widest_sigma_mps: float = 1.0
    widest_sigma_share: float = 0.03
    """A standard uncertainty above both bounds is no measurement."""
    noise_px: float = 1.0
    """Expected noise of a foot point, each axis."""
    wobble_m: float = 0.15
    """Expected noise of the outline against the vehicle, along the road."""
    outline_m: float = 0.3
    """Standard uncertainty of where the outline ends on the road, at either end of the stretch, alike for neighbouring
    frames: a detector's box holds more of the shadow nearby than far away, and another part of it in another region."""
    momentary_s: float = 1.0
    """Length of the window of the momentary velocity."""
    most_sightings: int = 400
    """What is remembered of one track: the latest so many."""


def judge(bounds: SpeedBounds, fit: Fits, sigma_mps: Floats, tally: Ints) -> Bytes8:
    """(N,) `Measurable` of every track, the gravest reason first."""
    usable, hidden = tally[:, Measurable.YES], tally[:, Measurable.OCCLUDED]
    lost = tally.copy()
    lost[:, Measurable.YES] = 0
    worst = np.where(lost.sum(axis=1) > usable, lost.argmax(axis=1), Measurable.TOO_SHORT)
    fits = np.isfinite(fit.speed_mps)
    short = (fit.length_m < bounds.shortest_m) | (fit.ended_s - fit.began_s < bounds.shortest_s)
    astray = (fit.inliers < bounds.fewest_inliers) | (fit.lateral_rms_m > bounds.widest_sway_m)
    wide = np.maximum(bounds.widest_sigma_mps, bounds.widest_sigma_share * fit.speed_mps)
    reasons = [
        (tally[:, Measurable.MOVED] > 0, Measurable.MOVED),
        (tally[:, Measurable.CLOCK_UNSTABLE] > 0, Measurable.CLOCK_UNSTABLE),
        (hidden > bounds.most_hidden_sightings * (hidden + usable), Measurable.OCCLUDED),
        (fit.gap_s > bounds.longest_gap_s, Measurable.OCCLUDED),
        (usable < bounds.fewest_sightings, worst),
        (~fits, Measurable.INCONSISTENT),
        (short, worst),
        (astray | (fit.scatter > bounds.widest_scatter), Measurable.INCONSISTENT),
        (np.abs(fit.speed_change) - 2.0 * fit.speed_change_sigma > bounds.most_drift, Measurable.ACCELERATING),
        (~(sigma_mps <= wide), Measurable.UNCERTAIN),
    ]
    return first_that_applies(reasons, np.full(len(usable), Measurable.YES))


def tally(reason: Bytes8, offset: Ints) -> Ints:
    """(N, 11) how many sightings of every track carry every `Measurable`."""
    track, kinds = np.repeat(np.arange(len(offset) - 1), np.diff(offset)), len(Measurable)
    counts = np.bincount(track * kinds + reason, minlength=(len(offset) - 1) * kinds)
    return np.asarray(counts.reshape(-1, kinds))


def first_that_applies(reasons: list[tuple[Flags, Any]], otherwise: NDArray[Any]) -> Bytes8:
    """The first reason whose condition holds, row by row."""
    chosen = np.select([holds for holds, _ in reasons], [reason for _, reason in reasons], otherwise)
    return np.asarray(chosen, np.uint8)
