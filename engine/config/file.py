"""The engine's configuration file: which cameras, which detector, where the records go."""

from __future__ import annotations

import os
from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from engine.config import tomlfile
from engine.config.addresses import with_password
from engine.config.service import (
    LedgerConfig,
    MetricsConfig,
    RecipientConfig,
    RetentionConfig,
    ServiceConfig,
    TlsConfig,
)
from engine.config.stages import (
    CameraConfig,
    ClassifierConfig,
    DecoderConfig,
    DetectorConfig,
    EvidenceConfig,
    PipelineConfig,
    PlatesConfig,
    RegistryConfig,
)
from engine.config.values import Name, Review, Strict


class EngineConfig(Strict, frozen=True):
    """The whole file."""

    cameras: Annotated[tuple[CameraConfig, ...], Meta(min_length=1)]
    state: Path = Path("var")
    """Folder of the register and the evidence, relative to the configuration file."""
    catalogue: str = "kz"
    """Name of a shipped rule catalogue, or the path of one relative to the configuration file."""
    credentials: Path | None = None
    """Folder of secrets, a file each (systemd's and Docker's way): ${NAME} in a camera's address is taken from the file
    NAME, and from the environment where there is none."""
    review: dict[Name, Review] = msgspec.field(default_factory=dict)
    """By kind, where it differs from the catalogue's: `officer` to have an officer decide every case of the kind."""
    device_serial: str = ""
    """Serial number of this recording system, as its certificate names it; no other at its register has it."""
    decoder: DecoderConfig = DecoderConfig()
    detector: DetectorConfig = DetectorConfig()
    pipeline: PipelineConfig = PipelineConfig()
    evidence: EvidenceConfig = EvidenceConfig()
    plates: PlatesConfig = PlatesConfig()
    registry: RegistryConfig | None = None
    classifiers: tuple[ClassifierConfig, ...] = ()
    sections: Path | None = None
    """File of the sections between cameras, relative to this file."""
    ledger: LedgerConfig = LedgerConfig()
    retention: RetentionConfig = RetentionConfig()
    recipients: tuple[RecipientConfig, ...] = ()
    service: ServiceConfig = ServiceConfig()
    metrics: MetricsConfig = MetricsConfig()

    def __post_init__(self) -> None:
        _require_distinct("cameras", self.cameras)
        _require_distinct("recipients", self.recipients)
        if self.ledger.url.startswith("postgresql") and not self.device_serial:
            raise ValueError(
                "device_serial: a register on a server is shared, and tells its systems apart by their serial"
            )

    @property
    def camera_names(self) -> dict[int, str]:
        """By the camera's index, as the stages count them."""
        return {index: camera.name for index, camera in enumerate(self.cameras)}

    @property
    def evidence_root(self) -> Path:
        return self.state / "evidence"

    @property
    def audit_folder(self) -> Path:
        return self.state / "audit"

    @property
    def ledger_at(self) -> Path | str:
        """Where the register is: a file of SQLite or the URL of a server."""
        return self.ledger.url or self.state / "ledger.db"


class _SecretFiles(Mapping[str, str]):
    """The files of a folder by name, read when they are asked for."""

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
    """Where ${NAME}s come from: the secrets' folder, then the environment."""
    return ChainMap(_SecretFiles(config.credentials), variables) if config.credentials else variables  # type: ignore[arg-type]


def load_config(path: Path, variables: Mapping[str, str] = os.environ, *, opens_cameras: bool = True) -> EngineConfig:
    """Read a configuration; paths in it come back absolute, ${NAME}s in addresses replaced from `variables`.

    Without `opens_cameras` those of the cameras' addresses stand: their secrets need not be there.
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
            _located(camera, here, variables, source=str(path)) if opens_cameras else camera
            for camera in config.cameras
        ),
        detector=_detector(config.detector, here, here / config.state),
        catalogue=_locate(config.catalogue, here),
        recipients=tuple(_addressed(one, here, variables, source=str(path)) for one in config.recipients),
        ledger=_with_secrets(config.ledger, here, variables, source=str(path)),
        evidence=_with_key(config.evidence, here),
        plates=_with_files(config.plates, here),
        sections=here / config.sections if config.sections else None,
        registry=_with_registry(config.registry, here),
        classifiers=tuple(msgspec.structs.replace(one, model=here / one.model) for one in config.classifiers),
        service=_with_tls(config.service, here),
    )


def _with_key(evidence: EvidenceConfig, here: Path) -> EvidenceConfig:
    key = evidence.signing_key
    return msgspec.structs.replace(evidence, signing_key=here / key) if key else evidence


def _with_registry(registry: RegistryConfig | None, here: Path) -> RegistryConfig | None:
    if registry is None:
        return None
    files = {name: here / path for name in ("snapshot", "ca") if (path := getattr(registry, name))}
    return msgspec.structs.replace(registry, **files)


def _require_distinct(what: str, named: Sequence[CameraConfig | RecipientConfig]) -> None:
    seen: set[str] = set()
    for one in named:
        if one.name in seen:
            raise ValueError(f"two {what} are called {one.name!r}")
        seen.add(one.name)


def _addressed(recipient: RecipientConfig, here: Path, variables: Mapping[str, str], *, source: str) -> RecipientConfig:
    files = ("token_file", "ca_file", "certificate_file", "key_file")
    there = {name: here / path for name in files if (path := getattr(recipient, name))}
    url = tomlfile.expand(recipient.url, variables, source=f"{source}: recipient {recipient.name}")
    return msgspec.structs.replace(recipient, url=url, **there)


def _with_files(plates: PlatesConfig, here: Path) -> PlatesConfig:
    stolen = here / plates.stolen if plates.stolen else None
    return msgspec.structs.replace(plates, forms=_locate(plates.forms, here), stolen=stolen)


def _with_secrets(ledger: LedgerConfig, here: Path, variables: Mapping[str, str], *, source: str) -> LedgerConfig:
    """The URL with what the environment and the password's file say."""
    url = tomlfile.expand(ledger.url, variables, source=f"{source}: ledger.url")
    if ledger.password_file:
        url = with_password(url, tomlfile.read_secret(here / ledger.password_file))
    return msgspec.structs.replace(ledger, url=url)


def _located(camera: CameraConfig, here: Path, variables: Mapping[str, str], *, source: str) -> CameraConfig:
    url = tomlfile.expand(camera.url, variables, source=f"{source}: camera {camera.name}")
    if "://" not in url:
        url = str(here / url)
    return msgspec.structs.replace(camera, url=url, site=here / camera.site)


def _detector(detector: DetectorConfig, here: Path, state: Path) -> DetectorConfig:
    return msgspec.structs.replace(
        detector,
        card=_locate(detector.card, here),
        plans=here / detector.plans if detector.plans else state / "plans",
        footage=tuple(here / video for video in detector.footage),
    )


def _with_tls(service: ServiceConfig, here: Path) -> ServiceConfig:
    if service.tls is None:
        return service
    tls = service.tls
    client_ca = here / tls.client_ca if tls.client_ca else None
    located = TlsConfig(certificate=here / tls.certificate, key=here / tls.key, client_ca=client_ca)
    return msgspec.structs.replace(service, tls=located)


def _locate(name_or_path: str, here: Path) -> str:
    """Shipped names stay; anything that looks like a file's path becomes absolute."""
    return str(here / name_or_path) if name_or_path.endswith(".toml") else name_or_path
