"""Faults that are injected into delivery, and their outcome: each is a function of a folder and a number of times.

After every fault, every consumer must have exactly the cases whose append has returned, each once, in the order of
their numbers; every case on the disk must verify, and so must the chain.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc
from qyran.v1 import violation_service_pb2 as pb
from qyran.v1 import violation_service_pb2_grpc as pb_grpc

from engine.client import QyranClient
from engine.config import LimitsConfig
from engine.errors import LedgerError
from engine.evidence import audit
from engine.ledger import SqlLedger
from engine.types import Entry
from rig.examples import make_case
from rig.postgres import running_server
from rig.proxy import Proxy
from rig.serving import World

SEED = 7
ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 90.0
CASES = (1, 10)
"""Least and most number of cases before a program is killed ..."""
MORE_S = (0.0, 0.3)
"""... and the delay after that, in seconds; every third program is killed before its first case."""


@dataclass(frozen=True, slots=True)
class Loss:
    """The outcome of a fault."""

    injected: str
    times: int
    appended: int
    lost: int
    doubled: int
    recovery_s: float | None
    """The longest time from the end of a fault until everything worked again; None if nothing stopped."""


def compared(injected: str, times: int, appended: set[str], got: Sequence[Entry], recovery_s: float | None) -> Loss:
    """Compare what a consumer got with what was appended. Raises AssertionError if the order is broken."""
    assert all(one.sequence < other.sequence for one, other in pairwise(got)), "not in order"
    ids = [entry.case.id for entry in got]
    lost, doubled = len(appended - set(ids)), len(ids) - len(set(ids))
    return Loss(injected, times, len(appended), lost, doubled, recovery_s)


# -- the engine is killed


class EngineProcess:
    """`rig.faults.engine` as a child that can be killed; collects the cases that it printed as appended."""

    def __init__(self, folder: Path, port: int) -> None:
        self.appended: set[str] = set()
        self._command = [sys.executable, "-m", "rig.faults.engine", str(folder), str(port)]

    def start(self, until: int) -> float:
        """Start it and wait until it serves; returns the seconds that this took."""
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'proto'}"}
        began_s = time.monotonic()
        self._child = subprocess.Popen(
            [*self._command, str(until)], stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
        )
        self._serves, self._appends = threading.Event(), threading.Semaphore(0)
        self._reader = threading.Thread(target=self._read, args=(self._child,))
        self._reader.start()
        self._serves.wait(PATIENCE_S)
        return time.monotonic() - began_s

    def wait_for_case(self, count: int) -> None:
        """Return after it has appended `count` cases since the start, also cases that were there before."""
        for _ in range(count):
            assert self._appends.acquire(timeout=PATIENCE_S), "it appends nothing"

    def kill(self) -> None:
        self._child.send_signal(signal.SIGKILL)
        self._child.wait()
        self._reader.join()

    def _read(self, child: subprocess.Popen[str]) -> None:
        assert child.stdout is not None
        with child.stdout:
            for line in child.stdout:
                verb, _, case = line.strip().partition(" ")
                if verb == "appended":
                    self.appended.add(case)
                    self._appends.release()
                self._serves.set()
        self._serves.set()


def kill_the_engine(folder: Path, times: int) -> Loss:
    """kill -9 at random instants while it builds and appends cases and a client watches."""
    rng, recoveries_s = random.Random(SEED), []
    engine = EngineProcess(folder, port := _free_port())
    with watching(f"127.0.0.1:{port}") as watched:
        for number in range(times):
            recoveries_s.append(engine.start(until=1_000_000))
            engine.wait_for_case(rng.randrange(*CASES) if number % 3 else 0)
            time.sleep(rng.uniform(*MORE_S))
            engine.kill()
        until = len(engine.appended) + 20
        recoveries_s.append(engine.start(until))
        watched.wait_for(until)
        engine.kill()
        got = watched.entries
    with closing(SqlLedger(folder / "ledger.db")) as ledger:
        held = ledger.read(0, 1_000_000)
    assert [entry.case.id for entry in held] == [entry.case.id for entry in got], "the ledger holds something else"
    assert audit(folder / "evidence", entries=held).problems == []
    return compared("kill -9 of the engine", times, engine.appended, got, max(recoveries_s))


# -- the power goes while the log is written


def tear_the_log(folder: Path, times: int) -> Loss:
    """A power cut: what was written to the write-ahead log after its last sync is torn, sector by sector."""
    rng, appended, kept, sequences = random.Random(SEED), 0, 0, []
    for number in range(times):
        home, copy = folder / f"{number}", folder / f"{number}-after"
        with closing(SqlLedger(home / "ledger.db")) as ledger:
            before = ledger.append([make_case(case) for case in range(rng.randrange(1, 12))])
            synced = (home / "ledger.db-wal").read_bytes()
            ledger.append([make_case(100 + case) for case in range(rng.randrange(1, 12))])
            shutil.copytree(home, copy)
            whole = (home / "ledger.db-wal").read_bytes()
        (copy / "ledger.db-shm").unlink(missing_ok=True)
        (copy / "ledger.db-wal").write_bytes(synced + torn(whole[len(synced) :], rng))
        with closing(SqlLedger(copy / "ledger.db")) as ledger:
            found = ledger.read(0, 1000)
            assert ledger.check() == []
        appended += len(before)
        kept += len({entry.case.id for entry in before} & {entry.case.id for entry in found})
        sequences += [[entry.sequence for entry in found]]
    assert all(order == list(range(1, len(order) + 1)) for order in sequences), "numbers with holes"
    return Loss("power cut, torn write-ahead log", times, appended, appended - kept, 0, None)


def torn(content: bytes, rng: random.Random) -> bytes:
    """Every sector of it as it was, as it never was, or missing; cut off somewhere."""
    sectors = [content[at : at + 512] for at in range(0, len(content), 512)]
    fates = (lambda sector: sector, lambda sector: bytes(len(sector)), lambda sector: rng.randbytes(len(sector)))
    return b"".join(rng.choice(fates)(sector) for sector in sectors)[: rng.randrange(len(content) + 1)]


# -- the database server dies


def crash_postgres(folder: Path, times: int) -> Loss:
    """The server stops at once, without flushing, while two engines append."""
    recoveries_s: list[float] = []
    with running_server() as server, closing(SqlLedger(server.empty_database())) as ledger:
        done, appended = threading.Event(), set[str]()
        engines = [threading.Thread(target=_append, args=(ledger, first, done, appended)) for first in (0, 1_000_000)]
        for engine in engines:
            engine.start()
        for _ in range(times):
            _until_grown(appended, by=5)
            server.stop("immediate")
            server.start()
            began_s = time.monotonic()
            _until_grown(appended, by=1)
            recoveries_s.append(time.monotonic() - began_s)
        done.set()
        for engine in engines:
            engine.join()
        got = ledger.read(0, 1_000_000)
    return compared("PostgreSQL killed and restarted", times, appended, got, max(recoveries_s))


def _append(ledger: SqlLedger, first: int, done: threading.Event, appended: set[str]) -> None:
    number = first
    while not done.is_set():
        case = make_case(number)
        try:
            ledger.append([case])
        except LedgerError:
            time.sleep(0.05)
            continue
        appended.add(case.id)
        number += 1


# -- the network breaks


def cut_the_network(folder: Path, times: int) -> Loss:
    """Every connection of a client is cut in the middle of a message."""
    world = World(folder)
    appended = {entry.case.id for entry in world.ledger.append([make_case(number) for number in range(40 * times)])}
    proxy = Proxy(world.address, cut_after=40_000)
    with watching(proxy.address) as watched:
        watched.wait_for(len(appended))
        got = watched.entries
    connections = proxy.connections
    proxy.close()
    world.close()
    assert connections >= times
    return compared("connections cut", connections, appended, got, None)


# -- many subscribers, some of which never read


def never_read(folder: Path, times: int) -> Loss:
    """A quarter of the subscribers open a watch and read nothing; the others still follow."""
    world = World(folder, limits=LimitsConfig(burst=1000, streams=1000))
    appended, entries = 600, 0
    try:
        got = asyncio.run(_crowd(world, readers=3 * times, mute=times, cases=appended))
        entries = sum(len(ids) for ids in got)
        lost = sum(appended - len(set(ids)) for ids in got)
        assert all(ids == sorted(ids) for ids in got), "not in order"
    finally:
        world.close()
    doubled = entries - sum(len(set(ids)) for ids in got)
    return Loss("subscribers that never read", times, appended * len(got), lost, doubled, None)


async def _crowd(world: World, *, readers: int, mute: int, cases: int) -> list[list[int]]:
    """The sequence numbers that each reader got."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(world.address, options=options) for _ in range(readers + mute)]
    calls = [pb_grpc.ViolationServiceStub(channel).WatchViolations(pb.WatchViolationsRequest()) for channel in channels]
    await asyncio.gather(*(channel.channel_ready() for channel in channels))
    reading = asyncio.gather(*(_sequences(call, cases) for call in calls[mute:]))
    for first in range(0, cases, 20):
        await asyncio.to_thread(world.ledger.append, [make_case(number) for number in range(first, first + 20)])
    got = await asyncio.wait_for(reading, PATIENCE_S)
    await asyncio.gather(*(channel.close(None) for channel in channels))
    return list(got)


async def _sequences(call: Any, cases: int) -> list[int]:
    found: list[int] = []
    async for message in call:
        if message.HasField("entry"):
            found.append(message.entry.sequence)
            if len(found) == cases:
                break
    return found


# -- what the scenarios share


class Watched:
    """The entries that a watching client has got."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._grown = threading.Condition()

    def take(self, entries: Iterator[Entry]) -> None:
        for entry in entries:
            with self._grown:
                self.entries.append(entry)
                self._grown.notify_all()

    def wait_for(self, count: int) -> None:
        with self._grown:
            arrived = self._grown.wait_for(lambda: len(self.entries) >= count, PATIENCE_S)
        assert arrived, f"{len(self.entries)} of {count} entries arrived"


@contextmanager
def watching(address: str) -> Iterator[Watched]:
    """A client that watches from the first entry on and reconnects whenever the service fails."""
    watched = Watched()
    with QyranClient(address) as client:
        thread = threading.Thread(target=watched.take, args=(client.watch(),), daemon=True)
        thread.start()
        yield watched
    thread.join(PATIENCE_S)


def _until_grown(appended: set[str], by: int) -> None:
    deadline_s, enough = time.monotonic() + PATIENCE_S, len(appended) + by
    while len(appended) < enough:
        assert time.monotonic() < deadline_s, "nothing went on"
        time.sleep(0.01)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


SCENARIOS: dict[str, tuple[Callable[[Path, int], Loss], int, int]] = {
    "engine": (kill_the_engine, 4, 200),
    "power": (tear_the_log, 20, 1000),
    "postgresql": (crash_postgres, 2, 50),
    "network": (cut_the_network, 5, 25),
    "mute": (never_read, 10, 50),
}
"""By name: the scenario, how often in the tests, how often in the long form."""
