"""`qyran replay`: a video file through the whole engine, as fast as it goes."""

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
from engine.tools.commands.draw import BoxLabel, draw_boxes
from engine.tools.console import describe
from engine.types import KMH, TRACK_BITS, Entry, Measurable, Motion, Segment, VehicleClass

CAMERA = 0
SHOWN_SIGMA_MPS = 2.0
"""A momentary speed that is known worse than this is not drawn."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What is asked for on the command line."""

    video: Path
    site: Path | None = None
    out: Path | None = None
    draw: Path | None = None
    detect_fps: float = 8.0
    regions: tuple[str, ...] = ()
    start: str = ""
    card: str = "ssd_mobilenet_v3_large"
    phases: Path | None = None
    """What controllers reported (`engine.signals.file`)."""


@dataclass(slots=True)
class TrackSummary:
    """What is remembered of a track for the table."""

    first_s: float
    last_s: float
    sightings: int = 0
    class_id: VehicleClass = VehicleClass.CAR
    speed: str = ""


@dataclass(slots=True)
class ReplayLog:
    """Collects the tracks of a replay; called with the motion of every batch."""

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
                self.tracks[int(track)].speed = speed_text(motion, row)


def speed_text(motion: Motion, row: int) -> str:
    """The speed of a row of `motion.speeds` with its expanded uncertainty, or why there is none."""
    speeds = motion.speeds
    reason = Measurable(speeds.measurable[row])
    if reason is not Measurable.YES:
        return reason.name.lower().replace("_", " ")
    return f"{speeds.speed_mps[row] * KMH:.1f} ± {3 * speeds.sigma_mps[row] * KMH:.1f} km/h"


def play(wanted: Replay, console: Console) -> None:
    """Run the replay and print what was found. Raises QyranError."""
    if not wanted.video.is_file():
        raise NotFound(f"{wanted.video}: no such file")
    logbook, metrics = ReplayLog(), Metrics()
    with ExitStack() as stack:
        config = _config(wanted, stack.enter_context(_state(wanted.out)))
        ledger = stack.enter_context(closing(SqlLedger(config.ledger_at)))
        site = _site(wanted)
        signals = SignalBook({CAMERA: site}, config.camera_names, metrics)
        for report in read_reports(wanted.phases) if wanted.phases else ():
            signals.report(report)
        stages = stack.enter_context(open_stages(config, [site], ledger, metrics, signals))
        pipeline = Pipeline(stages, config.camera_names, metrics, watch=logbook)
        source = FileSource(CAMERA, config.cameras[CAMERA], metrics, start_s=_start_s(wanted.start), realtime=False)
        advance = stack.enter_context(_progress(wanted.video, console))

        def settled(segment: Segment) -> None:
            if wanted.draw and logbook.latest:
                draw_segment(segment, logbook.latest, wanted.draw, partial(_lamp_labels, site, signals))
            advance(segment)

        steps = pipeline.play(_announced(source.read(), settled))
        entries = [entry for step in steps for entry in step]
    console.print(_track_table(logbook))
    console.print(_case_table(entries) if entries else "No case.")
    if wanted.out:
        console.print(f"Register and evidence: {wanted.out}")


def _announced(segments: Iterable[Segment], settled: Callable[[Segment], None]) -> Iterator[Segment]:
    """The segments; `settled` hears of each when the next is asked for."""
    for segment in segments:
        yield segment
        settled(segment)


def draw_segment(
    segment: Segment, motion: Motion, folder: Path, lamps_at: Callable[[float], Iterable[BoxLabel]]
) -> None:
    """Write every frame of the segment that was looked at as a JPEG with boxes, identities, speeds and lamps."""
    folder.mkdir(parents=True, exist_ok=True)
    frames = motion.tracks.frames
    for row, still in enumerate(fetch_frames([segment], frames.captured_s.tolist())):
        picture = draw_boxes(still.rgb, [*_labels(motion, row), *lamps_at(still.captured_s)])
        stamp = datetime.fromtimestamp(still.captured_s, UTC).strftime("%H%M%S.%f")[:-3]
        picture.save(folder / f"{stamp}.jpg", quality=88)


def _labels(motion: Motion, frame: int) -> list[BoxLabel]:
    rows = np.flatnonzero(motion.tracks.frame == frame)
    return [BoxLabel(tuple(motion.tracks.xyxy_px[row].tolist()), _caption(motion, int(row))) for row in rows]


def _caption(motion: Motion, row: int) -> str:
    tracks = motion.tracks
    kind = VehicleClass(tracks.class_id[row]).name.lower()
    speed_mps = float(np.hypot(*motion.velocity_mps[row]))
    speed = f" {speed_mps * KMH:.0f} km/h" if motion.sigma_mps[row] < SHOWN_SIGMA_MPS else ""
    return f"{number(int(tracks.track[row]))} {kind}{speed}"


def number(track: int) -> int:
    """The camera's own count of an identity."""
    return track & ((1 << TRACK_BITS) - 1)


@contextmanager
def _state(out: Path | None) -> Iterator[Path]:
    if out is not None:
        yield out
        return
    with tempfile.TemporaryDirectory(prefix="qyran-replay-") as folder:
        yield Path(folder)


def _config(wanted: Replay, state: Path) -> EngineConfig:
    camera = CameraConfig(
        name=_camera_name(wanted.video),
        url=str(wanted.video),
        site=wanted.site or Path(),
        detect_fps=wanted.detect_fps,
        regions=tuple(_region(text) for text in wanted.regions) or (WHOLE_PICTURE,),
    )
    return EngineConfig(cameras=(camera,), state=state, detector=DetectorConfig(card=wanted.card))


def _camera_name(video: Path) -> str:
    return "".join(c if c.isalnum() and c.isascii() else "-" for c in video.stem)[:60].strip("-") or "video"


def _region(text: str) -> Region:
    try:
        region: Region = msgspec.convert([float(part) for part in text.split(",")], Region)
    except (ValueError, msgspec.ValidationError):
        raise ConfigError(f"--region {text}: four fractions of the picture, LEFT,TOP,RIGHT,BOTTOM") from None
    return region


def _lamp_labels(site: Site, signals: SignalBook, at_s: float) -> Iterator[BoxLabel]:
    """A box around every lamp; the first of a signal says what it shows."""
    for signal in site.signals:
        phase = signals.at(CAMERA, signal.name, at_s).name.lower().replace("_", " ")
        for row, lamp in enumerate(signal.lamps):
            (x, y), r = lamp.centre_px, lamp.radius_px
            yield BoxLabel((x - r, y - r, x + r, y + r), "" if row else f"{signal.name} {phase}")


def _site(wanted: Replay) -> Site:
    if wanted.site:
        return load_site(wanted.site)
    with av.open(str(wanted.video)) as container:
        stream = container.streams.video[0]
        size = (stream.codec_context.width, stream.codec_context.height)
    long_ago = datetime(1970, 1, 1, tzinfo=UTC)
    return Site(name="none", image_size_px=size, place=Place(address={}), valid_from=long_ago)


def _start_s(start: str) -> float:
    try:
        when = datetime.fromisoformat(start) if start else datetime.now(UTC)
    except ValueError:
        raise ConfigError(f"--start {start}: not an ISO 8601 time") from None
    return when.replace(tzinfo=when.tzinfo or UTC).timestamp()


@contextmanager
def _progress(video: Path, console: Console) -> Iterator[Callable[[Segment], None]]:
    """A progress bar over the video's playing time; yields what to call with every segment that is done."""
    with av.open(str(video)) as container:
        total_s = (container.duration or 0) / av.time_base
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(video.name, total=total_s or None)

        def advance(segment: Segment) -> None:
            progress.advance(task, segment.ended_s - segment.began_s)

        yield advance
        progress.update(task, completed=total_s)


def _track_table(logbook: ReplayLog) -> Table:
    table = Table(title=f"{len(logbook.tracks)} tracks", title_justify="left")
    for column, justify in (("track", "right"), ("class", "left"), ("from s", "right"), ("to s", "right")):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    table.add_column("sightings", justify="right")
    table.add_column("mean speed (k = 3)")
    began_s = min((t.first_s for t in logbook.tracks.values()), default=0.0)
    for track, t in sorted(logbook.tracks.items()):
        times = (f"{t.first_s - began_s:.1f}", f"{t.last_s - began_s:.1f}")
        table.add_row(str(number(track)), t.class_id.name.lower(), *times, str(t.sightings), t.speed)
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
