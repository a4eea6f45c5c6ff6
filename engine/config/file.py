"""The engine's configuration file: cameras, stages, ledger, recipients and service."""

from __future__ import annotations

import os
from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from engine.config import stages, tomlfile
from engine.config.service import LedgerConfig, MetricsConfig, RecipientConfig, RetentionConfig, ServiceConfig
from engine.config.values import Name, Review, Strict, with_password

T = TypeVar("T", bound=Strict)


class EngineConfig(Strict, frozen=True):
    """The whole file."""

    cameras: Annotated[tuple[stages.CameraConfig, ...], Meta(min_length=1)]
    state: Path = Path("var")
    """Folder of the ledger and the evidence, relative to the configuration file."""
    catalogue: str = "kz"
    """Name of a shipped rule catalogue, or path of a catalogue file relative to the configuration file."""
    credentials: Path | None = None
    """Folder with one file per secret (as systemd and Docker provide it). ${NAME} in an address comes from the file
    NAME, or from the environment if there is no such file."""
    review: dict[Name, Review] = msgspec.field(default_factory=dict)
    """Exceptions to the catalogue by kind. `officer`: an officer decides each case of the kind."""
    device_serial: str = ""
    """Serial number of this recording system in its certificate; unique among the systems of a ledger."""
    decoder: stages.DecoderConfig = stages.DecoderConfig()
    detector: stages.DetectorConfig = stages.DetectorConfig()
    pipeline: stages.PipelineConfig = stages.PipelineConfig()
    evidence: stages.EvidenceConfig = stages.EvidenceConfig()
    plates: stages.PlatesConfig = stages.PlatesConfig()
    registry: stages.RegistryConfig | None = None
    classifiers: tuple[stages.ClassifierConfig, ...] = ()
    sections: Path | None = None
    """File of the sections between cameras, relative to the configuration file."""
    ledger: LedgerConfig = LedgerConfig()
    retention: RetentionConfig = RetentionConfig()
    recipients: tuple[RecipientConfig, ...] = ()
    service: ServiceConfig = ServiceConfig()
    metrics: MetricsConfig = MetricsConfig()

    def __post_init__(self) -> None:
        _require_distinct("cameras", self.cameras)
        _require_distinct("recipients", self.recipients)
        if self.ledger.url.startswith("postgresql") and not self.device_serial:
            raise ValueError("device_serial: a ledger on a server is shared, so each system needs a serial number")

    @property
    def camera_names(self) -> dict[int, str]:
        """Names of the cameras by their index in the file."""
        return {index: camera.name for index, camera in enumerate(self.cameras)}

    @property
    def evidence_root(self) -> Path:
        """Folder of the evidence folders of all cases."""
        return self.state / "evidence"

    @property
    def audit_folder(self) -> Path:
        """Folder of the audit log."""
        return self.state / "audit"

    @property
    def ledger_at(self) -> Path | str:
        """The SQLite file of the ledger, or the URL of its server."""
        return self.ledger.url or self.state / "ledger.db"


class _SecretFiles(Mapping[str, str]):
    """The content of the files of a folder, by file name. A file is read on access."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __getitem__(self, name: str) -> str:
        try:
            return (self._folder / name).read_text(encoding="utf-8").strip()
        except OSError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return (path.name for path in self._folder.glob("*"))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"_SecretFiles({self._folder})"


def secrets(config: EngineConfig, variables: Mapping[str, str] = os.environ) -> Mapping[str, str]:
    """The values of ${NAME}: from the folder of secrets, else from the environment."""
    return ChainMap(_SecretFiles(config.credentials), variables) if config.credentials else variables  # type: ignore[arg-type]


def load_config(path: Path, variables: Mapping[str, str] = os.environ, *, opens_cameras: bool = True) -> EngineConfig:
    """Read a configuration. Paths become absolute; ${NAME} in addresses is replaced from `variables`.

    `opens_cameras=False` keeps the ${NAME} in camera addresses, so the secrets of cameras need not exist.
    Raises ConfigError that names the file and the place in it.
    """
    config = tomlfile.load(path, EngineConfig)
    here = path.resolve().parent
    config = msgspec.structs.replace(config, credentials=config.credentials and here / config.credentials)
    variables = secrets(config, variables)
    return msgspec.structs.replace(
        config,
        state=here / config.state,
        cameras=tuple(
            _resolve_camera(camera, here, variables, source=str(path)) if opens_cameras else camera
            for camera in config.cameras
        ),
        detector=_resolve_detector(config.detector, here, here / config.state),
        catalogue=_resolve_name(config.catalogue, here),
        recipients=tuple(_resolve_recipient(one, here, variables, source=str(path)) for one in config.recipients),
        ledger=_resolve_ledger(config.ledger, here, variables, source=str(path)),
        evidence=_resolve_paths(config.evidence, here, "signing_key"),
        plates=msgspec.structs.replace(
            _resolve_paths(config.plates, here, "stolen"), forms=_resolve_name(config.plates.forms, here)
        ),
        sections=here / config.sections if config.sections else None,
        registry=config.registry and _resolve_paths(config.registry, here, "snapshot", "ca"),
        classifiers=tuple(_resolve_paths(one, here, "model") for one in config.classifiers),
        service=msgspec.structs.replace(
            config.service,
            tls=config.service.tls and _resolve_paths(config.service.tls, here, "certificate", "key", "client_ca"),
        ),
    )


def _resolve_paths(table: T, here: Path, *names: str) -> T:
    """Make the paths with these names absolute; None stays None."""
    return msgspec.structs.replace(table, **{name: here / path for name in names if (path := getattr(table, name))})


def _require_distinct(what: str, named: Sequence[stages.CameraConfig | RecipientConfig]) -> None:
    seen: set[str] = set()
    for one in named:
        if one.name in seen:
            raise ValueError(f"two {what} are called {one.name!r}")
        seen.add(one.name)


def _resolve_recipient(
    recipient: RecipientConfig, here: Path, variables: Mapping[str, str], *, source: str
) -> RecipientConfig:
    located = _resolve_paths(recipient, here, "token_file", "ca_file", "certificate_file", "key_file")
    url = tomlfile.expand(recipient.url, variables, source=f"{source}: recipient {recipient.name}")
    return msgspec.structs.replace(located, url=url)


def _resolve_ledger(ledger: LedgerConfig, here: Path, variables: Mapping[str, str], *, source: str) -> LedgerConfig:
    url = tomlfile.expand(ledger.url, variables, source=f"{source}: ledger.url")
    if ledger.password_file:
        url = with_password(url, tomlfile.read_secret(here / ledger.password_file))
    return msgspec.structs.replace(ledger, url=url)


def _resolve_camera(
    camera: stages.CameraConfig, here: Path, variables: Mapping[str, str], *, source: str
) -> stages.CameraConfig:
    url = tomlfile.expand(camera.url, variables, source=f"{source}: camera {camera.name}")
    if "://" not in url:
        url = str(here / url)
    return msgspec.structs.replace(camera, url=url, site=here / camera.site)


def _resolve_detector(detector: stages.DetectorConfig, here: Path, state: Path) -> stages.DetectorConfig:
    return msgspec.structs.replace(
        detector,
        card=_resolve_name(detector.card, here),
        plans=here / detector.plans if detector.plans else state / "plans",
        footage=tuple(here / video for video in detector.footage),
    )


def _resolve_name(name_or_path: str, here: Path) -> str:
    """Make the path of a .toml file absolute; the name of a shipped file stays."""
    return str(here / name_or_path) if name_or_path.endswith(".toml") else name_or_path
