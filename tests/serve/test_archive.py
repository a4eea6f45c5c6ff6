"""The process that reads for watchers that lag far: no entry is lost, and no process is left over."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from qyran.v1 import violation_service_pb2 as pb

from engine.client import QyranClient
from engine.serve import feed
from rig.examples import make_case
from rig.serving import World, eventually

CASES = 700


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(feed, "FAR", 300)
    world = World(tmp_path)
    world.ledger.append([make_case(number, kind=("speeding", "red_light")[number % 2]) for number in range(CASES)])
    assert eventually(lambda: world.metric("qyran_ledger_sequence") == CASES)
    yield world
    world.close()


def test_a_watcher_that_lags_far_gets_every_entry_once_in_order(world: World) -> None:
    with QyranClient(world.address) as client:
        watch = client.watch()
        assert [next(watch).sequence for _ in range(CASES)] == list(range(1, CASES + 1))
    assert len(multiprocessing.active_children()) == 1


def test_a_filter_applies_to_a_watcher_that_lags_far(world: World) -> None:
    with QyranClient(world.address) as client:
        watch = client.watch(kinds=["red_light"])
        assert [next(watch).sequence for _ in range(CASES // 2)] == list(range(2, CASES + 1, 2))


def test_a_watcher_that_lags_a_little_needs_no_process(world: World) -> None:
    with QyranClient(world.address) as client:
        assert next(client.watch(CASES - 300)).sequence == CASES - 299
    assert eventually(lambda: multiprocessing.active_children() == []), "the process of an earlier test may be ending"


def test_a_process_that_dies_costs_a_reconnect_and_no_entry(world: World) -> None:
    with QyranClient(world.address) as client:
        watch = client.watch()
        got = [next(watch).sequence]
        (child,) = multiprocessing.active_children()
        os.kill(child.pid or 0, signal.SIGKILL)
        got += [next(watch).sequence for _ in range(CASES - 1)]
    assert got == list(range(1, CASES + 1))


def test_the_process_ends_with_the_service(world: World) -> None:
    next(world.stub.WatchViolations(pb.WatchViolationsRequest()))
    world.stop()
    assert eventually(lambda: multiprocessing.active_children() == [])


ORPHAN = """
import asyncio, multiprocessing, os, signal, sys
from pathlib import Path
from engine.ledger import EVERYTHING
from engine.serve.archive import Archive

async def main():
    archive = Archive(Path(sys.argv[1]))
    await archive.read_page(0, EVERYTHING, 0)
    print(multiprocessing.active_children()[0].pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_a_service_that_is_killed_leaves_no_process(tmp_path: Path) -> None:
    script = tmp_path / "orphan.py"
    script.write_text(ORPHAN)
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "ledger.db")], stdout=subprocess.PIPE, text=True, timeout=60
    )
    assert done.returncode == -signal.SIGKILL
    child = int(done.stdout)
    assert eventually(lambda: not Path(f"/proc/{child}").exists())
