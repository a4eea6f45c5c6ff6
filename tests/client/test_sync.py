from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from qyran.v1 import violation_service_pb2 as pb
from qyran.v1 import violation_service_pb2_grpc as pb_grpc

from engine import wire
from engine.client import CallRefused, ClientClosed, QyranClient, files, messages, to_json
from engine.errors import EvidenceError, LedgerError
from engine.types import Entry, EvidenceFile
from rig.examples import make_case, write_case
from rig.proxy import Proxy
from rig.serving import World

CLIP = bytes(range(256)) * 5000


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


@pytest.fixture
def client(world: World) -> Iterator[QyranClient]:
    with QyranClient(world.address) as client:
        yield client


def take(entries: Iterator[Entry], count: int) -> list[int]:
    return [next(entries).sequence for _ in range(count)]


def test_a_watch_gives_old_and_new_entries_equal_to_the_ledgers(world: World, client: QyranClient):
    world.ledger.append([make_case(n) for n in range(3)])
    entries = client.watch()
    got = [next(entries) for _ in range(3)]
    assert got == world.ledger.read(0, 10)
    threading.Timer(0.2, lambda: world.ledger.append([make_case(3)])).start()
    assert next(entries).sequence == 4
    entries.close()


def test_a_watch_resumes_after_the_sequence_and_keeps_to_its_filter(world: World, client: QyranClient):
    world.ledger.append([make_case(n, kind=("speeding", "wrong_way")[n % 2], camera="ab"[n // 5]) for n in range(10)])
    assert take(client.watch(7), 3) == [8, 9, 10]
    assert take(client.watch(kinds=["wrong_way"], cameras=["b"]), 3) == [6, 8, 10]


def test_a_watch_comes_back_by_itself_when_the_service_was_away(world: World, client: QyranClient):
    world.ledger.append([make_case(n) for n in range(5)])
    entries = client.watch()
    got = take(entries, 3)
    world.stop()
    world.ledger.append([make_case(n) for n in range(5, 8)])
    threading.Timer(0.7, world.start).start()
    got += take(entries, 5)
    assert got == list(range(1, 9))
    entries.close()


def test_a_network_that_breaks_again_and_again_loses_and_doubles_nothing(world: World):
    world.ledger.append([make_case(n) for n in range(300)])
    proxy = Proxy(world.address, cut_after=100_000)
    with QyranClient(proxy.address) as client:
        got = take(client.watch(), 300)
    assert got == list(range(1, 301))
    assert proxy.connections > 3
    proxy.close()


class SilentService(pb_grpc.ViolationServiceServicer):
    """A service whose first watch sends one heartbeat and then nothing."""

    def __init__(self) -> None:
        self.watches: list[int] = []
        self._ended = threading.Event()

    def WatchViolations(self, request: pb.WatchViolationsRequest, context: grpc.ServicerContext):  # noqa: N802
        self.watches.append(request.after_sequence)
        if len(self.watches) > 1:
            yield pb.WatchViolationsResponse(entry=wire.entry_to_message(Entry(8, 1e9, make_case(8))))
            return
        yield pb.WatchViolationsResponse(heartbeat=pb.Heartbeat(last_sequence=7, interval_s=0.1))
        context.add_callback(self._ended.set)
        self._ended.wait()


def test_a_silent_service_is_left_and_the_watch_resumes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(messages, "GRACE_S", 0.3)
    mute = SilentService()
    server = grpc.server(ThreadPoolExecutor(2))
    pb_grpc.add_ViolationServiceServicer_to_server(mute, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    began_s = time.monotonic()
    with QyranClient(f"127.0.0.1:{port}") as client:
        assert next(client.watch(5)).sequence == 8
    assert mute.watches == [5, 7]
    assert time.monotonic() - began_s < 5
    server.stop(0).wait()


class RecordingCall:
    """A stub's call that records its requests."""

    def __init__(self, call: object) -> None:
        self._call = call
        self.requests: list[object] = []

    def __call__(self, request: object, **options: object) -> object:
        self.requests.append(request)
        return self._call(request, **options)


def test_a_slow_reader_is_not_taken_for_a_silent_service(
    world: World, client: QyranClient, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(messages, "GRACE_S", 0.0)
    watch = client._stub.WatchViolations = RecordingCall(client._stub.WatchViolations)
    entries = client.watch()
    threading.Timer(0.2, lambda: world.ledger.append([make_case(1)])).start()
    got = take(entries, 1)
    world.ledger.append([make_case(2)])
    time.sleep(2.0)  # far more than three heartbeats
    assert [*got, *take(entries, 1)] == [1, 2]
    assert len(watch.requests) == 1
    entries.close()


def test_closing_the_client_ends_a_watch_that_waits(world: World):
    client = QyranClient(world.address)
    threading.Timer(0.3, client.close).start()
    assert list(client.watch()) == []


def test_a_call_after_close_is_refused_by_the_client_itself(world: World):
    world.ledger.append([make_case(1)])
    client = QyranClient(world.address)
    entries = client.watch()
    assert take(entries, 1) == [1]
    client.close()
    assert list(entries) == list(client.watch()) == []
    for call in (client.list_cameras, lambda: client.get_case("gate-000001"), lambda: client.acknowledge("ours", 1)):
        with pytest.raises(ClientClosed, match="the client was closed") as caught:
            call()
        assert caught.value.code == "CANCELLED"


def test_a_permanent_error_is_raised(world: World, client: QyranClient):
    with pytest.raises(LedgerError, match="OUT_OF_RANGE: after_sequence: 9 is beyond the end, 0"):
        next(client.watch(9))
    with pytest.raises(LedgerError, match=r"INVALID_ARGUMENT: filter\.kinds"):
        next(client.watch(kinds=[""]))


def test_get_case_returns_the_entry_or_none(world: World, client: QyranClient):
    (entry,) = world.ledger.append([make_case(1)])
    assert client.get_case(entry.case.id) == entry
    assert client.get_case("gate-x") is None
    with pytest.raises(LedgerError, match="case_id"):
        client.get_case("")


def test_all_pages_are_listed(world: World, client: QyranClient):
    world.ledger.append([make_case(n) for n in range(120)])
    assert [entry.sequence for entry in client.list_cases()] == list(range(1, 121))
    assert [entry.sequence for entry in client.list_cases(100)] == list(range(101, 121))
    assert list(client.list_cases(kinds=["red_light"])) == []


def test_an_unreachable_service_is_a_ledger_error(tmp_path: Path):
    with (
        QyranClient("127.0.0.1:1", timeout_s=0.3) as client,
        pytest.raises(LedgerError, match=r"127\.0\.0\.1:1: "),
    ):
        client.get_case("gate-1")


# -- evidence


@pytest.fixture
def case_id(world: World) -> str:
    case = write_case(world.evidence, 1, {"clip.mp4": CLIP, "overview.jpg": b"jpeg", "empty.jpg": b""})
    world.ledger.append([case])
    return case.id


def test_the_evidence_comes_whole_and_verified(client: QyranClient, case_id: str, tmp_path: Path):
    folder = client.download_evidence(case_id, tmp_path / "got")
    assert folder == tmp_path / "got" / case_id
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "clip.mp4": CLIP,
        "overview.jpg": b"jpeg",
        "empty.jpg": b"",
    }


def test_a_broken_download_goes_on_where_it_stopped(world: World, case_id: str, tmp_path: Path):
    proxy = Proxy(world.address, cut_after=500_000)
    with QyranClient(proxy.address) as client:
        folder = client.download_evidence(case_id, tmp_path)
    assert (folder / "clip.mp4").read_bytes() == CLIP
    assert proxy.connections >= 3
    proxy.close()


def test_a_download_with_progress_is_never_given_up(world: World, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "SHORTEST_WAIT_S", 0.01)
    clip = bytes(3_000_000)
    case = write_case(world.evidence, 2, {"clip.mp4": clip})
    world.ledger.append([case])
    proxy = Proxy(world.address, cut_after=400_000)
    with QyranClient(proxy.address) as client:
        folder = client.download_evidence(case.id, tmp_path)
    assert (folder / "clip.mp4").read_bytes() == clip
    assert proxy.connections > files.ATTEMPTS
    proxy.close()


def test_a_failing_network_is_not_reported_as_wrong_evidence(world: World, case_id: str, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "SHORTEST_WAIT_S", 0.01)
    proxy = Proxy(world.address, cut_after=20_000)
    with QyranClient(proxy.address) as client, pytest.raises(CallRefused, match="UNAVAILABLE"):
        client.download_evidence(case_id, tmp_path)
    proxy.close()


def test_a_partial_file_of_an_earlier_run_is_continued_and_a_wrong_one_begun_anew(
    client: QyranClient, case_id: str, tmp_path: Path
):
    folder = tmp_path / case_id
    folder.mkdir()
    asked = client._stub.GetEvidence = RecordingCall(client._stub.GetEvidence)
    for part, offsets in ((CLIP[:700_000], [700_000]), (b"wrong" * 100, [500, 0]), (CLIP + b"longer", [0])):
        (folder / "clip.mp4.part").write_bytes(part)
        asked.requests.clear()
        client.download_evidence(case_id, tmp_path)
        assert [request.offset for request in asked.requests if request.name == "clip.mp4"] == offsets
        assert (folder / "clip.mp4").read_bytes() == CLIP
        assert not (folder / "clip.mp4.part").exists()
        (folder / "clip.mp4").unlink()


def test_a_correct_file_is_not_downloaded_again(world: World, client: QyranClient, case_id: str, tmp_path: Path):
    folder = client.download_evidence(case_id, tmp_path)
    before = (folder / "clip.mp4").stat().st_mtime_ns
    (folder / "overview.jpg").write_bytes(b"changed")
    client.download_evidence(case_id, tmp_path)
    assert (folder / "clip.mp4").stat().st_mtime_ns == before
    assert (folder / "overview.jpg").read_bytes() == b"jpeg"


def test_evidence_that_was_changed_at_the_service_is_an_error(
    world: World, client: QyranClient, case_id: str, tmp_path: Path
):
    next(world.evidence.rglob("overview.jpg")).write_bytes(b"JPEG")
    with pytest.raises(EvidenceError, match=r"DATA_LOSS.*overview\.jpg"):
        client.download_evidence(case_id, tmp_path)


class LyingService(pb_grpc.ViolationServiceServicer):
    """A service that sends wrong files, file names that leave the folder, or endless files."""

    def __init__(self, name: str) -> None:
        file = EvidenceFile(name, "image/jpeg", 4, hashlib.sha256(b"true").hexdigest())
        self._case = make_case(1, files=(file,))

    def GetCase(self, request: pb.GetCaseRequest, context: grpc.ServicerContext) -> pb.GetCaseResponse:  # noqa: N802
        case = replace(self._case, id=request.case_id)
        return pb.GetCaseResponse(entry=wire.entry_to_message(Entry(1, 1e9, case)))

    def GetEvidence(self, request: pb.GetEvidenceRequest, context: grpc.ServicerContext):  # noqa: N802
        yield pb.GetEvidenceResponse(file=wire.file_to_message(self._case.files[0]))
        yield pb.GetEvidenceResponse(chunk=b"lies"[request.offset :])
        while request.name == "endless.jpg":
            yield pb.GetEvidenceResponse(chunk=bytes(1 << 16))


@pytest.mark.parametrize(
    ("case", "name", "message"),
    [
        ("gate-1", "a.jpg", "a.jpg does not match the ledger"),
        ("gate-1", "endless.jpg", "endless.jpg: the service sends more than its 4 bytes"),
        ("gate-1", "../a.jpg", "is not a file name"),
        ("..", "a.jpg", "is not a file name"),
    ],
)
def test_a_lying_service_writes_nothing_outside_and_no_wrong_file(tmp_path: Path, case: str, name: str, message: str):
    server = grpc.server(ThreadPoolExecutor(2))
    pb_grpc.add_ViolationServiceServicer_to_server(LyingService(name), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with QyranClient(f"127.0.0.1:{port}") as client, pytest.raises(EvidenceError, match=message):
        client.download_evidence(case, tmp_path / "got")
    assert [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()] in ([], [b"lies"])
    assert not (tmp_path / "got" / case / name).is_file()
    server.stop(0).wait()


# -- JSON


def test_an_entry_is_one_line_of_json_with_the_document_in_it(world: World):
    (entry,) = world.ledger.append([make_case(7, files=(EvidenceFile("a.jpg", "image/jpeg", 4, "ab"),))])
    line = to_json(entry)
    assert "\n" not in line
    value = json.loads(line)
    assert value["sequence"] == 1
    assert value["recorded"].endswith("Z")
    assert value["folder"] == entry.case.folder
    assert value["case"] == json.loads(entry.case.document)
    assert value["case"]["place"]["address"] == {"kk": "Абай даңғ."}
    assert value["files"] == [{"name": "a.jpg", "media_type": "image/jpeg", "size_bytes": 4, "sha256": "ab"}]
