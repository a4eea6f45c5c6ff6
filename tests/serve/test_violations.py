from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from qyran.v1 import violation_service_pb2 as pb

from engine import wire
from engine.client import CallRefused, QyranClient
from engine.errors import ConfigError
from engine.ledger import SqlLedger
from engine.serve import SERVICE
from engine.serve.archive import PAGE
from rig.examples import EPOCH_S, make_case, write_case
from rig.postgres import Server
from rig.serving import HEARTBEAT_S, World, eventually

CLIP = bytes(range(256)) * 3000
"""Three chunks."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Sequences 1 to 100: odd ones of camera a, even ones of b; each third `wrong_way`; 100 has evidence."""
    world = World(tmp_path_factory.mktemp("world"))
    world.ledger.append(
        [make_case(n, camera="ba"[n % 2], kind="speeding" if n % 3 else "wrong_way") for n in range(1, 100)]
    )
    world.ledger.append([write_case(world.evidence, 100, {"clip.mp4": CLIP, "empty.jpg": b""})])
    yield world
    world.close()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def refusal(call: object) -> tuple[grpc.StatusCode, str]:
    """Status and message of a call that must fail."""
    with pytest.raises(grpc.RpcError) as caught:
        list(call()) if callable(call) else list(call)
    return caught.value.code(), caught.value.details()


def take(stream: Iterator[pb.WatchViolationsResponse], count: int) -> list[int]:
    """The next `count` sequences of a watch."""
    sequences = []
    while len(sequences) < count:
        response = next(stream)
        if response.HasField("entry"):
            sequences.append(response.entry.sequence)
    return sequences


# -- WatchViolations


def test_a_watch_gives_everything_after_the_sequence_in_order_then_a_heartbeat(world: World):
    stream = world.stub.WatchViolations(pb.WatchViolationsRequest(after_sequence=30))
    assert take(stream, 70) == list(range(31, 101))
    heartbeat = next(stream).heartbeat
    assert heartbeat.last_sequence == 100
    assert heartbeat.interval_s == HEARTBEAT_S
    assert abs(wire.seconds(heartbeat.sent_at) - time.time()) < 5
    stream.cancel()


def test_a_watcher_that_lags_by_many_pages_gets_its_entries_once_in_order(fresh: World):
    count = 5 * PAGE
    fresh.ledger.append([make_case(n, kind="speeding" if n % 3 else "wrong_way") for n in range(1, count + 1)])
    with QyranClient(fresh.address) as client:
        assert [entry.sequence for entry in islice(client.watch(), count)] == list(range(1, count + 1))
        wrong_way = islice(client.watch(kinds=["wrong_way"]), count // 3)
        assert [entry.sequence for entry in wrong_way] == list(range(3, count + 1, 3))


def test_heartbeats_repeat_while_there_are_no_entries(world: World):
    stream = world.stub.WatchViolations(pb.WatchViolationsRequest(after_sequence=100))
    began_s = time.monotonic()
    assert [next(stream).heartbeat.last_sequence for _ in range(4)] == [100] * 4
    assert 2.5 * HEARTBEAT_S < time.monotonic() - began_s < 10 * HEARTBEAT_S
    stream.cancel()


def test_a_new_case_reaches_the_watchers_at_once(fresh: World):
    streams = [fresh.stub.WatchViolations(pb.WatchViolationsRequest()) for _ in range(5)]
    for stream in streams:
        assert next(stream).heartbeat.last_sequence == 0
    assert fresh.metric("qyran_watchers") == 5
    began_s = time.monotonic()
    fresh.ledger.append([make_case(1)])
    assert [take(stream, 1) for stream in streams] == [[1]] * 5
    assert time.monotonic() - began_s < HEARTBEAT_S
    for stream in streams:
        stream.cancel()
    assert eventually(lambda: fresh.metric("qyran_watchers") == 0)
    assert fresh.metric("qyran_ledger_sequence") == 1
    assert eventually(lambda: fresh.metric("qyran_entries_sent_total") == 5)


def test_a_filtered_watch_moves_its_cursor_past_other_entries(world: World):
    wanted = pb.EntryFilter(kinds=["wrong_way"], cameras=["a"])
    stream = world.stub.WatchViolations(pb.WatchViolationsRequest(filter=wanted))
    assert take(stream, 17) == list(range(3, 100, 6))
    assert next(stream).heartbeat.last_sequence == 100
    stream.cancel()


def test_a_watch_may_be_bounded_by_the_time_of_the_offence(world: World):
    wanted = pb.EntryFilter(occurred_from=wire.timestamp(EPOCH_S + 10), occurred_to=wire.timestamp(EPOCH_S + 13))
    stream = world.stub.WatchViolations(pb.WatchViolationsRequest(filter=wanted))
    assert take(stream, 3) == [10, 11, 12]
    stream.cancel()


def test_a_client_that_never_reads_does_not_slow_others(fresh: World):
    fresh.ledger.append([make_case(n) for n in range(3000)])
    idle = [fresh.stub.WatchViolations(pb.WatchViolationsRequest()) for _ in range(3)]
    began_s = time.monotonic()
    reader = fresh.stub.WatchViolations(pb.WatchViolationsRequest())
    assert take(reader, 3000)[-1] == 3000
    fresh.ledger.append([make_case(3000)])
    assert take(reader, 1) == [3001]
    assert time.monotonic() - began_s < 20
    assert take(idle[0], 3001) == list(range(1, 3002))
    for stream in (*idle, reader):
        stream.cancel()


def test_a_case_by_another_process_of_the_ledger_is_streamed_too(fresh: World, tmp_path: Path):
    stream = fresh.stub.WatchViolations(pb.WatchViolationsRequest())
    next(stream)
    other = SqlLedger(tmp_path / "ledger.db")
    other.append([make_case(1)])
    assert take(stream, 1) == [1]
    other.close()
    stream.cancel()


# -- GetCase and ListCases


def test_a_case_is_found_by_its_id(world: World):
    entry = world.stub.GetCase(pb.GetCaseRequest(case_id="gate-000007")).entry
    assert wire.entry_from_message(entry) == world.ledger.get("gate-000007")


def test_pages_follow_each_other_to_the_end(world: World):
    token, sizes, sequences = "", [], []
    while True:
        request = pb.ListCasesRequest(page_size=30, page_token=token, filter=pb.EntryFilter(cameras=["a"]))
        page = world.stub.ListCases(request)
        sizes.append(len(page.entries))
        sequences += [entry.sequence for entry in page.entries]
        if not (token := page.next_page_token):
            break
    assert sizes == [30, 20]
    assert sequences == list(range(1, 100, 2))


def test_a_page_has_fifty_entries_by_default(world: World):
    assert len(world.stub.ListCases(pb.ListCasesRequest()).entries) == 50


def test_a_page_of_large_documents_is_shorter_and_the_next_goes_on(fresh: World):
    large = [replace(make_case(n), document=b'{"x":"' + b"x" * 900_000 + b'"}') for n in range(5)]
    fresh.ledger.append([*large, replace(make_case(5), document=b"x" * 3_000_000), make_case(6)])
    token, pages = "", []
    while not pages or token:
        page = fresh.stub.ListCases(pb.ListCasesRequest(page_token=token))
        pages.append([entry.sequence for entry in page.entries])
        token = page.next_page_token
    assert pages == [[1, 2], [3, 4], [5], [6], [7]]


# -- GetEvidence


def evidence(world: World, **request: object) -> tuple[pb.GetEvidenceResponse, list[bytes]]:
    responses = list(world.stub.GetEvidence(pb.GetEvidenceRequest(**request)))
    return responses[0], [response.chunk for response in responses[1:]]


def test_a_file_comes_described_and_in_chunks(world: World):
    first, chunks = evidence(world, case_id="gate-000100", name="clip.mp4")
    assert first.file.size_bytes == len(CLIP)
    assert [len(chunk) for chunk in chunks] == [262144, 262144, len(CLIP) - 524288]
    assert b"".join(chunks) == CLIP


@pytest.mark.parametrize("offset", [1, 300_000, len(CLIP) - 1, len(CLIP)])
def test_a_download_goes_on_at_an_offset(world: World, offset: int):
    first, chunks = evidence(world, case_id="gate-000100", name="clip.mp4", offset=offset)
    assert first.HasField("file")
    assert b"".join(chunks) == CLIP[offset:]


def test_an_empty_file_has_no_chunk(world: World):
    assert evidence(world, case_id="gate-000100", name="empty.jpg")[1] == []


def test_a_changed_or_lost_file_is_data_loss_and_logged(fresh: World):
    case = write_case(fresh.evidence, 1, {"a.jpg": b"true", "b.jpg": b"true"})
    fresh.ledger.append([case])
    (fresh.evidence / case.folder / "a.jpg").write_bytes(b"lies")
    (fresh.evidence / case.folder / "b.jpg").unlink()
    for name in ("a.jpg", "b.jpg"):
        request = pb.GetEvidenceRequest(case_id=case.id, name=name)
        code, message = refusal(fresh.stub.GetEvidence(request))
        assert code is grpc.StatusCode.DATA_LOSS
        assert message.startswith(f"{name}: ")
        assert str(fresh.evidence) not in message


def test_evidence_of_another_system_is_refused_with_its_serial(postgres: Server, tmp_path: Path):
    where = postgres.empty_database()
    one, other = (World(folder(tmp_path / serial), where=where, serial=serial) for serial in ("QY-1", "QY-2"))
    case = write_case(one.evidence, 1, {"a.jpg": b"true"})
    one.ledger.append([case])
    assert evidence(one, case_id=case.id, name="a.jpg")[1] == [b"true"]
    with QyranClient(other.address) as client, pytest.raises(CallRefused, match="at the recording system 'QY-1'") as e:
        client.download_evidence(case.id, tmp_path)
    assert (e.value.code, e.value.reason) == ("FAILED_PRECONDITION", "EVIDENCE_ELSEWHERE")
    assert e.value.device_serial == "QY-1"
    (one.evidence / case.folder / "a.jpg").unlink()
    lost = pb.GetEvidenceRequest(case_id=case.id, name="a.jpg")
    assert refusal(one.stub.GetEvidence(lost))[0] is grpc.StatusCode.DATA_LOSS
    for world in (one, other):
        world.close()


def test_a_system_with_a_copy_of_the_evidence_sends_it(postgres: Server, tmp_path: Path):
    other = World(tmp_path, where=postgres.empty_database(), serial="QY-2")
    case = write_case(other.evidence, 1, {"a.jpg": b"true"})
    other.ledger.append([case])
    assert evidence(other, case_id=case.id, name="a.jpg")[1] == [b"true"]
    other.close()


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_a_name_that_leads_out_of_the_evidence_is_refused(fresh: World, tmp_path: Path):
    (tmp_path / "secret").write_bytes(b"secret")
    case = write_case(fresh.evidence, 1, {"../../../../../secret": b"secret"})
    fresh.ledger.append([case])
    request = pb.GetEvidenceRequest(case_id=case.id, name="../../../../../secret")
    assert refusal(fresh.stub.GetEvidence(request))[0] is grpc.StatusCode.DATA_LOSS


# -- refused requests


BAD = "INVALID_ARGUMENT"
INVALID, TWO_S = Timestamp(seconds=1, nanos=2_000_000_000), Timestamp(seconds=2)


def watch(**wanted: object) -> pb.WatchViolationsRequest:
    return pb.WatchViolationsRequest(filter=pb.EntryFilter(**wanted))


def part(**fields: object) -> pb.GetEvidenceRequest:
    return pb.GetEvidenceRequest(**{"case_id": "gate-000100", "name": "clip.mp4", **fields})


@pytest.mark.parametrize(
    ("method", "request_", "code", "field"),
    [
        ("WatchViolations", pb.WatchViolationsRequest(after_sequence=-1), BAD, "after_sequence"),
        ("WatchViolations", pb.WatchViolationsRequest(after_sequence=101), "OUT_OF_RANGE", "after_sequence"),
        ("WatchViolations", watch(kinds=[""]), BAD, "filter.kinds"),
        ("WatchViolations", watch(cameras=["x"] * 201), BAD, "filter.cameras"),
        ("WatchViolations", watch(occurred_from=INVALID), BAD, "filter.occurred_from"),
        ("WatchViolations", watch(occurred_from=TWO_S, occurred_to=TWO_S), BAD, "filter.occurred_to"),
        ("GetCase", pb.GetCaseRequest(), BAD, "case_id"),
        ("GetCase", pb.GetCaseRequest(case_id="gate\0"), BAD, "case_id"),
        ("GetCase", pb.GetCaseRequest(case_id="gate-x"), "NOT_FOUND", "case_id"),
        ("ListCases", pb.ListCasesRequest(page_size=-1), BAD, "page_size"),
        ("ListCases", pb.ListCasesRequest(page_size=201), BAD, "page_size"),
        ("ListCases", pb.ListCasesRequest(page_token="next"), BAD, "page_token"),
        ("ListCases", pb.ListCasesRequest(page_token="9" * 30), BAD, "page_token"),
        ("GetEvidence", part(case_id="gate-x", name="a"), "NOT_FOUND", "case_id"),
        ("GetEvidence", part(name="a"), "NOT_FOUND", "name"),
        ("GetEvidence", part(name=""), BAD, "name"),
        ("GetEvidence", part(offset=-1), BAD, "offset"),
        ("GetEvidence", part(offset=len(CLIP) + 1), "OUT_OF_RANGE", "offset"),
    ],
)
def test_a_wrong_request_gets_the_status_of_the_contract_and_the_field(world: World, method, request_, code, field):
    call = getattr(world.stub, method)
    answer = refusal((lambda: [call(request_)]) if method in ("GetCase", "ListCases") else call(request_))
    assert answer[0] is grpc.StatusCode[code]
    assert answer[1].startswith(f"{field}: ")


# -- the service itself


def test_health_and_reflection_are_served(world: World):
    health = health_pb2_grpc.HealthStub(world.channel)
    for name in ("", SERVICE):
        answer = health.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    ask = reflection_pb2.ServerReflectionRequest(list_services="")
    (answer,) = reflection_pb2_grpc.ServerReflectionStub(world.channel).ServerReflectionInfo(iter([ask]))
    assert SERVICE in {service.name for service in answer.list_services_response.service}


def test_stopping_ends_the_watches_as_unavailable(tmp_path: Path):
    world = World(tmp_path)
    stream = world.stub.WatchViolations(pb.WatchViolationsRequest())
    next(stream)
    began_s = time.monotonic()
    threading.Thread(target=world.service.stop, args=(5.0,)).start()
    code, _ = refusal(stream)
    assert code is grpc.StatusCode.UNAVAILABLE
    world.close()
    assert time.monotonic() - began_s < 4


def test_a_ledger_that_cannot_be_read_is_unavailable(fresh: World, tmp_path: Path):
    fresh.ledger.append([make_case(1)])
    fresh.ledger.close()
    for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / "ledger.db").write_bytes(b"no database" * 1000)
    call = fresh.stub.GetCase
    code, message = refusal(lambda: [call(pb.GetCaseRequest(case_id="gate-000001"))])
    assert code is grpc.StatusCode.UNAVAILABLE
    assert message == "the ledger cannot be used now; the log of the service says why"


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "example.org:50151"])
def test_plaintext_stays_on_loopback(tmp_path: Path, listen: str):
    with pytest.raises(ConfigError, match=r"service\.listen: .*service\.tls.*insecure_listen"):
        World(tmp_path, listen=listen)


def test_plaintext_beyond_loopback_needs_insecure_listen(tmp_path: Path):
    world = World(tmp_path, listen="0.0.0.0:0", insecure_listen=True)
    assert int(world.service.address.removeprefix("0.0.0.0:")) > 0
    world.close()


def test_an_address_that_is_taken_is_an_error_at_the_start(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match=r"service\.listen: cannot listen on 127"):
            World(tmp_path, listen=f"127.0.0.1:{taken.getsockname()[1]}")


def test_an_unexpected_error_does_not_end_the_feed(fresh: World, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = fresh.stub.WatchViolations(pb.WatchViolationsRequest(), timeout=20)
    fresh.ledger.append([make_case(1)])
    assert take(watch, 1) == [1]
    whole, broken = fresh.ledger.wait, threading.Event()

    def wait(after_sequence: int, timeout_s: float) -> int:
        if not broken.is_set():
            broken.set()
            raise RuntimeError("an unexpected error")
        return whole(after_sequence, timeout_s)

    monkeypatch.setattr(fresh.ledger, "wait", wait)
    assert broken.wait(10)
    fresh.ledger.append([make_case(2)])
    assert take(watch, 1) == [2]
