"""Four RTSP cameras of an independent server, killed and revived at random, while engine and watcher die too.

    python -m benchmarks soak --minutes 10 --json

Needs Debian's gst-rtsp-server (gir1.2-gst-rtsp-server-1.0, gstreamer1.0-plugins-good and -bad) and ffmpeg. What must
come out: the engine never crashes, its memory stays flat, every camera that comes back is counted (`connects_at_most`
is one too many for every camera that was away while the engine died), and the watcher's file holds every entry of the
register exactly once.
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
"""The first cameras, which are killed and revived."""
ROOT = Path(__file__).parent.parent
GST_SERVER = ROOT / "tests" / "gst_rtsp.py"
SETTLE_S = 30.0
WARM_S = 90.0
LAUNCH = "( filesrc location={} ! qtdemux ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=-1 )"


@dataclass(slots=True)
class Child:
    """A process that can be killed and started again with the same command."""

    command: list[str]
    log: Path
    starts: int = 0
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        self.starts += 1

    def end(self, number: signal.Signals, timeout_s: float = 60.0) -> int:
        """Send the signal and wait; the exit status."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout_s)

    def crashed(self) -> bool:
        return self.process is not None and self.process.poll() is not None


@dataclass(slots=True)
class City:
    """The processes of one run."""

    folder: Path
    cameras: list[Child]
    engine: Child
    watcher: Child
    metrics_port: int
    kills: int = 0
    connects: float = 0.0
    """Counted by engines that were killed since."""
    crashes: int = 0
    memory: list[tuple[float, float]] = field(default_factory=list)
    """(seconds since the engine's start, resident MiB), of the engine that runs."""
    lives: list[list[tuple[float, float]]] = field(default_factory=list)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="an empty folder for logs and records; default: none are kept")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    with ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="qyran-soak-")))
        city = build_city(folder, options.minutes)
        stack.callback(end_all, city)
        live(city, 60 * options.minutes, random.Random(options.seed))
        result = report(city, options.minutes, options.seed)
    print(json.dumps(result, indent=2))
    return 0 if result["passed"] else 1


def build_city(folder: Path, minutes: float) -> City:
    """Footage, configuration and commands; nothing is started."""
    video = long_footage(folder, minutes)
    ports = [free_port() for _ in range(CAMERAS + 2)]
    config = write_config(folder, ports)
    cameras = [
        Child(
            ["/usr/bin/python3", str(GST_SERVER), "--port", str(port), "--mount", f"/cam={LAUNCH.format(video)}"],
            folder / f"camera{index}.log",
        )
        for index, port in enumerate(ports[:CAMERAS])
    ]
    qyran = [sys.executable, "-m", "engine"]
    engine = Child([*qyran, "run", str(config)], folder / "engine.log")
    watch = [*qyran, "watch", f"127.0.0.1:{ports[-2]}", "--out", str(folder / "cases.jsonl")]
    return City(folder, cameras, engine, Child(watch, folder / "watch.log"), ports[-1])


def long_footage(folder: Path, minutes: float) -> Path:
    """The avenue clip at 25 fps, 1280 x 720, repeated until it outlasts the run."""
    once, long = folder / "once.mp4", folder / "long.mp4"
    encode = ["-r", "25", "-s", "1280x720", "-c:v", "libx264", "-preset", "veryfast", "-bf", "0", "-g", "25"]
    quiet = ["ffmpeg", "-nostdin", "-loglevel", "error", "-y"]
    subprocess.run([*quiet, "-i", str(FOOTAGE / "avenue.mp4"), *encode, str(once)], check=True)
    loops = str(int(minutes * 60 / 10) + 6)
    subprocess.run([*quiet, "-stream_loop", loops, "-i", str(once), "-c", "copy", str(long)], check=True)
    return long


def write_config(folder: Path, ports: list[int]) -> Path:
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


def live(city: City, seconds: float, rng: random.Random) -> None:
    """Start everything, then let the plan of deaths happen."""
    for child in (*city.cameras, city.engine, city.watcher):
        child.start()
    plan = deaths(city, seconds, rng)
    began_s = engine_began_s = time.monotonic()
    while time.monotonic() - began_s < seconds:
        while plan and plan[0][0] <= time.monotonic() - began_s:
            before = city.engine.starts
            plan.pop(0)[1]()
            if city.engine.starts != before:
                engine_began_s = time.monotonic()
        observe(city, engine_began_s)
        time.sleep(1.0)
    for camera in city.cameras:
        camera.end(signal.SIGKILL)
    time.sleep(SETTLE_S)


def deaths(city: City, seconds: float, rng: random.Random) -> list[tuple[float, Callable[[], None]]]:
    """When what dies and rises: cameras at random, the watcher at 1/3 and 2/3, the engine at 1/2."""
    plan: list[tuple[float, Callable[[], None]]] = [
        (seconds / 3, lambda: restart_watcher(city, signal.SIGTERM)),
        (seconds * 2 / 3, lambda: restart_watcher(city, signal.SIGKILL)),
        (seconds / 2, lambda: kill_engine(city)),
    ]
    for camera in city.cameras[:RESTLESS]:
        at_s = rng.uniform(15, 45)
        while at_s < seconds - 60:
            away_s = rng.uniform(2, 12)
            plan += [(at_s, partial(kill_camera, city, camera)), (at_s + away_s, camera.start)]
            at_s += away_s + rng.uniform(20, 60)
    return sorted(plan, key=lambda step: step[0])


def kill_camera(city: City, camera: Child) -> None:
    camera.end(signal.SIGKILL)
    city.kills += 1


def restart_watcher(city: City, number: signal.Signals) -> None:
    city.watcher.end(number)
    city.watcher.start()


def kill_engine(city: City) -> None:
    city.connects += scrape(city.metrics_port, "qyran_connects_total")
    city.engine.end(signal.SIGKILL)
    city.lives.append(city.memory)
    city.memory = []
    city.engine.start()


def observe(city: City, engine_began_s: float) -> None:
    if city.engine.crashed():
        city.crashes += 1
        city.engine.start()
        return
    assert city.engine.process is not None
    resident = psutil.Process(city.engine.process.pid).memory_info().rss / 2**20
    city.memory.append((time.monotonic() - engine_began_s, resident))


def scrape(port: int, metric: str) -> float:
    """Sum of a metric over its series; 0 while the endpoint is not there."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return 0.0
    return sum(float(line.split()[-1]) for line in lines if line.startswith(metric + "{"))


def report(city: City, minutes: float, seed: int) -> dict[str, object]:
    connects = city.connects + scrape(city.metrics_port, "qyran_connects_total")
    dropped = scrape(city.metrics_port, "qyran_segments_dropped_total")
    corrupt = scrape(city.metrics_port, "qyran_segments_corrupt_total")
    status = city.engine.end(signal.SIGTERM)
    city.lives.append(city.memory)
    in_ledger = recorded(city)
    watched = caught_up(city, len(in_ledger))
    growth = [slope_per_minute(life) for life in city.lives if life and life[-1][0] > WARM_S + 30]
    exactly_once = watched == in_ledger and len({case for _, case in in_ledger}) == len(in_ledger)
    return {
        "machine": describe_machine(),
        "parameters": {"minutes": minutes, "seed": seed, "cameras": CAMERAS, "fps": 25, "size": "1280x720"},
        "camera_kills": city.kills,
        "connects_counted": connects,
        "connects_at_most": CAMERAS * 2 + city.kills,
        "segments_dropped": dropped,
        "engine_crashes": city.crashes,
        "engine_exit_status": status,
        "entries": len(in_ledger),
        "watched_exactly_once": exactly_once,
        "segments_corrupt": corrupt,
        "resident_mib_by_minute": [[round(mib) for _, mib in life[::60]] for life in city.lives if life],
        "growth_mib_per_minute": [round(value, 2) for value in growth],
        "passed": exactly_once and city.crashes == 0 and status == 0 and len(in_ledger) > 0,
    }


def recorded(city: City) -> list[tuple[int, str]]:
    with closing(SqlLedger(city.folder / "state" / "ledger.db")) as ledger:
        return [(entry.sequence, entry.case.id) for entry in ledger.read(0, 1_000_000)]


def caught_up(city: City, entries: int) -> list[tuple[int, str]]:
    """What the watcher's file holds once it had the time to fetch what the engine settled while it ended."""
    city.engine.start()
    until_s = time.monotonic() + SETTLE_S
    watched: list[tuple[int, str]] = []
    while time.monotonic() < until_s and len(watched) < entries:
        time.sleep(1.0)
        lines = [json.loads(line) for line in (city.folder / "cases.jsonl").read_text().splitlines()]
        watched = [(int(line["sequence"]), str(line["case"]["id"])) for line in lines]
    return watched


def slope_per_minute(life: list[tuple[float, float]]) -> float:
    """Least-squares growth of resident memory after the warm-up, MiB a minute."""
    seconds, resident = np.array([row for row in life if row[0] > WARM_S]).T
    return float(np.polyfit(seconds, resident, 1)[0] * 60)


def end_all(city: City) -> None:
    for child in (city.watcher, city.engine, *city.cameras):
        if child.process is not None and child.process.poll() is None:
            child.process.kill()
            child.process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
