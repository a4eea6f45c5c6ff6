"""Frames of a scene: a static background, and crops of the moving things, rendered only if they have changed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from footage.blender import stage
from footage.blender.furniture import PersonObject, SignalObject
from footage.blender.street import street
from footage.blender.vehicles import vehicle
from footage.crops import Crop, affected, blend, merged
from footage.motion import Pose
from footage.scene import Scene
from footage.states import lamp_at, states
from footage.truth import placed

Floats32 = NDArray[np.float32]

_KEPT_CROPS = 64
_SIGNAL_MARGIN_PX = 4
_MIRRORED = {"dry": 0.0, "wet": 0.35}
"""Share of a thing's height that the road reflects."""
_RELATIVE_MARGIN = 0.011
"""Margin of a crop for soft shadows, relative to the width of the picture."""


class Thing(Protocol):
    """A thing that can be placed in the scene."""

    @property
    def vertices_m(self) -> NDArray[np.float64]: ...

    def place(self, pose: Pose, along_m: float) -> None: ...

    def hide(self) -> None: ...


@dataclass(frozen=True)
class _Present:
    """One thing in one frame."""

    key: Hashable
    """All values that determine its appearance."""
    crop: Crop


class Film:
    """Renders the frames of one scene into a folder; it keeps frames that exist."""

    def __init__(self, scene: Scene, folder: Path, threads: int) -> None:
        self._scene, self._folder = scene, folder
        self._movers = scene.movers()
        self._camera = scene.lens
        self._shadow = stage.shadow_per_m(scene.light)
        self._mirrored = _MIRRORED[scene.light.road]
        stage.clear()
        stage.set_renderer(scene.light.exposure, threads)
        stage.set_light(scene.light)
        stage.set_vehicle_lamps(scene.light.lamps)
        stage.set_camera(scene.camera)
        street(scene)
        self._signals = {table.name: SignalObject(table) for table in scene.signal}
        self._pool: dict[tuple[str, int], Thing] = {}
        self._crops: OrderedDict[Hashable, Floats32] = OrderedDict()

    def shoot(self, frames: Iterator[int]) -> Iterator[int]:
        """Render the missing frames; yields the number of each frame when it is written."""
        background = self._background()
        for frame in frames:
            path = self._folder / f"{frame:05d}.png"
            if not path.exists():
                _save(self._picture(frame, background), path, self._scene.quality.noise, frame)
                yield frame

    def _background(self) -> Floats32:
        path = self._folder / "background.npy"
        if not path.exists():
            self._clear_road()
            picture = stage.render(self._scene.quality.background_samples, 0, self._folder / "scratch.png")
            np.save(path, picture)
        return np.load(path)

    def _picture(self, frame: int, background: Floats32) -> Floats32:
        present = self._place(frame / self._scene.fps)
        picture = background.copy()
        for crop in merged([thing.crop for thing in present.values()]):
            key = (crop, frozenset((name, present[name].key) for name in crop.names))
            blend(picture, self._crop(key, crop, frame), crop)
        return picture

    def _crop(self, key: Hashable, crop: Crop, frame: int) -> Floats32:
        if key not in self._crops:
            samples = self._scene.quality.samples
            self._crops[key] = stage.render(samples, frame + 1, self._folder / "scratch.png", crop)
            if len(self._crops) > _KEPT_CROPS:
                self._crops.popitem(last=False)
        self._crops.move_to_end(key)
        return self._crops[key]

    def _place(self, time_s: float) -> dict[str, _Present]:
        """Place everything for an instant; returns the things in the picture, by name."""
        self._clear_road()
        present = self._light(time_s)
        for state in states(self._scene, self._movers, time_s):
            thing = self._thing(state.name, state.lap)
            thing.place(state.pose, state.along_m)
            name = f"{state.name}/{state.lap}"
            margin = round(self._scene.camera.width_px * _RELATIVE_MARGIN)
            crop = affected(
                self._camera, name, placed(thing.vertices_m, state.pose), self._shadow, self._mirrored, margin
            )
            if crop:
                where = (round(state.pose.x_m, 4), round(state.pose.y_m, 4), round(state.pose.heading_rad, 5))
                present[name] = _Present(where, crop)
        return present

    def _light(self, time_s: float) -> dict[str, _Present]:
        """Switch the signals. Each head is a thing in the picture; its appearance is its lit lamp."""
        present = {}
        for table in self._scene.signal:
            head, lit = self._signals[table.name], lamp_at(table, time_s)
            head.light(lit)
            crop = affected(self._camera, f"signal {table.name}", head.vertices_m, np.zeros(2), 0.0, _SIGNAL_MARGIN_PX)
            if crop:
                present[f"signal {table.name}"] = _Present(lit, crop)
        return present

    def _thing(self, name: str, lap: int) -> Thing:
        if (name, lap) not in self._pool:
            self._pool[name, lap] = self._make(name)
        return self._pool[name, lap]

    def _make(self, name: str) -> Any:
        person = next((table for table in self._scene.person if table.name == name), None)
        if person:
            return PersonObject(person.coat)
        table = next(table for table in self._scene.vehicle if table.name == name)
        return vehicle(table.body, table.colour, table.plate)

    def _clear_road(self) -> None:
        for thing in self._pool.values():
            thing.hide()


def _save(picture: Floats32, path: Path, noise: float, seed: int) -> None:
    """Write a frame with sensor noise, atomically."""
    grain = np.random.default_rng(seed).normal(0.0, noise, picture.shape)
    pixels = (np.clip(picture + grain, 0.0, 1.0) * 255 + 0.5).astype(np.uint8)
    scratch = path.with_suffix(".part")
    Image.fromarray(pixels).save(scratch, format="PNG", compress_level=1)
    scratch.replace(path)
