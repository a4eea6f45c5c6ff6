"""Fit the camera to the marks by weighted least squares, find a wrong mark, and refuse an undetermined camera.

The sum of squares contains the marks, in units of their standard deviation, and weak priors with the ordinary values of
a road camera (its height is not 500 m). If a parameter's posterior is hardly narrower than its prior, the marks do not
determine it and the calibration is refused. If the sum of squares is too large for its degrees of freedom (chi-square
test, one in a thousand), a mark is wrong: the one without which the others agree, if there is exactly one such mark.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from scipy.optimize import least_squares
from scipy.stats import chi2

from engine.errors import CalibrationError
from engine.tools.calibrate.camera import PARAMETERS, RoadCamera
from engine.tools.calibrate.marks import Direction, Distance, GroundPoint, Mark, VanishingPoint
from engine.types import Floats, Ints

PRIOR_SIGMA = np.array([0.7, np.deg2rad(20.0), np.deg2rad(8.0), 2.0, 1.0, 500.0, 500.0, 0.15, 0.1])
TYPICAL = np.array([0.0, np.deg2rad(25.0), 0.0, 0.0, np.log(8.0), 0.0, 0.0, 0.0, 0.0])
NOT_DETERMINED = 0.5
"""Largest ratio of posterior to prior standard deviation of a determined parameter."""
WRONG = 1e-3
"""A mark is wrong if the sum of squares is less probable than this."""
DESCENTS = 6
"""Number of start points from which the fit descends."""
OFF = 1e3
"""Residual, in standard deviations, of a mark at or above the horizon."""


@dataclass(frozen=True, slots=True)
class MarkResidual:
    """Difference between the fitted camera's view of a mark and the measurement."""

    name: str
    unit: str
    residual: float
    """Norm of the residual; signed if it is a single number."""
    sigma: float
    """Expected standard deviation of the residual."""
    share: float | None
    """Residual relative to the measured length; None unless the mark is a distance."""


@dataclass(frozen=True, slots=True, eq=False)
class Calibrated:
    """A camera that was fitted to marks."""

    camera: RoadCamera
    covariance: Floats
    """(9, 9) f8 of the parameters; zero for parameters that were not fitted."""
    residuals: tuple[MarkResidual, ...]
    """Residuals of the marks that were used."""
    wrong: tuple[str, ...]
    """Names of marks that contradicted all others and were left out."""
    agreement: float
    """Sum of squares over degrees of freedom; 1 is what the marks' noise predicts."""

    @property
    def homography_covariance(self) -> Floats:
        """(9, 9) covariance of the elements of `image_to_ground`, in row-major order."""
        slope = gradient(self.camera, lambda camera: camera.image_to_ground().ravel())
        return np.asarray(slope @ self.covariance @ slope.T)

    @property
    def residual_m(self) -> float:
        """Root mean square of the residuals in metres; nan if no mark is in metres."""
        metres = [mark.residual**2 for mark in self.residuals if mark.unit == "m"]
        return float(np.sqrt(np.mean(metres))) if metres else float("nan")


def gradient(camera: RoadCamera, measure: Callable[[RoadCamera], Floats]) -> Floats:
    """(R, 9) derivative of `measure` with respect to the camera's parameters, by central differences."""
    columns = []
    for k in range(len(PARAMETERS)):
        step = np.zeros(len(PARAMETERS))
        step[k] = 1e-5
        above = measure(RoadCamera(camera.centre_px, camera.parameters + step))
        columns.append((above - measure(RoadCamera(camera.centre_px, camera.parameters - step))) / 2e-5)
    return np.stack(columns, axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    marks: Sequence[Mark]
    centre_px: tuple[float, float]
    typical: Floats
    free: Ints
    click_px: float

    def camera(self, values: Floats) -> RoadCamera:
        parameters = self.typical.copy()
        parameters[self.free] = values
        return RoadCamera(self.centre_px, parameters)

    def sigma(self, camera: RoadCamera) -> list[Floats]:
        return [mark.sigma(camera, self.click_px) for mark in self.marks]

    def weighted(self, values: Floats, sigma: list[Floats]) -> Floats:
        """(R,) residuals of the marks, then of the priors, each divided by its standard deviation."""
        camera = self.camera(values)
        parts = [np.nan_to_num(m.residual(camera) / s, nan=OFF) for m, s in zip(self.marks, sigma, strict=True)]
        prior = (values - self.typical[self.free]) / PRIOR_SIGMA[self.free]
        return np.concatenate([*parts, prior])

    def cost(self, values: Floats) -> float:
        """Sum of squares; infinite if the camera does not see all marks on the ground."""
        sigma = self.sigma(self.camera(values))
        if not all(np.isfinite(s).all() for s in sigma):
            return np.inf
        weighted = self.weighted(values, sigma)
        return float(weighted @ weighted)

    def solve(self, start: Floats, *, tolerance: float = 1e-10) -> _Solution:
        """Descend from a start point at which all marks are seen on the ground."""
        sigma, scale = self.sigma(self.camera(start)), PRIOR_SIGMA[self.free]
        limits = {"ftol": tolerance, "xtol": tolerance, "max_nfev": 60}
        fit = least_squares(self.weighted, start, args=(sigma,), x_scale=scale, **limits)
        return _Solution(self, fit.x, fit.jac, fit.fun, sigma)


@dataclass(frozen=True, slots=True, eq=False)
class _Solution:
    problem: _Problem
    values: Floats
    jacobian: Floats
    weighted: Floats
    sigma: list[Floats]

    @property
    def cost(self) -> float:
        return float(self.weighted @ self.weighted)

    @property
    def square(self) -> float:
        """Sum of squares of the marks, without the priors."""
        marks = self.weighted[: len(self.weighted) - len(self.values)]
        return float(marks @ marks)

    @property
    def freedom(self) -> int:
        """Degrees of freedom: values of marks minus fitted parameters."""
        return len(self.weighted) - 2 * len(self.values)

    @property
    def is_credible(self) -> bool:
        """True if the noise of the marks explains the sum of squares."""
        return bool(chi2.sf(self.square, max(self.freedom, 1)) > WRONG)


def calibrate(
    marks: Sequence[Mark],
    image_size_px: tuple[int, int],
    *,
    centre_px: tuple[float, float] | None = None,
    radial_terms: int = 0,
    click_px: float = 1.0,
) -> Calibrated:
    """Fit a camera to marks.

    marks          the measurements, with distinct names
    image_size_px  width and height of the picture
    centre_px      principal point; None means the middle of the picture
    radial_terms   number of distortion coefficients to fit: 0, 1 (k1) or 2 (k1, k2)
    click_px       standard deviation of a clicked pixel, per axis

    Raises CalibrationError if the marks do not determine the camera, or if they contradict each other and no single
    mark explains it; the message names the undetermined parameters or the marks.
    """
    width, height = image_size_px
    typical = TYPICAL.copy()
    typical[0] = np.log(1.3 * width)
    centre_px = centre_px or (width / 2, height / 2)
    problem = _Problem(tuple(marks), centre_px, typical, _free(marks, radial_terms), click_px)
    best, wrong = _drop_wrong(_best(problem))
    _require_determined(best)
    return _result(best, wrong)


def _free(marks: Sequence[Mark], radial_terms: int) -> Ints:
    placed = any(isinstance(mark, GroundPoint) for mark in marks)
    turned = placed or any(isinstance(mark, Direction | VanishingPoint) for mark in marks)
    free = [True, True, True, turned, True, placed, placed, radial_terms > 0, radial_terms > 1]
    return np.flatnonzero(free)


def _best(problem: _Problem) -> _Solution:
    """Descend from the best start points, then once more from the best result, with the noise as computed there."""
    costs = sorted((problem.cost(start), k, start) for k, start in enumerate(_starts(problem)))
    starts = [start for cost, _, start in costs if np.isfinite(cost)]
    if not starts:
        raise CalibrationError("no camera over a road sees all marks below its horizon")
    ends = [problem.solve(start, tolerance=1e-3) for start in starts[:DESCENTS]]
    best = min(ends, key=lambda end: problem.cost(end.values))
    return problem.solve(best.values)


def _starts(problem: _Problem) -> list[Floats]:
    """Start points: combinations of focal length, tilt and direction, which decide where a descent ends."""
    points = [mark.ground_m for mark in problem.marks if isinstance(mark, GroundPoint)]
    middle = np.mean(points, axis=0) if points else np.zeros(2)
    starts = []
    for focal, pitch_deg, yaw in product((0.7, 1.3, 2.2), (12.0, 30.0, 55.0), _yaws(problem)):
        start = problem.typical.copy()
        start[:4] = np.log(focal / 1.3) + start[0], np.deg2rad(pitch_deg), 0.0, yaw
        reach = np.exp(start[4]) / np.tan(start[1]) if points else 0.0
        start[5:7] = middle - reach * np.array([-np.sin(yaw), np.cos(yaw)])
        starts.append(start[problem.free])
    return starts


def _yaws(problem: _Problem) -> list[float]:
    if any(isinstance(mark, GroundPoint) for mark in problem.marks):
        return [0.0, np.pi / 2, np.pi, -np.pi / 2]
    return [-0.4, 0.0, 0.4] if 3 in problem.free else [0.0]


def _drop_wrong(solution: _Solution) -> tuple[_Solution, tuple[str, ...]]:
    """Leave out marks that contradict the others, at most one in five."""
    wrong: list[str] = []
    while not solution.is_credible:
        if len(wrong) + 1 > max(1, (len(solution.problem.marks) + len(wrong)) // 5):
            raise CalibrationError(f"the marks contradict each other; worst are {_worst(solution)}")
        solution, name = _drop_one(solution)
        wrong.append(name)
    return solution, tuple(wrong)


def _drop_one(solution: _Solution) -> tuple[_Solution, str]:
    """Leave out the mark without which the rest agrees best; refuse if two candidates are equally good."""
    problem, trials = solution.problem, []
    for k, mark in enumerate(problem.marks):
        rest = [*problem.marks[:k], *problem.marks[k + 1 :]]
        trial = replace(problem, marks=rest).solve(solution.values)
        if trial.freedom >= 1:
            trials.append((trial.square, k, mark.name, trial))
    if not trials:
        raise CalibrationError(
            f"the marks contradict each other, and there are too few to say which is wrong: {_worst(solution)}"
        )
    trials.sort(key=lambda trial: trial[0])
    equals = [name for _, _, name, trial in trials if trial.is_credible]
    if len(equals) > 1 and trials[1][0] < trials[0][0] + float(chi2.isf(WRONG, 1)):
        raise CalibrationError(f"the marks contradict each other; one of these is wrong: {', '.join(equals)}")
    return trials[0][3], trials[0][2]


def _worst(solution: _Solution) -> str:
    """The two marks with the largest residuals, as text."""
    residuals = sorted(_residuals(solution), key=lambda mark: -abs(mark.residual) / mark.sigma)
    return " and ".join(f"{m.name} ({abs(m.residual) / m.sigma:.0f} sigma)" for m in residuals[:2])


def _require_determined(solution: _Solution) -> None:
    """Raise CalibrationError if a parameter is hardly better known than from its prior alone."""
    posterior = np.sqrt(np.diag(np.linalg.inv(solution.jacobian.T @ solution.jacobian)))
    share = posterior / PRIOR_SIGMA[solution.problem.free]
    loose = [PARAMETERS[k] for k, s in zip(solution.problem.free, share, strict=True) if s > NOT_DETERMINED]
    if loose:
        raise CalibrationError(f"the marks do not determine the {', the '.join(dict.fromkeys(loose))}")
    if solution.freedom < 0:
        known, wanted = len(solution.weighted) - len(solution.values), len(solution.values)
        raise CalibrationError(f"{known} measured values cannot determine {wanted} parameters of the camera")


def _residuals(solution: _Solution) -> tuple[MarkResidual, ...]:
    camera = solution.problem.camera(solution.values)
    found = []
    for mark, sigma in zip(solution.problem.marks, solution.sigma, strict=True):
        residual = mark.residual(camera)
        size = float(residual[0]) if len(residual) == 1 else float(np.linalg.norm(residual))
        expected = float(np.linalg.norm(np.broadcast_to(sigma, residual.shape)))
        share = size / mark.length_m if isinstance(mark, Distance) and mark.length_m else None
        found.append(MarkResidual(mark.name, mark.unit, size, expected, share))
    return tuple(found)


def _result(solution: _Solution, wrong: tuple[str, ...]) -> Calibrated:
    free = solution.problem.free
    agreement = solution.square / max(solution.freedom, 1)
    covariance = np.zeros((len(PARAMETERS), len(PARAMETERS)))
    posterior = np.linalg.inv(solution.jacobian.T @ solution.jacobian) * max(agreement, 1.0)
    covariance[np.ix_(free, free)] = posterior
    camera = solution.problem.camera(solution.values)
    return Calibrated(camera, covariance, _residuals(solution), wrong, agreement)
