"""The line before a signal, and what is doubtful about signals."""

from __future__ import annotations

import datetime as dt

import msgspec
import numpy as np
import pytest

from engine.errors import ConfigError
from engine.rules import SiteRulebook, check_site
from engine.rules.evaluator import CameraContext
from engine.rules.path import RoadPlane
from engine.rules.signal_line import StopLine
from engine.site import Lamp, LensBend, Signal
from tests.support.junction import JUNCTION, LINE_M, RED_LIGHT, SIGNALS, STOP, junction
from tests.support.road import KZ


def test_a_line_through_the_horizon_is_refused() -> None:
    into_the_sky = msgspec.structs.replace(STOP, from_px=(640.0, 20.0))
    with pytest.raises(ConfigError, match="rule red: line stop crosses the horizon"):
        SiteRulebook({0: junction(RED_LIGHT, lines=(into_the_sky,))}, {0: "cam"}, KZ)


def test_a_bent_lens_is_taken_out_of_the_line() -> None:
    """The foot points on the ground are those of a straight lens, as the speedometer gives them."""
    bend = LensBend(focal_px=1000.0, centre_px=(640.0, 360.0), k1=-0.3)
    calibration = msgspec.structs.replace(JUNCTION.calibration, lens=bend)
    bent = msgspec.structs.replace(STOP, from_px=bent_px(STOP.from_px, bend), to_px=bent_px(STOP.to_px, bend))
    scenes = [
        CameraContext(0, msgspec.structs.replace(junction(RED_LIGHT, lines=(line,)), calibration=given), KZ)
        for line, given in ((bent, calibration), (STOP, JUNCTION.calibration))
    ]
    lines = [StopLine(scene, RED_LIGHT, RoadPlane(scene, RED_LIGHT)) for scene in scenes]
    places = np.array([[0.0, 30.0], [2.0, 40.0], [-3.0, 55.0]])
    np.testing.assert_allclose(lines[0].ahead_m(places), lines[1].ahead_m(places), atol=0.05)
    np.testing.assert_allclose(lines[1].ahead_m(places), places[:, 1] - LINE_M, atol=0.05)


def bent_px(point_px: tuple[float, float], bend: LensBend) -> tuple[float, float]:
    x, y = ((at - centre) / bend.focal_px for at, centre in zip(point_px, bend.centre_px, strict=True))
    stretch = 1 + bend.k1 * (x * x + y * y)
    return x * stretch * bend.focal_px + bend.centre_px[0], y * stretch * bend.focal_px + bend.centre_px[1]


def test_what_is_doubtful_about_signals_is_said() -> None:
    lens = Lamp(colour="green", centre_px=(100.0, 100.0), radius_px=2.0)
    near = msgspec.structs.replace(lens, colour="amber", centre_px=(103.0, 100.0))
    doubtful = msgspec.structs.replace(
        junction(msgspec.structs.replace(RED_LIGHT, zone="nearer")),
        signals=(Signal(name="main", lamps=(lens, near)), *SIGNALS[1:]),
    )
    doubts = " ".join(check_site(doubtful, KZ, dt.datetime(2026, 6, 1, tzinfo=dt.UTC)))
    assert "zone nearer does not lie beyond line stop" in doubts
    assert "signal main has no red lamp and no controller" in doubts
    assert "signal main: the green lens is too small" in doubts
    assert "signal main: the green lens and the amber one overlap" in doubts
    assert check_site(junction(RED_LIGHT), KZ, dt.datetime(2026, 6, 1, tzinfo=dt.UTC)) == []


def test_a_rule_that_names_no_signal_of_the_site_is_refused() -> None:
    with pytest.raises(ValueError, match="rule red: there is no signal 'main'"):
        msgspec.structs.replace(JUNCTION, signals=())
