"""The engine's configuration file: which cameras, which detector, where the records go."""

from __future__ import annotations

import ipaddress
import os
from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote, urlsplit, urlunsplit

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

Review = Literal["automatic", "officer"]
"""Who decides a case of a kind: nobody more than the machine, or an officer."""

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
    """Threads of the network on the CPU; 0: as many as cores."""
    runtime: Literal["auto", "onnx", "torch", "tensorrt"] = "auto"
    """auto: the best there is. onnx: ONNX Runtime on the CPU. torch: ONNX Runtime on the GPU. tensorrt: a plan."""
    precision: Literal["fp32", "fp16", "int8"] = "fp16"
    """Of a TensorRT plan; elsewhere the network is computed in fp32."""
    batch: Count = 32
    """Pictures that the network is run for at once on a GPU, at the most."""
    plans: Path | None = None
    """Folder of TensorRT's plans, relative to the configuration file; None: `plans` in the engine's state."""
    footage: tuple[Path, ...] = ()
    """Videos of your cameras, relative to the configuration file: plans are held against the CPU on them, and int8 is
    calibrated with them. Without any, the demo's clips are the reference."""


class DecoderConfig(Strict, frozen=True):
    """Where packets become pictures. The number of threads and of segments in a batch are `PipelineConfig`'s."""

    backend: Literal["auto", "cpu", "dali"] = "auto"
    """`dali` is NVIDIA's decoder and wants a GPU; `auto` takes it where the library and a GPU are there."""
    device: Annotated[int, Meta(ge=0)] | Literal["cpu"] = 0
    """Index of the GPU; `cpu` is DALI without one, which has no decoder for H.264 and H.265: for tests."""
    memory_mb: Count = 4096
    """Memory of the GPU that one run may take, about; beyond, a batch is decoded in several runs."""


class PipelineConfig(Strict, frozen=True):
    batch_segments: Count = 4
    """Segments in one batch at the most."""
    overlap: bool = True
    """Decode the next batch and prove the last while this one is being detected."""
    decode_threads: Count = 2
    past_capacity: Literal["warn", "refuse"] = "warn"
    """What `qyran run` does where the cameras take more than `qyran capacity` measured."""
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


class RegistryConfig(Strict, frozen=True):
    """Where a vehicle's papers are looked up: a snapshot on this machine, or a service."""

    snapshot: Path | None = None
    """Made by `qyran registry import`, relative to the configuration file; a newer one is taken up by itself."""
    longest_age_h: Positive = 24.0
    """Of the snapshot, at the instant of an event: an older one knows nothing."""
    service: str = ""
    """host:port of a service that speaks proto/qyran/v1/registry_service.proto."""
    ca: Path | None = None
    """Authority of the service's certificate, PEM, relative to the configuration file; None: the machine's own."""
    insecure: bool = False
    """Ask the service without encryption: only inside a network that is trusted as a whole."""
    timeout_s: Positive = 1.0
    cache_s: Positive = 600.0
    timezone: str = "Asia/Almaty"
    """IANA name: whose days the papers count."""

    def __post_init__(self) -> None:
        if (self.snapshot is None) == (not self.service):
            raise ValueError("registry: either a snapshot or a service, not both and not none")


class ClassifierConfig(Strict, frozen=True):
    """The operator's own classifier of one kind, an ONNX network."""

    kind: Literal["phone_use", "seatbelt", "lights_off", "plate_missing"]
    model: Path
    """Relative to the configuration file."""
    size_px: tuple[Count, Count]
    """Width and height of its input, RGB."""
    region: Region = WHOLE_PICTURE
    """The part of the vehicle's box that it sees."""
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[Positive, Positive, Positive] = (1.0, 1.0, 1.0)
    """Input = (value / 255 - mean) / std."""
    activation: Literal["none", "sigmoid", "softmax"] = "none"
    column: Annotated[int, Meta(ge=0)] = 0
    """Of the output: the offence."""
    threshold: Fraction01 = 0.9
    frames: Count = 8
    at_least: Count = 5
    """Frames that must show it, of those that are looked at."""

    def __post_init__(self) -> None:
        if self.at_least > self.frames:
            raise ValueError(f"classifier {self.kind}: at_least {self.at_least} is above frames {self.frames}")


class TlsConfig(Strict, frozen=True):
    """PEM files, relative to the configuration file; taken up by themselves when they are renewed."""

    certificate: Path
    """The service's certificate, and those that lead from it to its authority."""
    key: Path
    """The certificate's private key, without a password: only the engine's user may read it."""
    client_ca: Path | None = None
    """Authorities of client certificates; with it every caller must present one. None: none is asked for."""


class LimitsConfig(Strict, frozen=True):
    """What one credential may ask of the service."""

    calls_per_s: Positive = 100.0
    """In the long run; a stream is one call."""
    burst: Count = 200
    """Calls at once, after a silence."""
    streams: Count = 64
    """Watches, downloads and uploads open at the same time."""
    failures_per_s: Positive = 0.2
    """Calls without a valid credential that are answered at all, by address, in the long run."""
    failures_burst: Count = 20


class RegisterConfig(Strict, frozen=True):
    url: str = ""
    """postgresql://USER@HOST/DATABASE of a server that several nodes share; empty: SQLite in the state folder.

    ${NAME} is taken from the environment.
    """
    password_file: Path | None = None
    """File whose first line is the password of `url`, relative to the configuration file."""

    def __repr__(self) -> str:
        return f"RegisterConfig(url={redact(self.url)!r})"


class KeepRule(Strict, frozen=True):
    """How long some cases are kept; what is empty does not restrict, what is given must all hold."""

    days: Count
    """After they were recorded."""
    kinds: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    """Proposed: fine, warning, officer, indication."""
    dispositions: tuple[Literal["none", "accepted", "rejected", "exempt_other_driver", "exempt_stolen"], ...] = ()
    """What was decided last; none: nothing yet."""


class RetentionConfig(Strict, frozen=True):
    days: Annotated[int, Meta(ge=0)] = 0
    """How long a case is kept that no rule names; 0: for ever."""
    rules: tuple[KeepRule, ...] = ()
    """The first that fits counts."""


class RecipientConfig(Strict, frozen=True):
    """A register that wants to be called: every case that it wants is submitted to it, once by id."""

    name: Name
    url: str
    """grpcs://host:port or https://...; grpc:// and http:// on loopback only, unless `insecure` is set.

    ${NAME} is taken from the environment.
    """
    form: Literal["qyran", "erap"] = "qyran"
    """How an HTTPS request is written; gRPC has one form."""
    insecure: bool = False
    """Send without encryption beyond loopback: only inside a network that is trusted as a whole."""
    token_file: Path | None = None
    """File whose first line is the bearer token, relative to the configuration file."""
    ca_file: Path | None = None
    """Certificates that the recipient's is checked against; None: those of the system."""
    certificate_file: Path | None = None
    key_file: Path | None = None
    """With `certificate_file`, what Qyran shows of itself (mutual TLS)."""
    kinds: tuple[str, ...] = ()
    """Only these kinds; empty: all."""
    outcomes: tuple[str, ...] = ()
    """Only cases proposed as these outcomes; empty: all."""
    first: tuple[str, ...] = ()
    """Kinds that go before the others, the first named first."""
    after_sequence: Annotated[int, Meta(ge=0)] = 0
    """Cases up to this sequence of the register are not submitted."""
    overdue_s: Positive = 86_400.0
    """A case that has waited for this long goes before all kinds."""
    per_hour: Count = 2_000
    """Submissions in an hour, evenly spread."""
    deadline_s: Positive = 10.0
    """How long a submission may take, from connecting to the last byte of the answer."""
    longest_pause_s: Positive = 300.0
    """Pauses after failures double up to this."""
    inline_bytes: Annotated[int, Meta(ge=0, le=64 * 1024 * 1024)] = 0
    """Evidence sent along with a case, at the most; the rest is fetched by the recipient. 0: everything is."""
    evidence_target: str = ""
    """host:port of the gRPC service where the recipient fetches evidence."""

    def __post_init__(self) -> None:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError(f"recipient {self.name}: certificate_file and key_file go together")

    def __repr__(self) -> str:
        return f"RecipientConfig(name={self.name!r}, url={redact(self.url)!r})"


class ServiceConfig(Strict, frozen=True):
    listen: str = "127.0.0.1:50151"
    """Address of the gRPC service; port 0 takes a free one."""
    insecure_listen: bool = False
    """Listen without encryption beyond loopback: only inside a network that is trusted as a whole."""
    heartbeat_s: Positive = 5.0
    """How often a watcher hears from the service when there is nothing to say."""
    keepalive_s: Positive = 30.0
    """A connection that is silent for so long is asked whether it lives, and closed if it does not answer."""
    tls: TlsConfig | None = None
    """None: plaintext, on loopback only unless `insecure_listen`."""
    camera_secrets: tuple[str, ...] = ()
    """Secrets that the address of a camera which is ordered over gRPC may name as ${NAME}; empty: none.

    Whoever may order cameras may have them sent to a host of their choice.
    """
    limits: LimitsConfig = LimitsConfig()


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
    credentials: Path | None = None
    """Folder of secrets, a file each (systemd's and Docker's way): ${NAME} in a camera's address is taken from the file
    NAME, and from the environment where there is none."""
    review: dict[Name, Review] = {}
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
    register: RegisterConfig = RegisterConfig()
    retention: RetentionConfig = RetentionConfig()
    recipients: tuple[RecipientConfig, ...] = ()
    service: ServiceConfig = ServiceConfig()
    metrics: MetricsConfig = MetricsConfig()

    def __post_init__(self) -> None:
        _require_distinct("cameras", self.cameras)
        _require_distinct("recipients", self.recipients)
        if self.register.url.startswith("postgresql") and not self.device_serial:
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
    def register_at(self) -> Path | str:
        """Where the register is: a file of SQLite or the URL of a server."""
        return self.register.url or self.state / "register.db"


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
        register=_with_secrets(config.register, here, variables, source=str(path)),
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


def _with_secrets(register: RegisterConfig, here: Path, variables: Mapping[str, str], *, source: str) -> RegisterConfig:
    """The URL with what the environment and the password's file say."""
    url = tomlfile.expand(register.url, variables, source=f"{source}: register.url")
    if register.password_file:
        url = _with_password(url, tomlfile.read_secret(here / register.password_file))
    return msgspec.structs.replace(register, url=url)


def _with_password(url: str, password: str) -> str:
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}:{quote(password, safe='')}@{host}"))


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


def redact(url: str) -> str:
    """The address without user and password, for logs and messages (RFC 3986, 3.2.1 and 7.5)."""
    if "://" not in url:
        return url
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def is_loopback(host: str) -> bool:
    """Does the host stay within this machine?"""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def split_address(listen: str, *, source: str) -> tuple[str, int]:
    """`host:port` as a pair; raises ConfigError."""
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f"{source}: {listen!r} is not host:port")
    return host, int(port)
