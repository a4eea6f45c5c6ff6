"""A drive past two cameras, from boxes to the ledger: the fast one is reported, the lawful twin is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec
import pytest

from engine.decode.frame_fetcher import fetch_frames
from engine.evidence import crossing_stills
from engine.identify import Looks, VehicleIdentifier
from engine.rules.kinds.average_speed import SectionEndRule
from engine.section import Section, SectionControl
from engine.section.file import End
from engine.site import Line
from engine.types import Plate, document
from tests.section.test_control import SECTION as A_KILOMETRE
from tests.support.road import KMH, KZ, Vehicle, project, site
from tests.support.scripted_stages import ScriptedPlates
from tests.support.world import PLATE, RULES, Eyes, Traffic, World, recording

LENGTH_M, FPS, LASTS_S = A_KILOMETRE.length_m, 8, 62
WHERE = site(
    SectionEndRule(name="plates", zone="road", line="gate"),
    lines=(Line(name="gate", from_px=project(7, 40), to_px=project(-7, 40)),),
)
NAMES = {0: "km-12", 1: "km-13"}
ENDS = {"entry": End(camera="km-12", line="gate"), "exit": End(camera="km-13", line="gate")}
SECTION = msgspec.structs.replace(A_KILOMETRE, **ENDS)


def passes(kmh: float, begin_s: float) -> Traffic:
    """A car that enters the picture and drives away over the line at y = 40 m."""
    mps = kmh / KMH
    end_s = begin_s + 100 / mps
    way = Vehicle(track=1, path=lambda t: (0.0, 8 + mps * (t - begin_s)), begin_s=begin_s, end_s=end_s)
    return Traffic([way])


def cases(
    root: Path, kmh: float, *, plate: Plate = PLATE, section: Section = SECTION
) -> Sequence[document.CaseDocument]:
    """The cases in the ledger after a drive past both cameras."""
    world = World(root, NAMES, dict.fromkeys(NAMES, WHERE), keep_s=10.0)
    recordings, cameras, tools = world.recordings, world.cameras, world.tools
    stills = partial(crossing_stills, recordings=recordings, cameras=cameras, tools=tools, quality=92)
    control = SectionControl(
        [section], NAMES, KZ, lambda crossing: "gate", recordings.reached_s, stills, world.metrics, lag_s=5.0
    )
    looks = Looks(recordings, fetch_frames, ScriptedPlates(plate))
    identifier = VehicleIdentifier(world.sites.__getitem__, NAMES, looks, RULES, world.metrics, sections=control)
    eyes = [Eyes(passes(kmh, begin_s), missed=0.0) for begin_s in (1.0, 1.0 + LENGTH_M / (kmh / KMH))]
    film = [replace(segment, camera=camera) for segment in recording(LASTS_S, FPS) for camera in NAMES]
    script = lambda frames: eyes[int(frames.camera[0]) if len(frames) else 0](frames)  # noqa: E731
    return world.play(film, script, lambda _: identifier)


def test_a_drive_above_the_limit_on_average_is_reported_with_both_ends(tmp_path: Path) -> None:
    (case,) = cases(tmp_path, 130.0)
    assert (case.kind, case.outcome, case.place.camera) == ("average_speed", "fine", "km-13")
    assert case.measurement is not None
    assert case.measurement.speed_kmh == pytest.approx(130.0, abs=1.0)
    assert 125 <= case.measurement.enforced_kmh <= 129
    assert case.plate is not None
    assert case.plate.text == PLATE.text
    assert case.section is not None
    assert (case.section.entry_camera, case.section.exit_camera, case.section.certificate.number) == (
        "km-12",
        "km-13",
        "S-7",
    )
    assert {instant.name: instant.still for instant in case.instants} == {
        "entry": "entry-overview.jpg",
        "exit": "overview.jpg",
    }
    files = {file.name for file in case.files}
    assert {"entry-overview.jpg", "entry-plate.jpg", "overview.jpg", "plate.jpg"} <= files
    assert case.incomplete == ()


def test_the_innocent_twin_drives_slower(tmp_path: Path) -> None:
    assert cases(tmp_path, 95.0) == []


def test_a_doubtful_plate_measures_nothing(tmp_path: Path) -> None:
    assert cases(tmp_path, 130.0, plate=replace(PLATE, confidence=0.7)) == []
