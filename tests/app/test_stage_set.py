from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from engine.app.stage_set import StageSet, open_stage_set
from engine.config import EngineConfig, PlatesConfig
from engine.ingest import FileSource
from engine.ledger import SqlLedger
from engine.metrics import Metrics
from engine.pipeline.loop import Pipeline
from engine.rules import load_site
from engine.site import Site
from engine.tools.demo.city import SITES, file_camera
from engine.types import Detections, Frames
from tests.support.scripted_stages import ScriptedDetector

START_S = 1_780_000_000.0
TABLES = (dict, list, set, deque)


def tables(thing: object, path: str, seen: set[int]) -> Iterator[tuple[str, object]]:
    """Every container and array that can be reached from an object of the engine, with its size."""
    if id(thing) in seen:
        return
    seen.add(id(thing))
    if isinstance(thing, np.ndarray):
        yield path, thing.shape
    elif isinstance(thing, (*TABLES, tuple)):
        if isinstance(thing, TABLES):
            yield path, len(thing)
        for number, item in enumerate(thing.values() if isinstance(thing, dict) else thing):
            yield from tables(item, f"{path}[{number}]", seen)
    elif type(thing).__module__.startswith(("engine.", "kernels.")):
        slots = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
        for name in (*getattr(thing, "__dict__", {}), *slots):
            if name != "_metrics":
                yield from tables(getattr(thing, name, None), f"{path}.{name}", seen)


def sizes(stage_set: StageSet, pipeline: Pipeline) -> dict[str, object]:
    return dict(
        tables([stage_set.camera_stages, stage_set.recordings, stage_set.names, stage_set.sites, pipeline], "", set())
    )


def series(metrics: Metrics) -> set[tuple[str, str]]:
    """Every time series that has a camera or a controller."""
    samples = [sample for metric in metrics.registry.collect() for sample in metric.samples]
    return {(one.name, str(one.labels)) for one in samples if {"camera", "controller"} & one.labels.keys()}


def one_car(frames: Frames) -> Detections:
    """The same car in every frame."""
    count = len(frames)
    return Detections(
        frames=frames,
        frame=np.arange(count, dtype=np.int32),
        xyxy_px=np.tile(np.array([600, 400, 700, 480], np.float32), (count, 1)),
        score=np.full(count, 0.95, np.float32),
        class_id=np.zeros(count, np.int32),
    )


def with_controller(site: Site, name: str) -> Site:
    signals = tuple(msgspec.structs.replace(one, controller=name if one.controller else "") for one in site.signals)
    return msgspec.structs.replace(site, signals=signals)


def test_fifty_cameras_that_come_and_go_leave_no_table_larger(tmp_path: Path) -> None:
    metrics, camera = Metrics(), msgspec.structs.replace(file_camera("avenue"), detect_fps=1.0)
    config = EngineConfig(cameras=(camera,), state=tmp_path, plates=PlatesConfig(reader="off"))
    avenue, junction = (load_site(SITES / f"{name}.toml") for name in ("avenue", "junction"))
    segment = next(iter(FileSource(0, camera, Metrics(), start_s=START_S, realtime=False).read()))
    with closing(SqlLedger(config.ledger_at)) as ledger, open_stage_set(config, [avenue], ledger, metrics) as stage_set:
        stages = replace(stage_set.stages, detector=ScriptedDetector(one_car))
        pipeline = Pipeline(stages, stage_set.names, metrics, clock=lambda: 0.0)

        def come_and_go(index: int) -> None:
            settings = msgspec.structs.replace(camera, name=f"camera-{index}")
            stage_set.add_camera(index, settings, with_controller(junction, f"controller-{index}"))
            send(index)
            pipeline.finish_camera(index)
            assert metrics.registry.get_sample_value("qyran_tracks_total", {"camera": settings.name}) == 1
            stage_set.remove_camera(index)

        def send(index: int) -> None:
            stage_set.recordings.keep(replace(segment, camera=index))
            pipeline.step([replace(segment, camera=index)])

        send(0)
        come_and_go(1)
        before, known = sizes(stage_set, pipeline), len(series(metrics))
        for index in range(2, 52):
            come_and_go(index)
        assert sizes(stage_set, pipeline) == before
        assert len(series(metrics)) == known
        assert len(before) > 50
