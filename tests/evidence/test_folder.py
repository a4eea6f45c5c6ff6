from __future__ import annotations

import errno
import itertools
import os
import shutil
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from engine.app.housekeeping import Housekeeper
from engine.config import RetentionConfig
from engine.errors import EvidenceError
from engine.evidence import audit, folder, stored_cases, verify_case
from engine.evidence import builder as evidence_builder
from engine.evidence.chain import Chain
from engine.evidence.folder import Folders
from engine.ledger import Retention, SqlLedger
from engine.types import Case, Segment, document
from rig.evidence_bench import VIOLATION, Bench, build_case, store_example
from rig.examples import EPOCH_S, make_document, make_violation

ROOT = Path(__file__).resolve().parents[2]


def test_complete_cases_of_the_newest_days_are_found_at_a_start(bench: Bench, footage: list[Segment]):
    case, _ = build_case(bench, footage)
    (other,) = bench.evidence_builder.build([make_violation(EPOCH_S + 6.0, x_px=180)])
    (bench.root / other.folder / "clip.mp4").unlink()
    assert list(stored_cases(bench.root, is_known=lambda name: False)) == [case]
    assert list(stored_cases(bench.root, is_known=lambda name: name == case.id)) == []
    assert list(stored_cases(bench.root / "nowhere", is_known=lambda name: False)) == []


def test_a_camera_with_a_wrong_year_hides_no_case_that_a_crash_kept_from_the_ledger(bench: Bench, footage):
    case, _ = build_case(bench, footage)
    for year in (1970, 2098, 2099):
        (bench.root / f"{year}/01/01").mkdir(parents=True)
    assert list(stored_cases(bench.root, is_known=lambda name: False)) == [case]


def test_a_copy_of_a_case_in_the_folder_of_another_day_is_not_recorded(bench: Bench, footage, tmp_path: Path):
    case, _ = build_case(bench, footage)
    shutil.copytree(bench.root / case.folder, bench.root / "2025/01/01" / case.id)
    with closing(SqlLedger(tmp_path / "ledger.db")) as ledger:
        Housekeeper(ledger, bench.root, Retention(ledger.database, RetentionConfig())).recover()
        (entry,) = ledger.read(0, 10)
    assert entry.case == case


def test_a_half_written_case_of_a_crash_is_deleted_at_the_start(tmp_path: Path):
    half = tmp_path / folder.INCOMING / "gate-1"
    half.mkdir(parents=True)
    (half / "clip.mp4").write_bytes(b"half")
    Bench(tmp_path)
    assert list((tmp_path / folder.INCOMING).iterdir()) == []


def test_a_stray_file_among_incoming_cases_is_set_aside_and_the_start_goes_on(tmp_path: Path):
    incoming, elsewhere = tmp_path / folder.INCOMING, tmp_path / "elsewhere"
    for round_ in range(2):
        incoming.mkdir(exist_ok=True)
        elsewhere.mkdir(exist_ok=True)
        (incoming / "note").write_text(f"note {round_}")
        (incoming / "link").symlink_to(elsewhere)
        store_example(Folders(tmp_path, "QY-1", None), round_)
        assert list(incoming.iterdir()) == []
    strange = tmp_path / folder.STRANGE
    assert sorted(path.name for path in strange.iterdir()) == ["link-1", "link-2", "note-1", "note-2"]
    assert (strange / "note-2").read_text() == "note 1"
    assert elsewhere.is_dir()
    assert audit(tmp_path).problems == []


HOLDS = """
import sys
from pathlib import Path
from engine.evidence.folder import Folders
folders = Folders(Path(sys.argv[1]), "QY-1", None)
print("holds", flush=True)
sys.stdin.read()
"""


def test_a_second_engine_below_the_same_root_is_refused_until_the_first_has_ended(tmp_path: Path):
    command = [sys.executable, "-c", HOLDS, str(tmp_path)]
    here = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=here) as first:
        assert first.stdout.readline() == b"holds\n"
        (tmp_path / folder.INCOMING / "of-the-first").mkdir()
        with pytest.raises(EvidenceError, match="another engine writes its evidence there"):
            Folders(tmp_path, "QY-1", None)
        assert (tmp_path / folder.INCOMING / "of-the-first").is_dir()
        first.kill()
    store_example(Folders(tmp_path, "QY-1", None), 0)


def test_a_root_that_cannot_be_written_is_an_error_at_the_start(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(EvidenceError, match="file"):
        Bench(tmp_path / "file")


def test_a_refusing_disk_leaves_no_folder_and_the_case_comes_later(bench: Bench, footage, monkeypatch):
    real, budget = os.fsync, itertools.count()

    def full(descriptor: int) -> None:
        if next(budget) >= 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    bench.keep(footage)
    assert bench.evidence_builder.build([VIOLATION]) == []
    assert list((bench.root / folder.INCOMING).iterdir()) == []
    assert list(bench.root.glob("2*/**/*.j*")) == []
    monkeypatch.setattr(os, "fsync", real)
    bench.now_s += evidence_builder.RETRY_S / 2
    assert bench.evidence_builder.build([]) == []
    bench.now_s += evidence_builder.RETRY_S
    (case,) = bench.evidence_builder.build([])
    assert verify_case(bench.root / case.folder) == []
    assert document.decode(case.document, source="").incomplete == ()


def test_a_refused_case_loses_no_case_before_or_after_it(bench: Bench, footage, monkeypatch):
    real = Folders.store
    refused = iter([False, True, False])

    def store(*args):
        if next(refused, False):
            raise EvidenceError("No space left on device")
        return real(*args)

    monkeypatch.setattr(Folders, "store", store)
    bench.keep(footage)
    first = bench.evidence_builder.build([make_violation(EPOCH_S + 6.0, x_px=x) for x in (40, 100, 180)])
    bench.now_s += evidence_builder.RETRY_S + 1
    then = bench.evidence_builder.build([])
    assert (len(first), len(then)) == (1, 2)
    assert len({case.id for case in (*first, *then)}) == 3


def test_violations_waiting_for_a_full_disk_are_bounded_in_number_and_bytes(bench: Bench, footage, monkeypatch):
    monkeypatch.setattr(Folders, "store", refuse)
    monkeypatch.setattr(evidence_builder, "WAITING_MOST", 3)
    monkeypatch.setattr(evidence_builder, "CLAIM_BYTES", sum(len(segment.payload) for segment in footage[:4]))
    bench.keep(footage)
    for x in range(5):
        assert bench.evidence_builder.build([make_violation(EPOCH_S + 6.0, x_px=x * 40)]) == []
    assert [bool(pending.claimed) for pending in bench.evidence_builder._pending] == [True, False, False]
    assert bench.metrics.registry.get_sample_value("qyran_violations_lost_total", {"camera": "gate"}) == 2
    assert bench.evidence_builder.is_refused
    assert bench.evidence_builder.waiting == 3


def refuse(*_: object) -> Case:
    raise EvidenceError("No space left on device")


@pytest.mark.parametrize("room", [True, False])
def test_a_camera_that_is_removed_while_the_disk_refuses_loses_no_case(
    bench: Bench, footage, monkeypatch: pytest.MonkeyPatch, room: bool
):
    bench.keep(footage[:4])
    with monkeypatch.context() as full:
        full.setattr(Folders, "store", refuse)
        full.setattr(evidence_builder, "CLAIM_BYTES", evidence_builder.CLAIM_BYTES if room else 1)
        assert bench.evidence_builder.build([VIOLATION]) == []
        bench.keep(footage[4:])
        assert bench.remove_camera() == []
    assert bench.recordings.between(VIOLATION.camera, 0.0, EPOCH_S + 100.0) == []
    bench.now_s += evidence_builder.RETRY_S + 60.0
    (case,) = bench.evidence_builder.build([])
    incomplete = document.decode(case.document, source="").incomplete
    assert (incomplete == ()) is room


KILLED = """
import itertools, sys
from pathlib import Path
from rig.examples import EPOCH_S, make_footage, make_violation
from rig.evidence_bench import Bench
bench = Bench(Path(sys.argv[1]))
bench.keep(make_footage(12))
for number in itertools.count(int(sys.argv[2])):
    violation = make_violation(EPOCH_S + 6 + number % 100 / 1000, x_px=number // 100 * 20)
    for case in bench.evidence_builder.build([violation]):
        print(case.folder, flush=True)
"""


def test_kill_9_never_leaves_a_half_written_case(tmp_path: Path):
    reported: list[str] = []
    for start, lines in ((0, 3), (100, 8)):
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path), str(start)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        reported += itertools.islice((line.strip() for line in child.stdout if line.startswith("2026/")), lines)
        child.send_signal(signal.SIGKILL)
        child.stdout.close()
        child.wait()
    stored = {str(path.relative_to(tmp_path)) for path in tmp_path.glob("2*/*/*/*")}
    assert {*reported} <= stored
    Folders(tmp_path, "QY-0001", None)
    assert audit(tmp_path).problems == []


# -- the seal is committed before the case gets its place


def refuse_to_move(incoming: Path, target: Path) -> None:
    raise OSError(errno.EIO, "Input/output error")


def test_a_crash_after_the_seal_is_finished_at_the_next_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as crash:
        crash.setattr(folder, "_move", refuse_to_move)
        with pytest.raises(EvidenceError):
            store_example(Folders(tmp_path, "QY-1", None), 0)
    assert audit(tmp_path).problems != []
    again = Folders(tmp_path, "QY-1", None).find(make_document().id, EPOCH_S)
    assert again is not None
    assert (tmp_path / again.folder / "clip.mp4").read_bytes() == bytes(99)
    assert audit(tmp_path).problems == []


def test_a_crash_before_the_seal_leaves_no_hole_in_the_chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def crash(self: Chain, sealed: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(Chain, "commit", crash)
        with pytest.raises(KeyboardInterrupt):
            store_example(Folders(tmp_path, "QY-1", None), 0)
    folders = Folders(tmp_path, "QY-1", None)
    assert list((tmp_path / folder.INCOMING).iterdir()) == []
    store_example(folders, 1)
    found = audit(tmp_path)
    assert (found.cases, found.problems) == (1, [])


def test_a_disk_that_refuses_after_the_seal_gets_the_same_case_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folders = Folders(tmp_path, "QY-1", None)
    with monkeypatch.context() as refusing:
        refusing.setattr(folder, "_move", refuse_to_move)
        with pytest.raises(EvidenceError, match="Input/output"):
            store_example(folders, 0)
    store_example(folders, 1)
    assert folders.find(make_document().id, EPOCH_S) is not None
    assert audit(tmp_path).problems == []


def test_a_deleted_case_that_is_built_again_has_the_same_seal(tmp_path: Path):
    folders = Folders(tmp_path, "QY-1", None)
    first = store_example(folders, 0)
    store_example(folders, 1)
    shutil.rmtree(tmp_path / first.folder)
    again = store_example(folders, 0)
    assert again.files == first.files
    assert audit(tmp_path).problems == []


def test_a_chain_that_cannot_be_read_stops_the_engine_at_its_start(tmp_path: Path):
    (tmp_path / "chain.db").write_bytes(b"no database" * 100)
    with pytest.raises(EvidenceError, match=r"chain\.db"):
        Folders(tmp_path, "QY-1", None)


def test_a_case_of_another_engine_is_not_taken_for_one_of_a_crash(tmp_path: Path):
    store_example(Folders(tmp_path / "own", "QY-1", None), 0)
    other = store_example(Folders(tmp_path / "other", "QY-1", None), 1)
    shutil.copytree(tmp_path / "other" / other.folder, tmp_path / "own" / other.folder)
    assert [case.id for case in stored_cases(tmp_path / "own", lambda name: False)] == [make_document().id]
