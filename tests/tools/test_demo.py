"""From camera to register in one go: RTSP in, gRPC out, metrics and evidence beside it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.app.engine import Engine, build
from engine.client import QyranClient
from engine.evidence import load_signing_key, verify_case
from engine.tools.demo.city import FOOTAGE, carried, city_config, signing
from engine.tools.demo.rtsp import serving
from engine.types import Entry

LONGEST_S = 120.0


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Path]]:
    """The demo city, watched by an engine in a thread; stopped and drained afterwards."""
    state = tmp_path_factory.mktemp("city")
    with serving(FOOTAGE) as address, build(carried(city_config(address, state), os.cpu_count() or 1)) as engine:
        thread = threading.Thread(target=lambda: [None for _ in engine.run()], name="engine")
        thread.start()
        yield engine, state
        engine.stop()
        thread.join(60)
        assert not thread.is_alive(), "the engine did not drain"


@pytest.fixture(scope="module")
def first_entries(running: tuple[Engine, Path]) -> list[Entry]:
    """The first two cases that a client is told."""
    engine, _ = running
    with QyranClient(engine.grpc_address) as client:
        watchdog = threading.Timer(LONGEST_S, client.close)
        watchdog.start()
        entries = []
        for entry in client.watch():
            entries.append(entry)
            if len(entries) == 2:
                break
        watchdog.cancel()
    return entries


def test_cases_of_rtsp_cameras_reach_a_grpc_client(first_entries: list[Entry]) -> None:
    assert [entry.sequence for entry in first_entries] == [1, 2]
    assert abs(time.time() - first_entries[0].case.occurred_s) < LONGEST_S


def test_the_evidence_that_a_client_downloads_verifies(
    running: tuple[Engine, Path], first_entries: list[Entry], tmp_path: Path
) -> None:
    engine, _ = running
    with QyranClient(engine.grpc_address) as client:
        folder = client.download_evidence(first_entries[0].case.id, tmp_path)
    assert verify_case(folder) == []
    assert (folder / "clip.mp4").stat().st_size > 10_000


def test_the_metrics_tell_of_every_camera(running: tuple[Engine, Path], first_entries: list[Entry]) -> None:
    """A clock is believed only some seconds after a camera was connected to: asked again until it is."""
    engine, _ = running
    wanted = [f'qyran_camera_connected{{camera="{camera}"}} 1.0' for camera in engine.camera_manager.watched]
    wanted += [f'qyran_clock_state{{camera="{camera}"}} 1.0' for camera in engine.camera_manager.watched]
    missing, until_s = wanted, time.monotonic() + LONGEST_S
    while missing and time.monotonic() < until_s:
        time.sleep(0.5)
        text = scraped(engine)
        missing = [line for line in wanted if line not in text]
    assert missing == []
    assert "qyran_ledger_sequence" in scraped(engine)


def scraped(engine: Engine) -> str:
    with urllib.request.urlopen(f"http://{engine.metrics_address}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def test_an_interrupted_demo_drains_and_says_what_came_of_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "engine", "demo", "--seconds", "0", "--state", str(tmp_path), "--cameras", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        said = [next(line for line in demo.stdout if line.startswith("evidence"))]
        demo.send_signal(signal.SIGINT)
        said += demo.stdout
        assert demo.wait(60) == 0
    assert "1 of the city's 8 cameras are watched" in "".join(said)
    assert "new case(s)" in "".join(said[-6:])


def test_the_demo_signs_with_a_key_that_it_makes_once(tmp_path: Path) -> None:
    config = signing(city_config("rtsp://127.0.0.1:9/", tmp_path / "demo"))
    key = config.evidence.signing_key
    assert key is not None
    made = load_signing_key(key).public
    signing(config)
    assert load_signing_key(key).public == made


def test_a_small_machine_watches_the_first_cameras_and_a_large_one_all(tmp_path: Path) -> None:
    city = city_config("rtsp://127.0.0.1:9/", tmp_path)
    assert len(city.cameras) == 8
    assert carried(city, cores=1).cameras == city.cameras[:2]
    assert carried(city, cores=4) == city
