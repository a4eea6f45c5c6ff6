"""`qyran deliver` as a separate process: killed at any instant, it delivers every case once by id and in order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from engine.ledger import SqlLedger
from rig.examples import make_case
from tests.support.recipients import Register, grpc_register

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
state = "var"
[[cameras]]
name = "gate"
url = "gate.mp4"
site = "gate.toml"
[metrics]
listen = "127.0.0.1:0"
[[recipients]]
name = "city"
url = "grpc://127.0.0.1:{port}"
per_hour = 360000
"""


def qyran(config: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "engine", "deliver", str(config), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'proto'}", "COLUMNS": "140"},
    )


def output_of(config: Path, *arguments: str) -> str:
    done = qyran(config, *arguments)
    output = done.communicate(timeout=60)[0]
    assert done.returncode == 0, output
    return output


class Killer:
    """A rule that kills the caller at the n-th call, between the entry of the case and the answer."""

    def __init__(self) -> None:
        self.child: subprocess.Popen[str] | None = None
        self.left = 0

    def __call__(self, case_id: str) -> str:
        self.left -= 1
        if self.left == 0 and self.child:
            self.child.send_signal(signal.SIGKILL)
            self.child.wait()
        return "take"


@pytest.mark.timeout(240)
def test_kill_9_at_any_instant_loses_no_case_and_enters_none_twice(tmp_path: Path) -> None:
    killer = Killer()
    recipient, config = Register(killer), tmp_path / "engine.toml"
    with closing(SqlLedger(tmp_path / "var" / "ledger.db")) as ledger, grpc_register(recipient) as port:
        config.write_text(CONFIG.format(port=port))
        ids = [entry.case.id for entry in ledger.append([make_case(number) for number in range(60)])]
        for calls in (1, 7, 20):
            killer.left, killer.child = calls, qyran(config)
            assert killer.child.wait(timeout=60) == -signal.SIGKILL
            killer.child.stdout.close()
        killer.left, killer.child = 10**6, qyran(config)
        deadline_s = time.monotonic() + 60
        while len(recipient.taken) < 60 and time.monotonic() < deadline_s:
            time.sleep(0.05)
        time.sleep(0.5)
        killer.child.send_signal(signal.SIGTERM)
        assert killer.child.wait(timeout=30) == 0
        killer.child.stdout.close()
        status = output_of(config, "--status")
    assert list(recipient.taken) == ids
    assert list(dict.fromkeys(recipient.calls)) == ids
    assert len(recipient.duplicates) == 3, "each kill came between the entry and our note of it"
    assert " ".join(status.split()).count("city │ 0 │ - │ 60 │ 0") == 1, status


def test_the_status_shows_refusals_and_retry_dead_sends_them_again(tmp_path: Path) -> None:
    recipient, config = Register(lambda case_id: "INVALID_ARGUMENT"), tmp_path / "engine.toml"
    with closing(SqlLedger(tmp_path / "var" / "ledger.db")) as ledger, grpc_register(recipient) as port:
        config.write_text(CONFIG.format(port=port))
        ledger.append([make_case(1)])
        child = qyran(config)
        while not recipient.calls:
            time.sleep(0.05)
        time.sleep(0.5)
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=30) == 0
        child.stdout.close()
        assert "refused by city: gate-000001: 127.0.0.1" in output_of(config, "--status")
        assert "city: 1 refused cases go again" in output_of(config, "--retry-dead")
        assert " ".join(output_of(config, "--status").split()).count("│ 1 │") == 1


def test_a_configuration_without_recipients_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "engine.toml"
    config.write_text(CONFIG.split("[[recipients]]")[0])
    done = qyran(config)
    assert "names no recipients" in done.communicate(timeout=60)[0]
    assert done.returncode == 2
