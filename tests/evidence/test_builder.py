from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from engine.config import EvidenceConfig
from engine.decode.frame_fetcher import fetch_frames
from engine.evidence import EvidenceTools, verify_case
from engine.types import Outcome, Plate, PlateSighting, Reason, Segment, document
from rig.evidence_bench import VIOLATION, Bench, broken_look, build_case, find_nothing, shown
from rig.examples import EPOCH_S, FPS, SIZE_PX, make_violation


def test_a_case_is_a_folder_of_stills_drawing_clip_document_and_manifest(bench: Bench, footage: list[Segment]):
    case, record = build_case(bench, footage)
    path = bench.root / case.folder
    assert sorted(file.name for file in case.files) == sorted(entry.name for entry in path.iterdir())
    assert sorted(entry.name for entry in path.iterdir()) == [
        "case.json", "clip.mp4", "manifest.json", "overlay-first.jpg", "overlay-last.jpg", "overlay.jpg",
        "overview.jpg", "plan.svg", "report.en.html", "report.kk.html", "report.ru.html", "seal.json",
        "still-first.jpg", "still-last.jpg", "vehicle-first.jpg", "vehicle-last.jpg", "vehicle.jpg",
    ]  # fmt: skip
    assert case.folder == f"2026/05/28/{case.id}"
    assert (path / "case.json").read_bytes() == case.document
    assert verify_case(path) == []
    assert record.incomplete == ()
    assert record.plate is None
    assert bench.incomplete() == 0


def test_the_document_states_offence_place_time_and_law(bench: Bench, footage: list[Segment]):
    case, record = build_case(bench, footage)
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
    speed = build_case(bench, footage)[1].measurement
    assert speed is not None
    assert (speed.speed_kmh, speed.limit_kmh, speed.enforced_kmh) == (90.0, 60.0, 87)
    assert speed.expanded_uncertainty_kmh == 2.17  # 3 * 0.2 m/s = 2.16 km/h, and the float lies above it
    assert speed.coverage_factor == 3


def test_every_instant_has_the_still_of_its_own_frame(bench: Bench, footage: list[Segment]):
    case, record = build_case(bench, footage)
    assert [(instant.name, instant.still) for instant in record.instants] == [
        ("decisive", "overview.jpg"), ("first", "still-first.jpg"), ("last", "still-last.jpg"),
    ]  # fmt: skip
    assert [instant.still_captured for instant in record.instants] == [
        document.moment(EPOCH_S + at_s) for at_s in (6, 5, 7)
    ]
    (truth,) = fetch_frames(footage, [EPOCH_S + 6])
    assert np.abs(shown(bench, case) - truth.rgb).mean() < 6


def test_the_clip_is_the_cameras_own_packets_from_before_to_after(bench: Bench, footage: list[Segment]):
    case, record = build_case(bench, footage)
    assert record.clip and record.clip.file == "clip.mp4"
    assert record.clip.began <= document.moment(EPOCH_S + 5 - 3)
    assert record.clip.ended >= document.moment(EPOCH_S + 7 + 2 - 1 / FPS)
    with av.open(str(bench.root / case.folder / "clip.mp4")) as clip:
        frames = sum(1 for _ in clip.decode(video=0))
        assert clip.streams.video[0].codec.name == "h264"
    assert frames == (record.clip.ended - record.clip.began).total_seconds() * FPS + 1


def test_the_vehicle_is_cut_out_of_every_still(bench: Bench, footage: list[Segment]):
    case, _ = build_case(bench, footage)
    for name, left in (("vehicle.jpg", 116), ("vehicle-first.jpg", 100), ("vehicle-last.jpg", 132)):
        crop = shown(bench, case, name)
        still = shown(bench, case, name.replace("vehicle-", "still-").replace("vehicle.", "overview."))
        assert crop.shape == (78, 104, 3)  # the box of 80 x 60 and 15 % on every side
        assert np.abs(crop - still[51:129, left - 12 : left + 92]).mean() < 6


def test_the_drawing_is_a_separate_file(bench: Bench, footage: list[Segment]):
    case, _ = build_case(bench, footage)
    overview, overlay = shown(bench, case), shown(bench, case, "overlay.jpg")
    assert overview.shape == overlay.shape
    changed = np.abs(overview - overlay).max(axis=2) > 60
    assert 0.01 < changed.mean() < 0.5


def test_a_violation_waits_until_the_recording_reaches_the_end_of_its_clip(bench: Bench, footage: list[Segment]):
    bench.keep(footage[:8])
    assert bench.evidence_builder.build([VIOLATION]) == []
    bench.keep(footage[8:9])
    assert bench.evidence_builder.build([]) == []
    bench.keep(footage[9:10])
    (case,) = bench.evidence_builder.build([])
    assert document.decode(case.document, source="").incomplete == ()
    assert bench.evidence_builder.build([]) == []


def test_a_silent_camera_does_not_delay_its_violation(bench: Bench, footage: list[Segment]):
    bench.keep(footage[:8])
    assert bench.evidence_builder.build([VIOLATION]) == []
    bench.now_s += 10
    assert bench.evidence_builder.build([]) == []
    bench.now_s += 10
    (case,) = bench.evidence_builder.build([])
    record = document.decode(case.document, source="")
    assert record.clip and record.clip.ended == document.moment(EPOCH_S + 8 - 1 / FPS)
    assert record.incomplete == ()


def test_a_clock_that_jumped_back_does_not_delay_a_violation_forever(bench: Bench, footage: list[Segment]):
    bench.keep(footage[:8])
    bench.evidence_builder.build([VIOLATION])
    for number in range(20):
        bench.now_s += 5
        earlier_s = footage[0].captured_s - 3600 + number
        bench.keep([replace(footage[0], sequence=8 + number, captured_s=earlier_s, continues=number > 0)])
        if cases := bench.evidence_builder.build([]):
            break
    assert len(cases) == 1
    assert bench.now_s < 100 + 120


def test_close_builds_the_pending_cases_from_what_there_is(bench: Bench, footage: list[Segment]):
    bench.keep(footage[:6])
    assert bench.evidence_builder.build([VIOLATION]) == []
    (case,) = bench.evidence_builder.close()
    record = document.decode(case.document, source="")
    assert record.incomplete == (
        Reason("clip_ends_early", {"early_s": 1.04}),
        Reason("still_apart", {"instant": "last", "apart_s": 1.04}),
    )
    assert record.outcome == "officer"
    assert verify_case(bench.root / case.folder) == []
    assert bench.evidence_builder.close() == []


def test_a_violation_reported_after_its_camera_has_left_becomes_a_case_without_recording(bench: Bench, footage):
    bench.keep(footage)
    assert bench.remove_camera() == []
    assert bench.recordings.between(VIOLATION.camera, 0.0, EPOCH_S + 99) == []
    assert bench.evidence_builder.build([VIOLATION]) == []
    bench.now_s += 30
    (case,) = bench.evidence_builder.build([])
    assert Reason("recording_gone") in document.decode(case.document, source="").incomplete


def test_a_violation_that_cannot_become_a_case_is_counted_as_lost_and_delays_no_other(bench: Bench, footage):
    bench.keep(footage)
    broken = replace(VIOLATION, instants={"never": float("nan")})
    (case,) = bench.evidence_builder.build([broken, VIOLATION])
    assert verify_case(bench.root / case.folder) == []
    assert bench.metrics.registry.get_sample_value("qyran_violations_lost_total", {"camera": "gate"}) == 1
    assert bench.evidence_builder.waiting == 0


def test_claimed_segments_outlive_the_ring(tmp_path: Path, footage: list[Segment]):
    bench = Bench(tmp_path, config=EvidenceConfig(keep_s=4.5))
    bench.keep(footage[:8])
    bench.evidence_builder.build([VIOLATION])
    bench.keep(footage[8:])
    (case,) = bench.evidence_builder.build([])
    record = document.decode(case.document, source="")
    assert record.clip and record.clip.began == document.moment(EPOCH_S + 4)
    assert record.incomplete == ()


def test_the_ring_is_bounded_by_bytes_and_an_older_case_states_what_is_missing(tmp_path: Path, footage: list[Segment]):
    size = max(len(segment.payload) for segment in footage)
    bench = Bench(tmp_path, config=EvidenceConfig(keep_bytes=2 * size))
    case, record = build_case(bench, footage)
    assert record.clip is None
    assert record.incomplete[0] == Reason("recording_gone")
    assert record.outcome == "officer"
    assert verify_case(bench.root / case.folder) == []


def test_a_failing_frame_fetcher_costs_the_stills_and_not_the_case(tmp_path: Path, footage: list[Segment]):
    bench = Bench(tmp_path, EvidenceTools(broken_look, find_nothing))
    case, record = build_case(bench, footage)
    assert [file.name for file in case.files] == [
        "case.json", "clip.mp4", "manifest.json", "plan.svg", "report.en.html", "report.kk.html", "report.ru.html",
        "seal.json",
    ]  # fmt: skip
    assert record.incomplete[0] == Reason(
        "still_failed", {"instant": "decisive", "error": "camera 0: the decoder gave nothing"}
    )
    assert record.incomplete[-1] == Reason("too_few_stills", {"needed": 2, "count": 0})
    assert record.outcome == "officer"
    assert record.reasons[-1] == Reason("evidence_incomplete")
    assert [instant.still for instant in record.instants] == [None, None, None]
    assert bench.incomplete() == 1


def test_an_instant_without_a_still_leaves_the_others(tmp_path: Path, footage: list[Segment]):
    def look_but_last(segments: Sequence[Segment], instants_s: Sequence[float]) -> list[object]:
        if EPOCH_S + 7 in instants_s:
            raise ValueError("corrupt")
        return list(fetch_frames(segments, instants_s))

    _, record = build_case(Bench(tmp_path, EvidenceTools(look_but_last, find_nothing)), footage)
    assert [instant.still for instant in record.instants] == ["overview.jpg", "still-first.jpg", None]
    assert record.incomplete == (Reason("still_failed", {"instant": "last", "error": "corrupt"}),)


def test_an_indication_stays_one_when_its_evidence_is_incomplete(tmp_path: Path, footage: list[Segment]):
    bench = Bench(tmp_path, EvidenceTools(broken_look, find_nothing))
    assert build_case(bench, footage, replace(VIOLATION, outcome=Outcome.INDICATION))[1].outcome == "indication"


def test_a_measured_kind_without_named_instants_shows_the_ends_of_its_measurement(bench: Bench, footage: list[Segment]):
    _, record = build_case(bench, footage, replace(VIOLATION, instants={}))
    assert [instant.still for instant in record.instants] == [
        "overview.jpg", "still-measurement_began.jpg", "still-measurement_ended.jpg",
    ]  # fmt: skip


def test_a_gap_in_the_recording_shortens_the_clip_and_is_stated(bench: Bench, footage: list[Segment]):
    holed = [*footage[:6], replace(footage[6], continues=False), *footage[7:]]
    _, record = build_case(bench, holed)
    assert record.clip and record.clip.began == document.moment(EPOCH_S + 6)
    assert record.incomplete == (Reason("clip_begins_late", {"late_s": 1.0}),)


# -- identity


def test_the_same_offence_has_the_same_id_and_content_in_every_process(tmp_path: Path, footage):
    one, other = (build_case(Bench(tmp_path / str(n)), footage, replace(VIOLATION, track=n))[0] for n in (17, 99))
    assert one == other
    assert one.id.startswith("gate-20260528T202646.000Z-speeding-")


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
    assert len({case.id for case in bench.evidence_builder.build([VIOLATION, other])}) == 2


def test_a_case_that_is_on_the_disk_already_is_returned_unchanged(tmp_path: Path, footage: list[Segment]):
    first, _ = build_case(Bench(tmp_path), footage)
    restarted = Bench(tmp_path, EvidenceTools(broken_look, find_nothing))
    again, record = build_case(restarted, footage[4:])
    assert again == first
    assert record.incomplete == ()


def test_a_damaged_folder_is_put_aside_and_the_case_is_built_again(tmp_path: Path, footage: list[Segment]):
    bench = Bench(tmp_path)
    case, _ = build_case(bench, footage)
    (tmp_path / case.folder / "clip.mp4").write_bytes(b"")
    assert build_case(bench)[0] == case
    assert verify_case(tmp_path / case.folder) == []
    assert (tmp_path / f"{case.folder}.damaged-1" / "clip.mp4").read_bytes() == b""


def test_the_stills_are_plain_jpeg_in_the_size_of_the_picture(bench: Bench, footage: list[Segment]):
    case, _ = build_case(bench, footage)
    with Image.open(bench.root / case.folder / "still-first.jpg") as image:
        assert (image.format, image.size) == ("JPEG", SIZE_PX)


def test_the_plate_is_in_the_document_and_cut_out_as_a_file(bench: Bench, footage: list[Segment]):
    box = (150.0, 90.0, 190.0, 102.0)
    seen = Plate("123ABC02", "KZ", "02", "private_2012", 0.97, alternatives=(("128ABC02", 0.02),), frames=3)
    named = replace(VIOLATION, plate=PlateSighting(seen, VIOLATION.decisive_s, box), marks=("stolen",))
    case, record = build_case(bench, footage, named)
    plate = record.plate
    assert plate is not None
    assert (plate.text, plate.region, plate.confidence, plate.frames) == ("123ABC02", "02", 0.97, 3)
    assert (plate.marks, plate.still) == (("stolen",), "plate.jpg")
    assert plate.alternatives[0].text == "128ABC02"
    assert shown(bench, case, "plate.jpg").shape == (18 * 4, 60 * 4, 3)


def test_a_plate_that_cannot_be_shown_is_stated(tmp_path: Path, footage: list[Segment]):
    bench = Bench(tmp_path, EvidenceTools(broken_look, find_nothing))
    seen = PlateSighting(Plate("123ABC02", "KZ", "02", "", 0.97), VIOLATION.decisive_s, (0.0, 0.0, 9.0, 3.0))
    _, record = build_case(bench, footage, replace(VIOLATION, plate=seen))
    assert record.plate is not None
    assert record.plate.still is None
    assert any(reason.code == "plate_still_failed" for reason in record.incomplete)


def test_a_plate_is_not_cut_out_of_another_frame_when_its_own_is_gone(bench: Bench, footage: list[Segment]):
    gone = PlateSighting(Plate("123ABC02", "KZ", "02", "", 0.97), VIOLATION.began_s - 60.0, (0.0, 0.0, 9.0, 3.0))
    case, record = build_case(bench, footage, replace(VIOLATION, plate=gone))
    assert "plate.jpg" not in {file.name for file in case.files}
    assert any(reason.code == "plate_still_gone" for reason in record.incomplete)
