"""The client in the README takes every case, even if it is killed."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.access import EVERYTHING, Role
from rig.examples import write_case
from rig.serving import World, eventually

README = Path(__file__).parents[2] / "README.md"
CLIP = bytes(range(256)) * 2000


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "engine")
    yield world
    world.close()


def code() -> str:
    """The README's only block of Python."""
    (block,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    return block


def start(world: World, folder: Path) -> subprocess.Popen[str]:
    (folder / "take.py").write_text(code(), encoding="utf-8")
    command = [sys.executable, "take.py", world.address, "evidence"]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def acknowledged(world: World) -> int:
    return max((consumer.acknowledged for consumer in world.records.consumers.all()), default=0)


def append(world: World, numbers: range) -> None:
    world.ledger.append([write_case(world.evidence, n, {"clip.mp4": CLIP}) for n in numbers])


def test_the_example_is_short(world: World) -> None:
    assert len([line for line in code().splitlines() if line.strip()]) <= 30


@pytest.mark.parametrize("secured", [False, True])
def test_the_example_takes_and_answers_every_case_once_over_kills(world: World, tmp_path: Path, secured: bool) -> None:
    if secured:
        (tmp_path / "token").write_text(world.tokens.new("our-register", Role.REGISTER, EVERYTHING))
        world.stop()
        world.start()  # a running service knows a new token within a second, one that starts at once
    append(world, range(1, 5))
    first = start(world, tmp_path)
    assert first.stdout is not None
    taken = [first.stdout.readline() for _ in range(2)]
    first.kill()
    rest, _ = first.communicate()
    taken += rest.splitlines(keepends=True)
    append(world, range(5, 9))
    second = start(world, tmp_path)
    assert eventually(lambda: acknowledged(world) == 8, within_s=60)
    second.terminate()
    taken += second.communicate()[0].splitlines(keepends=True)

    order = [int(line.split()[0]) for line in taken]
    assert sorted(set(order)) == list(range(1, 9))
    assert len(order) <= 9, "only the case that was interrupted comes again"
    for number in range(1, 9):
        case_id = f"gate-{number:06d}"
        assert (tmp_path / "evidence" / case_id / "clip.mp4").read_bytes() == CLIP
        (made,) = world.records.decisions.of_case(case_id)[0]
        assert (made.reference, made.reporter) == (f"{number:06d}", "our-register" if secured else "loopback")
