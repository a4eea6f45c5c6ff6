"""The engine's configuration file: which cameras, which detector, where the records go."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit, urlunsplit

import msgspec
from msgspec import Meta

from engine import tomlfile
from engine.errors import ConfigError

Positive = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]
Fraction01 = Annotated[float, Meta(ge=0, le=1)]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
"""Letters, digits, dot, dash and underscore: it becomes part of file names, labels and case ids."""
Region = tuple[Fraction01, Fraction01, Fraction01, Fraction01]
"""Left, top, right, bottom as fractions of the picture."""

WHOLE_PICTURE: Region = (0.0, 0.0, 1.0, 1.0)


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of everything that is read from a file: frozen, and an unknown key is an error."""


class CameraConfig(Strict, frozen=True):
    """One camera."""

    name: Name
    url: str
    """rtsp://, rtsps:// or a file's path. ${NAME} takes user and password from the environment."""
    site: Path
    """The site file, relative to the configuration file."""
    detect_fps: Positive = 8.0
    """Frames a second that are looked at; the camera's own rate where that is lower."""
    regions: tuple[Region, ...] = (WHOLE_PICTURE,)
    """Regions of interest, each scaled to a detector input of its own: a far one keeps distant vehicles large."""
    transport: Literal["tcp", "udp"] = "tcp"
    open_timeout_s: Positive = 10.0
    read_timeout_s: Positive = 10.0
    segment_s: Positive = 2.0
    """A segment ends at the first key frame after this long."""
    longest_gop_s: Positive = 10.0
    """A longer run without a key frame is reported, and cut off."""

    def __post_init__(self) -> None:
        for left, top, right, bottom in self.regions:
            if right <= left or bottom <= top:
                raise ValueError(f"camera {self.name}: region {[left, top, right, bottom]} is empty")

    def __repr__(self) -> str:
        return f"CameraConfig(name={self.name!r}, url={redact(self.url)!r})"


class DetectorConfig(Strict, frozen=True):
    card: str = "ssd_mobilenet_v3_large"
    """Name of a shipped model card, or the path of a card file relative to the configuration file."""
    threads: Annotated[int, Meta(ge=0)] = 0
    """Threads of the network; 0: as many as cores."""


class PipelineConfig(Strict, frozen=True):
    batch_segments: Count = 4
    """Segments in one batch at the most."""
    overlap: bool = True
    """Decode the next batch and prove the last while this one is being detected."""
    decode_threads: Count = 2
    mailbox_segments: Count = 256
    """Segments that may wait in all; beyond, the oldest of the camera with the most waiting is dropped."""
    mailbox_camera_segments: Count = 8
    """Segments of one camera that may wait."""


class EvidenceConfig(Strict, frozen=True):
    before_s: Positive = 3.0
    """The clip begins this long before the first instant of proof, at the key frame before that."""
    after_s: Positive = 2.0
    keep_s: Positive = 45.0
    """Compressed recording kept in memory per camera; bounds how long an offence may last within its clip."""
    keep_bytes: Count = 32 * 1024 * 1024
    """The same bound in bytes, per camera."""
    jpeg_quality: Annotated[int, Meta(ge=50, le=98)] = 92
    signing_key: Path | None = None
    """Private key that cases are signed with (`qyran keys new`), relative to the configuration file; None: unsigned."""


class PlatesConfig(Strict, frozen=True):
    reader: Literal["auto", "required", "off"] = "auto"
    """`auto` reads where `qyran[plates]` is installed; without a reader an officer identifies every vehicle."""
    forms: str = "kz"
    """What the country's plates look like: a shipped name, or the path of a file relative to the configuration file."""
    least_confidence: Fraction01 = 0.9
    """Of a whole plate: below, an officer identifies the vehicle."""
    frames: Count = 4
    """Frames in which a plate is looked for, at the most."""
    threads: Annotated[int, Meta(ge=0)] = 0
    """Threads of the reader's networks; 0: as many as cores."""
    stolen: Path | None = None
    """Text file of plates reported stolen, one a line, relative to this file; read again when it changes."""


class ServiceConfig(Strict, frozen=True):
    listen: str = "127.0.0.1:50151"
    """Address of the gRPC service; port 0 takes a free one."""
    insecure_listen: bool = False
    """Listen without encryption beyond loopback: only inside a network that is trusted as a whole."""
    heartbeat_s: Positive = 5.0
    """How often a watcher hears from the service when there is nothing to say."""


class MetricsConfig(Strict, frozen=True):
    listen: str = "127.0.0.1:9151"
    """Address of the Prometheus endpoint."""


class EngineConfig(Strict, frozen=True):
    """The whole file."""

    cameras: Annotated[tuple[CameraConfig, ...], Meta(min_length=1)]
    state: Path = Path("var")
    """Folder of the register and the evidence, relative to the configuration file."""
    catalogue: str = "kz"
    """Name of a shipped rule catalogue, or the path of one relative to the configuration file."""
    device_serial: str = ""
    """Serial number of this recording system, as its certificate names it."""
    detector: DetectorConfig = DetectorConfig()
    pipeline: PipelineConfig = PipelineConfig()
    evidence: EvidenceConfig = EvidenceConfig()
    plates: PlatesConfig = PlatesConfig()
    service: ServiceConfig = ServiceConfig()
    metrics: MetricsConfig = MetricsConfig()

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for camera in self.cameras:
            if camera.name in seen:
                raise ValueError(f"two cameras are called {camera.name!r}")
            seen.add(camera.name)

    @property
    def camera_names(self) -> dict[int, str]:
        """By the camera's index, as the stages count them."""
        return {index: camera.name for index, camera in enumerate(self.cameras)}

    @property
    def evidence_root(self) -> Path:
        return self.state / "evidence"


def load_config(path: Path, variables: Mapping[str, str] = os.environ) -> EngineConfig:
    """Read a configuration; paths in it come back absolute, ${NAME}s in camera addresses replaced from `variables`.

    Raises ConfigError that names the file and the place in it.
    """
    config = tomlfile.load(path, EngineConfig)
    here = path.resolve().parent
    return msgspec.structs.replace(
        config,
        state=here / config.state,
        cameras=tuple(_located(camera, here, variables, source=str(path)) for camera in config.cameras),
        detector=msgspec.structs.replace(config.detector, card=_locate(config.detector.card, here)),
        catalogue=_locate(config.catalogue, here),
        evidence=_with_key(config.evidence, here),
        plates=_with_files(config.plates, here),
    )


def _with_key(evidence: EvidenceConfig, here: Path) -> EvidenceConfig:
    key = evidence.signing_key
    return msgspec.structs.replace(evidence, signing_key=here / key) if key else evidence


def _with_files(plates: PlatesConfig, here: Path) -> PlatesConfig:
    stolen = here / plates.stolen if plates.stolen else None
    return msgspec.structs.replace(plates, forms=_locate(plates.forms, here), stolen=stolen)


def _located(camera: CameraConfig, here: Path, variables: Mapping[str, str], *, source: str) -> CameraConfig:
    url = tomlfile.expand(camera.url, variables, source=f"{source}: camera {camera.name}")
    if "://" not in url:
        url = str(here / url)
    return msgspec.structs.replace(camera, url=url, site=here / camera.site)


def _locate(name_or_path: str, here: Path) -> str:
    """Shipped names stay; anything that looks like a file's path becomes absolute."""
    return str(here / name_or_path) if name_or_path.endswith(".toml") else name_or_path


def redact(url: str) -> str:
    """The address without user and password, for logs and messages (RFC 3986, 3.2.1 and 7.5)."""
    if "://" not in url:
        return url
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def split_address(listen: str, *, source: str) -> tuple[str, int]:
    """`host:port` as a pair; raises ConfigError."""
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f"{source}: {listen!r} is not host:port")
    return host, int(port)
