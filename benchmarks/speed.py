"""Measure speeds on the real tracks of BrnoCompSpeed, and compare them with its light gates.

    python -m benchmarks speed --data DIR --json

The calibration comes from the survey of the data set; the kernels measure. The true speeds are read only to compute the
errors. The constants are the same for every file.
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
from benchmarks.brnocompspeed import Flags, Floats, Ints, KeptTracks, SurveyedRecording
from benchmarks.machine import describe_machine
from engine.types import KMH
from kernels.ground import onto_road, speed_by_homography, to_ground
from kernels.speed import Fits, fit_speed

COVERED = 1.96
"""The 95 % interval of a normal distribution, in standard deviations."""


@dataclass(frozen=True, slots=True)
class SpeedParameters:
    """Every constant, the same for all files."""

    readout_s: float = 0.013
    """Time from the first to the last row of the picture in a rolling shutter."""
    clearance_m: float = 0.2
    clearance_sigma_m: float = 0.05
    overhang_m: float = 0.5
    noise_px: float = 0.5
    wobble_m: float = 0.15
    view_sigma: float = 0.006
    """Relative standard uncertainty of a speed, from detector and view, on top of the parts above."""
    published_sigma: float = 0.01
    """The same with the published calibration, which states no uncertainty."""
    fewest_inliers: float = 0.8
    shortest_m: float = 15.0
    shortest_share: float = 0.86
    """Smallest share of the road between the first and the last measurement line."""
    widest_sway_m: float = 0.5
    longest_gap_s: float = 0.1
    widest_scatter: float = 1.0
    widest_fit_sigma_kmh: float = 0.5
    most_drift: float = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class CameraCalibration:
    """Calibration of a camera, as input of the kernels."""

    image_to_ground: Floats
    covariance: Floats
    camera_m: tuple[float, float, float]
    relative_sigma: float


@dataclass(frozen=True, slots=True, eq=False)
class SpeedErrors:
    """Errors and stated uncertainties of one recording."""

    true: int
    matched: int
    error_kmh: Floats
    sigma_kmh: Floats
    parts_kmh: Floats
    """(4, M) parts of `sigma_kmh` in the order of `PARTS`, as standard uncertainties."""


PARTS = ("scatter of the track", "calibration", "clearance", "view and detector")


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="speed", description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("QYRAN_DATA"), help="folder with the *.npz files")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    if options.data is None:
        parser.error("--data, or the environment variable QYRAN_DATA, must name the folder of the recordings")
    result = evaluate(brnocompspeed.load(Path(options.data)), SpeedParameters())
    print(json.dumps(result, indent=2) if options.json else table(result))
    return 0


def evaluate(recordings: list[SurveyedRecording], parameters: SpeedParameters) -> dict[str, Any]:
    """Calibrate and measure every recording. Returns the whole result."""
    kept = [(recording, *_select(recording)) for recording in recordings]
    surveyed = [_calibrate(recording, parameters) for recording in recordings]
    published = [_published(recording, parameters) for recording in recordings]
    outcomes = run(kept, surveyed, parameters)
    uncorrected = {name: run(kept, surveyed, replace(parameters, **change)) for name, change in WITHOUT.items()}
    return {
        "files": {recording.name: summary([outcome]) for recording, outcome in zip(recordings, outcomes, strict=True)},
        "total": summary(outcomes),
        "published_calibration": summary(run(kept, published, parameters)),
        "without": {name: summary(outcomes) for name, outcomes in uncorrected.items()},
        "error_budget": budget(outcomes),
        "parameters": asdict(parameters),
        "machine": describe_machine(),
    }


WITHOUT: dict[str, dict[str, float]] = {
    "the rolling shutter": {"readout_s": 0.0},
    "bumper and tyre": {"clearance_m": 0.0},
    "both": {"readout_s": 0.0, "clearance_m": 0.0},
}
"""Changes of the parameters that switch off a correction."""


def _select(recording: SurveyedRecording) -> tuple[KeptTracks, Ints]:
    kept = brnocompspeed.select_tracks(recording)
    return kept, brnocompspeed.match(recording, kept)


def run(
    kept: list[tuple[SurveyedRecording, KeptTracks, Ints]], views: list[CameraCalibration], parameters: SpeedParameters
) -> list[SpeedErrors]:
    """Measure every recording with its calibration."""
    return [
        compare(recording, vehicle, *measure(view, tracks, parameters))
        for (recording, tracks, vehicle), view in zip(kept, views, strict=True)
    ]


def _calibrate(recording: SurveyedRecording, parameters: SpeedParameters) -> CameraCalibration:
    fit = brnocompspeed.calibrate_survey(recording)
    return CameraCalibration(
        fit.camera.image_to_ground(), fit.homography_covariance, fit.camera.position_m, parameters.view_sigma
    )


def _published(recording: SurveyedRecording, parameters: SpeedParameters) -> CameraCalibration:
    image_to_ground, camera_m = brnocompspeed.published_calibration(recording)
    return CameraCalibration(image_to_ground, np.zeros((9, 9)), camera_m, parameters.published_sigma)


def measure(view: CameraCalibration, kept: KeptTracks, parameters: SpeedParameters) -> tuple[Floats, Floats, Flags]:
    """(N,) speed in km/h, (4, N) parts of its standard uncertainty, (N,) True if it counts as measured."""
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


def _shortest_m(view: CameraCalibration, kept: KeptTracks, parameters: SpeedParameters) -> float:
    """The shortest track that counts, in metres."""
    ends_m, jacobian = np.empty((2, 2)), np.empty((2, 2, 2))
    to_ground(view.image_to_ground[None], np.zeros(2, np.int32), kept.stretch_px, ends_m, jacobian)
    return max(parameters.shortest_m, parameters.shortest_share * float(np.linalg.norm(ends_m[1] - ends_m[0])))


def _measured(fit: Fits, shortest_m: float, parameters: SpeedParameters) -> Flags:
    """(N,) True if the track is good enough for a speed."""
    return np.asarray(
        (fit.inliers >= parameters.fewest_inliers)
        & (fit.length_m >= shortest_m)
        & (fit.gap_s <= parameters.longest_gap_s)
        & (fit.lateral_rms_m <= parameters.widest_sway_m)
        & (fit.scatter <= parameters.widest_scatter)
        & (KMH * fit.sigma_mps <= parameters.widest_fit_sigma_kmh)
        & (np.abs(fit.speed_change) - 2.0 * fit.speed_change_sigma <= parameters.most_drift)
    )


def compare(
    recording: SurveyedRecording, vehicle: Ints, speed_kmh: Floats, parts_kmh: Floats, measured: Flags
) -> SpeedErrors:
    """Errors of the measured tracks that belong to a true vehicle."""
    counted = measured & (vehicle >= 0)
    error_kmh = speed_kmh[counted] - recording["true_speed_kmh"][vehicle[counted]]
    sigma_kmh = np.sqrt((parts_kmh[:, counted] ** 2).sum(axis=0))
    return SpeedErrors(
        int(recording.valid.sum()), int((vehicle >= 0).sum()), error_kmh, sigma_kmh, parts_kmh[:, counted]
    )


def budget(outcomes: list[SpeedErrors]) -> dict[str, dict[str, float]]:
    """Stated uncertainties by part, and the found errors: common to a file, and the spread within a file."""
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


def summary(outcomes: list[SpeedErrors]) -> dict[str, float]:
    """The figures of one or more recordings together."""
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
