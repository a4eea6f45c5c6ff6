"""The half of an engine that may lose nothing, as a program: violations to evidence, register and service.

    python -m rig.faults.engine FOLDER PORT UNTIL

Proves and appends one violation after the other as fast as it goes, up to number UNTIL, and then only serves. After a
restart it begins a little before the register's end, as an engine does that sees the last seconds of a recording again.
Says `serving`, then `appended ID` when `append` has returned.
"""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from pathlib import Path

from engine.app import logs
from engine.app.housekeeping import open_housekeeper
from engine.config import CameraConfig, EngineConfig
from engine.decode.second_look import look
from engine.evidence import Means, load_signing_key, new_key
from engine.types import Violation
from rig.evidence_bench import Bench, nobody
from rig.examples import EPOCH_S, make_footage, make_violation
from rig.serving import World

AGAIN = 2
"""So many violations before the register's end are told again."""


def violation(number: int) -> Violation:
    """One of its own for every number."""
    return replace(make_violation(EPOCH_S + 6.0 + number % 100 / 100), rule=f"limit-{number}")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(folder: Path, port: int, until: int) -> None:
    logs.configure(level="critical")
    key = folder / "key.pem"
    if not key.exists():
        new_key(key)
    bench = Bench(folder / "evidence", Means(look, nobody), key=load_signing_key(key))
    bench.keep(make_footage(12))
    world = World(folder, listen=f"127.0.0.1:{port}")
    camera = CameraConfig(name="gate", url="gate.mp4", site=Path("gate.toml"))
    open_housekeeper(EngineConfig(cameras=(camera,), state=folder), world.ledger).recover()
    say("serving")
    for number in range(max(0, world.ledger.last_sequence() - AGAIN), until):
        cases = bench.evidence_builder.prove([violation(number)])
        world.ledger.append(cases)
        for case in cases:
            say(f"appended {case.id}")
    threading.Event().wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
