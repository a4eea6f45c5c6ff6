"""Processes of the delivery benchmark: the service over a ledger, a bare gRPC server, and clients.

Each runs in its own process and takes orders over a pipe: it receives (verb, arguments...) and sends one answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import psutil
from grpc.aio import EOF  # type: ignore[attr-defined]  # the stubs do not know it
from qyran.v1 import violation_service_pb2 as pb
from qyran.v1 import violation_service_pb2_grpc as pb_grpc

from engine import wire
from engine.app import logs
from engine.config import LimitsConfig
from engine.ledger import SqlLedger
from engine.types import Case, Entry, EvidenceFile
from engine.types import document as doc
from rig.examples import make_document
from rig.serving import World

METHOD = "/qyran.v1.ViolationService/WatchViolations"
DIFFERENT = 1000
"""Number of different messages of the bare server; it repeats them."""
STREAMS = 1000
PATIENCE_S = 10.0


class WorkerProcess:
    """The other end of the pipe to a process that takes orders."""

    def __init__(self, orders: Any) -> None:
        self._orders = orders

    def ask(self, *order: object) -> Any:
        """Send an order and wait for its answer."""
        self._orders.send(order)
        return self.hear()

    def hear(self) -> Any:
        """Wait for the next message of the process."""
        return self._orders.recv()


@contextmanager
def start_process(target: Callable[..., None], *arguments: object) -> Iterator[WorkerProcess]:
    """Start a process that takes orders. It ends when the context ends."""
    context = get_context("spawn")
    here, there = context.Pipe()
    child = context.Process(target=target, args=(there, *arguments))
    child.start()
    there.close()
    try:
        yield WorkerProcess(here)
    finally:
        here.close()
        child.join(PATIENCE_S)
        child.kill()


FILES = tuple(EvidenceFile(f"still-{number}.jpg", "image/jpeg", 150_000, 64 * f"{number:x}") for number in range(10))
WAY = tuple(
    doc.TrajectoryPoint(
        captured=doc.moment(1.78e9 + number / 8), xyxy_px=(512.3, 301.8, 640.1, 388.4), position_m=(1.234, 56.789)
    )
    for number in range(24)
)


def make_cases(count: int, first: int = 0) -> Iterator[Case]:
    """Cases with unique ids and documents of the usual size, 7 KB."""
    template = doc.encode(make_document(0, trajectory=WAY, files=FILES)).replace(b"gate-000000", b"gate-%08d")
    for number in range(first, first + count):
        name = f"gate-{number:08d}"
        yield Case(name, "gate", "speeding", 1.78e9 + number, template % number, FILES, f"2026/05/28/{name}")


def fill(ledger: SqlLedger, count: int, batch: int, first: int = 0) -> float:
    """Append `count` cases in transactions of `batch`. Returns the seconds in append, without making the cases."""
    made, spent_s = make_cases(count, first), 0.0
    while some := list(islice(made, batch)):
        began_s = time.perf_counter()
        ledger.append(some)
        spent_s += time.perf_counter() - began_s
    return spent_s


def serve_ledger(orders: Connection, folder: Path) -> None:
    """Serve the ledger in `folder` with Qyran's service, and append to it as the engine does."""
    logs.configure(level="error")
    world = World(folder, heartbeat_s=5.0, limits=LimitsConfig(burst=STREAMS, streams=STREAMS))
    answers: dict[str, Callable[..., Any]] = {
        "address": lambda: world.address,
        "memory": lambda: psutil.Process().memory_info().rss,
        "append": lambda count, rate, first: _append_evenly(world.ledger, count, rate, first),
    }
    _obey(orders, answers)
    world.close()


def _append_evenly(ledger: SqlLedger, count: int, rate: float, first: int) -> None:
    began_s = time.monotonic()
    for number, case in enumerate(make_cases(count, first)):
        time.sleep(max(0.0, began_s + number / rate - time.monotonic()))
        ledger.append([case])


def serve_bare(orders: Connection, count: int) -> None:
    """Send serialised messages from memory with grpc.aio and do nothing else: the limit of a service."""
    entries = (Entry(number, time.time(), case) for number, case in enumerate(make_cases(min(count, DIFFERENT)), 1))
    messages = (pb.WatchViolationsResponse(entry=wire.entry_to_message(entry)) for entry in entries)
    asyncio.run(_serve_bare(orders, [message.SerializeToString() for message in messages], count))


async def _serve_bare(orders: Connection, messages: Sequence[bytes], count: int) -> None:
    async def stream(request: bytes, context: Any) -> AsyncIterator[bytes]:
        for number in range(count):
            yield messages[number % len(messages)]

    server = grpc.aio.server()
    handler = grpc.unary_stream_rpc_method_handler(stream)
    service, _, name = METHOD.removeprefix("/").partition("/")
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {name: handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    await asyncio.to_thread(_obey, orders, {"address": lambda: f"127.0.0.1:{port}"})


def listen(orders: Connection) -> None:
    """Clients of either server, each with its own connection."""
    answers: dict[str, Callable[..., Any]] = {
        "read": lambda address, clients, entries: asyncio.run(_read(address, clients, entries)),
        "follow": lambda *order: asyncio.run(_follow(orders, *order)),
        "idle": lambda *order: asyncio.run(_idle(orders, *order)),
    }
    _obey(orders, answers)


async def _read(address: str, clients: int, entries: int) -> float:
    """Seconds until each client has received the first `entries` entries."""
    async with _Connections(address, clients) as watches:
        began_s = time.monotonic()
        await asyncio.gather(*(_take(call, entries) for call in watches.open(0)))
        return time.monotonic() - began_s


async def _follow(orders: Connection, address: str, clients: int, after: int, entries: int) -> list[float]:
    """Send "ready", then return the delay of each new entry at each client, in seconds since it was recorded."""
    async with _Connections(address, clients) as watches:
        calls = watches.open(after)
        await asyncio.gather(*(_heartbeat(call) for call in calls))
        orders.send("ready")
        delays = await asyncio.gather(*(_take(call, entries) for call in calls))
        return [delay for of_client in delays for delay in of_client]


async def _idle(orders: Connection, address: str, clients: int, after: int) -> None:
    """Send "ready", watch without new entries, and wait for one more order."""
    async with _Connections(address, clients) as watches:
        await asyncio.gather(*(_heartbeat(call) for call in watches.open(after)))
        orders.send("ready")
        await asyncio.to_thread(orders.recv)


async def _take(call: Any, entries: int) -> list[float]:
    """Delays of the next `entries` entries, in seconds since each was recorded."""
    delays: list[float] = []
    while (message := await call.read()) is not EOF:
        if message.HasField("entry"):
            at = message.entry.recorded_at
            delays.append(time.time() - (at.seconds + at.nanos * 1e-9))
            if len(delays) == entries:
                call.cancel()
                return delays
    raise RuntimeError(f"the stream ended after {len(delays)} of {entries} entries")


async def _heartbeat(call: Any) -> None:
    """Read up to the first heartbeat; it comes after all earlier entries."""
    while not (await call.read()).HasField("heartbeat"):
        pass


class _Connections:
    """One connection for each client, without shared subchannels."""

    def __init__(self, address: str, clients: int) -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]
        self._channels = [grpc.aio.insecure_channel(address, options=options) for _ in range(clients)]

    def open(self, after: int) -> list[Any]:
        """Start one watch on each connection, for entries with a sequence above `after`."""
        request = pb.WatchViolationsRequest(after_sequence=after)
        return [pb_grpc.ViolationServiceStub(channel).WatchViolations(request) for channel in self._channels]

    async def __aenter__(self) -> _Connections:
        await asyncio.gather(*(channel.channel_ready() for channel in self._channels))
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(channel.close(None) for channel in self._channels))


def percentiles_ms(delays_s: Sequence[float]) -> dict[str, float]:
    """p50, p95 and p99 in milliseconds."""
    values = np.quantile(np.array(delays_s) * 1e3, (0.5, 0.95, 0.99))
    return {name: round(float(value), 2) for name, value in zip(("p50_ms", "p95_ms", "p99_ms"), values, strict=True)}


def _obey(orders: Connection, answers: dict[str, Callable[..., Any]]) -> None:
    """Answer orders until the other end closes the pipe."""
    while True:
        try:
            verb, *arguments = orders.recv()
        except EOFError:
            return
        orders.send(answers[verb](*arguments))
