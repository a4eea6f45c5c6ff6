"""The whole engine on rendered footage: the overlapped turn equals the plain one, and nothing is lost on the way."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from engine.app.stage_set import open_stages
from engine.config import EngineConfig, PlatesConfig
from engine.errors import DeviceLost, LedgerError
from engine.ingest import FileSource
from engine.ledger import SqlLedger
from engine.metrics import Metrics
from engine.pipeline.loop import Pipeline, Stages
from engine.pipeline.mailbox import Mailbox
from engine.pipeline.runner import Runner
from engine.rules import load_site
from engine.stages import Decoder
from engine.tools.demo.city import recorded
from engine.types import Case, Entry, FrameBatch, Segment

START_S = datetime(2026, 6, 1, 6, 0, tzinfo=UTC).timestamp()
CAMERAS = 2


def city(state: Path) -> EngineConfig:
    """The demo's avenue, seen by two cameras at once."""
    cameras = tuple(msgspec.structs.replace(recorded("avenue"), name=f"avenue-{index}") for index in range(CAMERAS))
    return EngineConfig(cameras=cameras, state=state, plates=PlatesConfig(reader="off"))


def batches(config: EngineConfig, stages: Stages) -> Iterator[list[Segment]]:
    """A segment of each camera a batch."""
    sources = [
        FileSource(index, camera, Metrics(), start_s=START_S, realtime=False).read()
        for index, camera in enumerate(config.cameras)
    ]
    for segments in zip(*sources, strict=True):
        for segment in segments:
            stages.evidence_builder.keep(segment)
        yield list(segments)


Turn = Callable[[Pipeline, Iterable[Sequence[Segment]]], Iterator[Sequence[Entry]]]


def run(state: Path, turn: Turn, ledger: SqlLedger | None = None) -> list[Entry]:
    config, metrics = city(state), Metrics()
    sites = [load_site(camera.site) for camera in config.cameras]
    with (
        closing(ledger or SqlLedger(state / "ledger.db")) as open_ledger,
        open_stages(config, sites, open_ledger, metrics) as stages,
    ):
        pipeline = Pipeline(stages, config.camera_names, metrics)
        return [entry for entries in turn(pipeline, batches(config, stages)) for entry in entries]


def told(entries: Iterable[Entry]) -> list[tuple[int, str, bytes]]:
    return [(entry.sequence, entry.case.id, entry.case.document) for entry in entries]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plain")


@pytest.fixture(scope="module")
def plain(state: Path) -> list[Entry]:
    return run(state, Pipeline.plain)


def test_the_avenue_gives_cases(plain: list[Entry]) -> None:
    assert [entry.sequence for entry in plain] == list(range(1, len(plain) + 1))
    assert len(plain) >= 2 * CAMERAS


def test_overlapped_tells_the_same_entries_in_the_same_order(plain: list[Entry], tmp_path: Path) -> None:
    assert told(run(tmp_path, Pipeline.overlapped)) == told(plain)


def test_two_cameras_that_see_the_same_tell_the_same(plain: list[Entry]) -> None:
    by_camera = [
        [(entry.case.kind, entry.case.occurred_s) for entry in plain if entry.case.camera == f"avenue-{index}"]
        for index in range(CAMERAS)
    ]
    assert sorted(by_camera[0]) == sorted(by_camera[1])


def test_what_was_recorded_once_is_not_recorded_again(plain: list[Entry], state: Path) -> None:
    assert plain and run(state, Pipeline.plain) == []


def test_a_case_that_contradicts_the_ledger_holds_nothing_up(plain: list[Entry], tmp_path: Path) -> None:
    ledger = SqlLedger(tmp_path / "ledger.db")
    forged = replace(plain[0].case, document=b"{}")
    ledger.append([forged])
    entries = run(tmp_path, Pipeline.plain, ledger)
    assert [entry.case.id for entry in entries] == [entry.case.id for entry in plain[1:]]


class SulkingLedger(SqlLedger):
    """Refuses the first appends, as a full disk does."""

    refusals = 3

    def append(self, cases: Sequence[Case]) -> Sequence[Entry]:
        if cases and self.refusals:
            self.refusals -= 1
            raise LedgerError("no space left on device")
        return super().append(cases)


def test_cases_wait_while_the_ledger_refuses(plain: list[Entry], tmp_path: Path) -> None:
    ledger = SulkingLedger(tmp_path / "ledger.db")
    assert told(run(tmp_path, Pipeline.plain, ledger)) == told(plain)
    assert ledger.refusals == 0


class Doomed:
    """The decoder on a GPU that is lost at this batch."""

    def __init__(self, decoder: Decoder, at: int) -> None:
        self._decoder, self._left = decoder, at

    def decode(self, segments: Sequence[Segment]) -> FrameBatch:
        if segments:
            self._left -= 1
            if self._left < 0:
                raise DeviceLost("CUDA_ERROR_LAUNCH_FAILED")
        return self._decoder.decode(segments)

    def close(self) -> None:
        self._decoder.close()


SEEN = 3


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> list[Entry]:
    """What comes of cameras that end after so many batches."""
    state = tmp_path_factory.mktemp("ended")
    return run(state, lambda pipeline, some: Pipeline.plain(pipeline, itertools.islice(some, SEEN)))


@pytest.mark.parametrize("turn", [Pipeline.plain, Pipeline.overlapped])
def test_what_was_seen_before_the_gpu_was_lost_is_settled(turn: Turn, ended: list[Entry], tmp_path: Path) -> None:
    config, metrics, entries = city(tmp_path), Metrics(), list[Entry]()
    sites = [load_site(camera.site) for camera in config.cameras]
    with (
        closing(SqlLedger(tmp_path / "ledger.db")) as ledger,
        open_stages(config, sites, ledger, metrics) as stages,
    ):
        doomed = replace(stages, decoder=Doomed(stages.decoder, SEEN))
        with pytest.raises(DeviceLost):
            for step in turn(Pipeline(doomed, config.camera_names, metrics), batches(config, stages)):
                entries += step
    assert entries
    assert [(e.case.kind, e.case.occurred_s) for e in entries] == [(e.case.kind, e.case.occurred_s) for e in ended]


@pytest.mark.parametrize("overlap", [False, True])
def test_a_runner_that_is_told_of_the_lost_gpu_ends_with_it(overlap: bool, tmp_path: Path) -> None:
    config, metrics = city(tmp_path), Metrics()
    sites = [load_site(camera.site) for camera in config.cameras]
    told = iter([None, DeviceLost("GPU 0: Xid 79")])
    with (
        closing(SqlLedger(tmp_path / "ledger.db")) as ledger,
        open_stages(config, sites, ledger, metrics) as stages,
    ):
        pipeline, mailbox = Pipeline(stages, config.camera_names, metrics), Mailbox(8, 8, metrics)
        runner = Runner(
            pipeline, stages.evidence_builder, mailbox, batch_segments=1, overlap=overlap, lost=lambda: next(told)
        )
        with pytest.raises(DeviceLost, match="Xid 79"):
            list(runner.run())
