"""What shows the offence: stills, a drawing and the clip, as far as the recording allows. Nothing here ever raises."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import structlog
from PIL.Image import Image

from engine.evidence import stills
from engine.evidence.overlay import Overlay, drawn
from engine.evidence.plan import draw_plan
from engine.evidence.plate import PLATE, plate_still
from engine.evidence.record import Artifacts, CameraSite, local_time, speed_lines
from engine.evidence.recording import run_around
from engine.evidence.ruled import ruled_by
from engine.evidence.stills import SeenObject
from engine.ingest.remux import to_mp4
from engine.stages import FrameFetcher
from engine.types import BoxPx, Detections, PlateSighting, Segment, Still, VehicleClass, Violation
from engine.types import document as doc
from engine.types.document import moment

log = structlog.get_logger()

T = TypeVar("T")

OVERVIEW, VEHICLE, OVERLAY, PLAN, CLIP = "overview.jpg", "vehicle.jpg", "overlay.jpg", "plan.svg", "clip.mp4"
DECISIVE = "decisive"
FEWEST_STILLS = 2
"""Of a measured kind: two stills let anybody compute the speed again."""
DRAWING_QUALITY = 85
"""JPEG quality of what nobody measures in."""
FAR_S = 0.2
"""A still farther from its instant than this is said to be."""
SHORT_S = 0.05
"""The clip may miss this much of the proof at either end: less than a frame or two."""

Find = Callable[[Sequence[Still]], Detections]
"""Persons and vehicles in stills, in image pixels; `frame` is the still's index. May raise."""


@dataclass(frozen=True, slots=True)
class Means:
    """What evidence needs of other stages."""

    look: FrameFetcher
    find_people_and_vehicles: Find


def gather(
    violation: Violation, segments: Sequence[Segment], scene: CameraSite, means: Means, quality: int
) -> Artifacts:
    """Make all that can be made of the segments; what cannot is said in `incomplete`."""
    table = _Collector(scene.camera)
    wanted = instants_of(violation)
    shown = _look(table, segments, wanted, means.look)
    named = _name_files(shown)
    if named:
        seen = _see(table, list(named.values()), means.find_people_and_vehicles)
        pictures = partial(_pictures, violation, scene, named, seen, quality)
        table.files |= table.attempt("The stills could not be made", pictures) or {}
    if violation.plate:
        _show_plate(table, violation.plate, segments, means.look, quality)
    if violation.measurement and len(named) < FEWEST_STILLS:
        table.miss(f"A measured offence needs {FEWEST_STILLS} stills, there are {len(named)}")
    if plan := table.attempt("The plan could not be drawn", partial(_plan, violation, scene, wanted)):
        table.files[PLAN] = plan
    clip = _clip(table, violation, segments)
    instants = _instants(table, wanted, shown, named)
    return Artifacts(table.files, instants, clip, tuple(table.incomplete))


def given(violation: Violation, files: Mapping[str, bytes]) -> Artifacts:
    """What was made while the recordings of both ends of a drive were kept; there is no clip of it."""
    table = _Collector(violation.section.section if violation.section else "")
    table.files |= files
    ends = {"entry": f"entry-{OVERVIEW}", "exit": OVERVIEW}
    instants = []
    for name, at_s in violation.instants.items():
        still = ends.get(name) if ends.get(name) in files else None
        if still is None:
            table.miss(f"No still of the instant {name}")
        shown = moment(at_s)
        instants.append(
            doc.InstantRecord(name=name, captured=shown, still=still, still_captured=shown if still else None)
        )
    return Artifacts(table.files, tuple(instants), None, tuple(table.incomplete))


def instants_of(violation: Violation) -> Mapping[str, float]:
    """Every instant that gets a still, by name: the decisive one, those that the rule names, and of a measured kind
    the ends of the measurement where the others are fewer than two."""
    wanted = {DECISIVE: violation.decisive_s, **violation.instants}
    measured = violation.measurement
    if measured and len(set(wanted.values())) < FEWEST_STILLS:
        wanted |= {"measurement_began": measured.began_s, "measurement_ended": measured.ended_s}
    return wanted


class _Collector:
    """What has been laid on the table so far, and what is missing from it."""

    def __init__(self, camera: str) -> None:
        self.files: dict[str, bytes] = {}
        self.incomplete: list[str] = []
        self._camera = camera

    def miss(self, sentence: str) -> None:
        log.warning("evidence incomplete", camera=self._camera, what=sentence)
        self.incomplete.append(f"{sentence}.")

    def attempt(self, failure: str, verb: Callable[[], T]) -> T | None:
        """The result, or None with the reason noted: a case goes out with what there is, whatever is broken."""
        try:
            return verb()
        except Exception as error:  # noqa: BLE001 - whatever a decoder or model raises, the case goes out
            self.miss(f"{failure}: {error}")
            return None


def _look(
    table: _Collector, segments: Sequence[Segment], wanted: Mapping[str, float], look: FrameFetcher
) -> Mapping[str, Still]:
    """The stills by the instant's name: all at once, or else what can be had one by one."""
    if not segments:
        table.miss("No recording of the time is kept")
        return {}
    try:
        return dict(zip(wanted, look(segments, list(wanted.values())), strict=True))
    except Exception as error:  # noqa: BLE001 - as above
        log.warning("second look failed, trying each instant by itself", error=str(error))
    failure = "No still of the instant {}"
    found = {name: table.attempt(failure.format(name), partial(look, segments, [at])) for name, at in wanted.items()}
    return {name: one[0] for name, one in found.items() if one}


def _name_files(shown: Mapping[str, Still]) -> Mapping[str, Still]:
    """File name to still: each frame once, the first one, which is the decisive, as the overview."""
    named: dict[str, Still] = {}
    for name, still in shown.items():
        if all(still.captured_s != other.captured_s for other in named.values()):
            named[f"still-{_plain(name)}.jpg" if named else OVERVIEW] = still
    return named


def _plain(name: str) -> str:
    """What may stand in a file's name."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in name)


def _see(table: _Collector, shown: Sequence[Still], find: Find) -> Sequence[Sequence[SeenObject] | None]:
    """The persons and vehicles of every still; None for each where nobody could look."""
    failure = "Persons and plates could not be looked for, so all but the vehicle is veiled"
    found = table.attempt(failure, lambda: _by_still(find(shown), len(shown)))
    return found if found is not None else [None] * len(shown)


def _by_still(found: Detections, count: int) -> Sequence[Sequence[SeenObject]]:
    rows: list[list[SeenObject]] = [[] for _ in range(count)]
    boxes = zip(found.frame, found.xyxy_px.tolist(), found.class_id, found.score.tolist(), strict=True)
    for frame, box, class_id, score in boxes:
        rows[frame].append(SeenObject(tuple(box), VehicleClass(class_id), score))
    return rows


def _pictures(
    violation: Violation,
    scene: CameraSite,
    named: Mapping[str, Still],
    seen: Sequence[Sequence[SeenObject] | None],
    quality: int,
) -> Mapping[str, bytes]:
    """Every still veiled, the vehicle cut out of each, and a copy of each to draw on."""
    files: dict[str, bytes] = {}
    overlay = Overlay(
        violation.sightings, ruled_by(scene.site, violation.rule), violation.measurement, _lines(violation, scene)
    )
    for (name, still), others in zip(named.items(), seen, strict=True):
        box = stills.box_at(violation.sightings, still.captured_s)
        image = stills.redacted(still.rgb, others, SeenObject(box, violation.class_id) if box else None)
        files[name] = stills.jpeg(image, quality)
        if box and (crop := stills.cropped(image, box)):
            files[_beside(name, VEHICLE)] = stills.jpeg(crop, quality)
        files[_beside(name, OVERLAY)] = _drawing(image, overlay, box, local_time(still.captured_s, scene.site))
    return files


def _drawing(image: Image, overlay: Overlay, box: BoxPx | None, captured: str) -> bytes:
    return stills.jpeg(drawn(image, overlay, box, captured), DRAWING_QUALITY)


def _show_plate(
    table: _Collector, sighting: PlateSighting, segments: Sequence[Segment], look: FrameFetcher, quality: int
) -> None:
    """Lay the plate's cut on the table."""
    shown = table.attempt("No still of the plate", lambda: look(segments, [sighting.captured_s]))
    if shown and not shown[0].shows(sighting.captured_s):
        table.miss(f"No still of the plate: the frame of {moment(sighting.captured_s):%H:%M:%S.%f} UTC is not kept")
    elif shown and (cut := plate_still(shown[0], sighting, quality)):
        table.files[PLATE] = cut


def _beside(still: str, name: str) -> str:
    """What belongs to a still: `overlay.jpg` to the overview, `overlay-first.jpg` to `still-first.jpg`."""
    return name if still == OVERVIEW else name.replace(".jpg", still.removeprefix("still"))


def _lines(violation: Violation, scene: CameraSite) -> Sequence[str]:
    """What the drawing says besides the time."""
    return f"{scene.camera}  {violation.kind}  {violation.article}", *speed_lines(violation)


def _plan(violation: Violation, scene: CameraSite, wanted: Mapping[str, float]) -> bytes | None:
    ruled = ruled_by(scene.site, violation.rule)
    held, calibration = violation.measurement, scene.site.calibration
    return draw_plan(violation.sightings, tuple(wanted.values()), held, calibration, ruled)


def _clip(table: _Collector, violation: Violation, segments: Sequence[Segment]) -> doc.ClipRecord | None:
    """The uninterrupted recording around the decisive instant, and what it lacks."""
    run = run_around(segments, violation.decisive_s)
    content = table.attempt("The clip could not be made", lambda: to_mp4(run)) if run else None
    if content is None:
        return None
    table.files[CLIP] = content
    began_s, ended_s = min(s.began_s for s in run), max(s.ended_s for s in run)
    if began_s > violation.began_s + SHORT_S:
        table.miss(f"The clip begins {began_s - violation.began_s:.1f} s after the first instant of proof")
    if ended_s < violation.ended_s - SHORT_S:
        table.miss(f"The clip ends {violation.ended_s - ended_s:.1f} s before the last instant of proof")
    return doc.ClipRecord(file=CLIP, began=moment(began_s), ended=moment(ended_s))


def _instants(
    table: _Collector, wanted: Mapping[str, float], shown: Mapping[str, Still], named: Mapping[str, Still]
) -> tuple[doc.InstantRecord, ...]:
    """Which file shows which instant."""
    files = {still.captured_s: name for name, still in named.items() if name in table.files}
    return tuple(_instant(table, name, at_s, shown.get(name), files) for name, at_s in wanted.items())


def _instant(
    table: _Collector, name: str, at_s: float, still: Still | None, files: Mapping[float, str]
) -> doc.InstantRecord:
    if still and abs(still.captured_s - at_s) > FAR_S:
        table.miss(f"The still of the instant {name} is {abs(still.captured_s - at_s):.1f} s from it")
    return doc.InstantRecord(
        name=name,
        captured=moment(at_s),
        still=files.get(still.captured_s) if still else None,
        still_captured=moment(still.captured_s) if still else None,
    )
