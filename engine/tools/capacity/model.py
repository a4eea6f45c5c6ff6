"""Ceilings and demands, and the arithmetic between them.

A ceiling is what one stage does in a second when it has the machine to itself. A camera takes a share of it. Stages on
the same part of the machine add their shares up (without a GPU all of them run on the processor's cores), stages on
parts of their own (NVDEC, the GPU's multiprocessors) run side by side, and the part with the largest sum is the limit.
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
"""Share of a part that may be planned with: traffic comes in bursts, and cases want their second look."""
ASSUMED_FPS = 25.0
ASSUMED_CODEC = "h264"
_FILE = "capacity.json"


class Ceiling(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a stage does at most."""

    stage: str
    """`decode h264`, `scale`, `detect`, `track`."""
    part: Part
    per_s: float
    unit: str


class Capacity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One measurement of one machine."""

    made: str
    """When, ISO 8601."""
    detector: str
    """Runtime of the detector, with its version and precision."""
    batches: dict[str, float]
    """Pictures a second of the detector, by the size of the batch."""
    ceilings: tuple[Ceiling, ...]


@dataclass(frozen=True, slots=True)
class CameraKind:
    """A kind of camera."""

    width_px: int
    height_px: int
    fps: float
    codec: str
    detect_fps: float
    regions: int

    def demand(self) -> dict[str, float]:
        """By stage, what one such camera asks for in a second, in the unit of the stage's ceiling."""
        looked_at = min(self.detect_fps, self.fps)
        pictures = looked_at * self.regions
        pixels = self.width_px * self.height_px * self.fps / 1e6
        return {f"decode {self.codec}": pixels, "scale": pictures, "detect": pictures, "track": looked_at}


@dataclass(frozen=True, slots=True)
class CapacityFit:
    """How much of the machine some cameras take."""

    shares: Mapping[str, float]
    """By stage: 1 is all of it."""
    part_of: Mapping[str, Part]
    """By stage: where it runs."""

    @property
    def parts(self) -> dict[Part, float]:
        """By part of the machine: the sum of its stages."""
        found: dict[Part, float] = {}
        for stage, share in self.shares.items():
            found[self.part_of[stage]] = found.get(self.part_of[stage], 0.0) + share
        return found

    @property
    def limit(self) -> str:
        """The stage that takes most of the part that is taken most."""
        parts = self.parts
        fullest = max(parts, key=lambda part: parts[part])
        there = {stage: share for stage, share in self.shares.items() if self.part_of[stage] == fullest}
        return max(there, key=lambda stage: there[stage])

    @property
    def load(self) -> float:
        """Of the part that is taken most: 1 is all that may be planned with."""
        return max(self.parts.values()) / HEADROOM

    @property
    def cameras(self) -> int:
        """How many times over all of it fits."""
        return int(1 / self.load)


def load_of(kinds: Sequence[CameraKind], capacity: Capacity) -> CapacityFit:
    """What these cameras take together. Raises ConfigError where a codec was not measured."""
    ceilings = {ceiling.stage: ceiling for ceiling in capacity.ceilings}
    shares: dict[str, float] = {}
    for kind in kinds:
        for stage, wanted in kind.demand().items():
            shares[stage] = shares.get(stage, 0.0) + wanted / _known(stage, ceilings).per_s
    return CapacityFit(shares, {stage: ceilings[stage].part for stage in shares})


def _known(stage: str, ceilings: Mapping[str, Ceiling]) -> Ceiling:
    if stage not in ceilings:
        codecs = sorted(name.removeprefix("decode ") for name in ceilings if name.startswith("decode "))
        raise ConfigError(f"capacity: {stage} was not measured; codecs that were: {', '.join(codecs)}")
    return ceilings[stage]


def kinds_of(config: EngineConfig, sites: Sequence[Site]) -> list[CameraKind]:
    """The cameras of a configuration; what only the camera itself could tell is assumed: 25 fps, H.264."""
    return [
        CameraKind(*site.image_size_px, ASSUMED_FPS, ASSUMED_CODEC, camera.detect_fps, len(camera.regions))
        for camera, site in zip(config.cameras, sites, strict=True)
    ]


def store_capacity(state: Path, capacity: Capacity) -> Path:
    """Keep it where `qyran run` looks for it."""
    path = state / _FILE
    write_atomically(path, msgspec.json.format(msgspec.json.encode(capacity)))
    return path


def read_capacity(state: Path) -> Capacity | None:
    """The measurement that was kept; None where there is none. Raises ConfigError where it cannot be read."""
    path = state / _FILE
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Capacity)
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"{path}: {error}; measure again: qyran capacity CONFIG") from error
