"""Phases from lamps by colour and contrast, over time; UNKNOWN if the lamps are unclear."""

from __future__ import annotations

import numpy as np
import pytest

from engine.signals.head import DARK, LIT, UNCLEAR, SignalHead, classify_lamps, phase_of_lamps
from engine.types import Lamps, Phase
from kernels.lamp import COLUMNS, Layout, measure_lamps
from kernels.letterbox import Picture, Plane

COLOURS = ("red", "amber", "green")
RED, AMBER, GREEN = (250, 60, 40), (250, 170, 40), (40, 250, 170)
OFF = (35, 30, 30)
CENTRES = ((24.0, 20.0), (24.0, 44.0), (24.0, 68.0))
RADIUS_PX = 8.0
INSIDE_LAYOUT = np.hstack([np.eye(3), np.zeros((3, 1))])


def head_picture(*lenses: tuple[int, int, int], housing: int = 25, around: int = 120) -> np.ndarray:
    """(88, 48, 3) f8: three lenses in a dark housing in front of a grey street."""
    rgb = np.full((88, 48, 3), float(around))
    rgb[4:84, 6:42] = housing
    y, x = np.mgrid[:88, :48] + 0.5
    for (x_px, y_px), colour in zip(CENTRES, lenses, strict=True):
        rgb[np.hypot(x - x_px, y - y_px) <= RADIUS_PX] = colour
    return rgb


def states(rgb: np.ndarray) -> list[int]:
    """The phase of a picture by the kernel and the classification."""
    height, width, _ = rgb.shape
    samples = np.ascontiguousarray(rgb.round().clip(0, 255).astype(np.uint8).reshape(height, 3 * width))
    picture = Picture(*(Plane(samples, 3, channel) for channel in range(3)))
    look = np.empty((3, COLUMNS), np.float32)
    circles = np.array([(*centre, RADIUS_PX * 0.85) for centre in CENTRES])
    measure_lamps(picture, Layout(width, height, 1, 1, INSIDE_LAYOUT), circles, look)
    seen = Lamps(np.zeros(3, np.int32), np.arange(3, dtype=np.int32), look)
    return classify_lamps(seen, COLOURS).tolist()


def phase_of(rgb: np.ndarray) -> Phase:
    return phase_of_lamps(states(rgb), COLOURS)


@pytest.mark.parametrize(
    ("lenses", "phase"),
    [
        ((RED, OFF, OFF), Phase.RED),
        ((RED, AMBER, OFF), Phase.RED_AMBER),
        ((OFF, AMBER, OFF), Phase.AMBER),
        ((OFF, OFF, GREEN), Phase.GREEN),
        ((OFF, OFF, OFF), Phase.DARK),
        ((RED, OFF, GREEN), Phase.UNKNOWN),
        ((RED, AMBER, GREEN), Phase.UNKNOWN),
        (((254, 211, 194), OFF, OFF), Phase.RED),
        ((OFF, OFF, (223, 250, 237)), Phase.GREEN),
    ],
    ids=["red", "red-amber", "amber", "green", "dark", "red-green", "all", "washed-out red", "washed-out green"],
)
def test_the_lit_lenses_are_the_phase(lenses: tuple[tuple[int, int, int], ...], phase: Phase) -> None:
    assert phase_of(head_picture(*lenses)) is phase


@pytest.mark.parametrize("sigma", [8, 25])
def test_noise_makes_no_wrong_phase(sigma: float) -> None:
    rng, right = np.random.default_rng(0), 0
    for lenses, phase in (((RED, OFF, OFF), Phase.RED), ((OFF, OFF, GREEN), Phase.GREEN)):
        for _ in range(40):
            rgb = head_picture(*lenses)
            seen = phase_of(rgb + rng.normal(0, sigma, rgb.shape))
            assert seen in (phase, Phase.UNKNOWN)
            right += seen is phase
    assert right >= 76


def test_a_lamp_is_lit_at_night() -> None:
    night = head_picture((230, 50, 30), (6, 5, 5), (5, 6, 5), housing=4, around=6)
    assert phase_of(night) is Phase.RED


def test_a_saturated_lens_has_no_colour() -> None:
    assert states(head_picture((255, 255, 255), OFF, OFF))[0] == UNCLEAR
    assert phase_of(head_picture((255, 255, 255), OFF, OFF)) is Phase.UNKNOWN


def test_glare_over_the_whole_head_hides_it() -> None:
    flooded = head_picture(RED, OFF, OFF) * 0.15 + 235
    assert phase_of(flooded) in (Phase.UNKNOWN, Phase.DARK)


def test_a_low_sun_that_makes_every_lens_shine_shows_no_phase() -> None:
    assert phase_of(head_picture((190, 80, 60), (190, 140, 60), (60, 180, 120), housing=60)) is Phase.UNKNOWN


def test_a_white_reflection_is_not_a_lamp() -> None:
    assert states(head_picture(OFF, OFF, (200, 200, 198)))[2] == UNCLEAR
    assert states(head_picture(OFF, OFF, (196, 200, 197)))[2] == UNCLEAR


def test_a_faint_lens_is_neither_lit_nor_dark() -> None:
    assert [states(head_picture((25 + over, 25, 25), OFF, OFF))[0] for over in (10, 45, 120)] == [DARK, UNCLEAR, LIT]


@pytest.mark.parametrize("paint", [(200, 30, 30), (240, 240, 240), (30, 30, 30)], ids=["red bus", "white van", "lorry"])
def test_a_vehicle_before_the_head_shows_no_phase(paint: tuple[int, int, int]) -> None:
    hidden = head_picture(OFF, OFF, GREEN)
    hidden[:] = paint
    assert phase_of(hidden) in (Phase.UNKNOWN, Phase.DARK)


def test_a_lens_that_is_mostly_hidden_is_not_lit() -> None:
    rgb = head_picture(RED, OFF, OFF)
    rgb[:, 22:] = 30
    assert states(rgb)[0] == UNCLEAR


def seen(*runs: tuple[Phase, float], fps: float = 8.0, start_s: float = 100.0) -> SignalHead:
    """A head that showed each phase for a number of seconds."""
    head, at_s = SignalHead(), start_s
    for phase, lasts_s in runs:
        for _ in range(round(lasts_s * fps)):
            head.add(phase, at_s)
            at_s += 1 / fps
    return head


def spans(head: SignalHead) -> list[tuple[Phase, float, float]]:
    return [(span.phase, round(span.from_s - 100, 3), round(span.until_s - 100, 3)) for span in head.timeline.spans]


def flashes(phase: Phase, count: int, half_s: float = 0.5) -> list[tuple[Phase, float]]:
    return [(phase, half_s), (Phase.DARK, half_s)] * count


def test_a_phase_is_certain_from_its_first_to_its_last_sighting() -> None:
    head = seen((Phase.GREEN, 2.0), (Phase.AMBER, 1.0), (Phase.RED, 2.0))
    assert spans(head) == [(Phase.GREEN, 0, 1.875), (Phase.AMBER, 2, 2.875), (Phase.RED, 3, 4.875)]
    timeline = head.timeline
    assert timeline.at(104.0, 0.0) is Phase.RED
    assert timeline.at(102.95, 0.0) is Phase.UNKNOWN
    assert timeline.at(103.01, 0.05) is Phase.UNKNOWN
    assert timeline.at(99.0, 0.0) is timeline.at(106.0, 0.0) is Phase.UNKNOWN


def test_a_short_gap_is_bridged_and_a_long_one_is_not() -> None:
    short = seen((Phase.RED, 1.0), (Phase.UNKNOWN, 0.375), (Phase.RED, 1.0))
    assert short.timeline.at(101.2, 0.0) is Phase.RED
    long = seen((Phase.RED, 1.0), (Phase.UNKNOWN, 1.0), (Phase.RED, 1.0))
    assert long.timeline.at(101.5, 0.0) is Phase.UNKNOWN
    assert long.timeline.since_s({Phase.RED}, 102.2, 102.5, 0.0) == pytest.approx(102.0)


@pytest.mark.parametrize(
    ("lamp", "flashing"),
    [(Phase.GREEN, Phase.GREEN_FLASHING), (Phase.AMBER, Phase.AMBER_FLASHING), (Phase.RED, Phase.RED_FLASHING)],
)
def test_a_lamp_that_turns_on_and_off_flashes(lamp: Phase, flashing: Phase) -> None:
    head = seen((lamp, 3.0), *flashes(lamp, 4), (Phase.RED, 2.0) if lamp is not Phase.RED else (Phase.GREEN, 2.0))
    assert spans(head)[0][0] is lamp
    assert flashing in [phase for phase, *_ in spans(head)]
    assert head.timeline.at(104.7, 0.0) is flashing
    assert head.timeline.at(101.0, 0.0) is lamp


def test_flashing_ends_when_the_lamp_stays() -> None:
    head = seen(*flashes(Phase.AMBER, 4), (Phase.AMBER, 3.0))
    assert head.timeline.at(102.2, 0.0) is Phase.AMBER_FLASHING
    assert head.timeline.at(106.0, 0.0) is Phase.AMBER


def test_one_flicker_is_not_flashing() -> None:
    head = seen((Phase.RED, 2.0), (Phase.DARK, 0.125), (Phase.RED, 3.0))
    assert Phase.RED_FLASHING not in [phase for phase, *_ in spans(head)]


def test_lamps_that_change_slowly_do_not_flash() -> None:
    head = seen((Phase.RED, 3.0), (Phase.DARK, 2.0), (Phase.RED, 3.0), (Phase.DARK, 2.0))
    assert [phase for phase, *_ in spans(head)] == [Phase.RED, Phase.DARK] * 2


def test_a_phase_that_began_too_late_was_not_shown_since() -> None:
    timeline = seen((Phase.AMBER, 3.0), (Phase.RED, 3.0)).timeline
    assert timeline.since_s({Phase.RED}, 103.1, 105.0, 0.05) == pytest.approx(103.05)
    assert timeline.since_s({Phase.RED}, 103.0, 105.0, 0.05) is None


def test_red_then_red_and_amber_is_one_prohibition() -> None:
    head = seen((Phase.RED, 2.0), (Phase.RED_AMBER, 1.0), (Phase.GREEN, 2.0))
    both = {Phase.RED, Phase.RED_AMBER}
    assert head.timeline.since_s(both, 100.5, 102.5, 0.05) == pytest.approx(100.05)
    assert head.timeline.since_s({Phase.RED}, 100.5, 102.5, 0.05) is None
    assert head.timeline.since_s(both, 100.5, 103.5, 0.05) is None


def test_another_phase_denies_and_dark_does_not() -> None:
    timeline = seen((Phase.GREEN, 2.0), (Phase.RED, 2.0), (Phase.DARK, 1.0)).timeline
    assert timeline.denies({Phase.RED}, 101.0, 103.0, 0.05)
    assert not timeline.denies({Phase.RED}, 102.1, 104.5, 0.05)


def test_a_clock_that_goes_back_drops_all_sightings() -> None:
    head = seen((Phase.RED, 2.0))
    for at_s in np.arange(50.0, 52.0, 0.125):
        head.add(Phase.RED, float(at_s))
    assert head.timeline.at(101.0, 0.0) is Phase.UNKNOWN
    assert head.timeline.at(51.0, 0.0) is Phase.RED
