"""The part of an engine that must not lose anything, as a program: violations to evidence, ledger and service.

    python -m rig.faults.engine FOLDER PORT UNTIL

Builds and appends one case after the other as fast as possible, up to number UNTIL, and then only serves. After a
restart it begins a little before the end of the ledger, like an engine that gets the last seconds of a recording again.
Prints `serving`, then `appended ID` after each `append`.
"""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from pathlib import Path

from engine.app import logs
from engine.app.housekeeping import open_housekeeper
from engine.config import CameraConfig, EngineConfig
from engine.decode.frame_fetcher import fetch_frames
from engine.evidence import EvidenceTools, load_signing_key, new_key
from engine.types import Violation
from rig.evidence_bench import Bench, find_nothing
from rig.examples import EPOCH_S, make_footage, make_violation
from rig.serving import World

AGAIN = 2
"""Number of violations before the end of the ledger that are reported again."""


def violation(number: int) -> Violation:
    """Another violation for every number."""
    return replace(make_violation(EPOCH_S + 6.0 + number % 100 / 100), rule=f"limit-{number}")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(folder: Path, port: int, until: int) -> None:
    logs.configure(level="critical")
    key = folder / "key.pem"
    if not key.exists():
        new_key(key)
    bench = Bench(folder / "evidence", EvidenceTools(fetch_frames, find_nothing), key=load_signing_key(key))
    bench.keep(make_footage(12))
    world = World(folder, listen=f"127.0.0.1:{port}")
    camera = CameraConfig(name="gate", url="gate.mp4", site=Path("gate.toml"))
    open_housekeeper(EngineConfig(cameras=(camera,), state=folder), world.ledger).recover()
    say("serving")
    for number in range(max(0, world.ledger.last_sequence() - AGAIN), until):
        cases = bench.evidence_builder.build([violation(number)])
        world.ledger.append(cases)
        for case in cases:
            say(f"appended {case.id}")
    threading.Event().wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
