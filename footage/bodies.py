"""The vehicle geometry from which the truth is computed. The renderer writes it; reading needs no renderer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Body:
    """One body in its own axes, metres: x forward, y left, z up; the origin is on the road below its middle."""

    vertices_m: Floats
    """(N, 3): vertices of the rendered mesh on its convex hull; only they can bound its outline."""
    outline_m: Floats
    """(K, 3): vertices of the simplified surface."""
    triangles: Ints
    """(M, 3): rows of `outline_m`."""
    plates_m: dict[str, Floats]
    """(4, 3) for `front` and `rear`: top left, top right, bottom right, bottom left in reading direction."""

    @property
    def front_m(self) -> float:
        """From the origin to the foremost point."""
        return float(self.vertices_m[:, 0].max())

    @property
    def rear_m(self) -> float:
        """From the origin to the rearmost point, negative."""
        return float(self.vertices_m[:, 0].min())

    @property
    def size_m(self) -> tuple[float, float, float]:
        """Length, width, height."""
        length, width, height = (self.vertices_m.max(axis=0) - self.vertices_m.min(axis=0)).tolist()
        return length, width, height


def save(path: Path, bodies: dict[str, Body]) -> None:
    arrays: dict[str, NDArray[np.float64] | NDArray[np.int64]] = {}
    for name, body in bodies.items():
        arrays[f"{name}/vertices"], arrays[f"{name}/outline"] = body.vertices_m, body.outline_m
        arrays[f"{name}/triangles"] = body.triangles
        for end, corners in body.plates_m.items():
            arrays[f"{name}/plate/{end}"] = corners
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]


def load(path: Path) -> dict[str, Body]:
    with np.load(path) as arrays:
        names = sorted({key.split("/")[0] for key in arrays})
        return {name: _body(name, dict(arrays)) for name in names}


def _body(name: str, arrays: dict[str, NDArray[np.float64]]) -> Body:
    prefix = f"{name}/plate/"
    plates = {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}
    triangles = arrays[f"{name}/triangles"].astype(np.int64)
    return Body(arrays[f"{name}/vertices"], arrays[f"{name}/outline"], triangles, plates)
