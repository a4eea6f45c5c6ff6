"""Recipients as doubles, over gRPC and over HTTP, and a world in which a worker delivers to them."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import pytest
from qyran.v1 import register_service_pb2 as pb
from qyran.v1 import register_service_pb2_grpc as pb_grpc
from qyran.v1 import violation_service_pb2 as calls_pb

from engine.config import RecipientConfig
from engine.deliver import DeliveryWorker, open_channel
from engine.ledger import Outbox, SqlLedger
from engine.metrics import Metrics
from rig.examples import make_case

TAKES = ("take", "late", "dribble")
"""Rules that enter the case: answer, answer after the deadline, answer byte by byte (over HTTP)."""
LATE_S = 1.0
"""Duration of a late answer; give the worker a shorter deadline."""


@dataclass
class Register:
    """A recipient: its rule, and everything that it received."""

    rule: Callable[[str], str] = lambda case_id: "take"
    """By case id: one of TAKES, or the name of the protocol's error."""
    calls: list[str] = field(default_factory=list)
    """Ids of all attempts, in order."""
    taken: dict[str, Any] = field(default_factory=dict)
    """Requests of the entered cases by id, in order."""
    duplicates: list[str] = field(default_factory=list)
    """Ids that came again after their entry."""
    tokens: list[str] = field(default_factory=list)
    decide: Callable[[str], calls_pb.Disposition | None] = lambda case_id: None
    """The decision in the answer."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Further fields of every answer over HTTP."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def receive(self, case_id: str, request: Any, token: str) -> str:
        """Enter the case if the rule takes it. Returns the rule's word."""
        with self.lock:
            self.calls.append(case_id)
            self.tokens.append(token)
            word = self.rule(case_id)
            if word in TAKES:
                if case_id in self.taken:
                    self.duplicates.append(case_id)
                self.taken.setdefault(case_id, request)
        if word == "late":
            time.sleep(LATE_S)
        return word

    def receipt(self, case_id: str) -> str:
        """The recipient's number of an entered case."""
        return f"R-{list(self.taken).index(case_id) + 1}"


class _RegisterService(pb_grpc.RegisterServiceServicer):
    def __init__(self, register: Register) -> None:
        self._register = register

    def SubmitCase(  # noqa: N802 - the protocol's name
        self, request: pb.SubmitCaseRequest, context: grpc.ServicerContext
    ) -> pb.SubmitCaseResponse:
        case_id = request.entry.case.id
        word = self._register.receive(case_id, request, dict(context.invocation_metadata()).get("authorization", ""))
        if word not in TAKES:
            context.abort(grpc.StatusCode[word], f"{word} it is")
        return pb.SubmitCaseResponse(
            receipt=self._register.receipt(case_id),
            duplicate=case_id in self._register.duplicates,
            disposition=self._register.decide(case_id),
        )


@contextmanager
def grpc_register(register: Register, port: int = 0, tls: grpc.ServerCredentials | None = None) -> Iterator[int]:
    """Serve the register on loopback; yields the port."""
    server = grpc.server(ThreadPoolExecutor(4), options=(("grpc.so_reuseport", 0),))
    pb_grpc.add_RegisterServiceServicer_to_server(_RegisterService(register), server)
    address = f"127.0.0.1:{port}"
    port = server.add_secure_port(address, tls) if tls else server.add_insecure_port(address)
    server.start()
    try:
        yield port
    finally:
        server.stop(0).wait()


Respond = Callable[[Register, dict[str, Any], str], tuple[int, dict[str, str], bytes]]
"""(register, request, token) -> (status, headers, body)."""


def plain(register: Register, request: dict[str, Any], token: str) -> tuple[int, dict[str, str], bytes]:
    """Answers in the plain form; a rule that is a number is the status."""
    word = register.receive(request["case_id"], request, token)
    if word.isdigit():
        return int(word), {"Retry-After": "7"}, json.dumps({"reason": f"{word} it is"}).encode()
    if word == "garbage":
        return 200, {}, b"<html>welcome"
    answer = {"receipt": register.receipt(request["case_id"]), "duplicate": request["case_id"] in register.duplicates}
    return 200, {"Drops": "1"} if word == "dribble" else {}, json.dumps(answer | register.extra).encode()


def erap(register: Register, request: dict[str, Any], token: str) -> tuple[int, dict[str, str], bytes]:
    """Answers in the ERAP form: always 200, the status is in the body."""
    case_id = request["requestId"]
    word = register.receive(case_id, request, token)
    if word not in TAKES:
        return 200, {}, json.dumps({"status": "REJECTED", "reason": word}).encode()
    status = "DUPLICATE" if case_id in register.duplicates else "REGISTERED"
    answer = {"status": status, "registrationNumber": register.receipt(case_id)}
    return 200, {}, json.dumps(answer | register.extra).encode()


@contextmanager
def http_register(register: Register, respond: Respond = plain, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve the register on loopback; yields the port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            status, headers, body = respond(register, json.loads(content), self.headers.get("Authorization", ""))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self._send([body[i : i + 1] for i in range(len(body))] if "Drops" in headers else [body])

        def _send(self, parts: list[bytes]) -> None:
            try:
                for part in parts:
                    self.wfile.write(part)
                    time.sleep(0.1 if len(parts) > 1 else 0.0)
            except OSError:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class ManualClock:
    """Time that passes only when a test sets it."""

    def __init__(self) -> None:
        self.now_s = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now_s


class DeliveryWorld:
    """A ledger, the outbox of the recipient `city`, and workers whose pauses pass at once. Use it as a fixture."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.clock = ManualClock()
        self.ledger = stack.enter_context(closing(SqlLedger(folder / "ledger.db", clock=self.clock)))
        self.outbox = Outbox(self.ledger.database, "city", clock=self.clock)
        self.metrics = Metrics()
        self._stack = stack

    def append(self, *numbers: int, kind: str = "speeding") -> list[str]:
        """Append example cases; returns their ids."""
        return [entry.case.id for entry in self.ledger.append([make_case(n, kind=kind) for n in numbers])]

    def worker(self, url: str, **settings: object) -> DeliveryWorker:
        """A worker for a recipient at `url`; `settings` are fields of its RecipientConfig."""
        config = RecipientConfig(name="city", url=url, **{"per_hour": 3_600_000, "deadline_s": 5.0, **settings})
        channel = self._stack.enter_context(closing(open_channel(config)))
        return DeliveryWorker(
            config, self.ledger, channel, self.folder / "evidence", self.metrics, clock=self.clock, wall=self.clock
        )

    def work(self, worker: DeliveryWorker, until: Callable[[], bool], haste: float = 1.0) -> None:
        """Step the worker until a condition holds, letting the pauses pass; fails after 2000 steps."""
        for _ in range(2000):
            if until():
                return
            self.clock.now_s += haste * worker.step() + 1e-6
        pytest.fail("the worker did not reach the condition")

    def deliver(self, recipient: Register, respond: Respond | None = None, **settings: object) -> None:
        """Deliver every case to a recipient, over gRPC or, with `respond`, over HTTP."""
        served = http_register(recipient, respond) if respond else grpc_register(recipient)
        with served as port:
            url = f"{'http' if respond else 'grpc'}://127.0.0.1:{port}"
            self.work(self.worker(url, **settings), self.is_done)

    def rest(self, worker: DeliveryWorker, seconds: float, haste: float = 4.0) -> None:
        """Step the worker for some time."""
        end_s = self.clock.now_s + seconds
        while self.clock.now_s < end_s:
            self.clock.now_s += max(haste * worker.step(), 0.01)

    def is_done(self) -> bool:
        """True if no case is pending and at least one was delivered or refused."""
        status = self.outbox.status()
        return status.pending == 0 and status.delivered + status.refused > 0
