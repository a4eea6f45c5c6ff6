"""One signal by its lamps: looks of lenses become sightings of phases, and those a timeline.

A lens is lit when it is much brighter than the ring around it and has its colour; dark when it is hardly brighter;
in between, burnt white or of another colour, nobody can tell. A frame in which one lens cannot be told, or in which
lenses are lit together that never are, says nothing. So a low sun that makes every lens shine, the glare of headlights
and a vehicle that passes before the head give no phase, never a wrong one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.signals.timeline import LONGEST_GAP_S, Span, Timeline
from engine.site.signals import LampColour
from engine.types import Flags, Floats, Floats32, Ints, Lamps, Phase

LIT, DARK, UNCLEAR = 1, 0, -1
BRIGHT = 60.0
"""Of 255: a lens that is brighter than its ring by this is lit, if it has its colour."""
DIM = 30.0
"""One that is brighter by less than this is dark. Between the two nobody can tell: a lamp does not flicker over one
threshold."""
COVER = 0.4
"""Share of a lit lens that shines: less is hidden by something, or a reflection."""
FAINTEST = 0.08
"""Least saturation of a light that has a colour: a camera that is exposed for the road washes a lamp out."""
_HUE_DEG = {"red": (-30.0, 28.0), "amber": (10.0, 65.0), "green": (90.0, 200.0)}
"""What a camera may make of the colours of EN 12368, washed out, which turns red and amber towards yellow."""
FLASH_S = 1.0
"""Longest time that a flashing lamp stays lit or dark: it flashes once a second or so."""
_FLASHING = {
    Phase.RED: Phase.RED_FLASHING,
    Phase.AMBER: Phase.AMBER_FLASHING,
    Phase.GREEN: Phase.GREEN_FLASHING,
}
_STEADY = {flashing: steady for steady, flashing in _FLASHING.items()}
_SHOWN = {
    (): Phase.DARK,
    ("red",): Phase.RED,
    ("amber", "red"): Phase.RED_AMBER,
    ("amber",): Phase.AMBER,
    ("green",): Phase.GREEN,
}


def lit(some: Lamps, colour: Sequence[LampColour]) -> Ints:
    """(L,) LIT, DARK or UNCLEAR of lamps of given colours (L,)."""
    contrast = some.value - some.housing
    coloured = _has(some.rgb, np.array(colour))
    out = np.full(len(some), UNCLEAR)
    out[contrast <= DIM] = DARK
    out[(contrast >= BRIGHT) & (some.cover >= COVER) & coloured] = LIT
    return out


def _has(rgb: Floats32, colour: np.ndarray) -> Flags:
    """(L,) does the light have the lens's colour? Which lens it is tells the colour; this tells who else shines."""
    hue_deg, saturation = _hue(rgb.astype(np.float64))
    low_deg, high_deg = np.array([_HUE_DEG[name] for name in colour.tolist()]).reshape(-1, 2).T
    return np.asarray((saturation >= FAINTEST) & (low_deg <= hue_deg) & (hue_deg <= high_deg))


def _hue(rgb: Floats) -> tuple[Floats, Floats]:
    """(L,) hue in degrees, -60 to 300 with red at 0, and saturation, 0 to 1; nan where there is no colour."""
    highest, lowest = rgb.max(axis=1), rgb.min(axis=1)
    red, green, blue = rgb.T
    spread = np.where(highest > lowest, highest - lowest, np.nan)
    sector = [(green - blue) / spread, 2 + (blue - red) / spread, 4 + (red - green) / spread]
    return 60 * np.choose(np.nan_to_num(rgb).argmax(axis=1), sector), spread / np.where(highest > 0, highest, np.nan)


def shown(states: Sequence[int], colours: Sequence[LampColour]) -> Phase:
    """The phase that one frame shows; UNKNOWN where a lens is unclear, or lenses are lit together that never are."""
    if UNCLEAR in states:
        return Phase.UNKNOWN
    on = {colour for state, colour in zip(states, colours, strict=True) if state == LIT}
    return _SHOWN.get(tuple(sorted(on)), Phase.UNKNOWN)


class SignalHead:
    """The timeline of one signal's lamps, sighting by sighting."""

    def __init__(self) -> None:
        self.timeline = Timeline()
        self._run: Span | None = None
        """The sightings of one phase up to now, within a span of flashing."""
        self._before_s = 0.0
        """The sighting before them."""

    def forget(self) -> None:
        """The clock was set: nothing from before can be compared with what comes."""
        self.timeline.spans.clear()
        self._run = None

    def see(self, phase: Phase, at_s: float) -> None:
        """A frame showed the phase; UNKNOWN is no sighting. Times that go back forget what was before."""
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
            self._flash_on(last, phase, at_s)
        else:
            self._begin(phase, at_s)
            self._notice_flashing()

    def _begin(self, phase: Phase, at_s: float) -> None:
        self.timeline.push(Span(phase, at_s, at_s))
        self._run = None

    def _notice_flashing(self) -> None:
        """Lit, dark, lit, dark, none of the inner two for long: the last three spans are one of flashing."""
        if len(self.timeline.spans) < 4:
            return
        first, second, third, fourth = self.timeline.spans[-4:]
        alternate = first.phase == third.phase and second.phase == fourth.phase
        lamp = ({first.phase, second.phase} - {Phase.DARK}).pop()
        quick = max(second.lasted_s, third.lasted_s, third.from_s - first.until_s) <= FLASH_S
        if alternate and quick and lamp in _FLASHING and Phase.DARK in (first.phase, second.phase):
            self.timeline.spans[-3:] = [Span(_FLASHING[lamp], second.from_s, fourth.until_s)]
            self._run, self._before_s = Span(fourth.phase, fourth.from_s, fourth.until_s), third.until_s

    def _flash_on(self, flashing: Span, phase: Phase, at_s: float) -> None:
        """The lamp of a flashing signal is lit or dark; for longer than a flash, and it flashes no more."""
        if self._run is None or self._run.phase != phase:
            self._run, self._before_s = Span(phase, at_s, at_s), flashing.until_s
        self._run.until_s = flashing.until_s = at_s
        if self._run.lasted_s > FLASH_S:
            flashing.until_s = self._before_s
            self.timeline.push(self._run)
            self._run = None
