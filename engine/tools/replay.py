"""A video file through the whole engine, at full speed: tracks and cases as tables, drawings on request."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import av
import msgspec
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from engine.app.stage_set import open_stages
from engine.config import WHOLE_PICTURE, CameraConfig, DetectorConfig, EngineConfig, Region
from engine.decode.frame_fetcher import fetch_frames
from engine.errors import ConfigError, NotFound
from engine.ingest import FileSource
from engine.ledger import SqlLedger
from engine.metrics import Metrics
from engine.pipeline.loop import Pipeline
from engine.rules import load_site
from engine.signals import SignalBook, read_reports
from engine.site import Place, Site
from engine.tools.console import describe
from engine.types import KMH, TRACK_BITS, Bytes8, Entry, Measurable, Motion, Segment, VehicleClass

CAMERA = 0
SHOWN_SIGMA_MPS = 2.0
"""A momentary speed with a larger standard uncertainty is not drawn."""
Colour = tuple[int, int, int]
AMBER: Colour = (255, 176, 0)


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """The arguments of `qyran replay`."""

    video: Path
    site: Path | None = None
    out: Path | None = None
    draw: Path | None = None
    detect_fps: float = 8.0
    regions: tuple[str, ...] = ()
    start: str = ""
    card: str = "ssd_mobilenet_v3_large"
    phases: Path | None = None
    """File of phases that signal controllers reported (`engine.signals.file`)."""


@dataclass(slots=True)
class TrackSummary:
    """One row of the table of tracks."""

    first_s: float
    last_s: float
    sightings: int = 0
    class_id: VehicleClass = VehicleClass.CAR
    speed: str = ""


@dataclass(slots=True)
class ReplayLog:
    """Collects the tracks of a replay; the pipeline calls it with the motion of every batch."""

    tracks: dict[int, TrackSummary] = field(default_factory=dict)
    latest: Motion | None = None

    def __call__(self, motion: Motion) -> None:
        self.latest = motion
        rows = motion.tracks
        for track, captured_s, class_id in zip(rows.track, rows.captured_s, rows.class_id, strict=True):
            summary = self.tracks.setdefault(int(track), TrackSummary(float(captured_s), float(captured_s)))
            summary.last_s = float(captured_s)
            summary.sightings += 1
            summary.class_id = VehicleClass(class_id)
        for row, track in enumerate(motion.speeds.track):
            if int(track) in self.tracks:
                self.tracks[int(track)].speed = describe_speed(motion, row)


def describe_speed(motion: Motion, row: int) -> str:
    """The speed of a row of `motion.speeds` with its expanded uncertainty, or the reason why it has none."""
    speeds = motion.speeds
    reason = Measurable(speeds.measurable[row])
    if reason is not Measurable.YES:
        return reason.name.lower().replace("_", " ")
    return f"{speeds.speed_mps[row] * KMH:.1f} ± {3 * speeds.sigma_mps[row] * KMH:.1f} km/h"


def play(request: ReplayRequest, console: Console) -> None:
    """Run the replay and print its tracks and cases. Raises QyranError."""
    if not request.video.is_file():
        raise NotFound(f"{request.video}: no such file")
    log, metrics = ReplayLog(), Metrics()
    with ExitStack() as stack:
        state = request.out or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="qyran-replay-")))
        config = _config(request, state)
        ledger = stack.enter_context(closing(SqlLedger(config.ledger_at)))
        site = _site(request)
        signals = SignalBook({CAMERA: site}, config.camera_names, metrics)
        for report in read_reports(request.phases) if request.phases else ():
            signals.report(report)
        stages = stack.enter_context(open_stages(config, [site], ledger, metrics, signals))
        pipeline = Pipeline(stages, config.camera_names, metrics, watch=log)
        source = FileSource(CAMERA, config.cameras[CAMERA], metrics, start_s=_start_s(request.start), realtime=False)
        advance = stack.enter_context(_progress(request.video, console))

        def finish(segment: Segment) -> None:
            if request.draw and log.latest:
                draw_segment(segment, log.latest, request.draw, partial(_lamp_labels, site, signals))
            advance(segment)

        steps = pipeline.play(_call_after_each(source.read(), finish))
        entries = [entry for step in steps for entry in step]
    console.print(_track_table(log))
    console.print(_case_table(entries) if entries else "No case.")
    if request.out:
        console.print(f"Ledger and evidence: {request.out}")


def _call_after_each(segments: Iterable[Segment], finish: Callable[[Segment], None]) -> Iterator[Segment]:
    """Yield the segments; call `finish` with each one when the next is requested."""
    for segment in segments:
        yield segment
        finish(segment)


def draw_segment(
    segment: Segment, motion: Motion, folder: Path, lamps_at: Callable[[float], Iterable[BoxLabel]]
) -> None:
    """Write every analysed frame of the segment as a JPEG with boxes, track numbers, speeds and signal phases."""
    folder.mkdir(parents=True, exist_ok=True)
    frames = motion.tracks.frames
    for row, still in enumerate(fetch_frames([segment], frames.captured_s.tolist())):
        picture = draw_boxes(still.rgb, [*_labels(motion, row), *lamps_at(still.captured_s)])
        stamp = datetime.fromtimestamp(still.captured_s, UTC).strftime("%H%M%S.%f")[:-3]
        picture.save(folder / f"{stamp}.jpg", quality=88)


@dataclass(frozen=True, slots=True)
class BoxLabel:
    """A box and the text above it."""

    xyxy_px: tuple[float, float, float, float]
    text: str
    colour: Colour = AMBER


def draw_boxes(rgb: Bytes8, labels: Sequence[BoxLabel]) -> Image.Image:
    """Draw labels on a copy of the picture, (H, W, 3) u1."""
    picture = Image.fromarray(rgb)
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=max(12, picture.height // 50))
    for label in labels:
        pen.rectangle(label.xyxy_px, outline=label.colour, width=max(1, picture.height // 360))
        corner = label.xyxy_px[:2]
        pen.rectangle(pen.textbbox(corner, label.text, font=font, anchor="lb"), fill=(0, 0, 0))
        pen.text(corner, label.text, font=font, fill=label.colour, anchor="lb")
    return picture


def _labels(motion: Motion, frame: int) -> list[BoxLabel]:
    rows = np.flatnonzero(motion.tracks.frame == frame)
    return [BoxLabel(tuple(motion.tracks.xyxy_px[row].tolist()), _caption(motion, int(row))) for row in rows]


def _caption(motion: Motion, row: int) -> str:
    tracks = motion.tracks
    kind = VehicleClass(tracks.class_id[row]).name.lower()
    speed_mps = float(np.hypot(*motion.velocity_mps[row]))
    speed = f" {speed_mps * KMH:.0f} km/h" if motion.sigma_mps[row] < SHOWN_SIGMA_MPS else ""
    return f"{track_number(int(tracks.track[row]))} {kind}{speed}"


def track_number(track: int) -> int:
    """The number of a track within its camera."""
    return track & ((1 << TRACK_BITS) - 1)


def _config(request: ReplayRequest, state: Path) -> EngineConfig:
    camera = CameraConfig(
        name=_camera_name(request.video),
        url=str(request.video),
        site=request.site or Path(),
        detect_fps=request.detect_fps,
        regions=tuple(_region(text) for text in request.regions) or (WHOLE_PICTURE,),
    )
    return EngineConfig(cameras=(camera,), state=state, detector=DetectorConfig(card=request.card))


def _camera_name(video: Path) -> str:
    return "".join(c if c.isalnum() and c.isascii() else "-" for c in video.stem)[:60].strip("-") or "video"


def _region(text: str) -> Region:
    try:
        region: Region = msgspec.convert([float(part) for part in text.split(",")], Region)
    except (ValueError, msgspec.ValidationError):
        raise ConfigError(f"--region {text}: must be four fractions of the picture, LEFT,TOP,RIGHT,BOTTOM") from None
    return region


def _lamp_labels(site: Site, signals: SignalBook, at_s: float) -> Iterator[BoxLabel]:
    """A box around every lamp; the box of a signal's first lamp has its phase as text."""
    for signal in site.signals:
        phase = signals.at(CAMERA, signal.name, at_s).name.lower().replace("_", " ")
        for row, lamp in enumerate(signal.lamps):
            (x, y), r = lamp.centre_px, lamp.radius_px
            yield BoxLabel((x - r, y - r, x + r, y + r), "" if row else f"{signal.name} {phase}")


def _site(request: ReplayRequest) -> Site:
    if request.site:
        return load_site(request.site)
    with av.open(str(request.video)) as container:
        stream = container.streams.video[0]
        size = (stream.codec_context.width, stream.codec_context.height)
    long_ago = datetime(1970, 1, 1, tzinfo=UTC)
    return Site(name="none", image_size_px=size, place=Place(address={}), valid_from=long_ago)


def _start_s(start: str) -> float:
    try:
        when = datetime.fromisoformat(start) if start else datetime.now(UTC)
    except ValueError:
        raise ConfigError(f"--start {start}: is not an ISO 8601 time") from None
    return when.replace(tzinfo=when.tzinfo or UTC).timestamp()


@contextmanager
def _progress(video: Path, console: Console) -> Iterator[Callable[[Segment], None]]:
    """Show a progress bar over the video's duration; yields a function to call with every finished segment."""
    with av.open(str(video)) as container:
        total_s = (container.duration or 0) / av.time_base
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(video.name, total=total_s or None)

        def advance(segment: Segment) -> None:
            progress.advance(task, segment.ended_s - segment.began_s)

        yield advance
        progress.update(task, completed=total_s)


def _track_table(log: ReplayLog) -> Table:
    table = Table(title=f"{len(log.tracks)} tracks", title_justify="left")
    for column in ("track", "class", "from s", "to s", "sightings", "mean speed (k = 3)"):
        table.add_column(column, justify="left" if column in ("class", "mean speed (k = 3)") else "right")
    began_s = min((t.first_s for t in log.tracks.values()), default=0.0)
    for track, t in sorted(log.tracks.items()):
        times = (f"{t.first_s - began_s:.1f}", f"{t.last_s - began_s:.1f}")
        table.add_row(str(track_number(track)), t.class_id.name.lower(), *times, str(t.sightings), t.speed)
    return table


def _case_table(entries: Sequence[Entry]) -> Table:
    table = Table(title=f"{len(entries)} cases", title_justify="left")
    for column in ("no.", "time (UTC)", "kind", "what", "outcome", "evidence"):
        table.add_column(column)
    for entry in entries:
        document = msgspec.json.decode(entry.case.document)
        when = datetime.fromtimestamp(entry.case.occurred_s, UTC).strftime("%H:%M:%S.%f")[:-3]
        table.add_row(
            str(entry.sequence), when, entry.case.kind, describe(document), document["outcome"], entry.case.folder
        )
    return table
