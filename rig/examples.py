"""Examples to build on: a case with its folder, a violation, a few seconds of real H.264."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np

from engine.ingest import Recordings
from engine.types import (
    Bytes8,
    Case,
    Clock,
    EvidenceFile,
    Measurement,
    Outcome,
    Reason,
    Segment,
    Sighting,
    VehicleClass,
    Violation,
)
from engine.types import document as doc
from rig.videos import FPS, cut

EPOCH_S = 1_780_000_000.0
SIZE_PX = (320, 192)
ENFORCED = Reason("sentence", {"text": "Enforced 87 km/h where 60 are allowed."})


def make_document(number: int = 0, **changes: object) -> doc.CaseDocument:
    """A complete document; another number is another case."""
    at = doc.moment(EPOCH_S + number)
    facts: dict[str, object] = {
        "schema": doc.SCHEMA,
        "id": f"gate-{number:06d}",
        "kind": "speeding",
        "rule": "limit-60",
        "article": "592 p.1",
        "outcome": "fine",
        "reasons": (ENFORCED,),
        "incomplete": (),
        "time": doc.TimeRecord(occurred=at, local="", timezone="Asia/Almaty", began=at, ended=at, clock="synchronised"),
        "place": doc.PlaceRecord(
            site="gate", camera="gate", address={"kk": "Абай даңғ."}, latitude=43.25, longitude=None, direction="east"
        ),
        "vehicle_class": "truck",
        "measurement": doc.SpeedRecord(
            speed_kmh=90.4,
            expanded_uncertainty_kmh=2.2,
            coverage_factor=3.0,
            limit_kmh=60,
            tolerance_kmh=0,
            enforced_kmh=88,
            length_m=31.5,
            began=at,
            ended=at + dt.timedelta(seconds=1.5),
        ),
        "device": doc.DeviceRecord(serial="QY-1", certificate=None, calibration=None),
        "versions": doc.VersionsRecord(software="qyran", catalogue="kz", model="ssd", model_sha256="00", runtime="cpu"),
        "instants": (),
        "clip": None,
        "trajectory": (),
        "files": (),
    }
    return doc.CaseDocument(**{**facts, **changes})  # type: ignore[arg-type]


def make_case(
    number: int = 0, *, camera: str = "gate", kind: str = "speeding", files: tuple[EvidenceFile, ...] = ()
) -> Case:
    record = make_document(number, kind=kind)
    return Case(
        id=record.id,
        camera=camera,
        kind=kind,
        occurred_s=EPOCH_S + number,
        document=doc.encode(record),
        files=files,
        folder=f"2026/05/28/{record.id}",
    )


def write_case(root: Path, number: int, contents: dict[str, bytes]) -> Case:
    """A case with its evidence files on the disk."""
    files = tuple(
        EvidenceFile(name, "application/octet-stream", len(content), hashlib.sha256(content).hexdigest())
        for name, content in contents.items()
    )
    case = make_case(number, files=files)
    (root / case.folder).mkdir(parents=True)
    for name, content in contents.items():
        (root / case.folder / name).write_bytes(content)
    return case


def make_violation(decisive_s: float, *, measured: bool = True, camera: int = 0, x_px: float = 100.0) -> Violation:
    """A car that drives to the right for two seconds; the decisive instant is in the middle."""
    times_s = [decisive_s + offset for offset in np.linspace(-1, 1, 9)]
    return Violation(
        kind="speeding" if measured else "wrong_way",
        rule="limit-60",
        camera=camera,
        track=17,
        class_id=VehicleClass.CAR,
        began_s=times_s[0],
        ended_s=times_s[-1],
        decisive_s=decisive_s,
        sightings=tuple(
            Sighting(at_s, (x_px + 4 * i, 60.0, x_px + 80 + 4 * i, 120.0), (float(i), 0.0))
            for i, at_s in enumerate(times_s)
        ),
        instants={"first": times_s[0], "last": times_s[-1]},
        measurement=Measurement(
            speed_mps=25.0,
            sigma_mps=0.2,
            coverage_factor=3.0,
            limit_kmh=60.0,
            tolerance_kmh=0.0,
            enforced_kmh=87,
            began_s=times_s[0],
            ended_s=times_s[-1],
            length_m=50.0,
        )
        if measured
        else None,
        article="592 p.1",
        outcome=Outcome.FINE,
        reasons=(ENFORCED,),
        clock=Clock.SYNCHRONISED,
        catalogue_version="kz-2026.1",
    )


def picture(index: int) -> Bytes8:
    """(H, W, 3) u1: frame `index` of the footage; a fine pattern everywhere, so that redaction shows."""
    width, height = SIZE_PX
    y, x = np.mgrid[:height, :width]
    checks = ((x // 4 + y // 4 + index) % 2) * 160 + 40
    return np.stack([checks, (x + index) % 256, y % 256], axis=2).astype(np.uint8)


def make_footage(seconds: int, *, camera: int = 0, began_s: float = EPOCH_S) -> list[Segment]:
    """One-second segments of H.264 with a capture time for every frame."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height = SIZE_PX
    encoder.pix_fmt, encoder.framerate, encoder.time_base = "yuv420p", Fraction(FPS), Fraction(1, FPS)
    encoder.gop_size = FPS
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "crf": "12", "sc_threshold": "0"}
    packets = []
    for index in range(seconds * FPS):
        frame = av.VideoFrame.from_ndarray(picture(index), format="rgb24")
        frame.pts = index
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    one = partial(cut, codec="h264", size_px=SIZE_PX, camera=camera, began_s=began_s, clock=Clock.SYNCHRONISED)
    return [one(packets[at : at + FPS], sequence=at // FPS) for at in range(0, len(packets), FPS)]


def keep_all(segments: Sequence[Segment]) -> Recordings:
    """Recordings that hold all of the segments of camera 0."""
    recordings = Recordings(keep_s=3600.0, keep_bytes=1 << 30)
    recordings.add_camera(0)
    for segment in segments:
        recordings.keep(segment)
    return recordings
