"""Configuration of the cameras and of the stages that look at them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from engine.config.addresses import redact
from engine.config.values import WHOLE_PICTURE, Count, Fraction01, Name, Positive, Region, Strict


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
