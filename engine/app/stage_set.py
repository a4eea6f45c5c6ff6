"""Opens the stages for the cameras of a configuration; adds cameras to all stages and removes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from engine.app.identification import IdentificationContext, open_identifier, require_confirmable
from engine.config import CameraConfig, EngineConfig
from engine.decode.opening import open_decoding
from engine.decode.settings import settings_of
from engine.detect.cards import find_card
from engine.detect.onnx import OnnxDetector
from engine.detect.opening import open_detector
from engine.detect.stills import StillDetector, sensitive_card
from engine.evidence import CameraSite, EvidenceTools, FileEvidenceBuilder, Origin, crossing_stills, load_signing_key
from engine.ingest import Probe, Recordings
from engine.measure import GroundSpeedometer, geometries
from engine.measure.drift import ViewDriftMonitor, load_references
from engine.metrics import Metrics
from engine.pipeline.loop import Stages
from engine.pipeline.observed import observe_stages
from engine.rules import Catalogue, SiteRulebook, check_site, load_catalogue
from engine.signals import SignalBook
from engine.site import Site, WatchedCamera
from engine.stages import Ledger
from engine.track import KalmanTracker, TrackerParameters
from engine.types.document import Liability


class CameraStage(Protocol):
    """A stage that keeps something for each camera. Both methods are called between two batches."""

    def add_camera(self, index: int, camera: WatchedCamera) -> None:
        """Know one more camera. `index` is above all earlier ones; the site has passed `examine`."""

    def remove_camera(self, index: int) -> None:
        """Forget a camera that has stopped and whose tracks have ended."""


@dataclass(frozen=True, slots=True)
class StageSet:
    """The stages. Cameras are added and removed before the first batch, or between two."""

    stages: Stages
    signals: SignalBook
    camera_stages: Sequence[CameraStage]
    recordings: Recordings
    names: dict[int, str]
    sites: dict[int, Site]
    metrics: Metrics

    def add_camera(self, index: int, config: CameraConfig, site: Site) -> None:
        """Let every stage know one more camera; its site has passed `examine`."""
        self.names[index], self.sites[index] = config.name, site
        self.metrics.add_camera(config.name)
        self.recordings.add_camera(index)
        for stage in self.camera_stages:
            stage.add_camera(index, WatchedCamera(config, site))

    def remove_camera(self, index: int) -> None:
        """Let every stage forget a camera that `Runner.remove_camera` has finished."""
        for stage in self.camera_stages:
            stage.remove_camera(index)
        self.recordings.remove_camera(index)
        self.metrics.remove_camera(self.names[index])
        del self.names[index], self.sites[index]


@contextmanager
def open_stages(
    config: EngineConfig, sites: Sequence[Site], ledger: Ledger, metrics: Metrics, signals: SignalBook | None = None
) -> Iterator[Stages]:
    """The stages for the cameras of `config`, each with its site, in order; closes them, except the ledger.

    Pass `signals` to report phases to it from outside.
    """
    with open_stage_set(config, sites, ledger, metrics, signals) as stage_set:
        yield stage_set.stages


@contextmanager
def open_stage_set(
    config: EngineConfig, sites: Sequence[Site], ledger: Ledger, metrics: Metrics, signals: SignalBook | None = None
) -> Iterator[StageSet]:
    """As `open_stages`; cameras can be added and removed."""
    for site in sites:
        require_confirmable(site, config)
    by_index, names = dict(enumerate(sites)), config.camera_names
    cameras = {index: WatchedCamera(*pair) for index, pair in enumerate(zip(config.cameras, sites, strict=True))}
    camera_sites = {index: CameraSite(camera.name, camera.site) for index, camera in cameras.items()}
    card, catalogue = find_card(config.detector.card), load_catalogue(config.catalogue, config.review)
    recordings = Recordings(config.evidence.keep_s, config.evidence.keep_bytes)
    for index, camera in cameras.items():
        recordings.add_camera(index)
        metrics.add_camera(camera.name)
    with ExitStack() as stack:
        detector = stack.enter_context(closing(open_detector(card, config.detector, metrics, gpu_of(config))))
        still_network = stack.enter_context(closing(OnnxDetector(sensitive_card(card), config.detector.threads)))
        decode_settings = {index: settings_of(camera) for index, camera in cameras.items()}
        decoding = stack.enter_context(
            open_decoding(config.decoder, config.pipeline, decode_settings, card.input, metrics)
        )
        drift_monitor = ViewDriftMonitor(load_references(by_index), decoding.fetch_frames, metrics, names)
        signals = signals or SignalBook(by_index, names, metrics)
        tracker = KalmanTracker(TrackerParameters(high_score=card.score_threshold, birth_score=card.score_threshold))
        speedometer = GroundSpeedometer(geometries(by_index))
        rulebook = SiteRulebook(by_index, names, catalogue, signals=signals, unjudged=partial(_count, metrics, names))
        tools = EvidenceTools(decoding.fetch_frames, StillDetector(still_network, card.input))
        context = IdentificationContext(
            site_of=by_index.__getitem__,
            names=names,
            recordings=recordings,
            fetch_frames=decoding.fetch_frames,
            ledger=ledger,
            metrics=metrics,
            catalogue=catalogue,
            take_stills=partial(
                crossing_stills,
                recordings=recordings,
                cameras=camera_sites,  # those of the start: only they are ends of sections
                tools=tools,
                quality=config.evidence.jpeg_quality,
            ),
        )
        identifier = stack.enter_context(open_identifier(config, context))
        key = load_signing_key(config.evidence.signing_key) if config.evidence.signing_key else None
        origin = Origin(config.device_serial, detector.model, key, _liability(catalogue))
        evidence_builder = FileEvidenceBuilder(
            config.evidence, config.evidence_root, camera_sites, origin, tools, recordings, metrics
        )
        stages = Stages(
            recordings=recordings,
            drift_monitor=drift_monitor,
            decoder=decoding.decoder,
            signals=signals,
            detector=detector,
            tracker=tracker,
            speedometer=speedometer,
            rulebook=rulebook,
            identifier=identifier,
            evidence_builder=evidence_builder,
            ledger=ledger,
        )
        yield StageSet(
            stages=observe_stages(stages, names, metrics),
            signals=signals,
            camera_stages=(
                decoding, drift_monitor, signals, tracker, speedometer, rulebook, identifier, evidence_builder,
            ),
            recordings=recordings,
            names=names,
            sites=by_index,
            metrics=metrics,
        )  # fmt: skip


def _count(metrics: Metrics, names: Mapping[int, str], camera: int, reason: str, frames: int) -> None:
    metrics.unjudged.labels(names[camera], reason).inc(frames)


def gpu_of(config: EngineConfig) -> int:
    """Index of the GPU of this process. The decoder and the detector use the same one."""
    return 0 if config.decoder.device == "cpu" else config.decoder.device


def _liability(catalogue: Catalogue) -> Liability | None:
    owner = catalogue.owner
    return Liability(article=owner.article, says=owner.says) if owner else None


def examine(site: Site, catalogue: Catalogue) -> list[str]:
    """The warnings about a site. Raises ConfigError or CalibrationError."""
    geometries({0: site})
    load_references({0: site})
    return check_site(site, catalogue)


def size_warnings(site: Site, seen: Probe) -> list[str]:
    """A warning if the camera's picture has another size than the picture of the site; else empty."""
    if site.image_size_px == (seen.width_px, seen.height_px):
        return []
    drawn = "x".join(map(str, site.image_size_px))
    return [f"sends {seen.width_px}x{seen.height_px}, its site is drawn on {drawn}: nothing will be judged"]
