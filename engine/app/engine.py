"""Puts the engine together. It and `engine.crew`, which opens the stages, alone know the concrete classes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial

import msgspec

from engine.access import AuditLog
from engine.app.camera_store import CameraStore
from engine.app.cameras import CameraManager
from engine.app.housekeeping import open_housekeeper, tidying
from engine.app.identification import require_means
from engine.app.sites import examine, size_warnings
from engine.app.stage_set import StageSet, gpu_of, open_stage_set
from engine.config import CameraConfig, EngineConfig, PipelineConfig, secrets, split_address
from engine.deliver import open_deliverer
from engine.gpu.health import Lost, watching
from engine.ingest import FileSource, RtspSource
from engine.ingest import probe as look_at
from engine.ledger import CameraVersions, Consumers, Decisions, SqlLedger, Tokens
from engine.metrics import Metrics, exposed
from engine.pipeline.loop import Pipeline
from engine.pipeline.mailbox import Mailbox
from engine.pipeline.runner import Runner
from engine.rules import Catalogue, load_catalogue
from engine.serve import CaseRecords, Security, Service
from engine.site import Site
from engine.stages import Source
from engine.types import Entry


@dataclass(frozen=True, slots=True)
class Engine:
    """All of it, running: made by `build`."""

    runner: Runner
    metrics: Metrics
    camera_manager: CameraManager
    grpc_address: str
    metrics_address: str

    def run(self) -> Iterator[Sequence[Entry]]:
        """Watch the cameras; yields what every batch appended. Ends some time after `stop`."""
        return self.runner.run()

    def stop(self) -> None:
        """Ask `run` to end; from any thread and from signal handlers."""
        self.runner.stop()


@contextmanager
def build(config: EngineConfig) -> Iterator[Engine]:
    """Open everything that the configuration names and start the service; closes it in the reverse order.

    Raises ConfigError, ModelError, CalibrationError, EvidenceError or LedgerError, with nothing left open.
    """
    metrics = Metrics()
    with ExitStack() as stack:
        host, port = split_address(config.metrics.listen, source="metrics.listen")
        metrics_port = stack.enter_context(exposed(metrics, host, port))
        lost = stack.enter_context(watching(gpu_of(config), metrics))
        ledger = stack.enter_context(closing(SqlLedger(config.ledger_at)))
        versions = CameraVersions(ledger.database, config.device_serial)
        fits = partial(_fits, config, load_catalogue(config.catalogue, config.review))
        camera_store = CameraStore(config, versions, secrets(config), fits)
        watched = camera_store.watched()
        configs = tuple(camera.config for camera in watched)
        now = msgspec.structs.replace(config, cameras=configs)
        stage_set = stack.enter_context(open_stage_set(now, [camera.site for camera in watched], ledger, metrics))
        housekeeper = open_housekeeper(config, ledger, metrics)
        housekeeper.recover()
        pipeline = Pipeline(stage_set.stages, stage_set.names, metrics)
        pipeline.step(())  # compiles the kernels before the first camera is opened
        runner = _runner(config.pipeline, pipeline, stage_set, metrics, lost)
        camera_manager = CameraManager(
            camera_store, stage_set, runner, partial(_source, metrics), partial(_check, config), metrics
        )
        camera_manager.begin(configs)
        database = ledger.database
        records = CaseRecords(
            ledger, Consumers(database), Decisions(database), config.evidence_root, config.device_serial
        )
        security = Security(Tokens(database), AuditLog(config.audit_folder))
        service = Service(records, camera_manager, stage_set.signals, security, config.service, metrics)
        service.start()
        stack.callback(service.stop)
        stack.callback(runner.close)
        stack.enter_context(open_deliverer(config, ledger, metrics))
        stack.enter_context(tidying(housekeeper))
        yield Engine(runner, metrics, camera_manager, service.address, f"{host}:{metrics_port}")


def _runner(sizes: PipelineConfig, pipeline: Pipeline, stage_set: StageSet, metrics: Metrics, lost: Lost) -> Runner:
    return Runner(
        pipeline,
        stage_set.evidence_builder,
        Mailbox(sizes.mailbox_segments, sizes.mailbox_camera_segments, metrics, stage_set.names.__getitem__),
        batch_segments=sizes.batch_segments,
        overlap=sizes.overlap,
        lost=lost,
    )


def _fits(config: EngineConfig, catalogue: Catalogue, site: Site) -> None:
    """Raises ConfigError or CalibrationError for a site that `open_crew` would not take."""
    require_means(site, config)
    examine(site, catalogue)


def _check(config: EngineConfig, camera: CameraConfig, site: Site, *, probe: bool) -> list[str]:
    """`engine.app.cameras.Check`."""
    require_means(site, config)
    warnings = examine(site, load_catalogue(config.catalogue, config.review))
    return warnings + (size_warnings(site, look_at(camera)) if probe else [])


def _source(metrics: Metrics, index: int, camera: CameraConfig) -> Source:
    """A camera, or a file that plays as if it were being filmed now."""
    if "://" in camera.url:
        return RtspSource(index, camera, metrics)
    return FileSource(index, camera, metrics, start_s=time.time())
