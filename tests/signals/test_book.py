"""The phases from controllers, from lamps, and from both."""

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
        Signal(name="reported", controller="c-17", group="K1"),
        Signal(name="both", lamps=LENSES, controller="c-17", group="K2"),
    ),
)
LOOK = {"red": (250, 60, 40), "amber": (250, 170, 40), "green": (40, 250, 170)}


def open_book(metrics: Metrics | None = None) -> SignalBook:
    return SignalBook({0: SITE}, {0: "cam"}, metrics or Metrics())


def frames_showing(lamp: str, began_s: float, ended_s: float, *, clock: Clock = Clock.SYNCHRONISED) -> FrameBatch:
    """Frames at 8 per second in which each head shows one lamp; `hidden` shows none."""
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


def report_of(*phases: tuple[Phase, float], until_s: float, group: str = "K1", sequence: int = 1) -> Report:
    return Report("c-17", sequence, until_s, tuple(Change(group, phase, at_s) for phase, at_s in phases))


def test_a_phase_is_known_between_its_frames() -> None:
    book = open_book()
    book.observe(frames_showing("green", 100, 110), frozenset())
    book.observe(frames_showing("red", 110, 120), frozenset())
    assert book.at(0, "seen", 105.06) is Phase.GREEN
    assert book.at(0, "seen", 115.06) is Phase.RED
    assert book.at(0, "seen", 109.95) is Phase.UNKNOWN
    assert book.since_s(0, ("seen",), PROHIBITS, 111, 115) == pytest.approx(110.05)


def test_lamps_of_a_moved_camera_are_ignored() -> None:
    book = open_book()
    book.observe(frames_showing("red", 100, 110), frozenset({0}))
    assert book.at(0, "seen", 105) is Phase.UNKNOWN


def test_an_unstable_clock_drops_all_sightings() -> None:
    book = open_book()
    book.observe(frames_showing("red", 100, 110), frozenset())
    book.observe(frames_showing("red", 110, 111, clock=Clock.UNSTABLE), frozenset())
    assert book.at(0, "seen", 105) is book.at(0, "seen", 110.5) is Phase.UNKNOWN
    book.observe(frames_showing("red", 111, 113), frozenset())
    assert book.at(0, "seen", 112) is Phase.RED


def test_a_report_is_valid_up_to_its_own_time() -> None:
    book = open_book()
    book.observe(frames_showing("hidden", 100, 101), frozenset())
    assert book.report(report_of((Phase.GREEN, 100), (Phase.RED, 120), until_s=130))
    assert book.at(0, "reported", 110) is Phase.GREEN
    assert book.at(0, "reported", 125) is Phase.RED
    assert book.at(0, "reported", 120.1) is Phase.UNKNOWN
    assert book.at(0, "reported", 129.9) is Phase.UNKNOWN
    assert book.report(report_of(until_s=150, sequence=2))
    assert book.at(0, "reported", 145) is Phase.RED


def test_arrival_times_need_a_wider_margin() -> None:
    book = open_book()
    book.report(report_of((Phase.RED, 100), until_s=130))
    assert book.at(0, "reported", 129) is Phase.UNKNOWN
    book.observe(frames_showing("hidden", 100, 101, clock=Clock.ARRIVAL), frozenset())
    assert book.at(0, "reported", 101) is Phase.UNKNOWN
    assert book.at(0, "reported", 110) is Phase.RED
    book.observe(frames_showing("hidden", 101, 102), frozenset())
    assert book.at(0, "reported", 101) is Phase.RED


def test_two_sources_must_agree() -> None:
    metrics = Metrics()
    book = open_book(metrics)
    book.report(report_of((Phase.RED, 90), (Phase.GREEN, 110.5), until_s=130, group="K2"))
    book.observe(frames_showing("red", 100, 110), frozenset())
    assert book.at(0, "both", 105) is Phase.RED
    assert book.since_s(0, ("both",), PROHIBITS, 101, 105) == pytest.approx(100.05)
    book.observe(frames_showing("red", 110, 120), frozenset())
    assert book.at(0, "both", 115) is Phase.UNKNOWN
    assert book.since_s(0, ("both",), PROHIBITS, 101, 115) is None
    assert metrics.registry.get_sample_value("qyran_signal_contradictions_total", {"camera": "cam", "signal": "both"})


def test_the_controller_decides_if_the_lamps_are_hidden() -> None:
    book = open_book()
    book.report(report_of((Phase.RED, 90), until_s=130, group="K2"))
    book.observe(frames_showing("hidden", 100, 110), frozenset())
    assert book.at(0, "both", 105) is Phase.RED
    assert book.at(0, "seen", 105) is Phase.DARK


def test_one_of_several_signals_must_show_it_and_no_other_deny_it() -> None:
    book = open_book()
    book.observe(frames_showing("red", 100, 110), frozenset())
    assert book.since_s(0, ("seen", "reported"), PROHIBITS, 101, 105) is not None
    book.report(report_of((Phase.GREEN, 90), until_s=130))
    assert book.since_s(0, ("seen", "reported"), PROHIBITS, 101, 105) is None


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
    controller, report = controller_of("K1"), report_of((Phase.RED, 100), until_s=110)
    assert controller.accept(report)
    assert not controller.accept(report)
    assert not controller.accept(report_of((Phase.GREEN, 100), until_s=110))
    assert (controller.last_sequence, phase_at(controller, 105)) == (1, Phase.RED)


def test_a_missing_report_makes_all_phases_unknown_until_they_are_named() -> None:
    controller = controller_of("K1")
    controller.accept(report_of((Phase.RED, 100), until_s=110))
    controller.accept(report_of(until_s=130, sequence=3))
    assert phase_at(controller, 105) is Phase.RED
    assert phase_at(controller, 120) is Phase.UNKNOWN
    controller.accept(report_of((Phase.GREEN, 125), until_s=140, sequence=4))
    assert phase_at(controller, 118) is Phase.UNKNOWN
    assert phase_at(controller, 135) is Phase.GREEN


def test_a_phase_that_continues_over_a_missing_report_is_known() -> None:
    controller = controller_of("K1")
    controller.accept(report_of((Phase.RED, 100), until_s=110))
    controller.accept(report_of((Phase.RED, 100), until_s=130, sequence=5))
    assert phase_at(controller, 120) is Phase.RED


def test_a_controller_that_was_restarted_counts_from_one() -> None:
    controller = controller_of("K1")
    for sequence in (1, 2, 3):
        controller.accept(report_of((Phase.RED, 100), until_s=110 + sequence, sequence=sequence))
    assert controller.accept(report_of((Phase.GREEN, 150), until_s=160))
    assert phase_at(controller, 155) is Phase.GREEN
    assert phase_at(controller, 130) is Phase.UNKNOWN


@pytest.mark.parametrize(
    ("report", "complaint"),
    [
        (lambda: report_of(until_s=105, sequence=2), "s before the last"),
        (lambda: report_of((Phase.GREEN, 105), until_s=120, sequence=2), "contradicts an earlier report"),
        (lambda: report_of((Phase.GREEN, 130), until_s=120, sequence=2), "after the report's own time"),
        (lambda: report_of(until_s=float("nan"), sequence=2), "not finite"),
        (lambda: report_of(until_s=120, sequence=0), "sequence: must be 1 or more"),
    ],
    ids=["back in time", "takes back", "future", "nan", "zero"],
)
def test_an_incredible_report_is_refused_and_changes_nothing(report, complaint: str) -> None:
    controller = controller_of("K1")
    controller.accept(report_of((Phase.RED, 100), until_s=110))
    with pytest.raises(SignalError, match=complaint):
        controller.accept(report())
    assert (controller.last_sequence, controller.reported_s, phase_at(controller, 108)) == (1, 110, Phase.RED)


def test_a_controller_that_no_site_names_is_refused() -> None:
    with pytest.raises(SignalError, match="no site names a controller 'c-18'"):
        open_book().report(Report("c-18", 1, 100.0))


def test_reports_about_unused_groups_are_not_stored() -> None:
    controller = controller_of("K1")
    assert controller.accept(report_of((Phase.RED, 100), until_s=110, group="K9"))
    controller.watch("K9")
    assert phase_at(controller, 105, "K9") is Phase.UNKNOWN
    controller.accept(report_of((Phase.RED, 100), until_s=120, group="K9", sequence=2))
    assert phase_at(controller, 105, "K9") is Phase.RED


def test_cameras_are_added_to_existing_controllers_and_removed() -> None:
    book = open_book()
    book.report(report_of((Phase.RED, 100), until_s=130))
    book.add_camera(1, WatchedCamera(CameraConfig(name="other", url="", site=Path()), SITE))
    book.observe(frames_showing("hidden", 100, 101), frozenset())
    assert book.at(1, "reported", 110) is Phase.UNKNOWN, "its clock is not known yet"
    book.remove_camera(0)
    with pytest.raises(KeyError):
        book.at(0, "reported", 110)
    assert list(book.controllers) == ["c-17"]
