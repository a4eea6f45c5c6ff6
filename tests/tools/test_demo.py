"""The whole engine on the demo: RTSP in, gRPC out, metrics and evidence."""

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
from engine.tools.demo.city import FOOTAGE, add_signing_key, city_config, fit_to_cores
from engine.tools.demo.rtsp import serve_folder
from engine.types import Entry

TIME_LIMIT_S = 120.0


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Path]]:
    """An engine that watches the demo city in a thread; stopped and drained afterwards."""
    state = tmp_path_factory.mktemp("city")
    with (
        serve_folder(FOOTAGE) as address,
        build(fit_to_cores(city_config(address, state), os.cpu_count() or 1)) as engine,
    ):
        thread = threading.Thread(target=lambda: [None for _ in engine.run()], name="engine")
        thread.start()
        yield engine, state
        engine.stop()
        thread.join(60)
        assert not thread.is_alive(), "the engine did not drain"


@pytest.fixture(scope="module")
def first_entries(running: tuple[Engine, Path]) -> list[Entry]:
    """The first two cases that a client receives."""
    engine, _ = running
    with QyranClient(engine.grpc_address) as client:
        watchdog = threading.Timer(TIME_LIMIT_S, client.close)
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
    assert abs(time.time() - first_entries[0].case.occurred_s) < TIME_LIMIT_S


def test_the_evidence_that_a_client_downloads_verifies(
    running: tuple[Engine, Path], first_entries: list[Entry], tmp_path: Path
) -> None:
    engine, _ = running
    with QyranClient(engine.grpc_address) as client:
        folder = client.download_evidence(first_entries[0].case.id, tmp_path)
    assert verify_case(folder) == []
    assert (folder / "clip.mp4").stat().st_size > 10_000


def test_the_metrics_show_every_camera_connected_with_a_synchronised_clock(
    running: tuple[Engine, Path], first_entries: list[Entry]
) -> None:
    """The clock is trusted only some seconds after the connection, so the metrics are read until it is."""
    engine, _ = running
    wanted = [f'qyran_camera_connected{{camera="{camera}"}} 1.0' for camera in engine.camera_manager.watched]
    wanted += [f'qyran_clock_state{{camera="{camera}"}} 1.0' for camera in engine.camera_manager.watched]
    missing, until_s = wanted, time.monotonic() + TIME_LIMIT_S
    while missing and time.monotonic() < until_s:
        time.sleep(0.5)
        text = scrape(engine)
        missing = [line for line in wanted if line not in text]
    assert missing == []
    assert "qyran_ledger_sequence" in scrape(engine)


def scrape(engine: Engine) -> str:
    with urllib.request.urlopen(f"http://{engine.metrics_address}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def test_an_interrupted_demo_drains_and_prints_a_summary(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "engine", "demo", "--seconds", "0", "--state", str(tmp_path), "--cameras", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        output = [next(line for line in demo.stdout if line.startswith("evidence"))]
        demo.send_signal(signal.SIGINT)
        output += demo.stdout
        assert demo.wait(60) == 0
    assert "1 of the city's 8 cameras are watched" in "".join(output)
    assert "new case(s)" in "".join(output[-6:])


def test_the_demo_makes_its_signing_key_once(tmp_path: Path) -> None:
    config = add_signing_key(city_config("rtsp://127.0.0.1:9/", tmp_path / "demo"))
    key = config.evidence.signing_key
    assert key is not None
    made = load_signing_key(key).public
    add_signing_key(config)
    assert load_signing_key(key).public == made


def test_a_small_machine_watches_the_first_cameras_and_a_large_machine_all(tmp_path: Path) -> None:
    city = city_config("rtsp://127.0.0.1:9/", tmp_path)
    assert len(city.cameras) == 8
    assert fit_to_cores(city, cores=1).cameras == city.cameras[:2]
    assert fit_to_cores(city, cores=4) == city
