"""Boxes of the simulator's vehicles in a camera above the street, with the errors of a detector."""

from __future__ import annotations

import subprocess
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.signal import lfilter

from benchmarks import street
from engine.types import Flags, Floats, Ints, Ints32
from kernels.overlap import occluded_share

FPS = 8
NOISE_PX = 1.0
WANDER = 0.015
"""Standard deviation of the slow error of the lower edge, as a share of the height of the box."""
WANDER_S = 0.5
LOST = 0.05
HIDDEN = 0.6
"""A box is not found if a nearer box covers at least this share of it."""
SEEN_M = (8.0, 90.0)
"""Part of the street in view, by y in metres."""
SMALLEST_PX = 8.0


class SimulatorError(Exception):
    """The simulator rejected its input."""


@dataclass(frozen=True, slots=True)
class SimulatedBoxes:
    """Boxes of vehicles in one camera, ordered by frame."""

    frames: int
    frame: Ints32
    """(D,) i4"""
    xyxy_px: Floats
    """(D, 4) f8, before noise."""
    vehicle: Ints
    """(D,) i8: row of `names`."""
    class_id: Ints32
    names: list[str]
    speed_mps: dict[str, float]
    """Mean speed of each vehicle in view."""


def simulate(seed: int, seconds: int, per_hour: int, planted_each: int) -> SimulatedBoxes:
    """Run the simulator and project its vehicles into the camera."""
    with tempfile.TemporaryDirectory() as folder:
        return _project(_drive(Path(folder), seed, seconds, per_hour, planted_each), seconds)


def _drive(folder: Path, seed: int, seconds: int, per_hour: int, planted_each: int) -> Path:
    """Run the simulator. Returns the file of floating-car data. Raises SimulatorError with the simulator's output."""
    import sumo  # from the extra `traffic`

    binaries, net, out = Path(sumo.SUMO_HOME) / "bin", folder / "street.net.xml", folder / "fcd.xml"
    nodes, edges = street.write_network(folder)
    routes = street.write_demand(folder, seconds, per_hour, planted_each)
    _run(binaries / "netconvert", "-n", nodes, "-e", edges, "-o", net, "--offset.disable-normalization")
    _run(
        *(binaries / "sumo", "-n", net, "-r", routes, "--fcd-output", out, "--fcd-output.attributes", "x,y,angle,type"),
        *("--step-length", 1 / FPS, "--end", seconds, "--seed", seed, "--lanechange.duration", 3),
        *("--collision.action", "none", "--time-to-teleport", -1, "--no-step-log", "--no-warnings"),
    )
    return out


def _run(*command: object) -> None:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        raise SimulatorError(f"{command[0]}: {done.stderr or done.stdout}")


def _project(fcd: Path, seconds: int) -> SimulatedBoxes:
    frame, names, types, place = _rows(fcd)
    known: dict[str, int] = {}
    vehicle = np.array([known.setdefault(name, len(known)) for name in names], np.int64)
    bodies = [street.BODIES.get(kind, street.BODIES["car"]) for kind in types]
    size_m = np.array([body.size_m for body in bodies]).reshape(-1, 3)
    solid = street.corners(place[:, :2], street.heading_of(place[:, 2]), size_m)
    pixels, depth = street.CAMERA.project(solid.reshape(-1, 3))
    pixels = pixels.reshape(-1, 8, 2)
    ahead = (depth.reshape(-1, 8) > 1.0).all(axis=1)
    boxes = np.concatenate([pixels.min(axis=1), pixels.max(axis=1)], axis=1)
    shown = ahead & _in_picture(boxes)
    return SimulatedBoxes(
        frames=seconds * FPS,
        frame=frame[shown],
        xyxy_px=boxes[shown],
        vehicle=vehicle[shown],
        class_id=np.array([body.class_id for body in bodies], np.int32)[shown],
        names=list(known),
        speed_mps=_speeds(frame[shown], place[shown], vehicle[shown], list(known)),
    )


def _rows(fcd: Path) -> tuple[Ints32, list[str], list[str], Floats]:
    """Frame, name, type and (x, y, angle) of each vehicle in SEEN_M, ordered by frame."""
    frame, names, types, place = [], [], [], []
    for _, element in ET.iterparse(fcd):
        if element.tag == "timestep":
            number = round(float(element.attrib["time"]) * FPS)
            for one in element:
                x, y, angle = (float(one.attrib[key]) for key in ("x", "y", "angle"))
                if SEEN_M[0] <= y <= SEEN_M[1]:
                    frame.append(number)
                    names.append(one.attrib["id"])
                    types.append(one.attrib["type"])
                    place.append((x, y, angle))
            element.clear()
    return np.array(frame, np.int32), names, types, np.array(place).reshape(-1, 3)


def _in_picture(boxes: Floats) -> Flags:
    width, height = street.CAMERA.width_px, street.CAMERA.height_px
    cut = boxes.clip(0, [width, height, width, height])
    return np.asarray((cut[:, 2:] - cut[:, :2] > SMALLEST_PX).all(axis=1))


def _speeds(frame: Ints32, place: Floats, vehicle: Ints, names: Sequence[str]) -> dict[str, float]:
    """Mean speed of each vehicle between its first and its last box, m/s."""
    order = np.lexsort((frame, vehicle))
    first = np.flatnonzero(np.r_[True, np.diff(vehicle[order]) != 0])
    last = np.r_[first[1:], len(order)] - 1
    lasted_s = (frame[order[last]] - frame[order[first]]) / FPS
    way_m = np.hypot(*(place[order[last], :2] - place[order[first], :2]).T)
    mean = way_m / np.maximum(lasted_s, 1e-9)
    return {names[vehicle[order[row]]]: float(mps) for row, mps in zip(first, mean, strict=True)}


@dataclass(slots=True)
class NoisyDetector:
    """A simulated detector of one camera: adds noise and slow errors to the true boxes, and loses some of them."""

    street: SimulatedBoxes
    rng: np.random.Generator
    boxes: Floats = field(init=False)
    found: Flags = field(init=False)

    def __post_init__(self) -> None:
        one, size = self.street, [street.CAMERA.width_px, street.CAMERA.height_px] * 2
        noisy = one.xyxy_px + self.rng.normal(0, NOISE_PX, one.xyxy_px.shape)
        noisy[:, 3] += self._wander() * (one.xyxy_px[:, 3] - one.xyxy_px[:, 1])
        self.boxes = noisy.clip(0, size)
        hidden = np.empty(len(one.frame))
        occluded_share(one.frame, one.xyxy_px.astype(np.float32), hidden)
        whole = (self.boxes[:, 2:] - self.boxes[:, :2] > 2.0).all(axis=1)
        self.found = whole & (hidden < HIDDEN) & (self.rng.random(len(hidden)) >= LOST)

    def rows(self, begin: int, count: int) -> Ints:
        """Rows of the boxes that are found in the frames `begin` to `begin + count - 1`."""
        first, last = np.searchsorted(self.street.frame, [begin, begin + count])
        return np.asarray(np.flatnonzero(self.found[first:last]) + first)

    def _wander(self) -> Floats:
        """(D,) an Ornstein-Uhlenbeck process for each vehicle, with standard deviation WANDER."""
        order = np.lexsort((self.street.frame, self.street.vehicle))
        keep = np.exp(-1 / (FPS * WANDER_S))
        pushes = self.rng.normal(0, np.sqrt(1 - keep**2), len(order))
        out = np.empty(len(order))
        out[order] = lfilter([1.0], [1.0, -keep], pushes)
        return out * WANDER
