"""Measure the delivery of cases to clients, and compare it with a bare gRPC stream of the same messages.

    python -m benchmarks delivery --json

append      cases per second into SQLite (synchronous=FULL) and, if Debian's postgresql is installed, into PostgreSQL
            (fsync on): one case in a transaction, as the engine does, and sixteen
watch       1, 10 and 100 clients read the same entries from the first one, each over its own connection: cases per
            second of all clients. The bare stream is grpc.aio that yields messages serialised in advance. The same
            clients read both streams in turns in one run; the ratio is that of the medians
live        the clients follow entries that are appended at a steady rate: delay from the append to the client
catch_up    one client reads a million cases from the first to the last
memory      resident bytes of the service for each idle watcher
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.delivery_ends import (
    WorkerProcess,
    fill,
    listen,
    percentiles_ms,
    serve_bare,
    serve_ledger,
    start_process,
)
from benchmarks.machine import describe_machine
from benchmarks.pages import ROOT, between, result
from engine.app import logs
from engine.ledger import SqlLedger
from rig.postgres import programs, running_server

CLIENTS = (1, 10, 100)
MESSAGES = 40_000
"""Number of messages that all clients together read in one turn."""
TURNS = 3
PAGE = ROOT / "docs" / "reliability.md"
IDLE = 200
LIVE_PER_S, LIVE_ENTRIES = 10.0, 200


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="delivery", description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000, help="number of cases to catch up")
    parser.add_argument("--append", type=int, default=2000, help="number of cases to append one by one")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    logs.configure(level="error")
    with tempfile.TemporaryDirectory(prefix="qyran-delivery-") as folder:
        print(json.dumps(measure(Path(folder), options.entries, options.append), indent=2))
    return 0


def renew(text: str) -> str:
    """The page's text with new tables. Raises ValueError if a mark is missing."""
    found = result("delivery")
    rows = "".join(
        f"| {clients} | {row['watch_per_s']:,} | {row['bare_per_s']:,} | {row['ratio_to_bare_stream']:.2f} "
        f"| {live['p50_ms']:.0f} | {live['p95_ms']:.0f} | {live['p99_ms']:.0f} |\n"
        for (clients, row), live in zip(found["watch"].items(), found["live"].values(), strict=True)
    )
    per_s, parameters, machine = found["append_per_s"], found["parameters"], found["machine"]
    postgresql = per_s["postgresql"]
    return between(
        text,
        "delivery",
        "| clients | cases/s | bare stream | ratio | p50 ms | p95 ms | p99 ms |\n"
        f"|---:|---:|---:|---:|---:|---:|---:|\n{rows}\n"
        f"Appended: {per_s['sqlite']['one']:,} cases a second into SQLite one by one, "
        f"{per_s['sqlite']['sixteen']:,} in transactions of sixteen"
        + (f"; {postgresql['one']:,} and {postgresql['sixteen']:,} into PostgreSQL" if postgresql else "")
        + f". One client reads {parameters['entries']:,} past cases at {found['total']['catch_up_per_s']:,} a second. "
        f"An idle watcher costs the service {found['subscriber_bytes'] / 1024:.0f} KiB. The delays are those of "
        f"{parameters['live_per_s']:g} appends a second, from the append to the client. Measured on "
        f"{machine['cores']} cores of {machine['processor']}, server and clients together.\n",
    )


def measure(folder: Path, entries: int, singly: int) -> dict[str, Any]:
    """The whole result. Appends `singly` cases one by one, and fills the service with `entries` cases."""
    sqlite, postgresql = append(folder / "append.db", singly), append_to_postgres(singly)
    folder = folder / "service"
    folder.mkdir()
    with start_process(serve_ledger, folder) as served, start_process(listen) as clients:
        subscriber = measure_memory(served, clients)
        live = {str(count): follow(served, clients, count, index * LIVE_ENTRIES) for index, count in enumerate(CLIENTS)}
        followed = len(CLIENTS) * LIVE_ENTRIES
        with closing(SqlLedger(folder / "ledger.db")) as ledger:
            filled_s = fill(ledger, entries, 1000, followed)
        read = {str(count): watch(served, clients, count, entries) for count in CLIENTS}
        caught_up = entries / clients.ask("read", served.ask("address"), 1, entries)
    return {
        "machine": describe_machine(),
        "parameters": {"entries": entries, "messages": MESSAGES, "turns": TURNS, "live_per_s": LIVE_PER_S},
        "append_per_s": {"sqlite": sqlite, "postgresql": postgresql},
        "fill_per_s": round(entries / filled_s),
        "watch": read,
        "live": live,
        "subscriber_bytes": subscriber,
        "total": {
            "ratio_to_bare_stream": min(row["ratio_to_bare_stream"] for row in read.values()),
            "append_per_s": sqlite["one"],
            "watch_per_s": max(row["watch_per_s"] for row in read.values()),
            "catch_up_per_s": round(caught_up),
            "p99_ms": max(row["p99_ms"] for row in live.values()),
        },
    }


def append(where: Path | str, count: int) -> dict[str, int]:
    """Cases per second in transactions of one and of sixteen cases."""
    with closing(SqlLedger(where)) as ledger:
        one = count / fill(ledger, count, 1)
        sixteen = 8 * count / fill(ledger, 8 * count, 16, first=count)
    return {"one": round(one), "sixteen": round(sixteen)}


def append_to_postgres(count: int) -> dict[str, int] | None:
    """The same for PostgreSQL; None if it is not installed."""
    if programs() is None:
        return None
    with running_server(durable=True) as server:
        return append(server.empty_database(), count)


def watch(served: WorkerProcess, clients: WorkerProcess, count: int, entries: int) -> dict[str, Any]:
    """Cases per second of the service and of the bare stream, read by `count` clients in turns."""
    each = min(entries, MESSAGES // count)
    with start_process(serve_bare, each) as bare:
        addresses = {"watch_per_s": served.ask("address"), "bare_per_s": bare.ask("address")}
        turns = [
            {name: _measure_rate(clients, address, count, each) for name, address in addresses.items()}
            for _ in range(TURNS)
        ]
    rates = {name: median(turn[name] for turn in turns) for name in addresses}
    ratio = rates["watch_per_s"] / rates["bare_per_s"]
    return {name: round(rate) for name, rate in rates.items()} | {"ratio_to_bare_stream": round(ratio, 3)}


def _measure_rate(clients: WorkerProcess, address: str, count: int, each: int) -> float:
    return count * each / float(clients.ask("read", address, count, each))


def follow(served: WorkerProcess, clients: WorkerProcess, count: int, after: int) -> dict[str, float]:
    """Delays of entries that are appended at a steady rate while `count` clients watch."""
    ready = clients.ask("follow", served.ask("address"), count, after, LIVE_ENTRIES)
    assert ready == "ready"
    served.ask("append", LIVE_ENTRIES, LIVE_PER_S, after)
    return percentiles_ms(clients.hear())


def measure_memory(served: WorkerProcess, clients: WorkerProcess) -> int:
    """Resident bytes of the service for each idle watcher."""
    before = int(served.ask("memory"))
    clients.ask("idle", served.ask("address"), IDLE, 0)
    time.sleep(1.0)
    grown = int(served.ask("memory")) - before
    clients.ask("enough")
    return round(grown / IDLE)
