"""An evidence builder on real footage."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from engine.config import EvidenceConfig
from engine.decode.frame_fetcher import fetch_frames
from engine.errors import DecodeError
from engine.evidence import CameraSite, EvidenceTools, FileEvidenceBuilder, Origin, SigningKey
from engine.evidence.folder import Folders
from engine.evidence.manifest import describe
from engine.ingest import Recordings
from engine.metrics import Metrics
from engine.site import Calibration, Certificate, Place, Site
from engine.types import Case, Clock, Detections, Frames, ModelRecord, Segment, VehicleClass, Violation, document
from rig.examples import EPOCH_S, SIZE_PX, make_document, make_violation

YEAR = dt.timedelta(days=365)
AT = document.moment(EPOCH_S)

SITE = Site(
    name="abay-east",
    image_size_px=SIZE_PX,
    place=Place(
        address={"kk": "Абай даңғ.", "ru": "пр. Абая", "en": "Abay ave."},
        latitude=43.24,
        longitude=76.91,
        direction="east",
    ),
    valid_from=AT - YEAR,
    calibration=Calibration(
        id="cal-7",
        made=AT - YEAR,
        expires=AT + YEAR,
        image_to_ground=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
        residual_m=0.04,
        area_px=((0, 0), (320, 0), (320, 192)),
    ),
    certificate=Certificate(number="KZ.02.01", issued=AT - 2 * YEAR, expires=AT - YEAR),
)


def found_boxes(count: int, *boxes: tuple[int, VehicleClass, tuple[float, float, float, float]]) -> Detections:
    """Detections in `count` stills; each box is (still, class, box)."""
    return Detections(
        frames=Frames(
            camera=np.zeros(count, np.int32),
            captured_s=np.zeros(count),
            size_px=np.tile(np.array(SIZE_PX, np.int32), (count, 1)),
            clock=np.full(count, Clock.DECLARED, np.uint8),
        ),
        frame=np.array([still for still, _, _ in boxes], np.int32),
        xyxy_px=np.array([box for _, _, box in boxes], np.float32).reshape(-1, 4),
        score=np.ones(len(boxes), np.float32),
        class_id=np.array([class_id for _, class_id, _ in boxes], np.int32),
    )


def find_nothing(stills: Sequence[object]) -> Detections:
    return found_boxes(len(stills))


TOOLS = EvidenceTools(fetch_frames, find_nothing)


class Bench:
    """An evidence builder on real footage, with a clock that the test moves."""

    def __init__(
        self,
        root: Path,
        tools: EvidenceTools = TOOLS,
        config: EvidenceConfig | None = None,
        key: SigningKey | None = None,
    ) -> None:
        config = config or EvidenceConfig()
        self.root = root
        self.now_s = 100.0
        self.metrics = Metrics()
        self.metrics.add_camera("gate")
        self.recordings = Recordings(config.keep_s, config.keep_bytes, clock=lambda: self.now_s)
        self.recordings.add_camera(0)
        self.evidence_builder = FileEvidenceBuilder(
            config,
            root,
            {0: CameraSite("gate", SITE)},
            Origin("QY-0001", ModelRecord("ssd", "ab" * 32, "onnxruntime cpu"), key),
            tools,
            self.recordings,
            self.metrics,
            clock=lambda: self.now_s,
        )

    def keep(self, segments: Sequence[Segment]) -> None:
        for segment in segments:
            self.recordings.keep(segment)

    def remove_camera(self) -> Sequence[Case]:
        """What becomes of the camera's pending cases when it leaves."""
        cases = self.evidence_builder.finish_camera(0)
        self.evidence_builder.remove_camera(0)
        self.recordings.remove_camera(0)
        return cases

    def incomplete(self) -> float:
        value = self.metrics.registry.get_sample_value("qyran_evidence_failures_total", {"camera": "gate"})
        assert value is not None
        return value


VIOLATION = make_violation(EPOCH_S + 6.0)


def build_case(
    bench: Bench, footage: Sequence[Segment] = (), violation: Violation = VIOLATION
) -> tuple[Case, document.CaseDocument]:
    """The only case that is complete after the footage and the violation, and its document."""
    bench.keep(footage)
    (case,) = bench.evidence_builder.build([violation])
    return case, document.decode(case.document, source="case.json")


def shown(bench: Bench, case: Case, name: str = "overview.jpg") -> np.ndarray:
    return np.asarray(Image.open(bench.root / case.folder / name), np.float32)


def broken_look(segments: Sequence[Segment], instants_s: Sequence[float]) -> list[object]:
    raise DecodeError("camera 0: the decoder gave nothing")


def store_example(folders: Folders, number: int, **changes: object) -> Case:
    """A case with one file, stored."""
    clip = bytes([number]) * 99
    record = make_document(number, files=(describe("clip.mp4", clip),), **changes)
    return folders.store(record, {"clip.mp4": clip})
