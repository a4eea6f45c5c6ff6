"""The plate of a vehicle, read in one frame after the other until they agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from engine.identify.plates.confidence import probability
from engine.identify.plates.forms import PlateForms
from engine.identify.plates.letters import DIGITS, LETTERS, Glyph, TextReading
from engine.identify.plates.locate import bounds, grown, lines, size_px, stacks
from engine.identify.plates.network import TextNetworks
from engine.identify.plates.vote import VoteResult, elect
from engine.types import BoxPx, Bytes8, Floats, Plate, PlateSighting, VehicleView

SCALES_PX = (512, 800, 1120)
"""Longer side of the vehicle as the text detector gets it: the next where nothing likely was found."""
ENLARGED = 2.5
"""No scale but the first enlarges a vehicle by more: there is nothing more to see."""
LEAST_PX = 96
"""Longer side of a vehicle whose plate can be read: a car's plate is a quarter of its width."""
MARGIN = 0.04
"""Of the vehicle's box, on every side: detectors cut bumpers off."""
MOST_LINES = 8
"""Lines of text of one vehicle that are read, the largest."""
CROPS = ((0.0, -0.1), (0.2, 0.1), (-0.05, -0.05), (0.0, 0.1))
"""Besides the line as it was found: what is added on either side, above and below, in heights. Crops that differ make
different mistakes at the edges."""
MOST_MISSES = 2
"""Frames without any text, after which no other is looked at: the first ones are the best."""
ENOUGH = 0.98
"""Two frames whose vote is this sure need no third."""
LIKELY, FITTING = 8.0, 2.0
"""How much more letters with digits, and a known form, count than the size of a text."""
FEWEST, MOST = 4, 10
"""Characters of a plate."""
LEAST_TOLD = 0.05
"""A text that is less likely than this to be the plate's is not told."""
MOST_ALTERNATIVES = 3
LEAST_ALTERNATIVE = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class PlateCandidate:
    """Text that may be the plate."""

    quads: tuple[Floats, ...]
    """One line, or two one below the other."""
    reading: TextReading

    def is_likely(self, forms: PlateForms) -> bool:
        """Does it look like a plate and not like the name of a model or firm?"""
        text = self.reading.text
        mixed = any(char in DIGITS for char in text) and any(char in LETTERS for char in text)
        return mixed or forms.fit(self.reading.glyphs).known

    def rank(self, forms: PlateForms) -> float:
        """The likelier the higher: large, surely read, letters and digits, better still in a known form."""
        area = sum(float(np.prod(size_px(quad))) for quad in self.quads)
        fits = forms.fit(self.reading.glyphs).known
        return self.reading.confidence * area * (LIKELY if self.is_likely(forms) else 1.0) * (FITTING if fits else 1.0)


class TextPlateReader:
    """`stages.PlateReader` with a general text detector and recogniser. Not thread-safe."""

    def __init__(self, networks: TextNetworks, forms: PlateForms) -> None:
        self._networks = networks
        self._forms = forms

    def read(self, views: Sequence[VehicleView]) -> PlateSighting | None:
        """The plate that the views agree on, taken in their order until they do; None where none shows any."""
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
        """The vote of all views, before any form or probability is applied; None where none shows a plate."""
        outcome = elect([reading for view, one in self._found(views) for reading in self._closer(view.rgb, one)])
        return outcome if _plausible(outcome.text) else None

    def _found(self, views: Sequence[VehicleView]) -> Iterator[tuple[VehicleView, PlateCandidate]]:
        """The views that show a plate, until `MOST_MISSES` have shown none."""
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
        """The likeliest plate in one frame."""
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
        """Every line, and every two lines one below the other."""
        readings = self._networks.read(rgb, found)
        single = [PlateCandidate((quad,), reading) for quad, reading in zip(found, readings, strict=True)]
        double = [
            PlateCandidate((found[upper], found[lower]), _chained(readings[upper], readings[lower]))
            for upper, lower in stacks(found)
            if len(readings[upper].text) <= MOST // 2 + 1 and len(readings[lower].text) <= MOST // 2 + 1
        ]
        return single + [two for two in double if self._forms.fit(two.reading.glyphs).known]

    def _closer(self, rgb: Bytes8, candidate: PlateCandidate) -> list[TextReading]:
        """The same text cut out in several ways."""
        tight = [[grown(quad, *crop) for quad in candidate.quads] for crop in CROPS]
        readings = self._networks.read(rgb, [quad for crop in tight for quad in crop])
        lines_each = len(candidate.quads)
        rows = [readings[n : n + lines_each] for n in range(0, len(readings), lines_each)]
        return [candidate.reading, *(_chained(*row) for row in rows)]

    def _agreed(self, readings: Sequence[TextReading], frames: int) -> Plate | None:
        """What the readings make together; None where that is no plate, or hardly this one."""
        outcome = elect(readings)
        fit = self._forms.fit(outcome.glyphs)
        confidence = round(probability(outcome, fits=fit.known), 4)
        if not _plausible(outcome.text) or confidence < LEAST_TOLD:
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


def _cut(view: VehicleView) -> tuple[Bytes8, Floats]:
    """The vehicle with a margin, and (2,) f8 where its corner lies."""
    left, top, right, bottom = view.xyxy_px
    across, down = MARGIN * (right - left), MARGIN * (bottom - top)
    x, y = max(0, int(left - across)), max(0, int(top - down))
    return view.rgb[y : max(y, int(bottom + down)), x : max(x, int(right + across))], np.array([x, y], np.float64)


def _scales(area: Bytes8) -> list[int]:
    """At which scales a vehicle is worth a look."""
    longest = max(area.shape[:2])
    if min(area.shape[:2]) == 0 or longest < LEAST_PX:
        return []
    return [scale for scale in SCALES_PX if scale == SCALES_PX[0] or scale <= ENLARGED * longest]


def _plausible(text: str) -> bool:
    return FEWEST <= len(text) <= MOST


def _chained(*readings: TextReading) -> TextReading:
    """Lines one below the other as one text."""
    glyphs = np.concatenate([reading.glyphs for reading in readings])
    return TextReading(glyphs, sum(reading.weight for reading in readings) / len(readings))


def _alternatives(outcome: VoteResult, text: str) -> tuple[tuple[str, float], ...]:
    """The text with its least certain character as the second choice, for the least certain places."""
    found = []
    for place, shares in enumerate(outcome.glyphs):
        for number in np.argsort(-shares)[:2].tolist():
            other = text[:place] + Glyph.ALPHABET[number] + text[place + 1 :]
            if other != text and shares[number] >= LEAST_ALTERNATIVE:
                found.append((other, round(float(shares[number]), 4)))
    return tuple(sorted(found, key=lambda one: -one[1])[:MOST_ALTERNATIVES])
