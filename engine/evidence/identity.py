"""The id of a case: the same for the same offence, whatever was restarted and read again between."""

from __future__ import annotations

import hashlib

from engine.types import Sighting, Violation, document

CELL_PX = 16
"""Two vehicles of one picture whose boxes have their centres in one such cell are one vehicle."""
DIGITS = 12
"""Of the hash, hexadecimal: 48 bits within one camera, kind and millisecond."""


def case_id(violation: Violation, camera: str, device_serial: str) -> str:
    """`CAMERA-YYYYMMDDThhmmss.mmmZ-KIND-HASH`; fit for a file's name.

    Made of what a second reading of the same footage finds again: the device, the camera, the kind, the rule, the
    decisive instant to the millisecond, and the cell of the picture in which the vehicle then was, which tells apart
    two vehicles that offend in the same frame. Not made of: numbers that a process gives (track, sequence), what a
    longer recording may change (first and last instant, speed), versions.
    """
    sighting = min(violation.sightings, key=lambda seen: abs(seen.captured_s - violation.decisive_s))
    column, row = _cell(sighting)
    decisive_ms = round(violation.decisive_s * 1000)
    facts = (device_serial, camera, violation.kind, violation.rule, str(decisive_ms), str(column), str(row))
    digest = hashlib.sha256("\x1f".join(facts).encode()).hexdigest()[:DIGITS]
    at = document.moment(decisive_ms / 1000)
    return f"{camera}-{at:%Y%m%dT%H%M%S}.{decisive_ms % 1000:03d}Z-{violation.kind}-{digest}"


def _cell(sighting: Sighting) -> tuple[int, int]:
    left, top, right, bottom = sighting.xyxy_px
    return int((left + right) / 2 // CELL_PX), int((top + bottom) / 2 // CELL_PX)
