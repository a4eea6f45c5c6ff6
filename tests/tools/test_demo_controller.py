"""The demo's junction controller: what it tells, and when it is silent."""

from __future__ import annotations

import time
from pathlib import Path

import av
import pytest

from engine.tools.demo.city import FOOTAGE
from engine.tools.demo.controller import SignalProgram
from engine.tools.demo.rtsp import Playing, serving
from engine.types import Phase

BEGAN_S = 1000.0


@pytest.fixture
def playing() -> Playing:
    return Playing("junction.mp4")


def test_the_phases_are_those_that_the_clip_was_rendered_with() -> None:
    program = SignalProgram.of(FOOTAGE / "junction.truth.json")
    told = program.report(7, BEGAN_S, BEGAN_S + 13.0)
    shown = {change.group: (Phase(change.phase), change.began_at.ToNanoseconds() / 1e9) for change in told.changes}
    assert (told.controller, told.sequence, told.reported_at.seconds) == ("junction", 7, BEGAN_S + 13)
    assert shown["cross"] == (Phase.GREEN, BEGAN_S + 12.5)
    assert shown["main"] == (Phase.RED, BEGAN_S + 11.0)


def test_phases_that_repeat_within_a_clip_are_told_of_every_repetition(tmp_path: Path) -> None:
    truth = tmp_path / "a.truth.json"
    truth.write_text(
        '{"scene": "a", "duration_s": 20.0, "signals": [{"name": "main", "cycle_s": 10.0, "phases": ['
        '{"lamp": "red", "from_s": 0.0, "to_s": 4.0}, {"lamp": "green", "from_s": 4.0, "to_s": 10.0}]}]}'
    )
    (change,) = SignalProgram.of(truth).report(1, 0.0, 15.0).changes
    assert (change.phase, change.began_at.seconds) == (Phase.GREEN, 14)


def test_the_server_says_when_it_begins_the_clip(playing: Playing) -> None:
    before_s = time.time()
    with (
        serving(FOOTAGE, playing) as address,
        av.open(f"{address}junction.mp4", options={"rtsp_transport": "tcp"}) as stream,
    ):
        next(stream.demux(video=0))
        began_s = playing.began_s(time.time())
    assert began_s is not None
    assert before_s < began_s < time.time()


def test_nobody_plays_the_clip_before_the_server_says_so(playing: Playing) -> None:
    assert playing.began_s(BEGAN_S) is None
    playing.teller.send(("s", "avenue.mp4", BEGAN_S))
    assert playing.began_s(BEGAN_S + 1) is None


def test_an_instant_belongs_to_the_playing_that_went_on_then(playing: Playing) -> None:
    playing.teller.send(("s", "junction.mp4", BEGAN_S))
    assert playing.began_s(BEGAN_S + 19) == BEGAN_S
    playing.teller.send(("s", "junction.mp4", BEGAN_S + 20.1))
    assert playing.began_s(BEGAN_S + 20.05) == BEGAN_S
    assert playing.began_s(BEGAN_S + 20.2) == BEGAN_S + 20.1


def test_a_second_client_of_the_clip_changes_nothing(playing: Playing) -> None:
    playing.teller.send(("s", "junction.mp4", BEGAN_S))
    assert playing.began_s(BEGAN_S + 1) == BEGAN_S
    playing.teller.send(("other", "junction.mp4", BEGAN_S + 5))
    assert playing.began_s(BEGAN_S + 6) == BEGAN_S
