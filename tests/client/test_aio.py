"""The client for asyncio, where its code differs from the client for threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from engine.client import AsyncQyranClient, CallRefused, ClientClosed, Ruling, messages
from engine.errors import EvidenceError
from engine.types import Entry
from rig.examples import make_case, write_case
from rig.serving import World
from tests.client.test_sync import CLIP, Proxy

Work = Callable[[AsyncQyranClient], Awaitable[None]]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def run(address: str, work: Work) -> None:
    async def with_client() -> None:
        async with AsyncQyranClient(address, timeout_s=5.0) as client:
            await work(client)

    asyncio.run(asyncio.wait_for(with_client(), 60))


async def take(entries: AsyncIterator[Entry], count: int) -> list[int]:
    return [(await anext(entries)).sequence for _ in range(count)]


def test_a_watch_gives_old_and_new_entries_and_resumes_for_a_consumer(world: World):
    async def work(client: AsyncQyranClient) -> None:
        entries = client.consume("ours", every=2)
        assert await take(entries, 3) == [1, 2, 3]
        world.ledger.append([make_case(3)])
        assert await take(entries, 1) == [4]
        await entries.aclose()
        assert await take(client.watch(consumer="ours"), 2) == [3, 4]

    world.ledger.append([make_case(n) for n in range(3)])
    run(world.address, work)


def test_a_network_that_breaks_again_and_again_loses_and_doubles_nothing(world: World):
    async def work(client: AsyncQyranClient) -> None:
        assert await take(client.watch(), 300) == list(range(1, 301))

    world.ledger.append([make_case(n) for n in range(300)])
    proxy = Proxy(world.address, cut_after=100_000)
    run(proxy.address, work)
    assert proxy.connections > 3
    proxy.close()


def test_a_watch_comes_back_when_the_service_was_away(world: World):
    async def work(client: AsyncQyranClient) -> None:
        entries = client.watch()
        assert await take(entries, 2) == [1, 2]
        await asyncio.to_thread(world.stop)
        world.ledger.append([make_case(2)])
        threading.Timer(0.5, world.start).start()
        assert await take(entries, 1) == [3]

    world.ledger.append([make_case(n) for n in range(2)])
    run(world.address, work)


def test_a_silent_service_is_left_and_the_watch_resumes(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(messages, "GRACE_S", 0.2)
    answered = threading.Event()
    wait = world.ledger.last_sequence

    def mute_once() -> int:
        if not answered.is_set():
            answered.wait(4)
        return wait()

    async def work(client: AsyncQyranClient) -> None:
        asyncio.get_running_loop().call_later(2.0, answered.set)
        assert await take(client.watch(), 1) == [1]

    world.ledger.append([make_case(1)])
    monkeypatch.setattr(messages, "INTERVAL_S", 0.2)
    monkeypatch.setattr(world.ledger, "last_sequence", mute_once)
    run(world.address, work)


def test_a_permanent_error_is_raised_with_its_details(world: World):
    async def work(client: AsyncQyranClient) -> None:
        with pytest.raises(CallRefused, match="OUT_OF_RANGE") as beyond:
            await anext(client.watch(9))
        assert (beyond.value.code, beyond.value.reason) == ("OUT_OF_RANGE", "BEYOND_THE_END")
        with pytest.raises(CallRefused) as wrong:
            await client.report("gate-1", Ruling.REJECTED, report_id="1")
        assert wrong.value.field == "disposition.reason"
        assert await client.get_case("gate-x") is None

    run(world.address, work)


def test_close_ends_a_watch_and_raises_the_clients_own_error_in_other_calls(world: World, monkeypatch):
    reached, held = threading.Event(), threading.Event()

    def hold(case_id: str) -> None:
        reached.set()
        held.wait(20)

    async def follow(client: AsyncQyranClient) -> list[int]:
        return [entry.sequence async for entry in client.watch()]

    async def work(client: AsyncQyranClient) -> None:
        entries = client.watch()
        assert await take(entries, 1) == [1]
        waiting, watching = asyncio.create_task(anext(entries)), asyncio.create_task(follow(client))
        asking = asyncio.create_task(client.get_case("gate-000001"))
        assert await asyncio.to_thread(reached.wait, 10)
        await client.close()
        with pytest.raises(StopAsyncIteration):
            await waiting
        assert await watching in ([], [1])
        with pytest.raises(ClientClosed, match="the client was closed"):
            await asking
        with pytest.raises(ClientClosed):
            await client.list_cameras()
        assert [entry async for entry in client.watch()] == []

    monkeypatch.setattr(world.ledger, "get", hold)
    world.ledger.append([make_case(1)])
    try:
        run(world.address, work)
    finally:
        held.set()


def test_a_watch_whose_task_is_cancelled_is_cancelled(world: World):
    async def work(client: AsyncQyranClient) -> None:
        entries = client.watch()
        assert await take(entries, 1) == [1]
        waiting = asyncio.create_task(anext(entries))
        await asyncio.sleep(0.1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    world.ledger.append([make_case(1)])
    run(world.address, work)


def test_a_client_that_waits_to_reconnect_ends_when_it_is_closed(world: World, monkeypatch: pytest.MonkeyPatch):
    async def work(client: AsyncQyranClient) -> None:
        monkeypatch.setattr(messages.WatchProgress, "next_wait_s", lambda *_: 50.0)
        entries = client.watch()
        assert await take(entries, 1) == [1]
        waiting = asyncio.create_task(anext(entries))
        await asyncio.to_thread(world.stop)
        await asyncio.sleep(0.3)
        await client.close()
        with pytest.raises(StopAsyncIteration):
            await waiting
        world.start()

    world.ledger.append([make_case(1)])
    run(world.address, work)


def test_evidence_is_complete_over_a_breaking_network(world: World, tmp_path: Path):
    async def work(client: AsyncQyranClient) -> None:
        folder = await client.download_evidence("gate-000001", tmp_path / "got")
        assert (folder / "clip.mp4").read_bytes() == CLIP

    world.ledger.append([write_case(world.evidence, 1, {"clip.mp4": CLIP})])
    proxy = Proxy(world.address, cut_after=500_000)
    run(proxy.address, work)
    proxy.close()


def test_evidence_that_was_changed_at_the_service_is_an_error(world: World, tmp_path: Path):
    async def work(client: AsyncQyranClient) -> None:
        with pytest.raises(EvidenceError, match="DATA_LOSS"):
            await client.download_evidence("gate-000001", tmp_path / "got")

    case = write_case(world.evidence, 1, {"a.jpg": b"true"})
    world.ledger.append([case])
    (world.evidence / case.folder / "a.jpg").write_bytes(b"lies")
    run(world.address, work)
