"""Selects the frames that show a vehicle best, and fetches them."""

from __future__ import annotations

from collections.abc import Sequence

from engine.stages import FrameFetcher
from engine.types import Segment, Sighting, VehicleView, Violation

LEAST_APART_S = 0.1
"""Two frames are at least this far apart: closer ones lead to the same reading errors."""
BORDER_PX = 2.0
"""A box that is closer than this to the border of the picture is cut off by it."""


def views(violation: Violation, segments: Sequence[Segment], look: FrameFetcher, most: int) -> list[VehicleView]:
    """The vehicle in at most `most` kept frames, the largest first. Raises what `look` raises."""
    if not segments:
        return []
    best = largest(violation.sightings, (segments[0].width_px, segments[0].height_px), most)
    stills = look(segments, [sighting.captured_s for sighting in best]) if best else []
    return [
        VehicleView(still.captured_s, still.rgb, sighting.xyxy_px)
        for still, sighting in zip(stills, best, strict=True)
        if still.shows(sighting.captured_s)
    ]


def largest(sightings: Sequence[Sighting], size_px: tuple[int, int], most: int) -> list[Sighting]:
    """At most `most` sightings, not of one moment: those with the whole vehicle first, then by area."""
    chosen: list[Sighting] = []
    for sighting in sorted(sightings, key=lambda seen: (_is_cut(seen, size_px), -_area(seen))):
        if all(abs(sighting.captured_s - other.captured_s) >= LEAST_APART_S for other in chosen):
            chosen.append(sighting)
    return chosen[:most]


def _is_cut(sighting: Sighting, size_px: tuple[int, int]) -> bool:
    left, top, right, bottom = sighting.xyxy_px
    return min(left, top, size_px[0] - right, size_px[1] - bottom) < BORDER_PX


def _area(sighting: Sighting) -> float:
    left, top, right, bottom = sighting.xyxy_px
    return (right - left) * (bottom - top)
