"""A world for the tests: made-up traffic through every real stage behind the detector, to the ledger.

Boxes have noise, are cut at the border of the picture, and some are missed; the recording is real H.264, so that the
evidence can be made of it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

import av
import numpy as np

from engine.app.identification import open_classifier
from engine.config import ClassifierConfig, EvidenceConfig
from engine.decode.frame_fetcher import fetch_frames
from engine.evidence import CameraSite, EvidenceTools, FileEvidenceBuilder, Origin, verify_case
from engine.identify import Identification, Looks, VehicleIdentifier
from engine.identify.confirmation import Confirmation, RegistryConfirmation
from engine.identify.papers import SnapshotRegistry, import_csv
from engine.identify.papers.paper import PAPERS
from engine.identify.papers.snapshot import HEADER
from engine.ingest import Recordings
from engine.ledger import SqlLedger
from engine.measure import GroundSpeedometer, geometries
from engine.metrics import Metrics
from engine.pipeline.loop import Pipeline, Stages
from engine.rules import SiteRulebook
from engine.signals import SignalBook
from engine.site import Site
from engine.track import KalmanTracker
from engine.types import Clock, Detections, Frames, Plate, Segment, VehicleClass, document
from rig.evidence_bench import find_nothing
from rig.videos import cut
from tests.support.junction import Phases, book
from tests.support.networks import make_network
from tests.support.road import KZ, NOON_S, SIZE_PX, Vehicle, Walker
from tests.support.scripted_stages import Script, ScriptedDecoder, ScriptedDetector, ScriptedPlates

FPS = 12
PLATE = Plate("123ABC02", "KZ", "02", "private_2012", 0.97)
"""Of every vehicle, surely read."""
RULES = Identification("KZ", 0.9)
SMALLEST_PX = 8.0
"""A smaller box is not found."""


@dataclass(frozen=True)
class Traffic:
    """The vehicles and pedestrians before the camera."""

    vehicles: Sequence[Vehicle]
    walkers: Sequence[Walker] = ()


class Eyes:
    """A detector that sees the traffic as a good one does."""

    def __init__(self, traffic: Traffic, *, noise_px: float = 1.0, missed: float = 0.05) -> None:
        self._traffic = traffic
        self._noise_px = noise_px
        self._missed = missed
        self._rng = np.random.default_rng(11)

    def __call__(self, frames: Frames) -> Detections:
        rows = [row for frame, t in enumerate((frames.captured_s - NOON_S).tolist()) for row in self._seen(frame, t)]
        boxes = np.array([box for _, box, _ in rows]).reshape(-1, 4)
        boxes = (boxes + self._rng.normal(0, self._noise_px, boxes.shape)).clip(0, [*SIZE_PX, *SIZE_PX])
        large = (boxes[:, 2:] - boxes[:, :2] > SMALLEST_PX).all(axis=1)
        found = large & (self._rng.random(len(boxes)) >= self._missed)
        return Detections(
            frames,
            np.array([frame for frame, _, _ in rows], np.int32)[found],
            boxes[found].astype(np.float32),
            np.full(int(found.sum()), 0.9, np.float32),
            np.array([class_id for _, _, class_id in rows], np.int32)[found],
        )

    def _seen(self, frame: int, t: float) -> list[tuple[int, np.ndarray, VehicleClass]]:
        vehicles = [(frame, v.box(t), v.class_of(t)) for v in self._traffic.vehicles if v.begin_s <= t < v.end_s]
        people = [(frame, w.box(t), VehicleClass.PERSON) for w in self._traffic.walkers if w.begin_s <= t < w.end_s]
        return vehicles + people


@dataclass(frozen=True)
class Sees:
    """What a second look finds, besides the vehicle."""

    plate: Plate | None = PLATE
    """Of every vehicle."""
    papers: str = ""
    """The line of that plate in a registry's extract; empty: there is no registry."""
    light: int = 96
    """Of the picture, 0 to 255: what the classifiers of the tests go by."""
    classified: str = ""
    """The kind of which there is a classifier; it sees the offence where the picture is bright."""


class Still:
    """`stages.DriftMonitor` of a camera that does not move."""

    def check(self, segments: Sequence[Segment]) -> frozenset[int]:
        return frozenset()


def cases(
    traffic: Traffic,
    where: Site,
    root: Path,
    *,
    lasts_s: float,
    fps: int = FPS,
    phases: Phases | None = None,
    sees: Sees = Sees(),
) -> list[document.CaseDocument]:
    """The cases in the ledger after the traffic has passed one camera."""
    signals = book(where, phases or {}, 600.0)
    film = recording(int(lasts_s) + 5, fps, sees.light)

    def identifier(world: World) -> VehicleIdentifier:
        looks = Looks(world.recordings, fetch_frames, ScriptedPlates(sees.plate))
        return VehicleIdentifier(lambda camera: where, world.names, looks, RULES, world.metrics, _confirm(sees, root))

    return World(root, {0: "cam"}, {0: where}, lasts_s + 10).play(film, Eyes(traffic), identifier, signals)


class World:
    """Cameras with their sites, before the stages; its folder holds the ledger and the evidence."""

    def __init__(self, root: Path, names: Mapping[int, str], sites: Mapping[int, Site], keep_s: float) -> None:
        self.root, self.names, self.sites, self.metrics = root, names, sites, Metrics()
        self.recordings = Recordings(keep_s, EvidenceConfig().keep_bytes)
        self.cameras = {camera: CameraSite(name, sites[camera]) for camera, name in names.items()}
        self.tools = EvidenceTools(fetch_frames, find_nothing)
        for camera, name in names.items():
            self.metrics.add_camera(name)
            self.recordings.add_camera(camera)

    def play(
        self,
        film: Iterable[Segment],
        script: Script,
        identifier: Callable[[World], VehicleIdentifier],
        signals: SignalBook | None = None,
    ) -> list[document.CaseDocument]:
        """The cases in the ledger after the film, with evidence that verifies; `script` gives what is detected."""
        detector, evidence = ScriptedDetector(script), self.root / "evidence"
        signals = signals or SignalBook(self.sites, self.names, self.metrics)
        origin = Origin("QY-0001", detector.model)
        with closing(SqlLedger(self.root / "ledger.db")) as ledger:
            stages = Stages(
                recordings=self.recordings,
                drift_monitor=Still(),
                decoder=ScriptedDecoder(),
                signals=signals,
                detector=detector,
                tracker=KalmanTracker(),
                speedometer=GroundSpeedometer(geometries(self.sites)),
                rulebook=SiteRulebook(self.sites, self.names, KZ, signals=signals),
                identifier=identifier(self),
                evidence_builder=FileEvidenceBuilder(
                    EvidenceConfig(), evidence, self.cameras, origin, self.tools, self.recordings, self.metrics
                ),
                ledger=ledger,
            )
            list(Pipeline(stages, self.names, self.metrics).play(film))
            entries = ledger.read(0, 1000)
        assert all(verify_case(evidence / entry.case.folder) == [] for entry in entries)
        return [document.decode(entry.case.document, source="case.json") for entry in entries]


def _confirm(sees: Sees, root: Path) -> dict[str, Confirmation]:
    """A real registry and a real classifier, as far as there are any."""
    found: dict[str, Confirmation] = {}
    if sees.papers:
        extract = root / "extract.csv"
        extract.write_text(f"{','.join(HEADER)}\n{PLATE.text},{sees.papers}\n")
        import_csv(extract, root / "registry.db", document.moment(NOON_S - 3600))
        registry = SnapshotRegistry(root / "registry.db", 86_400, ZoneInfo("Asia/Almaty"))
        found |= dict.fromkeys(PAPERS, RegistryConfirmation(registry, RULES, lambda camera, at_s: f"{at_s // 86_400}"))
    if sees.classified:
        make_network(root / "own.onnx", {"is": np.array([[1.0]], np.float32)}, lit=frozenset({"is"}))
        facts = ClassifierConfig(kind=sees.classified, model=root / "own.onnx", size_px=(64, 64))  # type: ignore[arg-type]
        found[sees.classified] = open_classifier(facts)
    return found


@functools.cache
def recording(seconds: int, fps: int, light: int = 96) -> tuple[Segment, ...]:
    """One-second segments of H.264 of an empty road."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height = SIZE_PX
    encoder.pix_fmt, encoder.framerate, encoder.time_base = "yuv420p", Fraction(fps), Fraction(1, fps)
    encoder.gop_size = fps
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "sc_threshold": "0"}
    road = np.full((SIZE_PX[1], SIZE_PX[0], 3), light, np.uint8)
    packets = []
    for index in range(seconds * fps):
        frame = av.VideoFrame.from_ndarray(road, format="rgb24")
        frame.pts = index
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    one = functools.partial(cut, codec="h264", size_px=SIZE_PX, fps=fps, began_s=NOON_S, clock=Clock.SYNCHRONISED)
    return tuple(one(packets[at : at + fps], sequence=at // fps) for at in range(0, len(packets), fps))
