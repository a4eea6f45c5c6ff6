from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from qyran.v1 import violation_service_pb2 as pb

from engine import wire
from engine.errors import CaseConflict, LedgerError
from engine.ledger import Filter, Outbox, Selection, SerializedEntry, SqlLedger
from engine.ledger.cases import lock
from engine.types import Entry, EvidenceFile, document
from rig.examples import EPOCH_S, make_case
from rig.postgres import Server

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """A new database of either kind."""
    if request.param == "sqlite":
        return tmp_path / "state" / "ledger.db"
    return request.getfixturevalue("postgres").empty_database()


@pytest.fixture
def ledger(where: Path | str):
    ledger = SqlLedger(where, clock=lambda: 1234.5)
    yield ledger
    ledger.close()


def test_cases_are_numbered_from_one_in_the_order_of_appending(ledger: SqlLedger):
    first = ledger.append([make_case(2), make_case(1)])
    second = ledger.append([make_case(3)])
    assert [(e.sequence, e.case.id) for e in (*first, *second)] == [
        (1, "gate-000002"), (2, "gate-000001"), (3, "gate-000003"),
    ]  # fmt: skip
    assert [e.recorded_s for e in second] == [1234.5]


def test_nul_in_an_answer_does_not_prevent_the_record(ledger: SqlLedger):
    ledger.append([make_case(1), make_case(2)])
    outbox = Outbox(ledger.database, "city")
    assert outbox.claim("us", 60.0) and outbox.enrol(Selection()) == 2
    outbox.deliver(1, "QR\0 7")
    outbox.refuse(2, "\0")
    assert [delivery.detail for delivery in outbox.refused(9)] == ["\ufffd"]
    assert (outbox.status().delivered, outbox.status().pending) == (1, 0)


def test_what_is_read_equals_what_was_appended(ledger: SqlLedger):
    case = make_case(1, files=(EvidenceFile("clip.mp4", "video/mp4", 2**40, "ab" * 32),))
    appended = ledger.append([case])
    assert ledger.read(0, 10) == appended
    assert ledger.get(case.id) == appended[0]
    assert ledger.get(case.id).case == case


def test_the_same_case_again_is_ignored_and_takes_no_number(ledger: SqlLedger):
    ledger.append([make_case(1)])
    assert ledger.append([make_case(1), make_case(2), make_case(2)])[0].sequence == 2
    assert ledger.append([make_case(1)]) == ()
    assert ledger.last_sequence() == 2


def test_a_case_with_another_seal_is_the_known_case(ledger: SqlLedger):
    seal = EvidenceFile("seal.json", "application/json", 1, "00")
    (entry,) = ledger.append([make_case(1, files=(seal,))])
    assert ledger.append([make_case(1, files=(replace(seal, sha256="11"),))]) == ()
    assert ledger.get("gate-000001").case.files == entry.case.files == (seal,)


@pytest.mark.parametrize("change", [{"document": b"{}"}, {"camera": "other"}, {"folder": "else"}, {"occurred_s": 1.0}])
def test_another_content_under_a_known_id_is_a_conflict_and_appends_nothing(ledger: SqlLedger, change):
    case = make_case(1, files=(EvidenceFile("a.jpg", "image/jpeg", 1, "00"),))
    ledger.append([case])
    with pytest.raises(CaseConflict, match="gate-000001"):
        ledger.append([make_case(2), replace(case, **change)])
    assert ledger.last_sequence() == 1
    assert ledger.append([make_case(2)])[0].sequence == 2


def test_two_contents_of_one_id_within_a_batch_are_a_conflict(ledger: SqlLedger):
    with pytest.raises(CaseConflict):
        ledger.append([make_case(1), replace(make_case(1), folder="elsewhere")])
    assert ledger.last_sequence() == 0


def test_an_empty_append_changes_nothing(ledger: SqlLedger):
    assert ledger.append([]) == ()
    assert ledger.last_sequence() == 0
    assert ledger.read(0, 10) == []
    assert ledger.get("gate-000001") is None


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (Filter(), [1, 2, 3, 4]),
        (Filter(kinds=("wrong_way",)), [2, 4]),
        (Filter(kinds=("wrong_way", "speeding")), [1, 2, 3, 4]),
        (Filter(cameras=("b",)), [3, 4]),
        (Filter(kinds=("wrong_way",), cameras=("b",)), [4]),
        (Filter(occurred_from_s=EPOCH_S + 2), [2, 3, 4]),
        (Filter(occurred_to_s=EPOCH_S + 2), [1]),
        (Filter(occurred_from_s=EPOCH_S + 2, occurred_to_s=EPOCH_S + 3), [2]),
        (Filter(cameras=("c",)), []),
    ],
)
def test_a_filter_restricts_by_every_field_that_is_given(ledger: SqlLedger, wanted: Filter, numbers: list[int]):
    kinds = {1: "speeding", 2: "wrong_way", 3: "speeding", 4: "wrong_way"}
    ledger.append([make_case(n, kind=kind, camera="ab"[n > 2]) for n, kind in kinds.items()])
    assert [entry.sequence for entry in ledger.read(0, 10, wanted)] == numbers


def test_a_serialized_entry_is_the_entry_and_no_document_is_read_again(ledger: SqlLedger, monkeypatch):
    entries = ledger.append([make_case(1), make_case(2, kind="red_light")])
    monkeypatch.delattr(document, "summarise")
    assert [parse(entry) for entry in ledger.read_serialized(0, 10)] == entries
    assert [parse(entry) for entry in ledger.read_serialized(0, 10, Filter(kinds=("red_light",)))] == entries[1:]
    sent = [wire.entry_to_message(entry) for entry in ledger.read(0, 10)]
    assert sent == [pb.WatchViolationsResponse.FromString(one.message).entry for one in ledger.read_serialized(0, 10)]


def parse(serialized: SerializedEntry) -> Entry:
    """The entry that a watcher receives."""
    entry = wire.entry_from_message(pb.WatchViolationsResponse.FromString(serialized.message).entry)
    case = entry.case
    assert (serialized.kind, serialized.camera, serialized.area) == (case.kind, case.camera, case.area)
    return entry


def test_a_page_begins_after_the_sequence_and_ends_at_the_limit(ledger: SqlLedger):
    ledger.append([make_case(n) for n in range(10)])
    assert [entry.sequence for entry in ledger.read(3, 4)] == [4, 5, 6, 7]
    assert ledger.read(10, 4) == []


def test_a_waiter_is_woken_by_an_append_in_the_same_process(ledger: SqlLedger):
    threading.Timer(0.1, lambda: ledger.append([make_case(1)])).start()
    began_s = time.monotonic()
    assert ledger.wait(0, 5.0) == 1
    assert 0.05 < time.monotonic() - began_s < 0.4


def test_a_waiter_hears_of_an_append_by_another_connection(ledger: SqlLedger, where: Path | str):
    other = SqlLedger(where)
    threading.Timer(0.1, lambda: other.append([make_case(1)])).start()
    assert ledger.wait(0, 5.0) == 1
    other.close()


def test_a_wait_ends_when_time_is_up_and_when_the_ledger_closes(ledger: SqlLedger):
    began_s = time.monotonic()
    assert ledger.wait(0, 0.2) == 0
    assert 0.2 <= time.monotonic() - began_s < 1.0


def test_on_postgresql_a_waiter_is_notified(postgres: Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("engine.ledger.cases.POLL_S", 60.0)
    url = postgres.empty_database()
    with closing(SqlLedger(url)) as ledger, closing(SqlLedger(url)) as other:
        threading.Timer(0.3, lambda: other.append([make_case(1)])).start()
        began_s = time.monotonic()
        assert ledger.wait(0, 30.0) == 1
        assert time.monotonic() - began_s < 20.0


def test_a_hanging_node_blocks_others_only_for_the_lock_timeout(postgres: Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("engine.ledger.database.BUSY_S", 0.5)
    url = postgres.empty_database()
    with closing(SqlLedger(url)) as hanging, closing(SqlLedger(url)) as ledger:
        with hanging.database.writing() as connection:
            lock(connection)
            with pytest.raises(LedgerError, match="another node writes for too long"):
                ledger.append([make_case(1)])
        assert [entry.sequence for entry in ledger.append([make_case(1)])] == [1]


def test_after_a_crash_of_the_server_the_ledger_continues_complete(postgres: Server):
    with closing(SqlLedger(postgres.empty_database())) as ledger:
        ledger.append([make_case(1)])
        ledger.wait(0, 0.0)
        postgres.stop("immediate")
        try:
            with pytest.raises(LedgerError, match="cannot append"):
                ledger.append([make_case(2)])
            with pytest.raises(LedgerError, match="cannot read"):
                ledger.last_sequence()
        finally:
            postgres.start()
        assert ledger.append([make_case(1), make_case(2)])[0].sequence == 2
        assert [entry.case.id for entry in ledger.read(0, 10)] == ["gate-000001", "gate-000002"]


def test_many_engines_append_the_same_cases_and_each_is_stored_once(postgres: Server):
    url = postgres.empty_database()
    ledgers = [SqlLedger(url) for _ in range(3)]

    def append(ledger: SqlLedger, offset: int) -> None:
        for number in range(0, 30, 3):
            ledger.append([make_case(number), make_case(number + 1), make_case(1000 + offset + number)])

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(append, ledgers, (0, 100, 200)))
    entries = ledgers[0].read(0, 1000)
    assert [entry.sequence for entry in entries] == list(range(1, 51))
    assert len({entry.case.id for entry in entries}) == 50
    for ledger in ledgers:
        ledger.close()


def test_known_cases_are_found_in_a_batch_larger_than_a_statement(ledger: SqlLedger):
    ledger.append([make_case(number) for number in range(0, 1300, 2)])
    fresh = ledger.append([make_case(number) for number in range(1300)])
    assert [entry.case.id for entry in fresh] == [f"gate-{number:06d}" for number in range(1, 1300, 2)]
    assert [entry.sequence for entry in fresh] == list(range(651, 1301))


def test_entries_survive_reopening(where: Path | str):
    for number in range(3):
        ledger = SqlLedger(where)
        ledger.append([make_case(number)])
        ledger.close()
    ledger = SqlLedger(where)
    assert [entry.sequence for entry in ledger.read(0, 10)] == [1, 2, 3]
    assert ledger.check() == []
    ledger.close()


def test_many_threads_append_and_read_without_a_hole(ledger: SqlLedger):
    def append(offset: int) -> None:
        for number in range(offset, offset + 20):
            ledger.append([make_case(number)])

    read: list[int] = []
    with ThreadPoolExecutor(4) as pool:
        appends = pool.map(append, (0, 100, 200, 300))
        while len(read) < 80:
            read += [entry.sequence for entry in ledger.read(read[-1] if read else 0, 7)]
        list(appends)
    assert read == list(range(1, 81))


APPENDER = """
import itertools, sys
from pathlib import Path
from engine.ledger import SqlLedger
from rig.examples import make_case
ledger = SqlLedger(Path(sys.argv[1]))
start = int(sys.argv[2])
for number in itertools.count(start, 3):
    entries = ledger.append([make_case(number + k) for k in range(3)])
    for entry in entries:
        print(entry.sequence, entry.case.id, flush=True)
"""


def _append_until_killed(path: Path, start: int, after_lines: int) -> list[tuple[int, str]]:
    """Run an appender in its own process and kill -9 it. Returns the appends that it printed."""
    command, env = [sys.executable, "-c", APPENDER, str(path), str(start)], {**os.environ, "PYTHONPATH": str(ROOT)}
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
    printed = [child.stdout.readline() for _ in range(after_lines)]
    child.send_signal(signal.SIGKILL)
    printed += child.stdout.readlines()
    child.stdout.close()
    assert child.wait() == -signal.SIGKILL
    return [(int(line.split()[0]), line.split()[1]) for line in printed if line.endswith("\n")]


def test_kill_9_loses_no_appended_case_and_leaves_no_hole_and_no_duplicate(tmp_path: Path):
    path = tmp_path / "ledger.db"
    printed: list[tuple[int, str]] = []
    for round_, after_lines in enumerate((4, 17, 1, 29)):
        printed += _append_until_killed(path, 1000 * round_, after_lines)
    ledger = SqlLedger(path)
    held = {entry.sequence: entry.case.id for entry in ledger.read(0, 100_000)}
    assert list(held) == list(range(1, len(held) + 1))
    assert len(set(held.values())) == len(held)
    assert len(printed) >= 51
    assert all(held[sequence] == case_id for sequence, case_id in printed)
    assert ledger.check() == []
    ledger.close()


def test_a_file_that_is_no_ledger_is_named(tmp_path: Path):
    (tmp_path / "ledger.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(LedgerError, match=r"ledger\.db: cannot open: .*the file is no ledger"):
        SqlLedger(tmp_path / "ledger.db")


def test_a_damaged_file_is_found(tmp_path: Path):
    path = tmp_path / "ledger.db"
    ledger = SqlLedger(path)
    ledger.append([make_case(number) for number in range(200)])
    ledger.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    content = bytearray(path.read_bytes())
    content[8192:40960] = b"\xff" * (40960 - 8192)
    path.write_bytes(content)
    with pytest.raises(LedgerError, match="damaged"):
        damaged = SqlLedger(path)
        try:
            assert damaged.check() != []
            damaged.read(0, 1000)
        finally:
            damaged.close()


def test_a_missing_entry_is_reported_by_check(ledger: SqlLedger):
    ledger.append([make_case(number) for number in range(3)])
    with ledger.database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM cases WHERE sequence = 2")
    assert ledger.check() == ["3 sequences were given but 2 entries are there"]


FILLER = """
import resource, signal, sys
from pathlib import Path
from engine.errors import LedgerError
from engine.ledger import SqlLedger
from rig.examples import make_case
ledger = SqlLedger(Path(sys.argv[1]))
ledger.append([make_case(0)])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limits = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (512 * 1024, limits[1]))
try:
    for number in range(1, 1000):
        ledger.append([make_case(number)])
except LedgerError as error:
    print("refused at", number, error)
resource.setrlimit(resource.RLIMIT_FSIZE, limits)
print("then", ledger.append([make_case(number)])[0].sequence, ledger.last_sequence(), ledger.check())
"""


def test_a_full_disk_appends_nothing_and_a_freed_disk_works_again(tmp_path: Path):
    command, env = [sys.executable, "-c", FILLER, str(tmp_path / "ledger.db")], {**os.environ, "PYTHONPATH": str(ROOT)}
    child = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    refused, then = child.stdout.splitlines()
    number = int(refused.split()[2])
    assert number > 1
    assert "ledger.db: cannot append" in refused
    assert then == f"then {number + 1} {number + 1} []"
