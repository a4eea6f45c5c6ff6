"""Ceilings of the stages, demand of the cameras, and the arithmetic between them.

A ceiling is the rate of one stage that has the machine to itself. A camera takes a share of it. The shares of stages on
the same part of the machine add up (without a GPU all stages run on the processor's cores). Different parts (NVDEC, the
GPU's multiprocessors) work at the same time; the part with the largest sum is the limit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from engine.config import EngineConfig
from engine.detect.plans import write_atomically
from engine.errors import ConfigError
from engine.site import Site

Part = Literal["cpu", "nvdec", "gpu"]
HEADROOM = 0.8
"""Usable share of a part: traffic comes in bursts, and cases need a second look at their frames."""
ASSUMED_FPS = 25.0
ASSUMED_CODEC = "h264"
_FILE = "capacity.json"


class Ceiling(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The highest rate of a stage."""

    stage: str
    """`decode h264`, `scale`, `detect`, `track`."""
    part: Part
    per_s: float
    unit: str


class Capacity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One measurement of one machine."""

    made: str
    """Time of the measurement, ISO 8601."""
    detector: str
    """Runtime of the detector, with its version and precision."""
    batches: dict[str, float]
    """Pictures per second of the detector, by batch size."""
    ceilings: tuple[Ceiling, ...]


@dataclass(frozen=True, slots=True)
class CameraKind:
    """The properties of a camera that determine its demand."""

    width_px: int
    height_px: int
    fps: float
    codec: str
    detect_fps: float
    regions: int

    def demand(self) -> dict[str, float]:
        """Demand of one such camera per second, by stage, in the unit of the stage's ceiling."""
        analysed = min(self.detect_fps, self.fps)
        pictures = analysed * self.regions
        pixels = self.width_px * self.height_px * self.fps / 1e6
        return {f"decode {self.codec}": pixels, "scale": pictures, "detect": pictures, "track": analysed}


@dataclass(frozen=True, slots=True)
class CapacityFit:
    """The share of the machine that some cameras use."""

    shares: Mapping[str, float]
    """Used share of each stage's ceiling; 1 is all of it."""
    part_of: Mapping[str, Part]
    """Part of the machine on which each stage runs."""

    @property
    def parts(self) -> dict[Part, float]:
        """Sum of the shares on each part of the machine."""
        found: dict[Part, float] = {}
        for stage, share in self.shares.items():
            found[self.part_of[stage]] = found.get(self.part_of[stage], 0.0) + share
        return found

    @property
    def limit(self) -> str:
        """The largest stage on the fullest part."""
        parts = self.parts
        fullest = max(parts, key=lambda part: parts[part])
        on_part = {stage: share for stage, share in self.shares.items() if self.part_of[stage] == fullest}
        return max(on_part, key=lambda stage: on_part[stage])

    @property
    def load(self) -> float:
        """Load of the fullest part relative to its usable share; above 1 the cameras do not fit."""
        return max(self.parts.values()) / HEADROOM

    @property
    def cameras(self) -> int:
        """How many times these cameras fit."""
        return int(1 / self.load)


def compute_fit(kinds: Sequence[CameraKind], capacity: Capacity) -> CapacityFit:
    """The share of the machine that these cameras use together. Raises ConfigError if a codec was not measured."""
    ceilings = {ceiling.stage: ceiling for ceiling in capacity.ceilings}
    shares: dict[str, float] = {}
    for kind in kinds:
        for stage, wanted in kind.demand().items():
            shares[stage] = shares.get(stage, 0.0) + wanted / _find_ceiling(stage, ceilings).per_s
    return CapacityFit(shares, {stage: ceilings[stage].part for stage in shares})


def _find_ceiling(stage: str, ceilings: Mapping[str, Ceiling]) -> Ceiling:
    if stage not in ceilings:
        codecs = sorted(name.removeprefix("decode ") for name in ceilings if name.startswith("decode "))
        raise ConfigError(f"capacity: {stage} was not measured; the measured codecs are: {', '.join(codecs)}")
    return ceilings[stage]


def kinds_of(config: EngineConfig, sites: Sequence[Site]) -> list[CameraKind]:
    """The cameras of a configuration. Their rate and codec are not known before they are connected: 25 fps H.264."""
    return [
        CameraKind(*site.image_size_px, ASSUMED_FPS, ASSUMED_CODEC, camera.detect_fps, len(camera.regions))
        for camera, site in zip(config.cameras, sites, strict=True)
    ]


def store_capacity(state: Path, capacity: Capacity) -> Path:
    """Write the measurement to the state folder, where `qyran run` reads it; returns the path."""
    path = state / _FILE
    write_atomically(path, msgspec.json.format(msgspec.json.encode(capacity)))
    return path


def read_capacity(state: Path) -> Capacity | None:
    """The stored measurement, or None. Raises ConfigError if the file cannot be read."""
    path = state / _FILE
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Capacity)
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"{path}: {error}; measure again: qyran capacity CONFIG") from error
