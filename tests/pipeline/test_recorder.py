"""A full or read-only disk while the engine runs: nothing is half-written or lost, and recording resumes by itself."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from engine.app.housekeeping import Housekeeper
from engine.config import EngineConfig, PlatesConfig, RetentionConfig
from engine.errors import LedgerError
from engine.evidence import verify_case
from engine.evidence.folder import Folders
from engine.ingest import FileSource
from engine.ledger import Retention, SqlLedger
from engine.metrics import Metrics
from engine.pipeline.loop import Pipeline, Stages
from engine.pipeline.recorder import LASTS_S, StorageHealth
from engine.tools.demo.city import file_camera
from engine.types import Case, Entry, Findings
from rig.evidence_bench import store_example
from tests.support.pipelines import opened

START_S = 1_780_000_000.0


class Disk:
    """A small file system of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.evidence = folder / "state" / "evidence"

    def refuse(self, how: str) -> None:
        if how == "read-only":
            for options in ("bind", "remount,bind,ro"):
                subprocess.run(["mount", "-o", options, str(self.evidence), str(self.evidence)], check=True)
            return
        with (self.folder / "filler").open("wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(b"\0" * 65536)
            except OSError:
                pass

    def allow(self, how: str) -> None:
        if how == "read-only":
            subprocess.run(["umount", str(self.evidence)], check=True)
        else:
            (self.folder / "filler").unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = os.geteuid() == 0 and shutil.which("mount") is not None
    if not mounted or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)]).returncode:
        pytest.skip("a disk of the test's own needs the right to mount one (root)")
    yield Disk(folder)
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def avenue(state: Path) -> EngineConfig:
    return EngineConfig(cameras=(file_camera("avenue"),), state=state, plates=PlatesConfig(reader="off"))


class Run:
    """The engine on one camera's clip, one segment a step."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.metrics = Metrics()
        self.entries: list[Entry] = []

    def play(self, disk: Disk, how: str) -> list[Entry]:
        """All entries; the disk refuses from the beginning until a case was refused."""
        config = avenue(self.state)
        with opened(config, self.metrics) as stages:
            disk.refuse(how)
            was_refused = False
            pipeline = Pipeline(stages, config.camera_names, self.metrics, clock=lambda: 0.0)
            for segment in FileSource(0, config.cameras[0], Metrics(), start_s=START_S, realtime=False).read():
                stages.recordings.keep(segment)
                self.entries += pipeline.step([segment])
                if stages.evidence_builder.is_refused and not was_refused:
                    was_refused = True
                    self.require_nothing_recorded()
                    disk.allow(how)
            assert was_refused
            self.entries += pipeline.finish()
        return self.entries

    def require_nothing_recorded(self) -> None:
        """While the disk refuses, a case waits and nothing is half-written."""
        assert self.entries == []
        assert self.metrics.registry.get_sample_value("qyran_unrecorded_cases") > 0
        assert list((self.state / "evidence" / ".incoming").iterdir()) == []
        assert list((self.state / "evidence").glob("2*/**/case.json")) == []


@pytest.mark.parametrize("how", ["full", "read-only"])
def test_a_disk_that_refuses_for_a_while_loses_no_case(disk: Disk, how: str) -> None:
    run = Run(disk.folder / "state")
    entries = run.play(disk, how)
    assert [entry.sequence for entry in entries] == [1, 2, 3, 4], "the avenue's four offenders"
    assert run.metrics.registry.get_sample_value("qyran_violations_lost_total", {"camera": "avenue"}) == 0
    assert all(verify_case(run.state / "evidence" / entry.case.folder) == [] for entry in entries)
    assert run.metrics.registry.get_sample_value("qyran_unrecorded_cases") == 0


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_long_outage_pauses_measured_kinds_and_ends_by_itself() -> None:
    clock, metrics = Clock(), Metrics()
    storage = StorageHealth(metrics, clock)
    storage.note(True, 3)
    clock.now_s += LASTS_S - 1
    storage.note(True, 4)
    assert not storage.is_failing
    clock.now_s += 1
    storage.note(True, 5)
    assert storage.is_failing
    assert metrics.registry.get_sample_value("qyran_storage_refuses") == 1
    assert metrics.registry.get_sample_value("qyran_unrecorded_cases") == 5
    storage.note(False, 0)
    assert not storage.is_failing
    assert metrics.registry.get_sample_value("qyran_storage_refuses") == 0


def test_a_success_ends_an_outage() -> None:
    clock = Clock()
    storage = StorageHealth(Metrics(), clock)
    for _ in range(5):
        storage.note(True, 1)
        clock.now_s += LASTS_S - 1
        storage.note(False, 0)
    assert not storage.is_failing


class Evidence:
    """An evidence builder whose cases are on the disk already."""

    is_refused, waiting = False, 0

    def __init__(self, cases: list[Case]) -> None:
        self._cases = cases

    def build(self, violations: object) -> list[Case]:
        cases, self._cases = self._cases, []
        return cases


def finding(evidence: Evidence, ledger: SqlLedger) -> Stages:
    """Stages, of which only the last three work."""
    idle = dict.fromkeys((field.name for field in fields(Stages)), Mock())
    working = {
        "identifier": SimpleNamespace(identify=lambda findings: list(findings.violations)),
        "evidence_builder": evidence,
        "ledger": ledger,
    }
    return Stages(**idle | working)


class UnreachableLedger(SqlLedger):
    """A ledger whose server is down."""

    def append(self, cases: Sequence[Case]) -> Sequence[Entry]:
        raise LedgerError("no route to host")


def test_cases_beyond_the_limit_wait_on_the_disk_alone_and_are_appended_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.pipeline.recorder.UNRECORDED_MOST", 3)
    folders = Folders(tmp_path / "evidence", "QY-1", None)
    cases, metrics = [store_example(folders, number) for number in range(8)], Metrics()
    with closing(UnreachableLedger(tmp_path / "ledger.db")) as ledger:
        stages = finding(Evidence(cases), ledger)
        pipeline = Pipeline(stages, {0: "gate"}, metrics)
        assert pipeline.record(Findings()) == []
        assert metrics.registry.get_sample_value("qyran_unrecorded_cases") == 3
    with closing(SqlLedger(tmp_path / "ledger.db")) as ledger:
        keeper = Retention(ledger.database, RetentionConfig())
        Housekeeper(ledger, tmp_path / "evidence", keeper).recover()
        assert {entry.case.id for entry in ledger.read(0, 100)} == {case.id for case in cases}


class SlowLedger(SqlLedger):
    """A ledger whose server is out of reach: every failure takes ten seconds."""

    def __init__(self, where: Path, clock: Clock) -> None:
        super().__init__(where)
        self.clock, self.tries = clock, 0

    def append(self, cases: Sequence[Case]) -> Sequence[Entry]:
        self.clock.now_s += 10
        self.tries += 1
        raise LedgerError("timed out")


def test_a_ledger_that_fails_slowly_rests_between_attempts(tmp_path: Path) -> None:
    folders, clock = Folders(tmp_path / "evidence", "QY-1", None), Clock()
    with closing(SlowLedger(tmp_path / "ledger.db", clock)) as ledger:
        stages = finding(Evidence([store_example(folders, 1)]), ledger)
        pipeline = Pipeline(stages, {0: "gate"}, Metrics(), clock=clock)
        began_s = clock.now_s
        for _ in range(1000):
            assert pipeline.record(Findings()) == []
            clock.now_s += 1
        assert ledger.tries * 10 <= 0.11 * (clock.now_s - began_s)
        assert ledger.tries > 5
