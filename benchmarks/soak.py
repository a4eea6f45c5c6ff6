"""Run four RTSP cameras while cameras, engine and watcher are killed and restarted.

    python -m benchmarks soak --minutes 10 --json

Needs Debian's gst-rtsp-server (gir1.2-gst-rtsp-server-1.0, gstreamer1.0-plugins-good and -bad) and ffmpeg. The run
passes if the engine never crashes and ends with status 0, and the watcher's file has each entry of the ledger once. It
also reports the growth of memory and the number of connects. `connects_at_most` is an upper bound: a camera that was
down when the engine was killed connects once less.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import psutil

from benchmarks.machine import describe_machine
from engine.ledger import SqlLedger
from engine.tools.demo.city import FOOTAGE, SITES

CAMERAS = 4
RESTLESS = 2
"""Number of cameras that are killed and restarted."""
ROOT = Path(__file__).parent.parent
GST_SERVER = ROOT / "tests" / "gst_rtsp.py"
SETTLE_S = 30.0
WARM_S = 90.0
LAUNCH = "( filesrc location={} ! qtdemux ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=-1 )"


@dataclass(slots=True)
class ChildProcess:
    """A process that is killed and started again with the same command."""

    command: list[str]
    log: Path
    starts: int = 0
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process; append its output to `log`."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        self.starts += 1

    def end(self, number: signal.Signals, timeout_s: float = 60.0) -> int:
        """Send a signal and wait. Returns the exit status."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout_s)

    def has_exited(self) -> bool:
        """True if the process was started and has ended."""
        return self.process is not None and self.process.poll() is not None


@dataclass(slots=True)
class SoakRun:
    """The processes of one run."""

    folder: Path
    cameras: list[ChildProcess]
    engine: ChildProcess
    watcher: ChildProcess
    metrics_port: int
    kills: int = 0
    connects: float = 0.0
    """Number of connects that killed engines counted."""
    crashes: int = 0
    memory: list[tuple[float, float]] = field(default_factory=list)
    """(seconds since the start of the engine, resident MiB) of the running engine."""
    lives: list[list[tuple[float, float]]] = field(default_factory=list)
    """`memory` of each engine that ended."""


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="empty folder to keep logs and records in; default: delete them")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    with ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="qyran-soak-")))
        run = build_run(folder, options.minutes)
        stack.callback(end_all, run)
        execute(run, 60 * options.minutes, random.Random(options.seed))
        result = report(run, options.minutes, options.seed)
    print(json.dumps(result, indent=2))
    return 0 if result["passed"] else 1


def build_run(folder: Path, minutes: float) -> SoakRun:
    """Make footage, configuration and commands. Starts no process."""
    video = make_footage(folder, minutes)
    ports = [free_port() for _ in range(CAMERAS + 2)]
    config = write_config(folder, ports)
    cameras = [
        ChildProcess(
            ["/usr/bin/python3", str(GST_SERVER), "--port", str(port), "--mount", f"/cam={LAUNCH.format(video)}"],
            folder / f"camera{index}.log",
        )
        for index, port in enumerate(ports[:CAMERAS])
    ]
    qyran = [sys.executable, "-m", "engine"]
    engine = ChildProcess([*qyran, "run", str(config)], folder / "engine.log")
    watch = [*qyran, "watch", f"127.0.0.1:{ports[-2]}", "--out", str(folder / "cases.jsonl")]
    return SoakRun(folder, cameras, engine, ChildProcess(watch, folder / "watch.log"), ports[-1])


def make_footage(folder: Path, minutes: float) -> Path:
    """Write the avenue clip at 25 fps, 1280x720, repeated to more than the length of the run."""
    once, long = folder / "once.mp4", folder / "long.mp4"
    encode = ["-r", "25", "-s", "1280x720", "-c:v", "libx264", "-preset", "veryfast", "-bf", "0", "-g", "25"]
    quiet = ["ffmpeg", "-nostdin", "-loglevel", "error", "-y"]
    subprocess.run([*quiet, "-i", str(FOOTAGE / "avenue.mp4"), *encode, str(once)], check=True)
    loops = str(int(minutes * 60 / 10) + 6)
    subprocess.run([*quiet, "-stream_loop", loops, "-i", str(once), "-c", "copy", str(long)], check=True)
    return long


def write_config(folder: Path, ports: list[int]) -> Path:
    """Write the configuration of the engine. `ports`: one for each camera, then service and metrics."""
    lines = [
        'state = "state"',
        f'service = {{listen = "127.0.0.1:{ports[-2]}"}}',
        f'metrics = {{listen = "127.0.0.1:{ports[-1]}"}}',
    ]
    for index, port in enumerate(ports[:CAMERAS]):
        lines += [
            "[[cameras]]",
            f'name = "cam-{index}"',
            f'url = "rtsp://127.0.0.1:{port}/cam"',
            f'site = "{SITES / "avenue.toml"}"',
            "regions = [[0.0, 0.0, 1.0, 1.0], [0.35, 0.08, 0.7, 0.55]]",
            "read_timeout_s = 3",
        ]
    path = folder / "engine.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def execute(run: SoakRun, seconds: float, rng: random.Random) -> None:
    """Start all processes, then kill and restart them by plan."""
    for child in (*run.cameras, run.engine, run.watcher):
        child.start()
    plan = plan_kills(run, seconds, rng)
    began_s = engine_began_s = time.monotonic()
    while time.monotonic() - began_s < seconds:
        while plan and plan[0][0] <= time.monotonic() - began_s:
            before = run.engine.starts
            plan.pop(0)[1]()
            if run.engine.starts != before:
                engine_began_s = time.monotonic()
        observe(run, engine_began_s)
        time.sleep(1.0)
    for camera in run.cameras:
        camera.end(signal.SIGKILL)
    time.sleep(SETTLE_S)


def plan_kills(run: SoakRun, seconds: float, rng: random.Random) -> list[tuple[float, Callable[[], None]]]:
    """Times and actions: cameras at random, the watcher at 1/3 and 2/3 of the run, the engine at 1/2."""
    plan: list[tuple[float, Callable[[], None]]] = [
        (seconds / 3, lambda: restart_watcher(run, signal.SIGTERM)),
        (seconds * 2 / 3, lambda: restart_watcher(run, signal.SIGKILL)),
        (seconds / 2, lambda: kill_engine(run)),
    ]
    for camera in run.cameras[:RESTLESS]:
        at_s = rng.uniform(15, 45)
        while at_s < seconds - 60:
            away_s = rng.uniform(2, 12)
            plan += [(at_s, partial(kill_camera, run, camera)), (at_s + away_s, camera.start)]
            at_s += away_s + rng.uniform(20, 60)
    return sorted(plan, key=lambda step: step[0])


def kill_camera(run: SoakRun, camera: ChildProcess) -> None:
    """Kill a camera with SIGKILL and count it."""
    camera.end(signal.SIGKILL)
    run.kills += 1


def restart_watcher(run: SoakRun, number: signal.Signals) -> None:
    """End the watcher with a signal and start it again."""
    run.watcher.end(number)
    run.watcher.start()


def kill_engine(run: SoakRun) -> None:
    """Kill the engine with SIGKILL, keep its counts, and start it again."""
    run.connects += scrape(run.metrics_port, "qyran_connects_total")
    run.engine.end(signal.SIGKILL)
    run.lives.append(run.memory)
    run.memory = []
    run.engine.start()


def observe(run: SoakRun, engine_began_s: float) -> None:
    """Record the memory of the engine. If it has crashed, count the crash and start it again."""
    if run.engine.has_exited():
        run.crashes += 1
        run.engine.start()
        return
    assert run.engine.process is not None
    resident = psutil.Process(run.engine.process.pid).memory_info().rss / 2**20
    run.memory.append((time.monotonic() - engine_began_s, resident))


def scrape(port: int, metric: str) -> float:
    """Sum of a metric over its series; 0 if the endpoint does not answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return 0.0
    return sum(float(line.split()[-1]) for line in lines if line.startswith(metric + "{"))


def report(run: SoakRun, minutes: float, seed: int) -> dict[str, object]:
    """End the engine, compare the watcher's file with the ledger, and return the result."""
    connects = run.connects + scrape(run.metrics_port, "qyran_connects_total")
    dropped = scrape(run.metrics_port, "qyran_segments_dropped_total")
    corrupt = scrape(run.metrics_port, "qyran_segments_corrupt_total")
    status = run.engine.end(signal.SIGTERM)
    run.lives.append(run.memory)
    recorded = read_ledger(run)
    watched = read_watched(run, len(recorded))
    growth = [slope_per_minute(life) for life in run.lives if life and life[-1][0] > WARM_S + 30]
    exactly_once = watched == recorded and len({case for _, case in recorded}) == len(recorded)
    return {
        "machine": describe_machine(),
        "parameters": {"minutes": minutes, "seed": seed, "cameras": CAMERAS, "fps": 25, "size": "1280x720"},
        "camera_kills": run.kills,
        "connects_counted": connects,
        "connects_at_most": CAMERAS * 2 + run.kills,
        "segments_dropped": dropped,
        "engine_crashes": run.crashes,
        "engine_exit_status": status,
        "entries": len(recorded),
        "watched_exactly_once": exactly_once,
        "segments_corrupt": corrupt,
        "resident_mib_by_minute": [[round(mib) for _, mib in life[::60]] for life in run.lives if life],
        "growth_mib_per_minute": [round(value, 2) for value in growth],
        "passed": exactly_once and run.crashes == 0 and status == 0 and len(recorded) > 0,
    }


def read_ledger(run: SoakRun) -> list[tuple[int, str]]:
    """(sequence, case id) of each entry of the ledger."""
    with closing(SqlLedger(run.folder / "state" / "ledger.db")) as ledger:
        return [(entry.sequence, entry.case.id) for entry in ledger.read(0, 1_000_000)]


def read_watched(run: SoakRun, entries: int) -> list[tuple[int, str]]:
    """Restart the engine, wait until the watcher has all entries, at most SETTLE_S. Returns the watcher's entries."""
    run.engine.start()
    until_s = time.monotonic() + SETTLE_S
    watched: list[tuple[int, str]] = []
    while time.monotonic() < until_s and len(watched) < entries:
        time.sleep(1.0)
        lines = [json.loads(line) for line in (run.folder / "cases.jsonl").read_text().splitlines()]
        watched = [(int(line["sequence"]), str(line["case"]["id"])) for line in lines]
    return watched


def slope_per_minute(life: list[tuple[float, float]]) -> float:
    """Growth of resident memory after the warm-up, MiB per minute, by least squares."""
    seconds, resident = np.array([row for row in life if row[0] > WARM_S]).T
    return float(np.polyfit(seconds, resident, 1)[0] * 60)


def end_all(run: SoakRun) -> None:
    """Kill all processes that still run."""
    for child in (run.watcher, run.engine, *run.cameras):
        if child.process is not None and child.process.poll() is None:
            child.process.kill()
            child.process.wait()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that no process uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
