"""The plate of a case: what was read, and the tight cut that shows it."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from engine.evidence import stills
from engine.types import PlateSighting, Still, Violation
from engine.types import document as doc

PLATE = "plate.jpg"
MARGIN = 0.25
"""Of the plate's width and height on every side of what is cut out."""
LEAST_WIDTH_PX = 240
"""A smaller cut is enlarged for the eye, by a whole number; no detail is added."""


def plate_still(still: Still, sighting: PlateSighting, quality: int) -> bytes | None:
    """The plate cut out of its frame, as JPEG; None where it lies outside."""
    cut = stills.cropped(Image.fromarray(still.rgb), sighting.xyxy_px, margin=MARGIN)
    if cut is None:
        return None
    times = -(-LEAST_WIDTH_PX // cut.width)
    return stills.jpeg(cut.resize((cut.width * times, cut.height * times), Image.Resampling.BICUBIC), quality)


def plate_record(violation: Violation, files: Sequence[str]) -> doc.PlateRecord | None:
    """What the document says of the plate; None where none was read."""
    if violation.plate is None:
        return None
    plate = violation.plate.plate
    return doc.PlateRecord(
        text=plate.text,
        country=plate.country,
        region=plate.region,
        form=plate.form,
        confidence=plate.confidence,
        frames=plate.frames,
        alternatives=tuple(doc.PlateReading(text=text, confidence=share) for text, share in plate.alternatives),
        notes=plate.notes,
        still=PLATE if PLATE in files else None,
        marks=violation.marks,
    )
