"""The signal controller of the demo: what it reports, and when."""

from __future__ import annotations

import time
from pathlib import Path

import av
import pytest

from engine.tools.demo.city import FOOTAGE
from engine.tools.demo.controller import SignalProgram
from engine.tools.demo.rtsp import ClipClock, serve_folder
from engine.types import Phase

BEGAN_S = 1000.0


@pytest.fixture
def clip() -> ClipClock:
    return ClipClock("junction.mp4")


def test_the_reported_phases_are_those_of_the_rendered_scene() -> None:
    program = SignalProgram.load(FOOTAGE / "junction.truth.json")
    report = program.report(7, BEGAN_S, BEGAN_S + 13.0)
    shown = {change.group: (Phase(change.phase), change.began_at.ToNanoseconds() / 1e9) for change in report.changes}
    assert (report.controller, report.sequence, report.reported_at.seconds) == ("junction", 7, BEGAN_S + 13)
    assert shown["cross"] == (Phase.GREEN, BEGAN_S + 12.5)
    assert shown["main"] == (Phase.RED, BEGAN_S + 11.0)


def test_phases_that_repeat_within_a_clip_are_reported_in_every_cycle(tmp_path: Path) -> None:
    truth = tmp_path / "a.truth.json"
    truth.write_text(
        '{"scene": "a", "duration_s": 20.0, "signals": [{"name": "main", "cycle_s": 10.0, "phases": ['
        '{"lamp": "red", "from_s": 0.0, "to_s": 4.0}, {"lamp": "green", "from_s": 4.0, "to_s": 10.0}]}]}'
    )
    (change,) = SignalProgram.load(truth).report(1, 0.0, 15.0).changes
    assert (change.phase, change.began_at.seconds) == (Phase.GREEN, 14)


def test_the_server_sends_the_start_time_of_the_clip(clip: ClipClock) -> None:
    before_s = time.time()
    with (
        serve_folder(FOOTAGE, clip) as address,
        av.open(f"{address}junction.mp4", options={"rtsp_transport": "tcp"}) as stream,
    ):
        next(stream.demux(video=0))
        began_s = clip.began_s(time.time())
    assert began_s is not None
    assert before_s < began_s < time.time()


def test_the_clip_has_no_start_time_before_its_first_start(clip: ClipClock) -> None:
    assert clip.began_s(BEGAN_S) is None
    clip.sender.send(("s", "avenue.mp4", BEGAN_S))
    assert clip.began_s(BEGAN_S + 1) is None


def test_the_start_time_at_an_instant_is_the_last_one_of_the_first_client_before_it(clip: ClipClock) -> None:
    clip.sender.send(("s", "junction.mp4", BEGAN_S))
    assert clip.began_s(BEGAN_S + 1) == BEGAN_S
    clip.sender.send(("other", "junction.mp4", BEGAN_S + 5))
    assert clip.began_s(BEGAN_S + 19) == BEGAN_S
    clip.sender.send(("s", "junction.mp4", BEGAN_S + 20.1))
    assert clip.began_s(BEGAN_S + 20.05) == BEGAN_S
    assert clip.began_s(BEGAN_S + 20.2) == BEGAN_S + 20.1
