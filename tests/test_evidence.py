from __future__ import annotations

import datetime as dt
import errno
import io
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import av
import msgspec
import numpy as np
import pytest
from PIL import Image

from engine import document
from engine.config import EvidenceConfig
from engine.decode.second_look import look
from engine.errors import DecodeError, EvidenceError
from engine.evidence import FileProsecutor, Means, Origin, Scene, folder, prosecutor, stored_cases, verify_case
from engine.metrics import Metrics
from engine.site import Calibration, Certificate, Place, Site
from engine.types import Case, Clock, Detections, Frames, ModelRecord, Segment, VehicleClass
from tests.examples import EPOCH_S, FPS, SIZE_PX, make_footage, make_violation

ROOT = Path(__file__).resolve().parent.parent
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
    """What a detector says of `count` stills: (still, class, box) each."""
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


def nobody(stills: Sequence[object]) -> Detections:
    return found_boxes(len(stills))


class Bench:
    """A prosecutor on real footage, with a clock that the test moves."""

    def __init__(self, root: Path, means: Means, config: EvidenceConfig | None = None) -> None:
        self.root = root
        self.now_s = 100.0
        self.metrics = Metrics()
        self.metrics.add_camera("gate")
        self.prosecutor = FileProsecutor(
            config or EvidenceConfig(),
            root,
            Origin({0: Scene("gate", SITE)}, "QY-0001", ModelRecord("ssd", "ab" * 32, "onnxruntime cpu")),
            means,
            self.metrics,
            clock=lambda: self.now_s,
        )

    def keep(self, segments: Sequence[Segment]) -> None:
        for segment in segments:
            self.prosecutor.keep(segment)

    def incomplete(self) -> float:
        value = self.metrics.registry.get_sample_value("qyran_evidence_failures_total", {"camera": "gate"})
        assert value is not None
        return value


@pytest.fixture(scope="module")
def footage() -> list[Segment]:
    """Twelve seconds; the violation is in the sixth."""
    return make_footage(12)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "evidence", Means(look, nobody))


VIOLATION = make_violation(EPOCH_S + 6.0)


def prove(bench: Bench, footage: Sequence[Segment]) -> tuple[Case, document.Document]:
    bench.keep(footage)
    (case,) = bench.prosecutor.prove([VIOLATION])
    return case, document.decode(case.document, source="case.json")


def test_a_case_is_a_folder_of_stills_drawing_clip_document_and_manifest(bench: Bench, footage: list[Segment]):
    case, record = prove(bench, footage)
    path = bench.root / case.folder
    assert sorted(file.name for file in case.files) == sorted(entry.name for entry in path.iterdir())
    assert sorted(entry.name for entry in path.iterdir()) == [
        "case.json", "clip.mp4", "manifest.json", "overlay.jpg", "overview.jpg",
        "still-first.jpg", "still-last.jpg", "vehicle-first.jpg", "vehicle-last.jpg", "vehicle.jpg",
    ]  # fmt: skip
    assert case.folder == f"2026/05/28/{case.id}"
    assert (path / "case.json").read_bytes() == case.document
    assert verify_case(path) == []
    assert record.incomplete == ()
    assert bench.incomplete() == 0


def test_the_document_says_what_where_when_and_by_what_right(bench: Bench, footage: list[Segment]):
    case, record = prove(bench, footage)
    assert (record.id, record.kind, record.article, record.outcome) == (case.id, "speeding", "592 p.1", "fine")
    assert record.time.occurred == document.moment(EPOCH_S + 6)
    assert record.time.local == "2026-05-29T01:26:46.000+05:00"
    assert record.time.clock == "synchronised"
    assert record.place.address["kk"] == "Абай даңғ."
    assert (record.place.latitude, record.place.direction, record.place.camera) == (43.24, "east", "gate")
    assert record.vehicle_class == "car"
    assert record.device.serial == "QY-0001"
    assert record.device.calibration and record.device.calibration.valid
    assert record.device.calibration.residual_m == 0.04
    assert record.device.certificate and not record.device.certificate.valid
    assert record.versions.model_sha256 == "ab" * 32
    assert record.versions.catalogue == "kz-2026.1"
    assert [point.position_m for point in record.trajectory] == [(float(i), 0.0) for i in range(9)]


def test_the_measurement_states_its_expanded_uncertainty_rounded_up(bench: Bench, footage: list[Segment]):
    speed = prove(bench, footage)[1].measurement
    assert speed is not None
    assert (speed.speed_kmh, speed.limit_kmh, speed.enforced_kmh) == (90.0, 60.0, 87)
    assert speed.expanded_uncertainty_kmh == 2.17  # 3 * 0.2 m/s = 2.16 km/h, and the float lies above it
    assert speed.coverage_factor == 3


def test_every_instant_has_the_still_of_its_very_frame(bench: Bench, footage: list[Segment]):
    case, record = prove(bench, footage)
    assert [(instant.name, instant.still) for instant in record.instants] == [
        ("decisive", "overview.jpg"), ("first", "still-first.jpg"), ("last", "still-last.jpg"),
    ]  # fmt: skip
    assert [instant.still_captured for instant in record.instants] == [
        document.moment(EPOCH_S + at_s) for at_s in (6, 5, 7)
    ]
    still = np.asarray(Image.open(bench.root / case.folder / "overview.jpg"), np.float32)
    (truth,) = look(footage, [EPOCH_S + 6])
    assert np.abs(still - truth.rgb).mean() < 6


def test_the_clip_is_the_cameras_own_packets_from_before_to_after(bench: Bench, footage: list[Segment]):
    case, record = prove(bench, footage)
    assert record.clip and record.clip.file == "clip.mp4"
    assert record.clip.began <= document.moment(EPOCH_S + 5 - 3)
    assert record.clip.ended >= document.moment(EPOCH_S + 7 + 2 - 1 / FPS)
    with av.open(str(bench.root / case.folder / "clip.mp4")) as clip:
        frames = sum(1 for _ in clip.decode(video=0))
        assert clip.streams.video[0].codec.name == "h264"
    assert frames == (record.clip.ended - record.clip.began).total_seconds() * FPS + 1


def test_the_vehicle_is_cut_out_of_every_still(bench: Bench, footage: list[Segment]):
    case, _ = prove(bench, footage)
    for name, left in (("vehicle.jpg", 116), ("vehicle-first.jpg", 100), ("vehicle-last.jpg", 132)):
        crop = shown(bench, case, name)
        still = shown(bench, case, name.replace("vehicle-", "still-").replace("vehicle.", "overview."))
        assert crop.shape == (78, 104, 3)  # the box of 80 x 60 and 15 % on every side
        assert np.abs(crop - still[51:129, left - 12 : left + 92]).mean() < 6


def test_the_drawing_is_apart_from_the_still(bench: Bench, footage: list[Segment]):
    case, _ = prove(bench, footage)
    overview = np.asarray(Image.open(bench.root / case.folder / "overview.jpg"), np.int32)
    overlay = np.asarray(Image.open(bench.root / case.folder / "overlay.jpg"), np.int32)
    assert overview.shape == overlay.shape
    changed = np.abs(overview - overlay).max(axis=2) > 60
    assert 0.01 < changed.mean() < 0.5


def test_a_violation_waits_until_the_recording_reaches_the_end_of_its_clip(bench: Bench, footage: list[Segment]):
    bench.keep(footage[:8])
    assert bench.prosecutor.prove([VIOLATION]) == []
    bench.keep(footage[8:9])
    assert bench.prosecutor.prove([]) == []
    bench.keep(footage[9:10])
    (case,) = bench.prosecutor.prove([])
    assert document.decode(case.document, source="").incomplete == ()
    assert bench.prosecutor.prove([]) == []


def test_a_silent_camera_does_not_hold_its_violation_back(bench: Bench, footage: list[Segment]):
    bench.keep(footage[:8])
    assert bench.prosecutor.prove([VIOLATION]) == []
    bench.now_s += 10
    assert bench.prosecutor.prove([]) == []
    bench.now_s += 10
    (case,) = bench.prosecutor.prove([])
    record = document.decode(case.document, source="")
    assert record.clip and record.clip.ended == document.moment(EPOCH_S + 8 - 1 / FPS)
    assert record.incomplete == ()


def test_a_clock_that_jumped_back_does_not_hold_a_violation_for_ever(bench: Bench, footage: list[Segment]):
    bench.keep(footage[:8])
    bench.prosecutor.prove([VIOLATION])
    for number in range(20):
        bench.now_s += 5
        earlier_s = footage[0].captured_s - 3600 + number
        bench.keep([replace(footage[0], sequence=8 + number, captured_s=earlier_s, continues=number > 0)])
        if cases := bench.prosecutor.prove([]):
            break
    assert len(cases) == 1
    assert bench.now_s < 100 + 120


def test_close_gives_the_waiting_with_what_there_is(bench: Bench, footage: list[Segment]):
    bench.keep(footage[:6])
    assert bench.prosecutor.prove([VIOLATION]) == []
    (case,) = bench.prosecutor.close()
    record = document.decode(case.document, source="")
    assert record.incomplete == (
        "The clip ends 1.0 s before the last instant of proof.",
        "The still of the instant last is 1.0 s from it.",
    )
    assert record.outcome == "officer"
    assert verify_case(bench.root / case.folder) == []
    assert bench.prosecutor.close() == []


def test_a_claimed_clip_survives_the_ring(tmp_path: Path, footage: list[Segment]):
    bench = Bench(tmp_path, Means(look, nobody), EvidenceConfig(keep_s=4.5))
    bench.keep(footage[:8])
    bench.prosecutor.prove([VIOLATION])
    bench.keep(footage[8:])
    (case,) = bench.prosecutor.prove([])
    record = document.decode(case.document, source="")
    assert record.clip and record.clip.began == document.moment(EPOCH_S + 4)
    assert record.incomplete == ()


def test_the_ring_is_bounded_by_bytes_and_an_older_offence_says_what_is_gone(tmp_path: Path, footage: list[Segment]):
    size = max(len(segment.payload) for segment in footage)
    bench = Bench(tmp_path, Means(look, nobody), EvidenceConfig(keep_bytes=2 * size))
    case, record = prove(bench, footage)
    assert record.clip is None
    assert record.incomplete[0] == "No recording of the time is kept."
    assert record.outcome == "officer"
    assert verify_case(bench.root / case.folder) == []


def broken_look(segments: Sequence[Segment], instants_s: Sequence[float]) -> list[object]:
    raise DecodeError("camera 0: the decoder gave nothing")


def test_a_failing_second_look_costs_the_stills_not_the_case(tmp_path: Path, footage: list[Segment]):
    bench = Bench(tmp_path, Means(broken_look, nobody))
    case, record = prove(bench, footage)
    assert [file.name for file in case.files] == ["case.json", "clip.mp4", "manifest.json"]
    assert record.incomplete[0] == "No still of the instant decisive: camera 0: the decoder gave nothing."
    assert record.incomplete[-1] == "A measured offence needs 2 stills, there are 0."
    assert record.outcome == "officer"
    assert "incomplete" in record.reasons[-1]
    assert [instant.still for instant in record.instants] == [None, None, None]
    assert bench.incomplete() == 1


def test_one_instant_that_cannot_be_shown_leaves_the_others(tmp_path: Path, footage: list[Segment]):
    def look_but_last(segments: Sequence[Segment], instants_s: Sequence[float]) -> list[object]:
        if EPOCH_S + 7 in instants_s:
            raise ValueError("corrupt")
        return list(look(segments, instants_s))

    _, record = prove(Bench(tmp_path, Means(look_but_last, nobody)), footage)
    assert [instant.still for instant in record.instants] == ["overview.jpg", "still-first.jpg", None]
    assert record.incomplete == ("No still of the instant last: corrupt.",)


def test_an_indication_stays_one_when_its_evidence_is_incomplete(tmp_path: Path, footage: list[Segment]):
    bench = Bench(tmp_path, Means(broken_look, nobody))
    bench.keep(footage)
    (case,) = bench.prosecutor.prove([replace(VIOLATION, outcome="indication")])
    assert document.decode(case.document, source="").outcome == "indication"


def test_a_measured_kind_without_named_instants_shows_the_ends_of_its_measurement(bench: Bench, footage: list[Segment]):
    bench.keep(footage)
    (case,) = bench.prosecutor.prove([replace(VIOLATION, instants={})])
    record = document.decode(case.document, source="")
    assert [instant.still for instant in record.instants] == [
        "overview.jpg", "still-measurement_began.jpg", "still-measurement_ended.jpg",
    ]  # fmt: skip


def test_a_gap_in_the_recording_shortens_the_clip_and_is_said(bench: Bench, footage: list[Segment]):
    holed = [*footage[:6], replace(footage[6], continues=False), *footage[7:]]
    _, record = prove(bench, holed)
    assert record.clip and record.clip.began == document.moment(EPOCH_S + 6)
    assert record.incomplete == ("The clip begins 1.0 s after the first instant of proof.",)


# -- the veil


PERSON_PX = (10.0, 20.0, 40.0, 100.0)
OTHER_PX = (220.0, 50.0, 300.0, 130.0)


def shown(bench: Bench, case: Case, name: str = "overview.jpg") -> np.ndarray:
    return np.asarray(Image.open(bench.root / case.folder / name), np.float32)


def contrast(pixels: np.ndarray, box: tuple[float, float, float, float]) -> float:
    """How much the fine checks of the footage are still there: 0 to about 80."""
    left, top, right, bottom = (int(edge) for edge in box)
    return float(pixels[top:bottom, left:right, 0].std())


def test_persons_and_other_plates_are_veiled_and_the_vehicles_own_is_not(tmp_path: Path, footage: list[Segment]):
    def find(stills: Sequence[object]) -> Detections:
        each = range(len(stills))
        own = (116.0, 60.0, 196.0, 120.0)
        return found_boxes(
            len(stills),
            *((still, VehicleClass.PERSON, PERSON_PX) for still in each),
            *((still, VehicleClass.CAR, OTHER_PX) for still in each),
            *((still, VehicleClass.CAR, own) for still in each),
        )

    bench = Bench(tmp_path, Means(look, find))
    case, record = prove(bench, footage)
    assert record.incomplete == ()
    for name in ("overview.jpg", "still-first.jpg", "still-last.jpg"):
        pixels = shown(bench, case, name)
        assert contrast(pixels, PERSON_PX) < 25
        assert contrast(pixels, (220, 85, 300, 130)) < 25  # the lower part of the other car
        assert contrast(pixels, (225, 52, 295, 76)) > 40  # its upper part stays
        assert contrast(pixels, (130, 60, 180, 120)) > 40
    assert contrast(shown(bench, case, "overlay.jpg"), (222, 100, 298, 128)) < 25


@pytest.mark.parametrize("box", [(100.0, 20.0, 310.0, 190.0), (112.0, 50.0, 300.0, 125.0)])
def test_the_vehicles_own_plate_stays_clear_under_a_person_and_another_vehicle(
    tmp_path: Path, footage: list[Segment], box: tuple[float, float, float, float]
):
    def find(stills: Sequence[object]) -> Detections:
        return found_boxes(
            len(stills),
            *((still, VehicleClass.PERSON, box) for still in range(len(stills))),
            *((still, VehicleClass.TRUCK, box) for still in range(len(stills))),
        )

    bench = Bench(tmp_path, Means(look, find))
    case, _ = prove(bench, footage)
    pixels = shown(bench, case)
    assert contrast(pixels, (118, 86, 194, 118)) > 40
    assert contrast(pixels, (118, 62, 194, 80)) < 25  # its windscreen does not
    assert contrast(pixels, (210, 100, 295, 120)) < 25


def test_a_person_who_hides_the_vehicle_is_veiled_like_any_other(tmp_path: Path, footage: list[Segment]):
    def find(stills: Sequence[object]) -> Detections:
        return found_boxes(len(stills), *((i, VehicleClass.PERSON, (116, 50, 196, 120)) for i in range(len(stills))))

    bench = Bench(tmp_path, Means(look, find))
    case, _ = prove(bench, footage)
    pixels = shown(bench, case)
    assert contrast(pixels, (118, 52, 194, 80)) < 25
    assert contrast(pixels, (118, 88, 194, 118)) > 40


def test_where_nobody_could_look_all_but_the_vehicle_is_veiled(tmp_path: Path, footage: list[Segment]):
    def find(stills: Sequence[object]) -> Detections:
        raise RuntimeError("no model")

    bench = Bench(tmp_path, Means(look, find))
    case, record = prove(bench, footage)
    pixels = shown(bench, case)
    assert contrast(pixels, (118, 62, 194, 118)) > 40
    assert contrast(pixels, (210, 10, 310, 180)) < 25
    assert "Persons and plates could not be looked for" in record.incomplete[0]


# -- identity


def test_the_same_offence_has_the_same_id_and_content_whatever_the_process_numbered(tmp_path: Path, footage):
    cases = []
    for number, track in enumerate((17, 99)):
        bench = Bench(tmp_path / str(number), Means(look, nobody))
        bench.keep(footage)
        cases += bench.prosecutor.prove([replace(VIOLATION, track=track)])
    assert cases[0] == cases[1]
    assert cases[0].id.startswith("gate-20260528T202646.000Z-speeding-")


@pytest.mark.parametrize(
    "other",
    [
        replace(VIOLATION, kind="wrong_way"),
        replace(VIOLATION, rule="limit-40"),
        replace(VIOLATION, decisive_s=VIOLATION.decisive_s + 0.04),
        make_violation(EPOCH_S + 6.0, x_px=180),
    ],
)
def test_another_offence_has_another_id(bench: Bench, footage: list[Segment], other):
    bench.keep(footage)
    assert len({case.id for case in bench.prosecutor.prove([VIOLATION, other])}) == 2


def test_a_case_that_is_on_the_disk_already_is_given_again_as_it_is(tmp_path: Path, footage: list[Segment]):
    first, _ = prove(Bench(tmp_path, Means(look, nobody)), footage)
    restarted = Bench(tmp_path, Means(broken_look, nobody))
    again, record = prove(restarted, footage[4:])
    assert again == first
    assert record.incomplete == ()


def test_a_damaged_folder_is_put_aside_and_the_case_made_anew(tmp_path: Path, footage: list[Segment]):
    bench = Bench(tmp_path, Means(look, nobody))
    case, _ = prove(bench, footage)
    (tmp_path / case.folder / "clip.mp4").write_bytes(b"")
    (again,) = bench.prosecutor.prove([VIOLATION])
    assert again == case
    assert verify_case(tmp_path / case.folder) == []
    assert (tmp_path / f"{case.folder}.damaged-1" / "clip.mp4").read_bytes() == b""


# -- verification


@pytest.fixture
def stored(bench: Bench, footage: list[Segment]) -> Path:
    return bench.root / prove(bench, footage)[0].folder


@pytest.mark.parametrize("name", ["case.json", "clip.mp4", "overview.jpg", "still-last.jpg", "vehicle.jpg"])
def test_a_flipped_bit_is_found(stored: Path, name: str):
    content = bytearray((stored / name).read_bytes())
    content[len(content) // 2] ^= 1
    (stored / name).write_bytes(content)
    assert verify_case(stored) == [f"{name}: is not what was written: its SHA-256 differs"]


def test_a_missing_and_an_extra_file_are_found(stored: Path):
    (stored / "clip.mp4").rename(stored / "other.mp4")
    assert verify_case(stored) == ["other.mp4: is not in the manifest", "clip.mp4: is missing"]


def test_a_flipped_bit_anywhere_in_the_manifest_is_found(stored: Path):
    whole = (stored / "manifest.json").read_bytes()
    for place in range(0, len(whole), 7):
        content = bytearray(whole)
        content[place] ^= 1
        if content[place : place + 1].isspace() and whole[place : place + 1].isspace():
            continue
        (stored / "manifest.json").write_bytes(content)
        assert verify_case(stored) != [], place


def test_a_folder_without_a_manifest_and_none_at_all_are_problems(stored: Path, tmp_path: Path):
    (stored / "manifest.json").unlink()
    assert verify_case(stored)[0].startswith("manifest.json: cannot be read")
    assert verify_case(tmp_path / "nowhere")[0].startswith("manifest.json: cannot be read")


def test_a_manifest_rewritten_to_fit_a_changed_still_contradicts_the_document(stored: Path):
    (stored / "overview.jpg").write_bytes(b"forged")
    manifest = msgspec.json.decode((stored / "manifest.json").read_bytes(), type=folder.Manifest)
    files = tuple(f if f.name != "overview.jpg" else folder.describe(f.name, b"forged") for f in manifest.files)
    (stored / "manifest.json").write_bytes(msgspec.json.encode(msgspec.structs.replace(manifest, files=files)))
    assert verify_case(stored) == ["case.json: lists other files than the manifest"]


def test_a_folder_under_another_name_is_found(stored: Path):
    moved = stored.rename(stored.with_name("gate-other"))
    assert "in the folder gate-other" in verify_case(moved)[0]


# -- the disk


def test_whole_cases_of_the_newest_days_are_found_again_at_a_start(bench: Bench, footage: list[Segment]):
    case, _ = prove(bench, footage)
    (other,) = bench.prosecutor.prove([make_violation(EPOCH_S + 6.0, x_px=180)])
    (bench.root / other.folder / "clip.mp4").unlink()
    assert list(stored_cases(bench.root, is_known=lambda name: False)) == [case]
    assert list(stored_cases(bench.root, is_known=lambda name: name == case.id)) == []
    assert list(stored_cases(bench.root / "nowhere", is_known=lambda name: False)) == []


def test_what_a_crash_left_half_written_is_swept_away_at_the_start(tmp_path: Path):
    half = tmp_path / folder.INCOMING / "gate-1"
    half.mkdir(parents=True)
    (half / "clip.mp4").write_bytes(b"half")
    Bench(tmp_path, Means(look, nobody))
    assert list((tmp_path / folder.INCOMING).iterdir()) == []


def test_a_root_that_cannot_be_written_is_an_error_at_the_start(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(EvidenceError, match="file"):
        Bench(tmp_path / "file", Means(look, nobody))


def test_a_disk_that_refuses_leaves_nothing_behind_and_the_case_comes_later(bench: Bench, footage, monkeypatch):
    real, budget = os.fsync, itertools.count()

    def full(descriptor: int) -> None:
        if next(budget) >= 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    bench.keep(footage)
    assert bench.prosecutor.prove([VIOLATION]) == []
    assert list((bench.root / folder.INCOMING).iterdir()) == []
    assert list(bench.root.glob("2*/**/*.j*")) == []
    monkeypatch.setattr(os, "fsync", real)
    bench.now_s += prosecutor.RETRY_S / 2
    assert bench.prosecutor.prove([]) == []
    bench.now_s += prosecutor.RETRY_S
    (case,) = bench.prosecutor.prove([])
    assert verify_case(bench.root / case.folder) == []
    assert document.decode(case.document, source="").incomplete == ()


def test_a_refused_case_does_not_lose_those_before_it_nor_those_after_it(bench: Bench, footage, monkeypatch):
    real = folder.store
    refused = iter([False, True, False])

    def store(*args):
        if next(refused, False):
            raise EvidenceError("No space left on device")
        return real(*args)

    monkeypatch.setattr(folder, "store", store)
    bench.keep(footage)
    three = [make_violation(EPOCH_S + 6.0, x_px=x) for x in (40, 100, 180)]
    first = bench.prosecutor.prove(three)
    bench.now_s += prosecutor.RETRY_S + 1
    then = bench.prosecutor.prove([])
    assert (len(first), len(then)) == (1, 2)
    assert len({case.id for case in (*first, *then)}) == 3


def test_violations_that_wait_for_a_full_disk_are_bounded_in_number_and_bytes(bench: Bench, footage, monkeypatch):
    def refuse(*_: object) -> Case:
        raise EvidenceError("No space left on device")

    monkeypatch.setattr(folder, "store", refuse)
    monkeypatch.setattr(prosecutor, "WAITING_MOST", 3)
    monkeypatch.setattr(prosecutor, "CLAIM_BYTES", sum(len(segment.payload) for segment in footage[:4]))
    bench.keep(footage)
    for x in range(5):
        assert bench.prosecutor.prove([make_violation(EPOCH_S + 6.0, x_px=x * 40)]) == []
    assert [bool(waiting.claimed) for waiting in bench.prosecutor._waiting] == [True, False, False]
    assert bench.incomplete() == 2


KILLED = """
import itertools, sys
from pathlib import Path
from tests.examples import EPOCH_S, make_footage, make_violation
from tests.test_evidence import Bench, Means, look, nobody
bench = Bench(Path(sys.argv[1]), Means(look, nobody))
bench.keep(make_footage(12))
for number in itertools.count(int(sys.argv[2])):
    for case in bench.prosecutor.prove([make_violation(EPOCH_S + 6 + number % 100 / 1000, x_px=number // 100 * 20)]):
        print(case.folder, flush=True)
"""


def test_kill_9_never_leaves_a_half_written_case(tmp_path: Path):
    said: list[str] = []
    for start, lines in ((0, 3), (100, 8)):
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path), str(start)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        said += [child.stdout.readline().strip() for _ in range(lines)]
        child.send_signal(signal.SIGKILL)
        child.stdout.close()
        child.wait()
    there = {str(path.relative_to(tmp_path)) for path in tmp_path.glob("2*/*/*/*")}
    assert {*said} <= there
    assert all(verify_case(tmp_path / case) == [] for case in there)


def test_the_stills_are_plain_jpeg_of_the_pictures_size(bench: Bench, footage: list[Segment]):
    case, _ = prove(bench, footage)
    content = (bench.root / case.folder / "still-first.jpg").read_bytes()
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.size) == ("JPEG", SIZE_PX)
