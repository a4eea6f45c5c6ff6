"""Registers that want to be called, as doubles: one over gRPC, one over HTTP. What they took is theirs for good."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from qyran.v1 import register_service_pb2 as pb
from qyran.v1 import register_service_pb2_grpc as pb_grpc
from qyran.v1 import violation_service_pb2 as calls_pb

TAKES = ("take", "late", "dribble")
"""Words of a rule that enter the case: and answer, answer after the deadline, answer drop by drop (over HTTP)."""
LATE_S = 1.0
"""How long a late answer takes; give the line a shorter deadline."""


@dataclass
class Register:
    """What a recipient does with cases, and what it has got."""

    rule: Callable[[str], str] = lambda case_id: "take"
    """One of TAKES, or what the protocol calls the error."""
    calls: list[str] = field(default_factory=list)
    """Ids in the order they came, every attempt."""
    taken: dict[str, Any] = field(default_factory=dict)
    """The request by id, in the order they were entered."""
    duplicates: list[str] = field(default_factory=list)
    """Ids that came again after they were entered."""
    tokens: list[str] = field(default_factory=list)
    decide: Callable[[str], calls_pb.Disposition | None] = lambda case_id: None
    """What is decided at once."""
    extra: dict[str, Any] = field(default_factory=dict)
    """What every answer over HTTP says besides."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def receive(self, case_id: str, request: Any, token: str) -> str:
        """The rule's word; what is taken is entered before it is answered, however late that is."""
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
    """Serve it on loopback; yields the port. On leaving, it is down."""
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
"""Register, request, token to status, headers, body."""


def plain(register: Register, request: dict[str, Any], token: str) -> tuple[int, dict[str, str], bytes]:
    """The plain form; a rule's word that is a number is the status."""
    word = register.receive(request["case_id"], request, token)
    if word.isdigit():
        return int(word), {"Retry-After": "7"}, json.dumps({"reason": f"{word} it is"}).encode()
    if word == "garbage":
        return 200, {}, b"<html>welcome"
    answer = {"receipt": register.receipt(request["case_id"]), "duplicate": request["case_id"] in register.duplicates}
    return 200, {"Drops": "1"} if word == "dribble" else {}, json.dumps(answer | register.extra).encode()


def erap(register: Register, request: dict[str, Any], token: str) -> tuple[int, dict[str, str], bytes]:
    """An ERAP-shaped register: always 200, the status within."""
    case_id = request["requestId"]
    word = register.receive(case_id, request, token)
    if word not in TAKES:
        return 200, {}, json.dumps({"status": "REJECTED", "reason": word}).encode()
    status = "DUPLICATE" if case_id in register.duplicates else "REGISTERED"
    answer = {"status": status, "registrationNumber": register.receipt(case_id)}
    return 200, {}, json.dumps(answer | register.extra).encode()


@contextmanager
def http_register(register: Register, respond: Respond = plain, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve it on loopback; yields the port."""

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
