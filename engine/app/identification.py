"""Opens what identifies vehicles: the plate reader, the lists, the registry, the classifiers, the sections."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import grpc
import structlog

from engine.config import ClassifierConfig, EngineConfig, RegistryConfig
from engine.errors import ConfigError, EvidenceError
from engine.identify import Identification, Looks, StolenList, VehicleIdentifier
from engine.identify.classifier import OnnxClassifier
from engine.identify.confirmation import ClassifierConfirmation, Confirmation, RegistryConfirmation
from engine.identify.papers import RemoteRegistry, SnapshotRegistry
from engine.identify.papers.paper import PAPERS
from engine.identify.plates import load_forms
from engine.identify.plates.reader import open_reader
from engine.ingest import Recordings
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

RECENT_S = 2 * 86_400.0
"""A case younger than this may be of the current local day, on which its plate is not reported again."""


@dataclass(frozen=True, slots=True)
class IdentificationContext:
    """What identification needs from the rest of the engine."""

    site_of: Callable[[int], Site]
    names: Mapping[int, str]
    recordings: Recordings
    fetch_frames: FrameFetcher
    ledger: Ledger
    metrics: Metrics
    catalogue: Catalogue
    take_stills: Shoot


def require_confirmable(site: Site, config: EngineConfig) -> None:
    """Raises ConfigError for a rule whose suspicions the configuration cannot confirm."""
    for rule in site.rules:
        if isinstance(rule, LookRule) and kind_name(rule) not in confirmable_kinds(config):
            raise ConfigError(
                f"site {site.name}: rule {rule.name} ({kind_name(rule)}) needs a {rule.means}, "
                "and the configuration names none"
            )


def confirmable_kinds(config: EngineConfig) -> frozenset[str]:
    """The kinds whose suspicions this configuration can confirm."""
    papers = PAPERS if config.registry else ()
    sections = (SECTION_KIND,) if config.sections else ()
    return frozenset((*papers, *sections, *(one.kind for one in config.classifiers)))


@contextmanager
def open_identifier(config: EngineConfig, context: IdentificationContext) -> Iterator[VehicleIdentifier]:
    """Open the identifier that the configuration asks for; closes it. Raises ConfigError or ModelError."""
    forms = load_forms(config.plates.forms)
    rules = Identification(forms.home.country, config.plates.least_confidence)
    if config.plates.stolen:
        rules = replace(rules, is_stolen=StolenList(config.plates.stolen))
    reader = open_reader(config.plates, forms)
    looks = Looks(context.recordings, context.fetch_frames, reader, config.plates.frames)
    confirm: dict[str, Confirmation] = {one.kind: open_classifier(one) for one in config.classifiers}
    with ExitStack() as stack:
        if config.registry:
            registry = stack.enter_context(closing(open_registry(config.registry, rules.country)))
            by_registry = RegistryConfirmation(
                registry, rules, partial(_local_day, context.site_of), partial(recently_reported, context.ledger)
            )
            confirm |= dict.fromkeys(PAPERS, by_registry)
        control = open_section_control(config.sections, context) if config.sections else None
        yield VehicleIdentifier(context.site_of, context.names, looks, rules, context.metrics, confirm, control)


def open_section_control(path: Path, context: IdentificationContext) -> SectionControl | None:
    """The control of the sections of a file that can be measured now; None without such a section. Raises ConfigError.

    A section without both of its ends is left out: a camera may be paused, or have another site on record.
    """
    sites = {name: context.site_of(camera) for camera, name in context.names.items()}
    sections = [section for section in _load_sections(path, context.catalogue) if _has_ends(path, section, sites)]
    if not sections:
        return None

    def line_of(crossing: SectionCrossing) -> str:
        seen = crossing.violation
        rules = context.site_of(seen.camera).rules
        return next((r.line for r in rules if isinstance(r, SectionEndRule) and r.name == seen.rule), "")

    return SectionControl(
        sections,
        context.names,
        context.catalogue,
        line_of,
        context.recordings.reached_s,
        context.take_stills,
        context.metrics,
    )


def check_identification(config: EngineConfig, sites: Mapping[str, Site], catalogue: Catalogue) -> None:
    """Open what identification needs, and close it; `sites` by camera name. Raises ConfigError or ModelError."""
    for site in sites.values():
        require_confirmable(site, config)
    load_forms(config.plates.forms)
    if config.plates.stolen:
        StolenList(config.plates.stolen)
    for one in config.classifiers:
        open_classifier(one)
    if config.registry:
        open_registry(config.registry, "").close()
    if config.sections:
        for section in _load_sections(config.sections, catalogue):
            _require_ends(config.sections, section, sites)


def _load_sections(path: Path, catalogue: Catalogue) -> Sequence[Section]:
    sections = load_sections(path)
    require(sections, catalogue)
    return sections


def _has_ends(path: Path, section: Section, sites: Mapping[str, Site]) -> bool:
    try:
        _require_ends(path, section, sites)
    except ConfigError as error:
        log.error("section not measured until the next start", error=str(error))
        return False
    return True


def _require_ends(path: Path, section: Section, sites: Mapping[str, Site]) -> None:
    """Raise ConfigError unless the site of each end has the rule at its line; `sites` by camera name."""
    for end in (section.entry, section.exit):
        if end.camera not in sites:
            raise ConfigError(f"{path}: section {section.name}: there is no camera {end.camera!r}")
        rules = sites[end.camera].rules
        if not any(isinstance(rule, SectionEndRule) and rule.line == end.line for rule in rules):
            raise ConfigError(
                f"{path}: section {section.name}: the site of {end.camera} has no average_speed rule "
                f"at line {end.line!r}"
            )


def open_classifier(config: ClassifierConfig) -> ClassifierConfirmation:
    """A confirmation by the configured network. Raises ModelError."""
    network = OnnxClassifier(config.model, config)
    return ClassifierConfirmation(network, config.region, config.threshold, config.frames, config.at_least)


def open_registry(config: RegistryConfig, country: str) -> VehicleRegistry:
    """The registry of vehicles' papers: an extract in a file, or a service. Raises ConfigError."""
    zone = ZoneInfo(config.timezone)
    if config.snapshot:
        return SnapshotRegistry(config.snapshot, config.longest_age_h * 3600.0, zone)
    channel = _open_channel(config)
    return RemoteRegistry(channel, country, zone, timeout_s=config.timeout_s, cache_s=config.cache_s)


def _open_channel(config: RegistryConfig) -> grpc.Channel:
    if config.insecure:
        return grpc.insecure_channel(config.service)
    try:
        authority = config.ca.read_bytes() if config.ca else None
    except OSError as error:
        raise ConfigError(f"registry.ca: {error}") from error
    return grpc.secure_channel(config.service, grpc.ssl_channel_credentials(authority))


def _local_day(site_of: Callable[[int], Site], camera: int, at_s: float) -> str:
    """The day of an instant at the camera's place, ISO 8601."""
    zone = ZoneInfo(site_of(camera).place.timezone)
    return dt.datetime.fromtimestamp(at_s, zone).date().isoformat()


def recently_reported(ledger: Ledger) -> Sequence[tuple[str, str, str]]:
    """Plate, kind and local day of the recent cases about papers: after a restart they are not reported again.

    Raises LedgerError: without an answer, a vehicle might be reported twice.
    """
    if not isinstance(ledger, SqlLedger):
        return []
    since_s = dt.datetime.now(dt.UTC).timestamp() - RECENT_S
    return list(_reported(ledger, Filter(kinds=tuple(PAPERS), occurred_from_s=since_s)))


def _reported(ledger: SqlLedger, wanted: Filter) -> Iterator[tuple[str, str, str]]:
    after = 0
    while entries := ledger.read(after, 500, wanted):
        after = entries[-1].sequence
        for entry in entries:
            try:
                record = document.decode(entry.case.document, source=entry.case.id)
            except EvidenceError as error:
                log.error("an earlier case about papers cannot be read", error=str(error))
                continue
            if record.plate:
                yield record.plate.text, record.kind, record.time.local[:10]
