"""Puts the engine together: the one place that knows the concrete classes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog

from engine.config import CameraConfig, EngineConfig, PlatesConfig, split_address
from engine.decode.camera import CameraView
from engine.decode.cpu import CpuDecoder
from engine.decode.second_look import look
from engine.detect.cards import find_card
from engine.detect.onnx import OnnxDetector
from engine.detect.stills import StillDetector
from engine.document import Liability
from engine.evidence import FileProsecutor, Means, Origin, Scene, SigningKey, load_signing_key, stored_cases
from engine.geometry import CameraGeometry, FootModel, Lens
from engine.ingest import FileSource, RtspSource
from engine.inquiry import Identification, Looks, SecondLookInvestigator, StolenList
from engine.mailbox import Mailbox
from engine.measure import GroundSpeedometer
from engine.metrics import Metrics, exposed
from engine.pipeline import Pipeline, Stages
from engine.plates import Forms, load_forms
from engine.plates.network import TextNetworks
from engine.plates.network import installed as networks_installed
from engine.plates.reader import TextPlateReader
from engine.register import SqlRegister
from engine.rules import Catalogue, SiteRulebook, load_catalogue
from engine.runner import Runner
from engine.serve import Service
from engine.site import Site, load_site
from engine.stages import Prosecutor, Register, Source
from engine.steady import ViewGuard, references
from engine.track import KalmanTracker, TrackerParameters
from engine.types import Entry

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Engine:
    """All of it, running: made by `build`."""

    runner: Runner
    metrics: Metrics
    cameras: tuple[str, ...]
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
    metrics, names = Metrics(), config.camera_names
    for name in names.values():
        metrics.add_camera(name)
    sites = [load_site(camera.site) for camera in config.cameras]
    with ExitStack() as stack:
        host, port = split_address(config.metrics.listen, source="metrics.listen")
        metrics_port = stack.enter_context(exposed(metrics, host, port))
        register = stack.enter_context(closing(SqlRegister(config.state / "register.db")))
        stages = stack.enter_context(open_stages(config, sites, register, metrics))
        _recover(register, config.evidence_root)
        service = Service(register, config.evidence_root, config.service, metrics)
        service.start()
        stack.callback(service.stop)
        pipeline = Pipeline(stages, names, metrics)
        pipeline.step(())  # compiles the kernels before the first camera is opened
        runner = _runner(config, pipeline, stages.prosecutor, metrics)
        yield Engine(runner, metrics, tuple(names.values()), service.address, f"{host}:{metrics_port}")


def _recover(register: SqlRegister, evidence_root: Path) -> None:
    """Append the cases whose evidence was complete when a crash came before the register had them."""
    lost = list(stored_cases(evidence_root, lambda case_id: register.get(case_id) is not None))
    for entry in register.append(lost):
        log.warning("case recovered after a crash", case=entry.case.id, sequence=entry.sequence)


def _runner(config: EngineConfig, pipeline: Pipeline, prosecutor: Prosecutor, metrics: Metrics) -> Runner:
    sizes, names = config.pipeline, config.camera_names
    return Runner(
        pipeline,
        {camera.name: _source(index, camera, metrics) for index, camera in enumerate(config.cameras)},
        prosecutor,
        Mailbox(sizes.mailbox_segments, sizes.mailbox_camera_segments, metrics, names.__getitem__),
        batch_segments=sizes.batch_segments,
        overlap=sizes.overlap,
    )


@contextmanager
def open_stages(config: EngineConfig, sites: Sequence[Site], register: Register, metrics: Metrics) -> Iterator[Stages]:
    """The stages for the cameras of `config`, each with its site, in order; closes them, but for the register."""
    by_index, names = dict(enumerate(sites)), config.camera_names
    card = find_card(config.detector.card)
    with ExitStack() as stack:
        detector = stack.enter_context(closing(OnnxDetector(card, config.detector.threads)))
        decoder = CpuDecoder(_views(config.cameras), card.input, metrics, config.pipeline.decode_threads)
        stack.callback(decoder.close)
        catalogue = load_catalogue(config.catalogue)
        scenes = {index: Scene(names[index], site) for index, site in by_index.items()}
        prosecutor = FileProsecutor(
            config.evidence,
            config.evidence_root,
            Origin(scenes, config.device_serial, detector.model, _key(config), _liability(catalogue)),
            Means(look, StillDetector(detector, card.input)),
            metrics,
        )
        yield Stages(
            decoder=decoder,
            guard=ViewGuard(references(by_index), look, metrics, names),
            detector=detector,
            tracker=KalmanTracker(TrackerParameters(high_score=card.score_threshold, birth_score=card.score_threshold)),
            speedometer=GroundSpeedometer(geometries(by_index)),
            rulebook=SiteRulebook(
                by_index,
                names,
                catalogue,
                unjudged=lambda camera, reason, frames: metrics.unjudged.labels(names[camera], reason).inc(frames),
            ),
            investigator=_investigator(config.plates, by_index, names, prosecutor, metrics),
            prosecutor=prosecutor,
            register=register,
        )


def _investigator(
    config: PlatesConfig,
    sites: Mapping[int, Site],
    names: Mapping[int, str],
    prosecutor: FileProsecutor,
    metrics: Metrics,
) -> SecondLookInvestigator:
    """Raises ConfigError or ModelError."""
    forms = load_forms(config.forms)
    rules = Identification(
        country=forms.home.country,
        least_confidence=config.least_confidence,
        **({"is_stolen": StolenList(config.stolen)} if config.stolen else {}),
    )
    looks = Looks(prosecutor.kept, look, _plate_reader(config, forms), config.frames)
    return SecondLookInvestigator(sites, names, looks, rules, metrics)


def _plate_reader(config: PlatesConfig, forms: Forms) -> TextPlateReader | None:
    if config.reader == "off":
        return None
    if config.reader == "auto" and not networks_installed():
        log.warning("no plate reader is installed (qyran[plates]): an officer identifies every vehicle")
        return None
    return TextPlateReader(TextNetworks(config.threads), forms)


def _liability(catalogue: Catalogue) -> Liability | None:
    owner = catalogue.owner
    return Liability(article=owner.article, says=owner.says) if owner else None


def _key(config: EngineConfig) -> SigningKey | None:
    """What cases are signed with. Raises ConfigError."""
    path = config.evidence.signing_key
    return load_signing_key(path) if path else None


def _views(cameras: Sequence[CameraConfig]) -> dict[int, CameraView]:
    return {index: CameraView(c.name, c.detect_fps, c.regions) for index, c in enumerate(cameras)}


def _source(index: int, camera: CameraConfig, metrics: Metrics) -> Source:
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
