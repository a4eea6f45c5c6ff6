"""The whole engine on rendered footage: overlapped batches give what plain ones give, and nothing is lost."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec
import pytest

from engine.config import EngineConfig, PlatesConfig
from engine.errors import DeviceLost, LedgerError
from engine.ingest import FileSource
from engine.ledger import SqlLedger
from engine.metrics import Metrics
from engine.pipeline.loop import Pipeline, Stages
from engine.pipeline.mailbox import Mailbox
from engine.pipeline.runner import Runner
from engine.stages import Decoder
from engine.tools.demo.city import file_camera
from engine.types import Case, Entry, FrameBatch, Segment
from tests.support.pipelines import opened

START_S = datetime(2026, 6, 1, 6, 0, tzinfo=UTC).timestamp()
CAMERAS = 2


def city(state: Path) -> EngineConfig:
    """The demo's avenue, seen by two cameras at once."""
    cameras = tuple(msgspec.structs.replace(file_camera("avenue"), name=f"avenue-{index}") for index in range(CAMERAS))
    return EngineConfig(cameras=cameras, state=state, plates=PlatesConfig(reader="off"))


def batches(config: EngineConfig, stages: Stages) -> Iterator[list[Segment]]:
    """Batches of one segment of each camera."""
    sources = [
        FileSource(index, camera, Metrics(), start_s=START_S, realtime=False).read()
        for index, camera in enumerate(config.cameras)
    ]
    for segments in zip(*sources, strict=True):
        for segment in segments:
            stages.recordings.keep(segment)
        yield list(segments)


RunBatches = Callable[[Pipeline, Iterable[Sequence[Segment]]], Iterator[Sequence[Entry]]]
run_plain, run_overlapped = (partial(Pipeline.run, overlap=overlap) for overlap in (False, True))


def run(state: Path, run_batches: RunBatches, ledger: SqlLedger | None = None) -> list[Entry]:
    config, metrics = city(state), Metrics()
    with opened(config, metrics, ledger) as stages:
        pipeline = Pipeline(stages, config.camera_names, metrics)
        return [entry for entries in run_batches(pipeline, batches(config, stages)) for entry in entries]


def contents(entries: Iterable[Entry]) -> list[tuple[int, str, bytes]]:
    return [(entry.sequence, entry.case.id, entry.case.document) for entry in entries]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plain")


@pytest.fixture(scope="module")
def plain(state: Path) -> list[Entry]:
    return run(state, run_plain)


def test_the_avenue_gives_cases(plain: list[Entry]) -> None:
    assert [entry.sequence for entry in plain] == list(range(1, len(plain) + 1))
    assert len(plain) >= 2 * CAMERAS


def test_overlapped_batches_give_the_same_entries_in_the_same_order(plain: list[Entry], tmp_path: Path) -> None:
    assert contents(run(tmp_path, run_overlapped)) == contents(plain)


def test_two_cameras_with_the_same_view_report_the_same(plain: list[Entry]) -> None:
    by_camera = [
        [(entry.case.kind, entry.case.occurred_s) for entry in plain if entry.case.camera == f"avenue-{index}"]
        for index in range(CAMERAS)
    ]
    assert sorted(by_camera[0]) == sorted(by_camera[1])


def test_a_recorded_case_is_not_recorded_again(plain: list[Entry], state: Path) -> None:
    assert plain and run(state, run_plain) == []


def test_a_case_that_contradicts_the_ledger_delays_no_other(plain: list[Entry], tmp_path: Path) -> None:
    ledger = SqlLedger(tmp_path / "ledger.db")
    forged = replace(plain[0].case, document=b"{}")
    ledger.append([forged])
    entries = run(tmp_path, run_plain, ledger)
    assert [entry.case.id for entry in entries] == [entry.case.id for entry in plain[1:]]


class RefusingLedger(SqlLedger):
    """Refuses the first appends, as a full disk does."""

    refusals = 3

    def append(self, cases: Sequence[Case]) -> Sequence[Entry]:
        if cases and self.refusals:
            self.refusals -= 1
            raise LedgerError("no space left on device")
        return super().append(cases)


def test_cases_wait_while_the_ledger_refuses(plain: list[Entry], tmp_path: Path) -> None:
    ledger = RefusingLedger(tmp_path / "ledger.db")
    assert contents(run(tmp_path, run_plain, ledger)) == contents(plain)
    assert ledger.refusals == 0


class FailingDecoder:
    """A decoder on a GPU that is lost at a given batch."""

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
    """The entries of cameras that end after SEEN batches."""
    state = tmp_path_factory.mktemp("ended")
    return run(state, lambda pipeline, some: pipeline.run(itertools.islice(some, SEEN), overlap=False))


@pytest.mark.parametrize("run_batches", [run_plain, run_overlapped])
def test_what_was_seen_before_the_gpu_was_lost_is_recorded(
    run_batches: RunBatches, ended: list[Entry], tmp_path: Path
) -> None:
    config, metrics, entries = city(tmp_path), Metrics(), list[Entry]()
    with opened(config, metrics) as stages:
        failing = replace(stages, decoder=FailingDecoder(stages.decoder, SEEN))
        with pytest.raises(DeviceLost):
            for step in run_batches(Pipeline(failing, config.camera_names, metrics), batches(config, stages)):
                entries += step
    assert entries
    assert [(e.case.kind, e.case.occurred_s) for e in entries] == [(e.case.kind, e.case.occurred_s) for e in ended]


@pytest.mark.parametrize("overlap", [False, True])
def test_a_runner_ends_with_the_error_when_the_gpu_is_lost(overlap: bool, tmp_path: Path) -> None:
    config, metrics = city(tmp_path), Metrics()
    losses = iter([None, DeviceLost("GPU 0: Xid 79")])
    with opened(config, metrics) as stages:
        pipeline, mailbox = Pipeline(stages, config.camera_names, metrics), Mailbox(8, 8, metrics)
        runner = Runner(
            pipeline, stages.recordings, mailbox, batch_segments=1, overlap=overlap, find_loss=lambda: next(losses)
        )
        with pytest.raises(DeviceLost, match="Xid 79"):
            list(runner.run())
