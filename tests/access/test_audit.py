"""The audit log reveals every change of itself, and no call is executed without its line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from qyran.v1 import violation_service_pb2 as pb

from engine.access import AuditLog, audit
from engine.errors import AuditError
from rig.examples import make_case, write_case
from rig.serving import World

DAY_S = 86400.0


def line(number: int) -> dict[str, str]:
    what = {"call": "GetEvidence", "subject": f"case {number}"}
    return {"who": "anna", "role": "officer", "credential": "token 1", "peer": "ipv4:127.0.0.1:1", **what}


def write_lines(folder: Path, count: int, *, every_s: float = 1.0) -> list[Path]:
    times = iter(1.78e9 + every_s * n for n in range(count))
    log = AuditLog(folder, clock=lambda: next(times))
    for number in range(count):
        log.write(**line(number))
    return sorted(folder.glob("*.jsonl"))


def test_a_line_has_caller_call_and_time_in_one_file_per_day(tmp_path: Path):
    files = write_lines(tmp_path, 4, every_s=DAY_S / 2)
    assert len(files) == 3
    first = json.loads(files[0].read_text().splitlines()[0])
    assert (first["who"], first["call"], first["subject"]) == ("anna", "GetEvidence", "case 0")
    assert first["at"] == "2026-05-28T20:26:40.000Z"
    assert audit.check(tmp_path) == (4, [])


def test_the_chain_goes_on_after_a_restart_and_a_torn_line_is_cut_off(tmp_path: Path):
    (path,) = write_lines(tmp_path, 3)
    with path.open("ab") as stream:
        stream.write(b'{"number":4,"at":"20')
    log = AuditLog(tmp_path, clock=lambda: 1.78e9 + 3)
    log.write(**line(3))
    assert audit.check(tmp_path) == (4, [])


def test_a_clock_set_back_over_midnight_keeps_the_chain(tmp_path: Path):
    for times in ([0.0, -2 * DAY_S], [-DAY_S, DAY_S]):
        ticks = iter(times)
        log = AuditLog(tmp_path, clock=lambda ticks=ticks: 1.78e9 + next(ticks))
        log.write(**line(0))
        log.write(**line(1))
    assert audit.check(tmp_path) == (4, [])


@pytest.mark.parametrize(
    ("tamper", "flaws"),
    [
        (lambda a, b, *rest: [a, b.replace("anna", "boris"), *rest], [":2: was changed"]),
        (lambda a, b, *rest: [a, *rest], [":2: does not follow line 1"]),
        (lambda a, b, *rest: [b, a, *rest], [":2: does not follow line 2", ":3: does not follow line 1"]),
        (lambda a, b, *rest: [a, "rubbish", *rest], [":2: is not a line of the log", ":3: does not follow line 1"]),
    ],
    ids=["changed", "left out", "swapped", "spoiled"],
)
def test_a_change_of_the_log_is_reported_with_its_place(
    tmp_path: Path, tamper: Callable[..., list[str]], flaws: list[str]
):
    (path,) = write_lines(tmp_path, 4)
    path.write_text("\n".join(tamper(*path.read_text().splitlines())) + "\n")
    _, problems = audit.check(tmp_path)
    assert problems == [path.name + flaw for flaw in flaws]


def test_a_log_with_an_invalid_last_line_is_not_extended(tmp_path: Path):
    (path,) = write_lines(tmp_path, 1)
    path.write_text(path.read_text() + "rubbish\n")
    with pytest.raises(AuditError, match="the last line is not a line of the log"):
        AuditLog(tmp_path)


# -- in the service


@pytest.fixture
def world(tmp_path: Path):
    world = World(tmp_path)
    world.ledger.append([write_case(world.evidence, 1, {"a.jpg": b"jpeg"}), make_case(2)])
    yield world
    world.close()


def lines(world: World) -> list[dict[str, str]]:
    (path,) = (world.folder / "audit").glob("*.jsonl")
    return [json.loads(text) for text in path.read_text().splitlines()]


def test_every_read_of_evidence_and_every_write_is_logged(world: World):
    list(world.stub.GetEvidence(pb.GetEvidenceRequest(case_id="gate-000001", name="a.jpg", offset=2)))
    world.stub.GetCase(pb.GetCaseRequest(case_id="gate-000001"))
    world.stub.Acknowledge(pb.AcknowledgeRequest(consumer="ours", sequence=2))
    report = pb.Disposition(report_id="1", ruling=pb.RULING_ACCEPTED)
    world.stub.ReportDisposition(pb.ReportDispositionRequest(case_id="gate-000002", disposition=report))
    assert [(entry["call"], entry["subject"]) for entry in lines(world)] == [
        ("GetEvidence", "case gate-000001 file a.jpg from 2"),
        ("Acknowledge", "consumer ours sequence 2"),
        ("ReportDisposition", "case gate-000002"),
    ]
    assert {entry["who"] for entry in lines(world)} == {"loopback"}
    assert audit.check(world.folder / "audit") == (3, [])


def test_a_call_that_cannot_be_logged_is_not_executed(world: World, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(audit, "_append", full)
    got = []
    with pytest.raises(grpc.RpcError, match="the audit log cannot be written") as caught:
        got += world.stub.GetEvidence(pb.GetEvidenceRequest(case_id="gate-000001", name="a.jpg"))
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert got == []
    with pytest.raises(grpc.RpcError):
        world.stub.Acknowledge(pb.AcknowledgeRequest(consumer="ours", sequence=2))
    assert world.records.consumers.all() == []
