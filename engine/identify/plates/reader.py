"""Reads the plate of a vehicle in one frame after another until they agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import structlog

from engine.config import PlatesConfig
from engine.identify.plates.forms import PlateForms
from engine.identify.plates.letters import DIGITS, LETTERS, Glyph, TextReading
from engine.identify.plates.locate import bounds, grown, lines, size_px, stacks
from engine.identify.plates.network import TextNetworks, installed
from engine.identify.plates.vote import VoteResult, elect, probability
from engine.types import BoxPx, Bytes8, Floats, Plate, PlateSighting, VehicleView

log = structlog.get_logger()

SCALES_PX = (512, 800, 1120)
"""Longer side of the vehicle in the text detector's input; the next one is tried if nothing likely was found."""
ENLARGED = 2.5
"""Only the first scale may enlarge a vehicle by more than this: there is no more detail to see."""
LEAST_PX = 96
"""Least longer side of a vehicle with a readable plate: a car's plate is a quarter of its width."""
MARGIN = 0.04
"""Added to the vehicle's box on every side, as a share of it: detectors cut bumpers off."""
MOST_LINES = 8
"""At most this many lines of text of a vehicle are read, the largest ones."""
CROPS = ((0.0, -0.1), (0.2, 0.1), (-0.05, -0.05), (0.0, 0.1))
"""Further crops of a line: what is added at the ends, and above and below, in heights. Different crops make different
mistakes at the edges."""
MOST_MISSES = 2
"""The reader stops after this many frames without a plate: the first frames are the best."""
ENOUGH = 0.98
"""If the vote of two frames reaches this confidence, no third frame is read."""
LIKELY, FITTING = 8.0, 2.0
"""Factors on the rank of a text with letters and digits, and of one that fits a known form."""
FEWEST, MOST = 4, 10
"""Characters of a plate."""
LEAST_CONFIDENCE = 0.05
"""A text of less confidence is no result."""
MOST_ALTERNATIVES = 3
LEAST_ALTERNATIVE = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class PlateCandidate:
    """Text that may be the plate."""

    quads: tuple[Floats, ...]
    """One line, or two with the second below the first."""
    reading: TextReading

    def is_likely(self, forms: PlateForms) -> bool:
        """True if it looks like a plate and not like the name of a model or firm."""
        text = self.reading.text
        mixed = any(char in DIGITS for char in text) and any(char in LETTERS for char in text)
        return mixed or forms.fit(self.reading.glyphs).known

    def rank(self, forms: PlateForms) -> float:
        """Rank among candidates: higher if large, surely read, with letters and digits, and in a known form."""
        area = sum(float(np.prod(size_px(quad))) for quad in self.quads)
        fits = forms.fit(self.reading.glyphs).known
        return self.reading.confidence * area * (LIKELY if self.is_likely(forms) else 1.0) * (FITTING if fits else 1.0)


class TextPlateReader:
    """`stages.PlateReader` with a general text detector and recogniser. Not thread-safe."""

    def __init__(self, networks: TextNetworks, forms: PlateForms) -> None:
        self._networks = networks
        self._forms = forms

    def read(self, views: Sequence[VehicleView]) -> PlateSighting | None:
        """The plate that the views agree on, read in their order until they do; None if no view shows a plate."""
        readings: list[TextReading] = []
        shown: list[tuple[float, float, BoxPx]] = []
        plate: Plate | None = None
        for view, candidate in self._found(views):
            readings += self._closer(view.rgb, candidate)
            shown.append((candidate.reading.weight, view.captured_s, bounds(*candidate.quads)))
            plate = self._agreed(readings, frames=len(shown))
            if len(shown) > 1 and plate is not None and plate.confidence >= ENOUGH:
                break
        if plate is None:
            return None
        _, captured_s, box = max(shown)
        return PlateSighting(plate, captured_s, box)

    def ballot(self, views: Sequence[VehicleView]) -> VoteResult | None:
        """The vote of all views, before forms and probability are applied; None if no view shows a plate."""
        outcome = elect([reading for view, one in self._found(views) for reading in self._closer(view.rgb, one)])
        return outcome if _plausible(outcome.text) else None

    def _found(self, views: Sequence[VehicleView]) -> Iterator[tuple[VehicleView, PlateCandidate]]:
        """The views that show a plate, each with its plate; stops after `MOST_MISSES` views without a plate."""
        misses = 0
        for view in views:
            candidate = self._look(view)
            if candidate is not None:
                yield view, candidate
                continue
            misses += 1
            if misses == MOST_MISSES:
                return

    def _look(self, view: VehicleView) -> PlateCandidate | None:
        """The likeliest plate in one frame; None if no text can be a plate."""
        area, corner = _cut(view)
        best: PlateCandidate | None = None
        for longest_px in _scales(area):
            found = lines([quad + corner for quad in self._networks.find(area, longest_px)])[:MOST_LINES]
            candidates = [one for one in self._candidates(view.rgb, found) if _plausible(one.reading.text)]
            best = max([*candidates, *([best] if best else [])], key=lambda one: one.rank(self._forms), default=None)
            if best is not None and best.is_likely(self._forms):
                break
        return best

    def _candidates(self, rgb: Bytes8, found: Sequence[Floats]) -> list[PlateCandidate]:
        """Every line, and every pair of lines below each other that fits a form."""
        readings = self._networks.read(rgb, found)
        single = [PlateCandidate((quad,), reading) for quad, reading in zip(found, readings, strict=True)]
        double = [
            PlateCandidate((found[upper], found[lower]), _chained(readings[upper], readings[lower]))
            for upper, lower in stacks(found)
            if len(readings[upper].text) <= MOST // 2 + 1 and len(readings[lower].text) <= MOST // 2 + 1
        ]
        return single + [two for two in double if self._forms.fit(two.reading.glyphs).known]

    def _closer(self, rgb: Bytes8, candidate: PlateCandidate) -> list[TextReading]:
        """Readings of the same text in several crops."""
        tight = [[grown(quad, *crop) for quad in candidate.quads] for crop in CROPS]
        readings = self._networks.read(rgb, [quad for crop in tight for quad in crop])
        lines_each = len(candidate.quads)
        rows = [readings[n : n + lines_each] for n in range(0, len(readings), lines_each)]
        return [candidate.reading, *(_chained(*row) for row in rows)]

    def _agreed(self, readings: Sequence[TextReading], frames: int) -> Plate | None:
        """The plate by the vote of the readings; None if the vote is no plate, or too unsure."""
        outcome = elect(readings)
        fit = self._forms.fit(outcome.glyphs)
        confidence = round(probability(outcome, fits=fit.known), 4)
        if not _plausible(outcome.text) or confidence < LEAST_CONFIDENCE:
            return None
        return Plate(
            text=fit.text,
            country=fit.country,
            region=fit.region,
            form=fit.form,
            confidence=confidence,
            alternatives=_alternatives(outcome, fit.text),
            notes=fit.notes,
            frames=frames,
        )


def open_reader(config: PlatesConfig, forms: PlateForms) -> TextPlateReader | None:
    """The configured plate reader; None if it is off, or `auto` and not installed, which is logged.

    Raises ModelError if it is required and not installed, or does not load.
    """
    if config.reader == "off":
        return None
    if config.reader == "auto" and not installed():
        log.warning("no plate reader is installed (qyran[plates]): an officer identifies every vehicle")
        return None
    return TextPlateReader(TextNetworks(config.threads), forms)


def _cut(view: VehicleView) -> tuple[Bytes8, Floats]:
    """The vehicle with a margin, (H, W, 3) u1, and the pixel of its top left corner, (2,) f8."""
    left, top, right, bottom = view.xyxy_px
    across, down = MARGIN * (right - left), MARGIN * (bottom - top)
    x, y = max(0, int(left - across)), max(0, int(top - down))
    return view.rgb[y : max(y, int(bottom + down)), x : max(x, int(right + across))], np.array([x, y], np.float64)


def _scales(area: Bytes8) -> list[int]:
    """Scales at which the text detector looks at the vehicle."""
    longest = max(area.shape[:2])
    if min(area.shape[:2]) == 0 or longest < LEAST_PX:
        return []
    return [scale for scale in SCALES_PX if scale == SCALES_PX[0] or scale <= ENLARGED * longest]


def _plausible(text: str) -> bool:
    return FEWEST <= len(text) <= MOST


def _chained(*readings: TextReading) -> TextReading:
    """The lines of a plate as one reading."""
    glyphs = np.concatenate([reading.glyphs for reading in readings])
    return TextReading(glyphs, sum(reading.weight for reading in readings) / len(readings))


def _alternatives(outcome: VoteResult, text: str) -> tuple[tuple[str, float], ...]:
    """The text with one character replaced by its second choice, for the least certain places."""
    found = []
    for place, shares in enumerate(outcome.glyphs):
        for number in np.argsort(-shares)[:2].tolist():
            other = text[:place] + Glyph.ALPHABET[number] + text[place + 1 :]
            if other != text and shares[number] >= LEAST_ALTERNATIVE:
                found.append((other, round(float(shares[number]), 4)))
    return tuple(sorted(found, key=lambda one: -one[1])[:MOST_ALTERNATIVES])
