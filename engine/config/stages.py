"""Configuration of the cameras and of the stages that process their streams."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from engine.config.values import WHOLE_PICTURE, Count, Fraction01, Name, Positive, Region, Strict, redact


class CameraConfig(Strict, frozen=True):
    """One camera."""

    name: Name
    url: str
    """rtsp://, rtsps:// or the path of a file. ${NAME} comes from the environment, for user and password."""
    site: Path
    """The site file, relative to the configuration file."""
    detect_fps: Positive = 8.0
    """Frames per second for the detector; the camera's own rate if that is lower."""
    regions: tuple[Region, ...] = (WHOLE_PICTURE,)
    """Regions of interest. Each is scaled to its own detector input, so a small region keeps distant vehicles large."""
    transport: Literal["tcp", "udp"] = "tcp"
    open_timeout_s: Positive = 10.0
    read_timeout_s: Positive = 10.0
    segment_s: Positive = 2.0
    """A segment ends at the first key frame after this time."""
    longest_gop_s: Positive = 10.0
    """Longest run without a key frame. A longer one is reported and cut off."""

    def __post_init__(self) -> None:
        for left, top, right, bottom in self.regions:
            if right <= left or bottom <= top:
                raise ValueError(f"camera {self.name}: region {[left, top, right, bottom]} is empty")

    def __repr__(self) -> str:
        return f"CameraConfig(name={self.name!r}, url={redact(self.url)!r})"


class DetectorConfig(Strict, frozen=True):
    """The detector."""

    card: str = "ssd_mobilenet_v3_large"
    """Name of a shipped model card, or path of a card file relative to the configuration file."""
    threads: Annotated[int, Meta(ge=0)] = 0
    """Threads of the network on the CPU; 0 for one per core."""
    runtime: Literal["auto", "onnx", "torch", "tensorrt"] = "auto"
    """auto: the fastest that is available. onnx: ONNX Runtime on the CPU. torch: ONNX Runtime on the GPU. tensorrt: a
    TensorRT plan."""
    precision: Literal["fp32", "fp16", "int8"] = "fp16"
    """Precision of a TensorRT plan. The other runtimes compute in fp32."""
    batch: Count = 32
    """The GPU runs the network for at most this many pictures at once."""
    plans: Path | None = None
    """Folder of the TensorRT plans, relative to the configuration file; None for `plans` in the engine's state."""
    footage: tuple[Path, ...] = ()
    """Videos of your cameras, relative to the configuration file. They verify plans against the CPU and calibrate int8.
    If empty, the demo's clips are the reference."""


class DecoderConfig(Strict, frozen=True):
    """How packets are decoded. `PipelineConfig` holds the number of threads and the segments of a batch."""

    backend: Literal["auto", "cpu", "dali"] = "auto"
    """`dali` is NVIDIA's decoder and needs a GPU; `auto` takes it if the library and a GPU are available."""
    device: Annotated[int, Meta(ge=0)] | Literal["cpu"] = 0
    """Index of the GPU. `cpu` is DALI without a GPU, for tests: it has no decoder for H.264 and H.265."""
    memory_mb: Count = 4096
    """Approximate GPU memory of one run. A batch that needs more is decoded in several runs."""


class PipelineConfig(Strict, frozen=True):
    """Sizes of batches, queues and thread pools."""

    batch_segments: Count = 4
    """A batch holds at most this many segments."""
    overlap: bool = True
    """Decode the next batch and build the evidence of the last one during detection."""
    decode_threads: Count = 2
    past_capacity: Literal["warn", "refuse"] = "warn"
    """What `qyran run` does if the cameras need more than `qyran capacity` measured."""
    mailbox_segments: Count = 256
    """At most this many segments wait. Beyond, the oldest segment of the camera with most segments is dropped."""
    mailbox_camera_segments: Count = 8
    """At most this many segments of one camera wait."""


class EvidenceConfig(Strict, frozen=True):
    """Clips, stills and signatures of cases."""

    before_s: Positive = 3.0
    """The clip begins this long before the first instant of proof, at the previous key frame."""
    after_s: Positive = 2.0
    keep_s: Positive = 45.0
    """Compressed recording in memory per camera. It limits the duration of an offence within its clip."""
    keep_bytes: Count = 32 * 1024 * 1024
    """The same limit in bytes, per camera."""
    jpeg_quality: Annotated[int, Meta(ge=50, le=98)] = 92
    signing_key: Path | None = None
    """Private key that signs cases (`qyran keys new`), relative to the configuration file; None for no signature."""


class PlatesConfig(Strict, frozen=True):
    """The plate reader."""

    reader: Literal["auto", "required", "off"] = "auto"
    """`auto` reads if `qyran[plates]` is installed. Without a reader an officer identifies each vehicle."""
    forms: str = "kz"
    """Formats of the country's plates: a shipped name, or the path of a file relative to the configuration file."""
    least_confidence: Fraction01 = 0.9
    """Least confidence of a whole plate. Below it an officer identifies the vehicle."""
    frames: Count = 4
    """The reader looks for a plate in at most this many frames."""
    threads: Annotated[int, Meta(ge=0)] = 0
    """Threads of the reader's networks; 0 for one per core."""
    stolen: Path | None = None
    """Text file of plates reported stolen, one per line, relative to the configuration file. Reloaded on change."""


class RegistryConfig(Strict, frozen=True):
    """The source of vehicle papers: a snapshot on this machine, or a service."""

    snapshot: Path | None = None
    """File made by `qyran registry import`, relative to the configuration file. Reloaded on change."""
    longest_age_h: Positive = 24.0
    """Longest age of the snapshot at the instant of an event. An older snapshot gives no answer."""
    service: str = ""
    """host:port of a service that implements proto/qyran/v1/registry_service.proto."""
    ca: Path | None = None
    """Authority of the service's certificate, PEM, relative to the configuration file; None for those of the system."""
    insecure: bool = False
    """Ask the service without encryption. Only for a network that is trusted as a whole."""
    timeout_s: Positive = 1.0
    cache_s: Positive = 600.0
    timezone: str = "Asia/Almaty"
    """IANA time zone of the dates in the papers."""

    def __post_init__(self) -> None:
        if (self.snapshot is None) == (not self.service):
            raise ValueError("registry: give either a snapshot or a service")


class ClassifierConfig(Strict, frozen=True):
    """The operator's own classifier of one kind: an ONNX network."""

    kind: Literal["phone_use", "seatbelt", "lights_off", "plate_missing"]
    model: Path
    """ONNX file, relative to the configuration file."""
    size_px: tuple[Count, Count]
    """Width and height of the RGB input."""
    region: Region = WHOLE_PICTURE
    """Part of the vehicle's box that is the input."""
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[Positive, Positive, Positive] = (1.0, 1.0, 1.0)
    """Input = (value / 255 - mean) / std."""
    activation: Literal["none", "sigmoid", "softmax"] = "none"
    column: Annotated[int, Meta(ge=0)] = 0
    """Column of the output that is the score of the offence."""
    threshold: Fraction01 = 0.9
    frames: Count = 8
    """The classifier sees at most this many frames."""
    at_least: Count = 5
    """Number of frames that must show the offence."""

    def __post_init__(self) -> None:
        if self.at_least > self.frames:
            raise ValueError(f"classifier {self.kind}: at_least {self.at_least} is above frames {self.frames}")
