"""One signal by its lamps: the appearance of lenses gives sightings of phases, and these a timeline.

A lens is lit if it is much brighter than the ring around it and has its colour. It is dark if it is hardly brighter. In
all other cases (between the two, saturated, of another colour) it is unclear. A frame with an unclear lens, or with an
impossible combination of lit lenses, gives no sighting. So a low sun that makes all lenses shine, the glare of
headlights, or a vehicle in front of the head give no phase, but never a wrong one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.signals.timeline import LONGEST_GAP_S, Span, Timeline
from engine.site.signals import LampColour
from engine.types import Flags, Floats, Floats32, Ints, Lamps, Phase

LIT, DARK, UNCLEAR = 1, 0, -1
BRIGHT = 60.0
"""Least difference of brightness, of 255, between a lit lens and its ring."""
DIM = 30.0
"""Largest difference of a dark lens. Between the two thresholds a lens is unclear, so it does not flicker over one."""
COVER = 0.4
"""Least bright share of a lit lens. A smaller share is a partly hidden lens, or a reflection."""
FAINTEST = 0.08
"""Least saturation of a coloured light. A camera that is exposed for the road shows lamps with pale colours."""
_HUE_DEG = {"red": (-30.0, 28.0), "amber": (10.0, 65.0), "green": (90.0, 200.0)}
"""Hues of the colours of EN 12368 in a picture. Overexposure moves red and amber towards yellow."""
FLASH_S = 1.0
"""Longest time for which a flashing lamp stays lit or dark. It flashes about once per second."""
_FLASHING = {Phase.RED: Phase.RED_FLASHING, Phase.AMBER: Phase.AMBER_FLASHING, Phase.GREEN: Phase.GREEN_FLASHING}
_STEADY = {flashing: steady for steady, flashing in _FLASHING.items()}
_SHOWN = {
    (): Phase.DARK,
    ("red",): Phase.RED,
    ("amber", "red"): Phase.RED_AMBER,
    ("amber",): Phase.AMBER,
    ("green",): Phase.GREEN,
}


def classify_lamps(some: Lamps, colour: Sequence[LampColour]) -> Ints:
    """(L,) LIT, DARK or UNCLEAR for lamps with these colours (L,)."""
    contrast = some.value - some.housing
    coloured = _has_colour(some.rgb, np.array(colour))
    out = np.full(len(some), UNCLEAR)
    out[contrast <= DIM] = DARK
    out[(contrast >= BRIGHT) & (some.cover >= COVER) & coloured] = LIT
    return out


def _has_colour(rgb: Floats32, colour: np.ndarray) -> Flags:
    """(L,) True if the light has the colour of its lens. This excludes light from other sources."""
    hue_deg, saturation = _hue(rgb.astype(np.float64))
    low_deg, high_deg = np.array([_HUE_DEG[name] for name in colour.tolist()]).reshape(-1, 2).T
    return np.asarray((saturation >= FAINTEST) & (low_deg <= hue_deg) & (hue_deg <= high_deg))


def _hue(rgb: Floats) -> tuple[Floats, Floats]:
    """(L,) hue in degrees, -60 to 300 with red at 0, and (L,) saturation, 0 to 1; nan for a light without colour."""
    highest, lowest = rgb.max(axis=1), rgb.min(axis=1)
    red, green, blue = rgb.T
    spread = np.where(highest > lowest, highest - lowest, np.nan)
    sector = [(green - blue) / spread, 2 + (blue - red) / spread, 4 + (red - green) / spread]
    return 60 * np.choose(np.nan_to_num(rgb).argmax(axis=1), sector), spread / np.where(highest > 0, highest, np.nan)


def phase_of_lamps(states: Sequence[int], colours: Sequence[LampColour]) -> Phase:
    """The phase in one frame; UNKNOWN if a lens is unclear, or if the combination of lit lenses is impossible."""
    if UNCLEAR in states:
        return Phase.UNKNOWN
    on = {colour for state, colour in zip(states, colours, strict=True) if state == LIT}
    return _SHOWN.get(tuple(sorted(on)), Phase.UNKNOWN)


class SignalHead:
    """Builds the timeline of one signal from sightings of its lamps."""

    def __init__(self) -> None:
        self.timeline = Timeline()
        self._run: Span | None = None
        """The latest sightings of one phase within a span of flashing."""
        self._before_s = 0.0
        """Time of the sighting before them."""

    def forget(self) -> None:
        """Drop all sightings, because the clock was set."""
        self.timeline.spans.clear()
        self._run = None

    def add(self, phase: Phase, at_s: float) -> None:
        """Add the phase of the next frame. UNKNOWN is not a sighting. If time goes back, earlier sightings are
        dropped."""
        if at_s <= self.timeline.reached_s:
            self.forget()
        if phase is Phase.UNKNOWN:
            return
        last = self.timeline.spans[-1] if self.timeline.spans else None
        if last is None or at_s - last.until_s > LONGEST_GAP_S:
            self._begin(phase, at_s)
        elif last.phase == phase:
            last.until_s = at_s
        elif last.phase in _STEADY and phase in (_STEADY[last.phase], Phase.DARK):
            self._continue_flashing(last, phase, at_s)
        else:
            self._begin(phase, at_s)
            self._detect_flashing()

    def _begin(self, phase: Phase, at_s: float) -> None:
        self.timeline.push(Span(phase, at_s, at_s))
        self._run = None

    def _detect_flashing(self) -> None:
        """Turn the last spans into one of flashing, if they are lit, dark, lit, dark, and the inner two are short."""
        if len(self.timeline.spans) < 4:
            return
        first, second, third, fourth = self.timeline.spans[-4:]
        alternate = first.phase == third.phase and second.phase == fourth.phase
        lamp = ({first.phase, second.phase} - {Phase.DARK}).pop()
        quick = max(second.lasted_s, third.lasted_s, third.from_s - first.until_s) <= FLASH_S
        if alternate and quick and lamp in _FLASHING and Phase.DARK in (first.phase, second.phase):
            self.timeline.spans[-3:] = [Span(_FLASHING[lamp], second.from_s, fourth.until_s)]
            self._run, self._before_s = Span(fourth.phase, fourth.from_s, fourth.until_s), third.until_s

    def _continue_flashing(self, flashing: Span, phase: Phase, at_s: float) -> None:
        """Extend the span of flashing. It ends if the lamp stays lit or dark for longer than a flash."""
        if self._run is None or self._run.phase != phase:
            self._run, self._before_s = Span(phase, at_s, at_s), flashing.until_s
        self._run.until_s = flashing.until_s = at_s
        if self._run.lasted_s > FLASH_S:
            flashing.until_s = self._before_s
            self.timeline.push(self._run)
            self._run = None
