"""Puts the engine together: the one place that knows the concrete classes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial

import msgspec
import numpy as np
import structlog

from engine.audit import Audit
from engine.config import CameraConfig, EngineConfig, PipelineConfig, secrets, split_address
from engine.decode.camera import CameraView
from engine.decode.opening import Decoding, open_decoding
from engine.deliver import open_deliverer
from engine.detect.cards import find_card
from engine.detect.onnx import OnnxDetector
from engine.detect.stills import StillDetector, sensitive
from engine.detectors import open_detector
from engine.document import Liability
from engine.evidence import FileProsecutor, Means, Origin, Scene, SigningKey, load_signing_key
from engine.fleet import Fleet, Roster
from engine.geometry import CameraGeometry, FootModel, Lens
from engine.gpu import Lost, watching
from engine.housekeeping import open_housekeeper, tidying
from engine.ingest import FileSource, Probe, RtspSource
from engine.ingest import probe as look_at
from engine.inquest import Surroundings, open_inquiry, require_means
from engine.mailbox import Mailbox
from engine.measure import GroundSpeedometer
from engine.metrics import Metrics, exposed
from engine.pipeline import Pipeline, Stages
from engine.register import CameraVersions, Consumers, Decisions, SqlRegister, Tokens
from engine.rules import Catalogue, SiteRulebook, check_site, load_catalogue
from engine.runner import Runner
from engine.serve import Records, Security, Service
from engine.signals import SignalBook
from engine.site import Site
from engine.stages import Register, Source
from engine.steady import ViewGuard, references
from engine.track import KalmanTracker, TrackerParameters
from engine.types import Entry

log = structlog.get_logger()


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
        lost = stack.enter_context(watching(_gpu(config), metrics))
        register = stack.enter_context(closing(SqlRegister(config.register_at)))
        versions = CameraVersions(register.database, config.device_serial)
        fits = partial(_fits, config, load_catalogue(config.catalogue, config.review))
        roster = Roster(config, versions, secrets(config), fits)
        watched = roster.watched()
        configs = tuple(camera.config for camera in watched)
        now = msgspec.structs.replace(config, cameras=configs)
        crew = stack.enter_context(open_crew(now, [camera.site for camera in watched], register, metrics))
        housekeeper = open_housekeeper(config, register)
        housekeeper.recover()
        pipeline = Pipeline(crew.stages, crew.names, metrics)
        pipeline.step(())  # compiles the kernels before the first camera is opened
        runner = _runner(config.pipeline, pipeline, crew, metrics, lost)
        fleet = Fleet(roster, crew, runner, partial(_source, metrics), partial(_check, config), metrics)
        fleet.begin(configs)
        database = register.database
        records = Records(register, Consumers(database), Decisions(database), config.evidence_root)
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


@dataclass(frozen=True, slots=True)
class Crew:
    """The stages, and how a camera joins and leaves them: before the first batch, or while every stage is idle."""

    stages: Stages
    decoding: Decoding
    views: dict[int, CameraView]
    guard: ViewGuard
    signals: SignalBook
    speedometer: GroundSpeedometer
    rulebook: SiteRulebook
    prosecutor: FileProsecutor
    scenes: dict[int, Scene]
    names: dict[int, str]
    """Of every camera that ever joined: an index is never used again."""

    def admit(self, camera: int, config: CameraConfig, site: Site) -> None:
        """Let every stage know one more camera; its site has passed `examine`."""
        self.names[camera] = config.name
        self.scenes[camera] = Scene(config.name, site)
        self.views[camera] = _view(config, site)
        self.decoding.renew()
        for reference in references({camera: site}).values():
            self.guard.admit(camera, reference)
        for found in geometries({camera: site}).values():
            self.speedometer.admit(camera, found)
        self.signals.admit(camera, config.name, site)
        self.rulebook.admit(camera, site)
        self.prosecutor.admit(camera)

    def release(self, camera: int) -> None:
        """Let every stage forget a camera that `Runner.leave` has settled."""
        del self.views[camera]
        self.guard.release(camera)
        self.signals.release(camera)
        self.rulebook.release(camera)


def _gpu(config: EngineConfig) -> int:
    """The GPU of this process: pixels are made where they are looked at."""
    return 0 if config.decoder.device == "cpu" else config.decoder.device


def examine(site: Site, catalogue: Catalogue) -> list[str]:
    """What is doubtful about a camera's site, one sentence each. Raises ConfigError or CalibrationError."""
    geometries({0: site})
    references({0: site})
    return check_site(site, catalogue)


def _fits(config: EngineConfig, catalogue: Catalogue, site: Site) -> None:
    """Raises ConfigError or CalibrationError for a site that `open_crew` would not take."""
    require_means(site, config)
    examine(site, catalogue)


def size_warnings(site: Site, seen: Probe) -> list[str]:
    """Is the picture the one that the site was drawn on?"""
    if site.image_size_px == (seen.width_px, seen.height_px):
        return []
    drawn = "x".join(map(str, site.image_size_px))
    return [f"sends {seen.width_px}x{seen.height_px}, its site is drawn on {drawn}: nothing will be judged"]


def _check(config: EngineConfig, camera: CameraConfig, site: Site, *, probe: bool) -> list[str]:
    """`engine.fleet.fleet.Check`."""
    require_means(site, config)
    warnings = examine(site, load_catalogue(config.catalogue, config.review))
    return warnings + (size_warnings(site, look_at(camera)) if probe else [])


@contextmanager
def open_stages(
    config: EngineConfig,
    sites: Sequence[Site],
    register: Register,
    metrics: Metrics,
    signals: SignalBook | None = None,
) -> Iterator[Stages]:
    """The stages for the cameras of `config`, each with its site, in order; closes them, but for the register.

    `signals` where somebody else reports to it, too.
    """
    with open_crew(config, sites, register, metrics, signals) as crew:
        yield crew.stages


@contextmanager
def open_crew(
    config: EngineConfig,
    sites: Sequence[Site],
    register: Register,
    metrics: Metrics,
    signals: SignalBook | None = None,
) -> Iterator[Crew]:
    """The same, with the cameras free to come and go."""
    by_index, names = dict(enumerate(sites)), config.camera_names
    for site in sites:
        require_means(site, config)
    signals = signals or SignalBook(by_index, names, metrics)
    card = find_card(config.detector.card)
    with ExitStack() as stack:
        detector = stack.enter_context(closing(open_detector(card, config.detector, metrics, _gpu(config))))
        watchful = stack.enter_context(closing(OnnxDetector(sensitive(card), config.detector.threads)))
        catalogue = load_catalogue(config.catalogue, config.review)
        views = {
            index: _view(camera, site) for index, (camera, site) in enumerate(zip(config.cameras, sites, strict=True))
        }
        decoding = stack.enter_context(open_decoding(config.decoder, config.pipeline, views, card.input, metrics))
        scenes = {index: Scene(names[index], site) for index, site in by_index.items()}
        prosecutor = FileProsecutor(
            config.evidence,
            config.evidence_root,
            Origin(scenes, config.device_serial, detector.model, _key(config), _liability(catalogue)),
            Means(decoding.look, StillDetector(watchful, card.input)),
            metrics,
        )
        around = Surroundings(
            site_of=lambda camera: scenes[camera].site,
            names=names,
            kept=prosecutor.kept,
            look=decoding.look,
            register=register,
            metrics=metrics,
            catalogue=catalogue,
            reached_s=prosecutor.reached_s,
            shoot=prosecutor.shoot,
        )
        stages = Stages(
            decoder=decoding.decoder,
            guard=(guard := ViewGuard(references(by_index), decoding.look, metrics, names)),
            signals=signals,
            detector=detector,
            tracker=KalmanTracker(TrackerParameters(high_score=card.score_threshold, birth_score=card.score_threshold)),
            speedometer=(speedometer := GroundSpeedometer(geometries(by_index))),
            rulebook=(
                rulebook := SiteRulebook(
                    by_index,
                    names,
                    catalogue,
                    signals=signals,
                    unjudged=lambda camera, reason, frames: metrics.unjudged.labels(names[camera], reason).inc(frames),
                )
            ),
            investigator=stack.enter_context(open_inquiry(config, around)),
            prosecutor=prosecutor,
            register=register,
        )
        yield Crew(stages, decoding, views, guard, signals, speedometer, rulebook, prosecutor, scenes, names)


def _view(camera: CameraConfig, site: Site) -> CameraView:
    lossy = "://" in camera.url and camera.transport == "udp"
    return CameraView(camera.name, camera.detect_fps, camera.regions, site.lamps, site.image_size_px, lossy)


def _liability(catalogue: Catalogue) -> Liability | None:
    owner = catalogue.owner
    return Liability(article=owner.article, says=owner.says) if owner else None


def _key(config: EngineConfig) -> SigningKey | None:
    """What cases are signed with. Raises ConfigError."""
    path = config.evidence.signing_key
    return load_signing_key(path) if path else None


def _source(metrics: Metrics, index: int, camera: CameraConfig) -> Source:
    """A camera, or a file that plays as if it were being filmed now."""
    if "://" in camera.url:
        return RtspSource(index, camera, metrics)
    return FileSource(index, camera, metrics, start_s=time.time())


def geometries(sites: Mapping[int, Site]) -> dict[int, CameraGeometry]:
    """What the speedometer knows of every camera that has a calibration."""
    return {index: geometry(site) for index, site in sites.items() if site.calibration is not None}


def geometry(site: Site) -> CameraGeometry:
    """The site's calibration as the speedometer reads it; the site must have one."""
    calibration = site.calibration
    assert calibration is not None
    return CameraGeometry(
        image_to_ground=np.array(calibration.image_to_ground),
        image_size_px=site.image_size_px,
        area_px=np.array(calibration.area_px),
        valid_from_s=calibration.made.timestamp(),
        valid_to_s=calibration.expires.timestamp(),
        covariance=None if calibration.covariance is None else np.reshape(calibration.covariance, (9, 9)),
        relative_sigma=calibration.relative_sigma,
        foot=FootModel(calibration.camera_m) if calibration.camera_m else None,
        lens=Lens(lens.focal_px, lens.centre_px, lens.k1, lens.k2) if (lens := calibration.lens) else None,
        readout_s=calibration.readout_s,
    )
