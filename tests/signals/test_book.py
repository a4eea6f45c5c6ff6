"""The phase store: what controllers report, what lamps show, and what is known when both speak."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from engine.config import CameraConfig
from engine.errors import SignalError
from engine.metrics import Metrics
from engine.signals import PROHIBITS, Change, Report, SignalBook
from engine.signals.controller import Controller
from engine.site import Lamp, Place, Signal, Site, WatchedCamera
from engine.types import Clock, FrameBatch, Frames, Lamps, Phase

LENSES = tuple(
    Lamp(colour=colour, centre_px=(100.0, y), radius_px=5.0)
    for colour, y in (("red", 40.0), ("amber", 55.0), ("green", 70.0))
)
SITE = Site(
    name="junction",
    image_size_px=(640, 360),
    place=Place(address={"en": "Junction"}),
    valid_from=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    signals=(
        Signal(name="seen", lamps=LENSES),
        Signal(name="told", controller="c-17", group="K1"),
        Signal(name="both", lamps=LENSES, controller="c-17", group="K2"),
    ),
)
LOOK = {"red": (250, 60, 40), "amber": (250, 170, 40), "green": (40, 250, 170)}


def open_book(metrics: Metrics | None = None) -> SignalBook:
    return SignalBook({0: SITE}, {0: "cam"}, metrics or Metrics())


def frames_showing(lamp: str, began_s: float, ended_s: float, *, clock: Clock = Clock.SYNCHRONISED) -> FrameBatch:
    """Frames at 8 a second in which every head shows one lamp; `hidden` shows none."""
    at_s = np.arange(began_s, ended_s, 0.125)
    frames = Frames(
        np.zeros(len(at_s), np.int32),
        at_s,
        np.tile(np.array([[640, 360]], np.int32), (len(at_s), 1)),
        np.full(len(at_s), clock, np.uint8),
    )
    rows = [(f, n, lens.colour) for f in range(len(at_s)) for n, lens in enumerate(LENSES * 2)]
    lit = np.array([colour == lamp for *_, colour in rows])
    look = np.zeros((len(rows), 7), np.float32)
    look[:, :3] = [LOOK[colour] if colour == lamp else (30, 30, 30) for *_, colour in rows]
    look[:, 3], look[:, 4], look[:, 5] = np.where(lit, 250, 30), 25, lit
    lamps = Lamps(np.array([f for f, *_ in rows], np.int32), np.array([n for _, n, _ in rows], np.int32), look)
    nothing = np.zeros((0, 4), np.float32)
    return FrameBatch(frames, np.zeros((0, 3, 1, 1)), np.zeros(0, np.int32), nothing, nothing, lamps)


def told(*phases: tuple[Phase, float], until_s: float, group: str = "K1", sequence: int = 1) -> Report:
    return Report("c-17", sequence, until_s, tuple(Change(group, phase, at_s) for phase, at_s in phases))


def test_lamps_in_the_frames_are_known_between_the_frames() -> None:
    book = open_book()
    book.observe(frames_showing("green", 100, 110), frozenset())
    book.observe(frames_showing("red", 110, 120), frozenset())
    assert book.at(0, "seen", 105.06) is Phase.GREEN
    assert book.at(0, "seen", 115.06) is Phase.RED
    assert book.at(0, "seen", 109.95) is Phase.UNKNOWN
    assert book.since_s(0, ("seen",), PROHIBITS, 111, 115) == pytest.approx(110.05)


def test_the_lamps_of_a_camera_that_has_moved_are_not_believed() -> None:
    book = open_book()
    book.observe(frames_showing("red", 100, 110), frozenset({0}))
    assert book.at(0, "seen", 105) is Phase.UNKNOWN


def test_a_clock_that_is_not_trusted_forgets_what_was_seen() -> None:
    book = open_book()
    book.observe(frames_showing("red", 100, 110), frozenset())
    book.observe(frames_showing("red", 110, 111, clock=Clock.UNSTABLE), frozenset())
    assert book.at(0, "seen", 105) is book.at(0, "seen", 110.5) is Phase.UNKNOWN
    book.observe(frames_showing("red", 111, 113), frozenset())
    assert book.at(0, "seen", 112) is Phase.RED


def test_a_report_is_known_up_to_its_own_time_and_no_farther() -> None:
    book = open_book()
    book.observe(frames_showing("hidden", 100, 101), frozenset())
    assert book.report(told((Phase.GREEN, 100), (Phase.RED, 120), until_s=130))
    assert book.at(0, "told", 110) is Phase.GREEN
    assert book.at(0, "told", 125) is Phase.RED
    assert book.at(0, "told", 120.1) is Phase.UNKNOWN
    assert book.at(0, "told", 129.9) is Phase.UNKNOWN
    assert book.report(told(until_s=150, sequence=2))
    assert book.at(0, "told", 145) is Phase.RED


def test_a_camera_with_the_time_of_arrival_knows_less_of_a_controller() -> None:
    book = open_book()
    book.report(told((Phase.RED, 100), until_s=130))
    assert book.at(0, "told", 129) is Phase.UNKNOWN
    book.observe(frames_showing("hidden", 100, 101, clock=Clock.ARRIVAL), frozenset())
    assert book.at(0, "told", 101) is Phase.UNKNOWN
    assert book.at(0, "told", 110) is Phase.RED
    book.observe(frames_showing("hidden", 101, 102), frozenset())
    assert book.at(0, "told", 101) is Phase.RED


def test_two_sources_that_agree_are_one_and_that_disagree_are_none() -> None:
    metrics = Metrics()
    book = open_book(metrics)
    book.report(told((Phase.RED, 90), (Phase.GREEN, 110.5), until_s=130, group="K2"))
    book.observe(frames_showing("red", 100, 110), frozenset())
    assert book.at(0, "both", 105) is Phase.RED
    assert book.since_s(0, ("both",), PROHIBITS, 101, 105) == pytest.approx(100.05)
    book.observe(frames_showing("red", 110, 120), frozenset())
    assert book.at(0, "both", 115) is Phase.UNKNOWN
    assert book.since_s(0, ("both",), PROHIBITS, 101, 115) is None
    assert metrics.registry.get_sample_value("qyran_signal_contradictions_total", {"camera": "cam", "signal": "both"})


def test_where_the_lamps_are_hidden_the_controller_is_believed_alone() -> None:
    book = open_book()
    book.report(told((Phase.RED, 90), until_s=130, group="K2"))
    book.observe(frames_showing("hidden", 100, 110), frozenset())
    assert book.at(0, "both", 105) is Phase.RED
    assert book.at(0, "seen", 105) is Phase.DARK


def test_of_several_signals_one_must_say_so_and_none_otherwise() -> None:
    book = open_book()
    book.observe(frames_showing("red", 100, 110), frozenset())
    assert book.since_s(0, ("seen", "told"), PROHIBITS, 101, 105) is not None
    book.report(told((Phase.GREEN, 90), until_s=130))
    assert book.since_s(0, ("seen", "told"), PROHIBITS, 101, 105) is None


def test_phase_and_share_of_the_unknown_are_metrics() -> None:
    metrics = Metrics()
    book = open_book(metrics)
    book.observe(frames_showing("red", 100, 110), frozenset())
    labels = {"camera": "cam", "signal": "seen"}
    assert metrics.registry.get_sample_value("qyran_signal_phase", labels) == Phase.RED
    assert metrics.registry.get_sample_value("qyran_signal_looks_total", labels | {"phase": "known"}) == 1
    book.observe(frames_showing("hidden", 110, 112), frozenset())
    assert metrics.registry.get_sample_value("qyran_signal_looks_total", labels | {"phase": "unknown"}) == 1
    metrics.remove_camera("cam")
    assert metrics.registry.get_sample_value("qyran_signal_phase", labels) is None


def controller_of(*groups: str) -> Controller:
    controller = Controller("c-17")
    for group in groups:
        controller.watch(group)
    return controller


def phase_at(controller: Controller, at_s: float, group: str = "K1") -> Phase:
    with controller.timeline(group) as timeline:
        return timeline.at(at_s, 0.0)


def test_a_repeated_report_changes_nothing() -> None:
    controller, report = controller_of("K1"), told((Phase.RED, 100), until_s=110)
    assert controller.accept(report)
    assert not controller.accept(report)
    assert not controller.accept(told((Phase.GREEN, 100), until_s=110))
    assert (controller.last_sequence, phase_at(controller, 105)) == (1, Phase.RED)


def test_a_missing_report_makes_everything_unknown_until_it_is_said_again() -> None:
    controller = controller_of("K1")
    controller.accept(told((Phase.RED, 100), until_s=110))
    controller.accept(told(until_s=130, sequence=3))
    assert phase_at(controller, 105) is Phase.RED
    assert phase_at(controller, 120) is Phase.UNKNOWN
    controller.accept(told((Phase.GREEN, 125), until_s=140, sequence=4))
    assert phase_at(controller, 118) is Phase.UNKNOWN
    assert phase_at(controller, 135) is Phase.GREEN


def test_a_phase_that_went_on_over_a_missing_report_is_known_all_the_time() -> None:
    controller = controller_of("K1")
    controller.accept(told((Phase.RED, 100), until_s=110))
    controller.accept(told((Phase.RED, 100), until_s=130, sequence=5))
    assert phase_at(controller, 120) is Phase.RED


def test_a_controller_that_was_restarted_counts_from_one() -> None:
    controller = controller_of("K1")
    for sequence in (1, 2, 3):
        controller.accept(told((Phase.RED, 100), until_s=110 + sequence, sequence=sequence))
    assert controller.accept(told((Phase.GREEN, 150), until_s=160))
    assert phase_at(controller, 155) is Phase.GREEN
    assert phase_at(controller, 130) is Phase.UNKNOWN


@pytest.mark.parametrize(
    ("report", "complaint"),
    [
        (lambda: told(until_s=105, sequence=2), "before the last one"),
        (lambda: told((Phase.GREEN, 105), until_s=120, sequence=2), "something else until later"),
        (lambda: told((Phase.GREEN, 130), until_s=120, sequence=2), "after the report's own time"),
        (lambda: told(until_s=float("nan"), sequence=2), "not a number"),
        (lambda: told(until_s=120, sequence=0), "sequence: must be 1 or more"),
    ],
    ids=["back in time", "takes back", "future", "nan", "zero"],
)
def test_a_report_that_cannot_be_believed_is_refused_and_changes_nothing(report, complaint: str) -> None:
    controller = controller_of("K1")
    controller.accept(told((Phase.RED, 100), until_s=110))
    with pytest.raises(SignalError, match=complaint):
        controller.accept(report())
    assert (controller.last_sequence, controller.reported_s, phase_at(controller, 108)) == (1, 110, Phase.RED)


def test_a_controller_that_no_site_names_is_refused() -> None:
    with pytest.raises(SignalError, match="no site names a controller 'c-18'"):
        open_book().report(Report("c-18", 1, 100.0))


def test_what_is_said_of_a_group_that_nobody_asks_for_is_not_kept() -> None:
    controller = controller_of("K1")
    assert controller.accept(told((Phase.RED, 100), until_s=110, group="K9"))
    controller.watch("K9")
    assert phase_at(controller, 105, "K9") is Phase.UNKNOWN
    controller.accept(told((Phase.RED, 100), until_s=120, group="K9", sequence=2))
    assert phase_at(controller, 105, "K9") is Phase.RED


def test_a_camera_that_comes_hears_the_controller_that_is_there_and_one_that_goes_is_forgotten() -> None:
    book = open_book()
    book.report(told((Phase.RED, 100), until_s=130))
    book.add_camera(1, WatchedCamera(CameraConfig(name="other", url="", site=Path()), SITE))
    book.observe(frames_showing("hidden", 100, 101), frozenset())
    assert book.at(1, "told", 110) is Phase.UNKNOWN, "its clock is not known yet"
    book.remove_camera(0)
    with pytest.raises(KeyError):
        book.at(0, "told", 110)
    assert list(book.controllers) == ["c-17"]
