"""Access: roles, tokens, scopes, limits."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from google.protobuf import descriptor_pool, message_factory
from google.rpc import error_details_pb2, status_pb2
from qyran.v1 import violation_service_pb2 as pb
from qyran.v1 import violation_service_pb2_grpc as pb_grpc

from engine.access import EVERYTHING, Role, Scope
from engine.config import LimitsConfig
from engine.serve.permissions import CALLED_SERVICES, PERMISSIONS
from rig.examples import make_case, write_case
from rig.serving import World, eventually

PROTO = Path(__file__).parents[2] / "proto"
GENEROUS = LimitsConfig(calls_per_s=1e4, burst=10_000, failures_burst=1000)
SHUT_OUT = (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED)


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


def admitted(world: World, role: Role, scope: Scope = EVERYTHING, **options: object) -> tuple[tuple[str, str], ...]:
    """Metadata with a new token that the service knows."""
    token = world.tokens.new("ours", role, scope, **options)
    world.let_know()
    return bearer(token)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("access"), limits=GENEROUS)
    world.ledger.append([make_case(n, camera="ab"[n % 2], kind=("speeding", "red_light")[n // 5]) for n in range(10)])
    world.ledger.append([write_case(world.evidence, 10, {"a.jpg": b"jpeg"})])
    yield world
    world.close()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def code_of(world: World, token: str) -> grpc.StatusCode:
    """The status of a call with the token."""
    return attempt(world.stub.ListCases, pb.ListCasesRequest(), bearer(token))[0]


def attempt(call: grpc.UnaryUnaryMultiCallable, request: object, metadata: object = ()) -> tuple[grpc.StatusCode, str]:
    try:
        call(request, metadata=metadata, timeout=10)
    except grpc.RpcError as error:
        return error.code(), error.details()
    return grpc.StatusCode.OK, ""


# -- roles


def every_method() -> list[tuple[str, object]]:
    """Path and descriptor of every call of our services and of the served standard services."""
    pool = descriptor_pool.Default()
    for path in PROTO.glob("qyran/v1/*_service.proto"):
        __import__(f"qyran.v1.{path.stem}_pb2")
    names = [f"qyran/v1/{path.name}" for path in PROTO.glob("qyran/v1/*.proto")]
    services = [service for name in names for service in pool.FindFileByName(name).services_by_name.values()]
    services += [pool.FindServiceByName(name) for name in STANDARD]
    return [(f"/{service.full_name}/{method.name}", method) for service in services for method in service.methods]


STANDARD = ("grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection")


def test_the_permissions_have_every_call_of_every_service_and_no_other():
    offered = {path for path, method in every_method() if method.containing_service.full_name not in CALLED_SERVICES}
    assert offered == set(PERMISSIONS)


@pytest.fixture(scope="module")
def tokens(world: World) -> dict[Role, str]:
    made = {role: world.tokens.new(role.value, role, EVERYTHING) for role in Role}
    world.let_know()
    return made


def call_empty(world: World, path: str, method: object, metadata: object) -> grpc.StatusCode:
    """The status of an empty request; OK for a stream that sends something or goes on."""
    request = message_factory.GetMessageClass(method.input_type)()
    kind = ("stream" if method.client_streaming else "unary") + ("_stream" if method.server_streaming else "_unary")
    serialise, parse = type(request).SerializeToString, message_factory.GetMessageClass(method.output_type).FromString
    call = getattr(world.channel, kind)(path, request_serializer=serialise, response_deserializer=parse)
    try:
        made = call(iter([request]) if method.client_streaming else request, metadata=metadata, timeout=20)
        if method.server_streaming:
            next(made, None)
            made.cancel()
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


@pytest.mark.parametrize("role", Role, ids=lambda role: role.value)
def test_a_role_may_make_exactly_the_permitted_calls(world: World, tokens: dict[Role, str], role: Role):
    for path, method in every_method():
        if path not in PERMISSIONS:
            continue
        code = call_empty(world, path, method, bearer(tokens[role]))
        if role in PERMISSIONS[path].roles:
            assert code not in SHUT_OUT, path
            assert code is not grpc.StatusCode.UNIMPLEMENTED or path.startswith("/grpc.health"), path
        else:
            assert code is grpc.StatusCode.PERMISSION_DENIED, path


STRANGERS = [(), bearer("qyran_0123_guess"), (("authorization", "Basic QWxhZGRpbg=="),)]


@pytest.mark.parametrize("metadata", STRANGERS)
def test_without_a_credential_only_public_calls_answer(world: World, tokens: dict[Role, str], metadata: object):
    for path, method in every_method():
        if path not in PERMISSIONS:
            continue
        code = call_empty(world, path, method, metadata)
        public = PERMISSIONS[path].public
        assert (code is grpc.StatusCode.UNAUTHENTICATED) is not public, path


def test_a_call_without_permission_entry_is_refused(world: World, tokens: dict[Role, str], monkeypatch):
    monkeypatch.delitem(PERMISSIONS, "/qyran.v1.ViolationService/GetCase")
    code, _ = attempt(world.stub.GetCase, pb.GetCaseRequest(case_id="gate-000001"), bearer(tokens[Role.ADMIN]))
    assert code is grpc.StatusCode.PERMISSION_DENIED


# -- tokens


def test_a_token_admits_while_it_is_valid(fresh: World):
    good, second = (fresh.tokens.new(name, Role.REGISTER, EVERYTHING) for name in ("good", "second"))
    expired = fresh.tokens.new("old", Role.REGISTER, EVERYTHING, expires_s=time.time() - 1)
    fresh.let_know()
    assert code_of(fresh, good) is grpc.StatusCode.OK
    mixed, other = "_".join([*good.split("_")[:2], second.split("_", 2)[2]]), good.replace("qyran", "other")
    for bad in (expired, good[:-1], good + "x", "qyran__", "qyran_" + good.split("_")[1], mixed, other):
        assert code_of(fresh, bad) is grpc.StatusCode.UNAUTHENTICATED
    assert fresh.metric("qyran_auth_failures_total") >= 7


def test_a_revoked_token_is_refused_and_its_running_watch_ends(fresh: World):
    token = fresh.tokens.new("ours", Role.REGISTER, EVERYTHING)
    fresh.let_know()
    stream = fresh.stub.WatchViolations(pb.WatchViolationsRequest(), metadata=bearer(token))
    assert next(stream).HasField("heartbeat")
    fresh.tokens.revoke(token.split("_")[1])
    with pytest.raises(grpc.RpcError) as caught:
        list(stream)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert code_of(fresh, token) is grpc.StatusCode.UNAUTHENTICATED


def test_an_expiring_token_ends_its_running_watch(fresh: World):
    metadata = admitted(fresh, Role.VIEWER, expires_s=time.time() + 3)
    stream = fresh.stub.WatchViolations(pb.WatchViolationsRequest(), metadata=metadata)
    with pytest.raises(grpc.RpcError, match="expired"):
        list(stream)


def test_the_database_holds_no_secret(fresh: World):
    secret = fresh.tokens.new("ours", Role.ADMIN, EVERYTHING).split("_", 2)[2]
    assert secret not in repr(fresh.tokens.all())
    content = b"".join(path.read_bytes() for path in fresh.folder.glob("ledger.db*"))
    assert b"ours" in content
    assert secret.encode() not in content


def test_without_security_this_machine_is_admin_until_the_first_token_is_made(fresh: World):
    assert attempt(fresh.stub.ListCases, pb.ListCasesRequest())[0] is grpc.StatusCode.OK
    token = fresh.tokens.new("ours", Role.ADMIN, EVERYTHING)
    fresh.let_know()
    assert attempt(fresh.stub.ListCases, pb.ListCasesRequest())[0] is grpc.StatusCode.UNAUTHENTICATED
    fresh.tokens.revoke(token.split("_")[1])
    fresh.let_know()
    assert attempt(fresh.stub.ListCases, pb.ListCasesRequest())[0] is grpc.StatusCode.UNAUTHENTICATED


def test_without_security_other_machines_are_refused(tmp_path: Path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no network")
        outside = probe.getsockname()[0]
    world = World(tmp_path, listen="0.0.0.0:0", insecure_listen=True)
    with grpc.insecure_channel(f"{outside}:{world.address.rpartition(':')[2]}") as channel:
        code, _ = attempt(pb_grpc.ViolationServiceStub(channel).ListCases, pb.ListCasesRequest())
    assert code is grpc.StatusCode.UNAUTHENTICATED
    world.close()


# -- scopes


@pytest.mark.parametrize(
    ("scope", "asked", "visible"),
    [
        (Scope(kinds=("red_light",)), pb.EntryFilter(), [6, 7, 8, 9, 10]),
        (Scope(cameras=("a",)), pb.EntryFilter(), [1, 3, 5, 7, 9]),
        (Scope(kinds=("red_light",), cameras=("a",)), pb.EntryFilter(), [7, 9]),
        (Scope(kinds=("red_light",)), pb.EntryFilter(kinds=["speeding"]), []),
        (Scope(kinds=("red_light",)), pb.EntryFilter(kinds=["speeding", "red_light"], cameras=["b"]), [6, 8, 10]),
        (Scope(areas=("medeu",)), pb.EntryFilter(), []),
    ],
)
def test_a_token_sees_what_its_scope_allows(world: World, tokens, scope: Scope, asked, visible: list[int]):
    metadata = admitted(world, Role.REGISTER, scope)
    listed = world.stub.ListCases(pb.ListCasesRequest(filter=asked), metadata=metadata)
    assert [entry.sequence for entry in listed.entries] == visible
    watched = []
    for response in world.stub.WatchViolations(pb.WatchViolationsRequest(filter=asked), metadata=metadata):
        if response.HasField("heartbeat"):
            break
        watched.append(response.entry.sequence)
    assert watched == visible


def test_a_case_out_of_scope_is_not_found(world: World, tokens):
    metadata = admitted(world, Role.REGISTER, Scope(cameras=("b",)))
    report = pb.Disposition(report_id="1", ruling=pb.RULING_ACCEPTED)
    for call, request in (
        (world.stub.GetCase, pb.GetCaseRequest(case_id="gate-000010")),
        (world.stub.ReportDisposition, pb.ReportDispositionRequest(case_id="gate-000010", disposition=report)),
    ):
        assert attempt(call, request, metadata)[0] is grpc.StatusCode.NOT_FOUND
    evidence = world.stub.GetEvidence(pb.GetEvidenceRequest(case_id="gate-000010", name="a.jpg"), metadata=metadata)
    with pytest.raises(grpc.RpcError) as caught:
        list(evidence)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_an_area_is_part_of_a_case_and_of_a_filter(fresh: World):
    fresh.ledger.append([replace(make_case(n), area=("medeu", "auezov")[n % 2]) for n in range(4)])
    listed = fresh.stub.ListCases(pb.ListCasesRequest(filter=pb.EntryFilter(areas=["auezov"])))
    assert [entry.sequence for entry in listed.entries] == [2, 4]


# -- limits


def details(error: grpc.RpcError) -> list[object]:
    """google.rpc's details of an error, unpacked."""
    status = status_pb2.Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
    found = []
    for packed in status.details:
        found.append(getattr(error_details_pb2, packed.TypeName().rpartition(".")[2])())
        assert packed.Unpack(found[-1])
    return found


def test_too_many_calls_are_refused_with_the_time_to_wait(tmp_path: Path):
    world = World(tmp_path, limits=LimitsConfig(calls_per_s=2, burst=3))
    for _ in range(3):
        world.stub.ListCases(pb.ListCasesRequest())
    with pytest.raises(grpc.RpcError) as caught:
        world.stub.ListCases(pb.ListCasesRequest())
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    info, retry = details(caught.value)
    assert info.reason == "TOO_MANY"
    assert 0 < retry.retry_delay.ToMilliseconds() <= 500
    time.sleep(0.6)
    world.stub.ListCases(pb.ListCasesRequest())
    assert world.metric("qyran_rate_limited_total") == 1
    world.close()


def test_too_many_streams_at_once_are_refused_until_one_ends(tmp_path: Path):
    world = World(tmp_path, limits=LimitsConfig(streams=2))
    streams = [world.stub.WatchViolations(pb.WatchViolationsRequest()) for _ in range(2)]
    for stream in streams:
        next(stream)
    with pytest.raises(grpc.RpcError, match="more than 2 streams"):
        next(world.stub.WatchViolations(pb.WatchViolationsRequest()))
    streams[0].cancel()
    assert eventually(lambda: world.metric("qyran_watchers") == 1)
    next(world.stub.WatchViolations(pb.WatchViolationsRequest()))
    world.close()


def test_a_guesser_is_slowed_down(fresh: World):
    admitted(fresh, Role.ADMIN)
    codes = [code_of(fresh, "qyran_00_guess") for _ in range(40)]
    assert codes[0] is grpc.StatusCode.UNAUTHENTICATED
    assert codes[-1] is grpc.StatusCode.RESOURCE_EXHAUSTED


def silent(world: World, metadata: object, timeout_s: float = 10.0) -> grpc.StatusCode:
    """The status of a call that never sends its request."""
    ended = threading.Event()
    call = world.channel.stream_unary("/qyran.v1.ViolationService/GetCase")
    with pytest.raises(grpc.RpcError) as caught:
        call(iter(lambda: ended.wait(30), True), metadata=metadata, timeout=timeout_s)
    ended.set()
    return caught.value.code()


def test_a_caller_without_permission_is_refused_before_the_request_is_read(fresh: World):
    controller = admitted(fresh, Role.CONTROLLER)
    assert silent(fresh, bearer("qyran_00_guess")) is grpc.StatusCode.UNAUTHENTICATED
    assert silent(fresh, controller) is grpc.StatusCode.PERMISSION_DENIED


def test_a_silent_caller_is_ended_by_the_time_limit(fresh: World, monkeypatch: pytest.MonkeyPatch):
    path = "/qyran.v1.ViolationService/GetCase"
    monkeypatch.setitem(PERMISSIONS, path, replace(PERMISSIONS[path], limit_s=0.3))
    assert silent(fresh, (), timeout_s=60.0) is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_request_that_is_too_large_is_refused(fresh: World):
    request = pb.ReportDispositionRequest(case_id="x", disposition=pb.Disposition(reason="x" * 70_000))
    code, message = attempt(fresh.stub.ReportDisposition, request)
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "the limit is 65536" in message


def test_a_call_past_its_deadline_ends_and_so_does_one_past_the_services_own(fresh: World, monkeypatch):
    held = threading.Event()
    monkeypatch.setattr(fresh.ledger, "get", lambda case_id: held.wait(3) and None)
    with pytest.raises(grpc.RpcError) as caught:
        fresh.stub.GetCase(pb.GetCaseRequest(case_id="gate-1"), timeout=0.3)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    path = "/qyran.v1.ViolationService/GetCase"
    monkeypatch.setitem(PERMISSIONS, path, replace(PERMISSIONS[path], limit_s=0.2))
    with pytest.raises(grpc.RpcError, match=r"the service gives a call 0\.2 s"):
        fresh.stub.GetCase(pb.GetCaseRequest(case_id="gate-1"))
    held.set()


# -- error details


def test_errors_carry_details_for_programs(world: World, tokens: dict[Role, str]):
    metadata = bearer(tokens[Role.REGISTER])
    with pytest.raises(grpc.RpcError) as caught:
        world.stub.ListCases(pb.ListCasesRequest(page_size=-1), metadata=metadata)
    info, broken = details(caught.value)
    assert (info.reason, info.domain) == ("BAD_REQUEST", "qyran")
    assert broken.field_violations[0].field == "page_size"
    with pytest.raises(grpc.RpcError) as caught:
        world.stub.GetCase(pb.GetCaseRequest(case_id="gate-x"), metadata=metadata)
    assert details(caught.value)[1].resource_name == "gate-x"


def test_an_unexpected_error_is_internal_and_reveals_nothing(fresh: World, monkeypatch):
    def fail(case_id: str) -> None:
        raise ZeroDivisionError("inside /var/lib/qyran")

    monkeypatch.setattr(fresh.ledger, "get", fail)
    code, message = attempt(fresh.stub.GetCase, pb.GetCaseRequest(case_id="gate-1"))
    assert code is grpc.StatusCode.INTERNAL
    assert message == "the service failed; its log says how"


# -- half-open connections


def test_a_vanished_peer_is_noticed(tmp_path: Path):
    world = World(tmp_path, keepalive_s=1.0)
    relay = Relay(int(world.address.rpartition(":")[2]))
    channel = grpc.insecure_channel(f"127.0.0.1:{relay.port}")
    next(pb_grpc.ViolationServiceStub(channel).WatchViolations(pb.WatchViolationsRequest()))
    assert world.metric("qyran_watchers") == 1
    relay.frozen.set()
    assert eventually(lambda: world.metric("qyran_watchers") == 0, within_s=30)
    channel.close()
    relay.close()
    world.close()


class Relay:
    """Relays TCP between client and service until it freezes: then both ends stay open and nothing passes."""

    def __init__(self, target: int) -> None:
        self.frozen = threading.Event()
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = [self._listener]
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for one in self._sockets:
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._target))
            self._sockets += [near, far]
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                if self.frozen.is_set():
                    return
                target.sendall(data)
        except OSError:
            pass
