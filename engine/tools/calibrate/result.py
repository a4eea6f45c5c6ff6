"""What a calibration found, and how its uncertainty passes to anything measured with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.tools.calibrate.camera import PARAMETERS, RoadCamera
from engine.types import Floats


@dataclass(frozen=True, slots=True)
class MarkResidual:
    """How far the fitted camera's view of a mark is from what was measured."""

    name: str
    unit: str
    residual: float
    """Length of the residual, signed where it is one number."""
    sigma: float
    """Its expected standard deviation."""
    share: float | None
    """Of the measured length, for distances."""


@dataclass(frozen=True, slots=True, eq=False)
class Calibrated:
    """A camera that agrees with its marks."""

    camera: RoadCamera
    covariance: Floats
    """(9, 9) f8: of the parameters; zero in the rows of those that were held."""
    residuals: tuple[MarkResidual, ...]
    """Of the marks that were used."""
    wrong: tuple[str, ...]
    """Marks that contradicted all others and were left out."""
    agreement: float
    """Sum of squares over degrees of freedom; 1 where the marks agree as well as their noise lets them."""

    @property
    def image_to_ground(self) -> Floats:
        """(3, 3) of undistorted image points; Frobenius norm 1, positive weight on the road."""
        return self.camera.image_to_ground()

    @property
    def homography_covariance(self) -> Floats:
        """(9, 9) covariance of the elements of `image_to_ground` in row-major order."""
        slope = gradient(self.camera, lambda camera: camera.image_to_ground().ravel())
        return np.asarray(slope @ self.covariance @ slope.T)

    @property
    def residual_m(self) -> float:
        """Root mean square of the residuals in metres; nan where no mark is measured in metres."""
        metres = [mark.residual**2 for mark in self.residuals if mark.unit == "m"]
        return float(np.sqrt(np.mean(metres))) if metres else float("nan")


def gradient(camera: RoadCamera, measure: Callable[[RoadCamera], Floats]) -> Floats:
    """(R, 9) derivative of a vector measured on the camera after its parameters, by central differences."""
    columns = []
    for k in range(len(PARAMETERS)):
        step = np.zeros(len(PARAMETERS))
        step[k] = 1e-5
        ahead = measure(RoadCamera(camera.centre_px, camera.parameters + step))
        columns.append((ahead - measure(RoadCamera(camera.centre_px, camera.parameters - step))) / 2e-5)
    return np.stack(columns, axis=1)
