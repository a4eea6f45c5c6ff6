"""Puts the inquiry together: the plate reader, the lists, the registry and the classifiers of a configuration."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import grpc
import structlog

from engine.config import ClassifierConfig, EngineConfig, RegistryConfig
from engine.errors import ConfigError, EvidenceError
from engine.identify import Identification, Looks, StolenList, VehicleIdentifier, nobodys
from engine.identify.classifier import OnnxClassifier
from engine.identify.confirmation import ClassifierConfirmation, Confirmation, RegistryConfirmation
from engine.identify.identifier import Kept
from engine.identify.papers import RemoteRegistry, SnapshotRegistry
from engine.identify.papers.paper import PAPERS
from engine.identify.plates import load_forms
from engine.identify.plates.opening import open_reader
from engine.ledger import Filter, SqlLedger
from engine.metrics import Metrics
from engine.rules import Catalogue
from engine.rules.evaluator import kind_name
from engine.rules.kinds.average_speed import SectionEndRule
from engine.rules.second_look import LookRule
from engine.section import Section, SectionControl, load_sections, require
from engine.section.control import Shoot
from engine.section.verdict import KIND as SECTION_KIND
from engine.site import Site
from engine.stages import FrameFetcher, Ledger, VehicleRegistry
from engine.types import SectionCrossing, document

log = structlog.get_logger()

DAYS_S = 2 * 86_400.0
"""Cases so young that their plate may be told again on the same local day."""


@dataclass(frozen=True, slots=True)
class IdentificationContext:
    """What the inquiry takes from the rest of the engine."""

    site_of: Callable[[int], Site]
    names: Mapping[int, str]
    kept: Kept
    look: FrameFetcher
    ledger: Ledger
    metrics: Metrics
    catalogue: Catalogue
    reached_s: Callable[[int], float]
    shoot: Shoot


def require_means(site: Site, config: EngineConfig) -> None:
    """Raise ConfigError for a rule of which nothing could decide."""
    for rule in site.rules:
        if isinstance(rule, LookRule) and kind_name(rule) not in confirmable(config):
            raise ConfigError(
                f"site {site.name}: rule {rule.name} ({kind_name(rule)}) needs a {rule.means}, "
                "and the configuration names none"
            )


def confirmable(config: EngineConfig) -> frozenset[str]:
    """The kinds whose suspicions this configuration has means for."""
    papers = PAPERS if config.registry else ()
    drives = (SECTION_KIND,) if config.sections else ()
    return frozenset((*papers, *drives, *(one.kind for one in config.classifiers)))


@contextmanager
def open_identifier(config: EngineConfig, around: IdentificationContext) -> Iterator[VehicleIdentifier]:
    """Raises ConfigError or ModelError."""
    forms = load_forms(config.plates.forms)
    is_stolen = StolenList(config.plates.stolen) if config.plates.stolen else nobodys
    rules = Identification(forms.home.country, config.plates.least_confidence, is_stolen)
    looks = Looks(around.kept, around.look, open_reader(config.plates, forms), config.plates.frames)
    confirm: dict[str, Confirmation] = {one.kind: classifier(one) for one in config.classifiers}
    with ExitStack() as stack:
        if config.registry:
            registry = stack.enter_context(closing(open_registry(config.registry, rules.country)))
            asked = RegistryConfirmation(registry, rules, day_at(around.site_of), lambda: told_lately(around))
            confirm |= dict.fromkeys(PAPERS, asked)
        control = open_section_control(config.sections, around) if config.sections else None
        yield VehicleIdentifier(around.site_of, around.names, looks, rules, around.metrics, confirm, control)


def open_section_control(path: Path, around: IdentificationContext) -> SectionControl | None:
    """The sections of a file that can be measured now; None where there is none. Raises ConfigError.

    One with an end that nobody tells is left out: its camera may be paused, or have another site on record.
    """
    sites = {name: around.site_of(camera) for camera, name in around.names.items()}
    sections = [section for section in _sections(path, around.catalogue) if _is_told(path, section, sites)]
    if not sections:
        return None

    def line_of(crossing: SectionCrossing) -> str:
        seen = crossing.violation
        rules = around.site_of(seen.camera).rules
        return next((r.line for r in rules if isinstance(r, SectionEndRule) and r.name == seen.rule), "")

    return SectionControl(
        sections, around.names, around.catalogue, line_of, around.reached_s, around.shoot, around.metrics
    )


def sections_of(path: Path, sites: Mapping[str, Site], catalogue: Catalogue) -> tuple[Section, ...]:
    """The sections of a file, each end one that a camera's site tells; `sites` by the camera's name.

    Raises ConfigError.
    """
    sections = _sections(path, catalogue)
    for section in sections:
        _require_ends(path, section, sites)
    return sections


def _sections(path: Path, catalogue: Catalogue) -> tuple[Section, ...]:
    sections = load_sections(path)
    require(sections, catalogue)
    return sections


def _require_ends(path: Path, section: Section, sites: Mapping[str, Site]) -> None:
    for end in (section.entry, section.exit):
        if end.camera not in sites:
            raise ConfigError(f"{path}: section {section.name}: there is no camera {end.camera!r}")
        if not _tells(sites[end.camera], end.line):
            raise ConfigError(
                f"{path}: section {section.name}: the site of {end.camera} has no average_speed rule "
                f"at line {end.line!r}"
            )


def _is_told(path: Path, section: Section, sites: Mapping[str, Site]) -> bool:
    try:
        _require_ends(path, section, sites)
    except ConfigError as error:
        log.error("a section is not measured until the next start", error=str(error))
        return False
    return True


def examine_means(config: EngineConfig, sites: Mapping[str, Site], catalogue: Catalogue) -> None:
    """Open what the inquiry needs, and close it: `sites` by the camera's name. Raises ConfigError or ModelError."""
    for site in sites.values():
        require_means(site, config)
    load_forms(config.plates.forms)
    if config.plates.stolen:
        StolenList(config.plates.stolen)
    for one in config.classifiers:
        classifier(one)
    if config.registry:
        open_registry(config.registry, "").close()
    if config.sections:
        sections_of(config.sections, sites, catalogue)


def _tells(site: Site, line: str) -> bool:
    return any(isinstance(rule, SectionEndRule) and rule.line == line for rule in site.rules)


def classifier(config: ClassifierConfig) -> ClassifierConfirmation:
    """Raises ModelError."""
    network = OnnxClassifier(config.model, config)
    return ClassifierConfirmation(network, config.region, config.threshold, config.frames, config.at_least)


def open_registry(config: RegistryConfig, country: str) -> VehicleRegistry:
    """Raises ConfigError."""
    zone = ZoneInfo(config.timezone)
    if config.snapshot:
        return SnapshotRegistry(config.snapshot, config.longest_age_h * 3600.0, zone)
    channel = _channel(config)
    return RemoteRegistry(channel, country, zone, timeout_s=config.timeout_s, cache_s=config.cache_s)


def _channel(config: RegistryConfig) -> grpc.Channel:
    if config.insecure:
        return grpc.insecure_channel(config.service)
    try:
        authority = config.ca.read_bytes() if config.ca else None
    except OSError as error:
        raise ConfigError(f"registry.ca: {error}") from error
    return grpc.secure_channel(config.service, grpc.ssl_channel_credentials(authority))


def day_at(site_of: Callable[[int], Site]) -> Callable[[int, float], str]:
    """The local day of a camera's instant."""

    def day(camera: int, at_s: float) -> str:
        zone = ZoneInfo(site_of(camera).place.timezone)
        return dt.datetime.fromtimestamp(at_s, zone).date().isoformat()

    return day


def told_lately(around: IdentificationContext) -> Iterable[tuple[str, str, str]]:
    """Plate, kind and day of the registry's cases of the last days: after a restart none is told again.

    Raises LedgerError: nobody is accused before it is known who was.
    """
    if not isinstance(around.ledger, SqlLedger):
        return []
    since_s = dt.datetime.now(dt.UTC).timestamp() - DAYS_S
    return list(_keys(around.ledger, Filter(kinds=tuple(PAPERS), occurred_from_s=since_s)))


def _keys(ledger: SqlLedger, wanted: Filter) -> Iterator[tuple[str, str, str]]:
    after = 0
    while entries := ledger.read(after, 500, wanted):
        after = entries[-1].sequence
        for entry in entries:
            try:
                record = document.decode(entry.case.document, source=entry.case.id)
            except EvidenceError as error:
                log.error("an earlier case of the registry's kinds cannot be read", error=str(error))
                continue
            if record.plate:
                yield record.plate.text, record.kind, record.time.local[:10]
