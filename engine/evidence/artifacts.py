"""Makes the stills, drawings and clip of a case, as far as the recording allows. A failure is noted, not raised."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import structlog
from PIL.Image import Image

from engine.evidence import stills
from engine.evidence.overlay import Overlay, draw_overlay
from engine.evidence.plan import draw_plan
from engine.evidence.record import PLATE, Artifacts, CameraSite, local_time, speed_lines
from engine.evidence.rule_geometry import geometry_of
from engine.evidence.stills import SeenObject
from engine.ingest.recordings import Recordings
from engine.ingest.remux import runs, to_mp4
from engine.language import english
from engine.stages import FrameFetcher
from engine.types import BoxPx, Detections, PlateSighting, Reason, Segment, Still, VehicleClass, Violation
from engine.types import document as doc
from engine.types.document import moment

log = structlog.get_logger()

T = TypeVar("T")

OVERVIEW, VEHICLE, OVERLAY, PLAN, CLIP = "overview.jpg", "vehicle.jpg", "overlay.jpg", "plan.svg", "clip.mp4"
DECISIVE = "decisive"
FEWEST_STILLS = 2
"""For a measured kind: two stills let anyone compute the speed again."""
DRAWING_QUALITY = 85
"""JPEG quality of a drawing, in which nothing is measured."""
FAR_S = 0.2
"""A still farther from its instant than this is reported."""
SHORT_S = 0.05
"""The clip may miss this much of the proof at either end: less than a frame or two."""

ObjectFinder = Callable[[Sequence[Still]], Detections]
"""Finds persons and vehicles in stills, in image pixels; `frame` is the still's index. May raise."""


@dataclass(frozen=True, slots=True)
class EvidenceTools:
    """What evidence needs from decoder and detector."""

    fetch_frames: FrameFetcher
    find_objects: ObjectFinder


def make_artifacts(
    violation: Violation, segments: Sequence[Segment], camera: CameraSite, tools: EvidenceTools, quality: int
) -> Artifacts:
    """Make all that the segments allow; `incomplete` names what is missing. `quality` is the JPEG quality of stills."""
    made = _Collector(camera.camera)
    wanted = instants_of(violation)
    found = _fetch_stills(made, segments, wanted, tools.fetch_frames)
    named = _name_files(found)
    if named:
        objects = _find_objects(made, list(named.values()), tools.find_objects)
        pictures = partial(_pictures, violation, camera, named, objects, quality)
        made.files |= made.attempt(lambda error: Reason("stills_failed", {"error": error}), pictures) or {}
    if violation.plate:
        _add_plate(made, violation.plate, segments, tools.fetch_frames, quality)
    if violation.measurement and len(named) < FEWEST_STILLS:
        made.miss(Reason("too_few_stills", {"needed": FEWEST_STILLS, "count": len(named)}))
    draw = partial(_plan, violation, camera, wanted)
    if plan := made.attempt(lambda error: Reason("plan_failed", {"error": error}), draw):
        made.files[PLAN] = plan
    clip = _add_clip(made, violation, segments)
    instants = _instants(made, wanted, found, named)
    return Artifacts(made.files, instants, clip, tuple(made.incomplete))


def section_artifacts(violation: Violation, files: Mapping[str, bytes]) -> Artifacts:
    """The stills taken at both ends of a section while the recordings were kept; there is no clip of the drive."""
    made = _Collector(violation.section.section if violation.section else "")
    made.files |= files
    ends = {"entry": f"entry-{OVERVIEW}", "exit": OVERVIEW}
    instants = []
    for name, at_s in violation.instants.items():
        still = ends.get(name) if ends.get(name) in files else None
        if still is None:
            made.miss(Reason("still_absent", {"instant": name}))
        captured = moment(at_s)
        instants.append(
            doc.InstantRecord(name=name, captured=captured, still=still, still_captured=captured if still else None)
        )
    return Artifacts(made.files, tuple(instants), None, tuple(made.incomplete))


def crossing_stills(
    crossing: Violation,
    *,
    recordings: Recordings,
    cameras: Mapping[int, CameraSite],
    tools: EvidenceTools,
    quality: int,
) -> Mapping[str, bytes]:
    """Stills of a vehicle that crosses one end of a section, by file name: the whole frame, the vehicle, its plate.

    They are taken now because the recording is gone by the time the drive is judged. May lack any of them.
    """
    segments = recordings.between(crossing.camera, crossing.began_s, crossing.ended_s)
    files = make_artifacts(crossing, segments, cameras[crossing.camera], tools, quality).files
    return {name: files[name] for name in (OVERVIEW, VEHICLE, PLATE) if name in files}


def instants_of(violation: Violation) -> Mapping[str, float]:
    """Every instant that gets a still, by name: the decisive one, those that the rule names, and of a measured kind
    the ends of the measurement if the others are fewer than two."""
    wanted = {DECISIVE: violation.decisive_s, **violation.instants}
    measured = violation.measurement
    if measured and len(set(wanted.values())) < FEWEST_STILLS:
        wanted |= {"measurement_began": measured.began_s, "measurement_ended": measured.ended_s}
    return wanted


class _Collector:
    """The files made so far, and what is missing."""

    def __init__(self, camera: str) -> None:
        self.files: dict[str, bytes] = {}
        self.incomplete: list[Reason] = []
        self._camera = camera

    def miss(self, reason: Reason) -> None:
        """Note what is missing."""
        log.warning("evidence incomplete", camera=self._camera, what=english(reason))
        self.incomplete.append(reason)

    def attempt(self, failure: Callable[[str], Reason], make: Callable[[], T]) -> T | None:
        """The result, or None after noting the `failure` of the error: the case is built without it."""
        try:
            return make()
        except Exception as error:  # noqa: BLE001 - a decoder or model may raise anything; the case is still built
            self.miss(failure(str(error)))
            return None


def _fetch_stills(
    made: _Collector, segments: Sequence[Segment], wanted: Mapping[str, float], fetch: FrameFetcher
) -> Mapping[str, Still]:
    """The stills by the instant's name: all in one call, or else one by one as far as that works."""
    if not segments:
        made.miss(Reason("recording_gone"))
        return {}
    try:
        return dict(zip(wanted, fetch(segments, list(wanted.values())), strict=True))
    except Exception as error:  # noqa: BLE001 - as in `_Collector.attempt`
        log.warning("frames could not be fetched together, trying each instant alone", error=str(error))
    found = {
        name: made.attempt(partial(_still_failed, name), partial(fetch, segments, [at])) for name, at in wanted.items()
    }
    return {name: one[0] for name, one in found.items() if one}


def _still_failed(instant: str, error: str) -> Reason:
    return Reason("still_failed", {"instant": instant, "error": error})


def _name_files(found: Mapping[str, Still]) -> Mapping[str, Still]:
    """File name to still: each frame once; the first one, the decisive one, is the overview."""
    named: dict[str, Still] = {}
    for name, still in found.items():
        if all(still.captured_s != other.captured_s for other in named.values()):
            named[f"still-{_plain(name)}.jpg" if named else OVERVIEW] = still
    return named


def _plain(name: str) -> str:
    """The name with only the characters that are safe in a file's name."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in name)


def _find_objects(
    made: _Collector, pictures: Sequence[Still], find: ObjectFinder
) -> Sequence[Sequence[SeenObject] | None]:
    """The persons and vehicles of every still; None for each if the finder failed."""
    found = made.attempt(
        lambda error: Reason("redaction_failed", {"error": error}), lambda: _by_still(find(pictures), len(pictures))
    )
    return found if found is not None else [None] * len(pictures)


def _by_still(found: Detections, count: int) -> Sequence[Sequence[SeenObject]]:
    rows: list[list[SeenObject]] = [[] for _ in range(count)]
    boxes = zip(found.frame, found.xyxy_px.tolist(), found.class_id, found.score.tolist(), strict=True)
    for frame, box, class_id, score in boxes:
        rows[frame].append(SeenObject(tuple(box), VehicleClass(class_id), score))
    return rows


def _pictures(
    violation: Violation,
    camera: CameraSite,
    named: Mapping[str, Still],
    objects: Sequence[Sequence[SeenObject] | None],
    quality: int,
) -> Mapping[str, bytes]:
    """Every still redacted, the vehicle cut out of each, and a copy of each to draw on."""
    files: dict[str, bytes] = {}
    lines = (f"{camera.camera}  {violation.kind}  {violation.article}", *speed_lines(violation))
    overlay = Overlay(violation.sightings, geometry_of(camera.site, violation.rule), violation.measurement, lines)
    for (name, still), others in zip(named.items(), objects, strict=True):
        box = stills.box_at(violation.sightings, still.captured_s)
        image = stills.redact(still.rgb, others, SeenObject(box, violation.class_id) if box else None)
        files[name] = stills.encode_jpeg(image, quality)
        if box and (crop := stills.crop(image, box)):
            files[_beside(name, VEHICLE)] = stills.encode_jpeg(crop, quality)
        files[_beside(name, OVERLAY)] = _drawing(image, overlay, box, local_time(still.captured_s, camera.site))
    return files


def _drawing(image: Image, overlay: Overlay, box: BoxPx | None, captured: str) -> bytes:
    return stills.encode_jpeg(draw_overlay(image, overlay, box, captured), DRAWING_QUALITY)


def _add_plate(
    made: _Collector, sighting: PlateSighting, segments: Sequence[Segment], fetch: FrameFetcher, quality: int
) -> None:
    """Add the plate, cut out of the very frame in which it was read."""
    found = made.attempt(
        lambda error: Reason("plate_still_failed", {"error": error}), lambda: fetch(segments, [sighting.captured_s])
    )
    if found and not found[0].shows(sighting.captured_s):
        made.miss(Reason("plate_still_gone", {"at": f"{moment(sighting.captured_s):%H:%M:%S.%f}"}))
    elif found and (cut := stills.crop_plate(found[0].rgb, sighting.xyxy_px)):
        made.files[PLATE] = stills.encode_jpeg(cut, quality)


def _beside(still: str, name: str) -> str:
    """The file that belongs to a still: `overlay.jpg` to the overview, `overlay-first.jpg` to `still-first.jpg`."""
    return name if still == OVERVIEW else name.replace(".jpg", still.removeprefix("still"))


def _plan(violation: Violation, camera: CameraSite, wanted: Mapping[str, float]) -> bytes | None:
    geometry = geometry_of(camera.site, violation.rule)
    measured, calibration = violation.measurement, camera.site.calibration
    return draw_plan(violation.sightings, tuple(wanted.values()), measured, calibration, geometry)


def _add_clip(made: _Collector, violation: Violation, segments: Sequence[Segment]) -> doc.ClipRecord | None:
    """Add the uninterrupted recording around the decisive instant, and note what it lacks."""
    run = _run_around(segments, violation.decisive_s)
    if not run:
        return None
    content = made.attempt(lambda error: Reason("clip_failed", {"error": error}), lambda: to_mp4(run))
    if content is None:
        return None
    made.files[CLIP] = content
    began_s, ended_s = min(s.began_s for s in run), max(s.ended_s for s in run)
    if began_s > violation.began_s + SHORT_S:
        made.miss(Reason("clip_begins_late", {"late_s": began_s - violation.began_s}))
    if ended_s < violation.ended_s - SHORT_S:
        made.miss(Reason("clip_ends_early", {"early_s": violation.ended_s - ended_s}))
    return doc.ClipRecord(file=CLIP, began=moment(began_s), ended=moment(ended_s))


def _run_around(segments: Sequence[Segment], instant_s: float) -> Sequence[Segment]:
    """The uninterrupted run, of one codec and size, that holds the instant or comes nearest to it."""

    def distance_s(run: Sequence[Segment]) -> float:
        began_s, ended_s = min(segment.began_s for segment in run), max(segment.ended_s for segment in run)
        return max(began_s - instant_s, instant_s - ended_s, 0.0)

    return min(runs(segments), key=distance_s, default=())


def _instants(
    made: _Collector, wanted: Mapping[str, float], found: Mapping[str, Still], named: Mapping[str, Still]
) -> tuple[doc.InstantRecord, ...]:
    """Every instant with the file that shows it."""
    files = {still.captured_s: name for name, still in named.items() if name in made.files}
    return tuple(_instant(made, name, at_s, found.get(name), files) for name, at_s in wanted.items())


def _instant(
    made: _Collector, name: str, at_s: float, still: Still | None, files: Mapping[float, str]
) -> doc.InstantRecord:
    if still and abs(still.captured_s - at_s) > FAR_S:
        made.miss(Reason("still_apart", {"instant": name, "apart_s": abs(still.captured_s - at_s)}))
    return doc.InstantRecord(
        name=name,
        captured=moment(at_s),
        still=files.get(still.captured_s) if still else None,
        still_captured=moment(still.captured_s) if still else None,
    )
