"""Assembles the engine. Only this module and `engine.app.stage_set`, which opens the stages, name concrete classes."""

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
from engine.app.housekeeping import keep_house, open_housekeeper
from engine.app.identification import require_confirmable
from engine.app.stage_set import examine, gpu_of, open_stage_set, size_warnings
from engine.config import CameraConfig, EngineConfig, secrets, split_address
from engine.deliver import open_deliverer
from engine.gpu.health import watch_gpu
from engine.ingest import FileSource, RtspSource
from engine.ingest import probe as probe_camera
from engine.ledger import CameraVersions, Consumers, Decisions, SqlLedger, Tokens
from engine.metrics import Metrics, expose
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
    """The running engine, as `build` assembled it."""

    runner: Runner
    metrics: Metrics
    camera_manager: CameraManager
    grpc_address: str
    metrics_address: str

    def run(self) -> Iterator[Sequence[Entry]]:
        """Watch the cameras; yields the new entries of each batch. Ends some time after `stop`."""
        return self.runner.run()

    def stop(self) -> None:
        """Ask `run` to end; from any thread and from signal handlers."""
        self.runner.stop()


@contextmanager
def build(config: EngineConfig) -> Iterator[Engine]:
    """Open all that the configuration names and start the service; closes it in the reverse order.

    Raises ConfigError, ModelError, CalibrationError, EvidenceError or LedgerError, with nothing left open.
    """
    metrics, sizes = Metrics(), config.pipeline
    with ExitStack() as stack:
        host, port = split_address(config.metrics.listen, source="metrics.listen")
        metrics_port = stack.enter_context(expose(metrics, host, port))
        find_loss = stack.enter_context(watch_gpu(gpu_of(config), metrics))

        ledger = stack.enter_context(closing(SqlLedger(config.ledger_at)))
        database = ledger.database
        housekeeper = open_housekeeper(config, ledger, metrics)

        require = partial(_require, config, load_catalogue(config.catalogue, config.review))
        store = CameraStore(config, CameraVersions(database, config.device_serial), secrets(config), require)
        watched = store.watched()
        configs = tuple(camera.config for camera in watched)
        with_cameras = msgspec.structs.replace(config, cameras=configs)
        sites = [camera.site for camera in watched]
        stage_set = stack.enter_context(open_stage_set(with_cameras, sites, ledger, metrics))
        housekeeper.recover()

        pipeline = Pipeline(stage_set.stages, stage_set.names, metrics)
        pipeline.step(())  # compiles the kernels before the first camera is opened
        runner = Runner(
            pipeline,
            stage_set.recordings,
            Mailbox(sizes.mailbox_segments, sizes.mailbox_camera_segments, metrics, stage_set.names.__getitem__),
            batch_segments=sizes.batch_segments,
            overlap=sizes.overlap,
            find_loss=find_loss,
        )
        cameras = CameraManager(
            store, stage_set, runner, partial(_open_source, metrics), partial(_check, config), metrics
        )
        cameras.start(configs)

        records = CaseRecords(
            ledger, Consumers(database), Decisions(database), config.evidence_root, config.device_serial
        )
        security = Security(Tokens(database), AuditLog(config.audit_folder))
        service = Service(records, cameras, stage_set.signals, security, config.service, metrics)
        service.start()
        stack.callback(service.stop)
        stack.callback(runner.close)
        stack.enter_context(open_deliverer(config, ledger, metrics))
        stack.enter_context(keep_house(housekeeper))
        yield Engine(runner, metrics, cameras, service.address, f"{host}:{metrics_port}")


def _require(config: EngineConfig, catalogue: Catalogue, site: Site) -> None:
    """Raise ConfigError or CalibrationError for a site that `open_stage_set` would refuse."""
    require_confirmable(site, config)
    examine(site, catalogue)


def _check(config: EngineConfig, camera: CameraConfig, site: Site, probe: bool) -> list[str]:
    """`engine.app.cameras.CameraCheck`."""
    require_confirmable(site, config)
    warnings = examine(site, load_catalogue(config.catalogue, config.review))
    return warnings + (size_warnings(site, probe_camera(camera)) if probe else [])


def _open_source(metrics: Metrics, index: int, camera: CameraConfig) -> Source:
    """A camera, or a file that plays in real time from now on."""
    if "://" in camera.url:
        return RtspSource(index, camera, metrics)
    return FileSource(index, camera, metrics, start_s=time.time())
