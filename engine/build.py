"""Puts the engine together. It and `engine.crew`, which opens the stages, alone know the concrete classes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial

import msgspec

from engine.access import Audit
from engine.config import CameraConfig, EngineConfig, PipelineConfig, secrets, split_address
from engine.crew import Crew, examine, gpu_of, open_crew, require_means, size_warnings
from engine.deliver import open_deliverer
from engine.fleet import Fleet, Roster
from engine.gpu.health import Lost, watching
from engine.housekeeping import open_housekeeper, tidying
from engine.ingest import FileSource, RtspSource
from engine.ingest import probe as look_at
from engine.mailbox import Mailbox
from engine.metrics import Metrics, exposed
from engine.pipeline import Pipeline
from engine.register import CameraVersions, Consumers, Decisions, SqlRegister, Tokens
from engine.rules import Catalogue, load_catalogue
from engine.runner import Runner
from engine.serve import Records, Security, Service
from engine.site import Site
from engine.stages import Source
from engine.types import Entry


@dataclass(frozen=True, slots=True)
class Engine:
    """All of it, running: made by `build`."""

    runner: Runner
    metrics: Metrics
    fleet: Fleet
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

    Raises ConfigError, ModelError, CalibrationError, EvidenceError or RegisterError, with nothing left open.
    """
    metrics = Metrics()
    with ExitStack() as stack:
        host, port = split_address(config.metrics.listen, source="metrics.listen")
        metrics_port = stack.enter_context(exposed(metrics, host, port))
        lost = stack.enter_context(watching(gpu_of(config), metrics))
        register = stack.enter_context(closing(SqlRegister(config.register_at)))
        versions = CameraVersions(register.database, config.device_serial)
        fits = partial(_fits, config, load_catalogue(config.catalogue, config.review))
        roster = Roster(config, versions, secrets(config), fits)
        watched = roster.watched()
        configs = tuple(camera.config for camera in watched)
        now = msgspec.structs.replace(config, cameras=configs)
        crew = stack.enter_context(open_crew(now, [camera.site for camera in watched], register, metrics))
        housekeeper = open_housekeeper(config, register, metrics)
        housekeeper.recover()
        pipeline = Pipeline(crew.stages, crew.names, metrics)
        pipeline.step(())  # compiles the kernels before the first camera is opened
        runner = _runner(config.pipeline, pipeline, crew, metrics, lost)
        fleet = Fleet(roster, crew, runner, partial(_source, metrics), partial(_check, config), metrics)
        fleet.begin(configs)
        database = register.database
        records = Records(
            register, Consumers(database), Decisions(database), config.evidence_root, config.device_serial
        )
        security = Security(Tokens(database), Audit(config.audit_folder))
        service = Service(records, fleet, crew.signals, security, config.service, metrics)
        service.start()
        stack.callback(service.stop)
        stack.callback(runner.close)
        stack.enter_context(open_deliverer(config, register, metrics))
        stack.enter_context(tidying(housekeeper))
        yield Engine(runner, metrics, fleet, service.address, f"{host}:{metrics_port}")


def _runner(sizes: PipelineConfig, pipeline: Pipeline, crew: Crew, metrics: Metrics, lost: Lost) -> Runner:
    return Runner(
        pipeline,
        crew.prosecutor,
        Mailbox(sizes.mailbox_segments, sizes.mailbox_camera_segments, metrics, crew.names.__getitem__),
        batch_segments=sizes.batch_segments,
        overlap=sizes.overlap,
        lost=lost,
    )


def _fits(config: EngineConfig, catalogue: Catalogue, site: Site) -> None:
    """Raises ConfigError or CalibrationError for a site that `open_crew` would not take."""
    require_means(site, config)
    examine(site, catalogue)


def _check(config: EngineConfig, camera: CameraConfig, site: Site, *, probe: bool) -> list[str]:
    """`engine.fleet.fleet.Check`."""
    require_means(site, config)
    warnings = examine(site, load_catalogue(config.catalogue, config.review))
    return warnings + (size_warnings(site, look_at(camera)) if probe else [])


def _source(metrics: Metrics, index: int, camera: CameraConfig) -> Source:
    """A camera, or a file that plays as if it were being filmed now."""
    if "://" in camera.url:
        return RtspSource(index, camera, metrics)
    return FileSource(index, camera, metrics, start_s=time.time())
