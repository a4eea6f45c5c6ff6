"""The crew: the stages for the cameras of a configuration, and how a camera joins and leaves them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial

from engine.app.identification import IdentificationContext, open_identifier, require_means
from engine.app.sites import geometries
from engine.config import CameraConfig, EngineConfig
from engine.decode.camera import CameraView
from engine.decode.opening import Decoding, open_decoding
from engine.detect.cards import find_card
from engine.detect.onnx import OnnxDetector
from engine.detect.opening import open_detector
from engine.detect.stills import StillDetector, sensitive
from engine.evidence import CameraSite, FileEvidenceBuilder, Means, Origin, SigningKey, load_signing_key
from engine.measure import GroundSpeedometer
from engine.measure.drift import ViewDriftMonitor, references
from engine.metrics import Metrics
from engine.pipeline.loop import Stages
from engine.rules import Catalogue, SiteRulebook, load_catalogue
from engine.signals import SignalBook
from engine.site import Site
from engine.stages import FrameFetcher, Ledger
from engine.track import KalmanTracker, TrackerParameters
from engine.types.document import Liability


@dataclass(frozen=True, slots=True)
class StageSet:
    """The stages, and how a camera joins and leaves them: before the first batch, or while every stage is idle."""

    stages: Stages
    decoding: Decoding
    views: dict[int, CameraView]
    guard: ViewDriftMonitor
    signals: SignalBook
    speedometer: GroundSpeedometer
    rulebook: SiteRulebook
    evidence_builder: FileEvidenceBuilder
    scenes: dict[int, CameraSite]
    names: dict[int, str]
    """Of every camera that ever joined: an index is never used again."""

    def admit(self, camera: int, config: CameraConfig, site: Site) -> None:
        """Let every stage know one more camera; its site has passed `examine`."""
        self.names[camera] = config.name
        self.scenes[camera] = CameraSite(config.name, site)
        self.views[camera] = _view(config, site)
        self.decoding.renew()
        for reference in references({camera: site}).values():
            self.guard.admit(camera, reference)
        for found in geometries({camera: site}).values():
            self.speedometer.admit(camera, found)
        self.signals.admit(camera, config.name, site)
        self.rulebook.admit(camera, site)
        self.evidence_builder.admit(camera)

    def release(self, camera: int) -> None:
        """Let every stage forget a camera that `Runner.leave` has settled."""
        del self.views[camera]
        self.guard.release(camera)
        self.signals.release(camera)
        self.rulebook.release(camera)


@contextmanager
def open_stages(
    config: EngineConfig,
    sites: Sequence[Site],
    ledger: Ledger,
    metrics: Metrics,
    signals: SignalBook | None = None,
) -> Iterator[Stages]:
    """The stages for the cameras of `config`, each with its site, in order; closes them, but for the register.

    `signals` where somebody else reports to it, too.
    """
    with open_stage_set(config, sites, ledger, metrics, signals) as stage_set:
        yield stage_set.stages


@contextmanager
def open_stage_set(
    config: EngineConfig,
    sites: Sequence[Site],
    ledger: Ledger,
    metrics: Metrics,
    signals: SignalBook | None = None,
) -> Iterator[StageSet]:
    """The same, with the cameras free to come and go."""
    for site in sites:
        require_means(site, config)
    by_index, names = dict(enumerate(sites)), config.camera_names
    card, catalogue = find_card(config.detector.card), load_catalogue(config.catalogue, config.review)
    signals = signals or SignalBook(by_index, names, metrics)
    views = {index: _view(*pair) for index, pair in enumerate(zip(config.cameras, sites, strict=True))}
    scenes = {index: CameraSite(names[index], site) for index, site in by_index.items()}
    with ExitStack() as stack:
        detector = stack.enter_context(closing(open_detector(card, config.detector, metrics, gpu_of(config))))
        watchful = stack.enter_context(closing(OnnxDetector(sensitive(card), config.detector.threads)))
        decoding = stack.enter_context(open_decoding(config.decoder, config.pipeline, views, card.input, metrics))
        origin = Origin(scenes, config.device_serial, detector.model, _key(config), _liability(catalogue))
        means = Means(decoding.look, StillDetector(watchful, card.input))
        evidence_builder = FileEvidenceBuilder(config.evidence, config.evidence_root, origin, means, metrics)
        around = _surroundings(scenes, names, decoding.look, evidence_builder, ledger, catalogue, metrics)
        guard = ViewDriftMonitor(references(by_index), decoding.look, metrics, names)
        speedometer = GroundSpeedometer(geometries(by_index))
        rulebook = SiteRulebook(by_index, names, catalogue, signals=signals, unjudged=partial(_tally, metrics, names))
        stages = Stages(
            decoder=decoding.decoder,
            guard=guard,
            signals=signals,
            detector=detector,
            tracker=KalmanTracker(TrackerParameters(high_score=card.score_threshold, birth_score=card.score_threshold)),
            speedometer=speedometer,
            rulebook=rulebook,
            identifier=stack.enter_context(open_identifier(config, around)),
            evidence_builder=evidence_builder,
            ledger=ledger,
        )
        yield StageSet(stages, decoding, views, guard, signals, speedometer, rulebook, evidence_builder, scenes, names)


def _surroundings(
    scenes: Mapping[int, CameraSite],
    names: Mapping[int, str],
    look: FrameFetcher,
    evidence_builder: FileEvidenceBuilder,
    ledger: Ledger,
    catalogue: Catalogue,
    metrics: Metrics,
) -> IdentificationContext:
    return IdentificationContext(
        site_of=lambda camera: scenes[camera].site,
        names=names,
        kept=evidence_builder.kept,
        look=look,
        ledger=ledger,
        metrics=metrics,
        catalogue=catalogue,
        reached_s=evidence_builder.reached_s,
        shoot=evidence_builder.shoot,
    )


def _tally(metrics: Metrics, names: Mapping[int, str], camera: int, reason: str, frames: int) -> None:
    metrics.unjudged.labels(names[camera], reason).inc(frames)


def gpu_of(config: EngineConfig) -> int:
    """The GPU of this process: pixels are made where they are looked at."""
    return 0 if config.decoder.device == "cpu" else config.decoder.device


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
