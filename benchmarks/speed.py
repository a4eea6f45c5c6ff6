"""Speed on real tracks against light gates: BrnoCompSpeed, calibrated from its survey, measured by our kernels.

    python -m benchmarks speed --data DIR --json

Nothing here sees a true speed before the errors are taken. The constants are the same for every file.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import brnocompspeed
from benchmarks.brnocompspeed import Flags, Floats, Ints, Recording, Tracks
from benchmarks.machine import describe_machine
from engine.types import KMH
from kernels.ground import onto_road, speed_by_homography, to_ground
from kernels.speed import Fits, fit_speed

COVERED = 1.96
"""The 95 % interval of a normal distribution, in standard deviations."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """Every constant, the same for all files."""

    readout_s: float = 0.013
    """A rolling shutter reads the last row of the picture so much later than the first."""
    clearance_m: float = 0.2
    clearance_sigma_m: float = 0.05
    overhang_m: float = 0.5
    noise_px: float = 0.5
    wobble_m: float = 0.15
    view_sigma: float = 0.006
    """Standard uncertainty, as a share, of what detector and view do to a speed beyond the above."""
    published_sigma: float = 0.01
    """The same for the published calibration, which states no uncertainty."""
    fewest_inliers: float = 0.8
    shortest_m: float = 15.0
    shortest_share: float = 0.86
    """Of the way between the first and the last measurement line."""
    widest_sway_m: float = 0.5
    longest_gap_s: float = 0.1
    widest_scatter: float = 1.0
    widest_fit_sigma_kmh: float = 0.5
    most_drift: float = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A camera as the kernels read it."""

    image_to_ground: Floats
    covariance: Floats
    camera_m: tuple[float, float, float]
    relative_sigma: float


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What came out of one recording."""

    true: int
    matched: int
    error_kmh: Floats
    sigma_kmh: Floats
    parts_kmh: Floats
    """(4, M) the standard uncertainties that make up `sigma_kmh`, in the order of `PARTS`."""


PARTS = ("scatter of the track", "calibration", "clearance", "view and detector")


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="speed", description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("QYRAN_DATA"), help="folder with the *.npz files")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    if options.data is None:
        parser.error("--data, or the environment variable QYRAN_DATA, must name the folder of the recordings")
    result = evaluate(brnocompspeed.load(Path(options.data)), Parameters())
    print(json.dumps(result, indent=2) if options.json else table(result))
    return 0


def evaluate(recordings: list[Recording], parameters: Parameters) -> dict[str, Any]:
    """Calibrate and measure every recording; the whole result."""
    kept = [(recording, *_kept(recording)) for recording in recordings]
    surveyed = [_surveyed(recording, parameters) for recording in recordings]
    published = [_published(recording, parameters) for recording in recordings]
    outcomes = run(kept, surveyed, parameters)
    blind = {name: run(kept, surveyed, replace(parameters, **change)) for name, change in WITHOUT.items()}
    return {
        "files": {recording.name: summary([outcome]) for recording, outcome in zip(recordings, outcomes, strict=True)},
        "total": summary(outcomes),
        "published_calibration": summary(run(kept, published, parameters)),
        "without": {name: summary(without) for name, without in blind.items()},
        "error_budget": budget(outcomes),
        "parameters": asdict(parameters),
        "machine": describe_machine(),
    }


WITHOUT: dict[str, dict[str, float]] = {
    "the rolling shutter": {"readout_s": 0.0},
    "bumper and tyre": {"clearance_m": 0.0},
    "both": {"readout_s": 0.0, "clearance_m": 0.0},
}
"""What the errors are when something is not taken account of."""


def _kept(recording: Recording) -> tuple[Tracks, Ints]:
    kept = brnocompspeed.tracks(recording)
    return kept, brnocompspeed.match(recording, kept)


def run(kept: list[tuple[Recording, Tracks, Ints]], views: list[View], parameters: Parameters) -> list[Outcome]:
    """Measure every recording through its view."""
    return [
        compare(recording, vehicle, *measure(view, tracks, parameters))
        for (recording, tracks, vehicle), view in zip(kept, views, strict=True)
    ]


def _surveyed(recording: Recording, parameters: Parameters) -> View:
    fit = brnocompspeed.calibrated(recording)
    return View(fit.image_to_ground, fit.homography_covariance, fit.camera.position_m, parameters.view_sigma)


def _published(recording: Recording, parameters: Parameters) -> View:
    image_to_ground, camera_m = brnocompspeed.published(recording)
    return View(image_to_ground, np.zeros((9, 9)), camera_m, parameters.published_sigma)


def measure(view: View, kept: Tracks, parameters: Parameters) -> tuple[Floats, Floats, Flags]:
    """(N,) speed in km/h, (4, N) the parts of its standard uncertainty, (N,) whether it counts as measured."""
    points, count = len(kept.t_s), len(kept.offset) - 1
    row = np.zeros(points, np.int32)
    position_m, jacobian, by_clearance = np.empty((points, 2)), np.empty((points, 2, 2)), np.empty((points, 2))
    to_ground(view.image_to_ground[None], row, kept.foot_px, position_m, jacobian)
    foot = np.array([[*view.camera_m, parameters.clearance_m, parameters.overhang_m]])
    onto_road(foot, row, position_m, by_clearance)
    t_s = kept.t_s + parameters.readout_s * kept.foot_px[:, 1] / brnocompspeed.IMAGE_SIZE_PX[1]
    fit = fit_speed(
        kept.offset,
        t_s,
        position_m,
        jacobian,
        np.isfinite(position_m[:, 0]),
        (parameters.noise_px, parameters.wobble_m),
    )
    slope = np.empty((count, 9))
    arguments = (kept.offset, np.zeros(count, np.int32), kept.foot_px, fit.gain, fit.heading_rad)
    speed_by_homography(view.image_to_ground[None], *arguments, slope)
    heading = np.repeat(fit.heading_rad, np.diff(kept.offset))
    lift = fit.gain * (by_clearance[:, 0] * np.cos(heading) + by_clearance[:, 1] * np.sin(heading))
    clearance = parameters.clearance_sigma_m * np.add.reduceat(lift, kept.offset[:-1])
    calibration = np.einsum("ni,ij,nj->n", slope, view.covariance, slope)
    scale = view.relative_sigma * fit.speed_mps
    parts_mps = np.stack([fit.sigma_mps, np.sqrt(calibration), np.abs(clearance), scale])
    return KMH * fit.speed_mps, KMH * parts_mps, _measured(fit, _shortest_m(view, kept, parameters), parameters)


def _shortest_m(view: View, kept: Tracks, parameters: Parameters) -> float:
    """The shortest way that counts, of the way between the first and the last measurement line."""
    ends_m, jacobian = np.empty((2, 2)), np.empty((2, 2, 2))
    to_ground(view.image_to_ground[None], np.zeros(2, np.int32), kept.stretch_px, ends_m, jacobian)
    return max(parameters.shortest_m, parameters.shortest_share * float(np.linalg.norm(ends_m[1] - ends_m[0])))


def _measured(fit: Fits, shortest_m: float, parameters: Parameters) -> Flags:
    """(N,) whether the track supports a speed."""
    return np.asarray(
        (fit.inliers >= parameters.fewest_inliers)
        & (fit.length_m >= shortest_m)
        & (fit.gap_s <= parameters.longest_gap_s)
        & (fit.lateral_rms_m <= parameters.widest_sway_m)
        & (fit.scatter <= parameters.widest_scatter)
        & (KMH * fit.sigma_mps <= parameters.widest_fit_sigma_kmh)
        & (np.abs(fit.speed_change) - 2.0 * fit.speed_change_sigma <= parameters.most_drift)
    )


def compare(recording: Recording, vehicle: Ints, speed_kmh: Floats, parts_kmh: Floats, measured: Flags) -> Outcome:
    """Errors of the measured tracks that belong to a true vehicle."""
    told = measured & (vehicle >= 0)
    error_kmh = speed_kmh[told] - recording["true_speed_kmh"][vehicle[told]]
    sigma_kmh = np.sqrt((parts_kmh[:, told] ** 2).sum(axis=0))
    return Outcome(int(recording.valid.sum()), int((vehicle >= 0).sum()), error_kmh, sigma_kmh, parts_kmh[:, told])


def budget(outcomes: list[Outcome]) -> dict[str, dict[str, float]]:
    """What was stated, part by part, against what was found: the error common to a file, and the spread within it."""
    stated = np.sqrt(np.mean(np.concatenate([o.parts_kmh for o in outcomes], axis=1) ** 2, axis=1))
    common = np.array([np.median(o.error_kmh) for o in outcomes])
    spread = [1.4826 * np.median(np.abs(o.error_kmh - c)) for o, c in zip(outcomes, common, strict=True)]
    return {
        "stated_sigma_kmh": {name: round(float(value), 4) for name, value in zip(PARTS, stated, strict=True)},
        "found_kmh": {
            "common to a file, root mean square": round(float(np.sqrt(np.mean(common**2))), 4),
            "spread within a file, mean": round(float(np.mean(spread)), 4),
        },
    }


def summary(outcomes: list[Outcome]) -> dict[str, float]:
    """The figures of one or more recordings taken together."""
    error = np.concatenate([outcome.error_kmh for outcome in outcomes])
    sigma = np.concatenate([outcome.sigma_kmh for outcome in outcomes])
    true, matched = sum(o.true for o in outcomes), sum(o.matched for o in outcomes)
    size = np.abs(error)
    figures = {
        "true": true,
        "matched": matched,
        "measured": len(error),
        "share_of_true": len(error) / true,
        "share_of_matched": len(error) / max(matched, 1),
        "mean_kmh": size.mean(),
        "median_kmh": np.median(size),
        "p95_kmh": np.quantile(size, 0.95),
        "p99_kmh": np.quantile(size, 0.99),
        "worst_kmh": size.max(),
        "bias_kmh": error.mean(),
        "coverage_95": np.mean(size <= COVERED * sigma),
    }
    return {key: value if isinstance(value, int) else round(float(value), 4) for key, value in figures.items()}


def table(result: dict[str, Any]) -> str:
    """The result as lines of text."""
    columns = (
        "measured",
        "share_of_true",
        "share_of_matched",
        "mean_kmh",
        "median_kmh",
        "p95_kmh",
        "worst_kmh",
        "bias_kmh",
        "coverage_95",
    )
    rows = [*result["files"].items(), ("total", result["total"]), ("published", result["published_calibration"])]
    head = f"{'':18}" + "".join(f"{column:>18}" for column in columns)
    return "\n".join([head, *(f"{name:18}" + "".join(f"{row[column]:18}" for column in columns) for name, row in rows)])
