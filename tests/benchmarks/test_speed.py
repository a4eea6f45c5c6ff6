"""The speed benchmark on a synthetic recording with known speeds, and on the real recordings if they are present."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from benchmarks import brnocompspeed, speed
from benchmarks.__main__ import main, names
from engine.tools.calibrate.camera import RoadCamera

FPS = 50.0
FAR_M, NEAR_M = 48.0, 20.0


def camera() -> RoadCamera:
    return RoadCamera((960.5, 540.5), np.array([np.log(2600.0), 0.27, 0.0, 0.12, np.log(8.0), 0, 0, 0, 0]))


def to_pixel(x_m: float, y_m: float) -> np.ndarray:
    return np.asarray(camera().to_image(np.array([[x_m, y_m]]))[0])


def through(one: tuple[float, float], other: tuple[float, float]) -> np.ndarray:
    line = np.cross(np.append(to_pixel(*one), 1.0), np.append(to_pixel(*other), 1.0))
    return np.asarray(line / np.hypot(line[0], line[1]))


def recording(folder: Path, *, vehicles: int = 30, noise_px: float = 0.5) -> Path:
    """Two lanes of 4 m, vehicles at 50 to 110 km/h, seen by a rolling shutter; one true vehicle has no track."""
    rng = np.random.default_rng(0)
    parameters = speed.SpeedParameters()
    rows, truth = [], []
    for k in range(vehicles):
        lane, kmh = k % 2, rng.uniform(50, 110)
        x_m, mps, far_s = (-2.0, 2.0)[lane], kmh / 3.6, 5.0 + 4.0 * k
        truth.append((kmh, lane, far_s + (FAR_M - NEAR_M) / mps, far_s))
        for frame in range(int((far_s - 0.1) * FPS), int((far_s + (FAR_M - NEAR_M) / mps + 0.1) * FPS)):
            y_m = FAR_M - mps * (frame / FPS - far_s)
            for _ in range(3):
                late_s = parameters.readout_s * _lowest(x_m, y_m, parameters)[1] / 1080.0
                y_m = FAR_M - mps * (frame / FPS + late_s - far_s)
            rows.append((k, frame, *(_lowest(x_m, y_m, parameters) + rng.normal(0, noise_px, 2))))
    truth.append((70.0, 0, 900.0, 898.0))
    corners = [(-4.0, NEAR_M), (-4.0, FAR_M), (4.0, NEAR_M), (4.0, FAR_M)]
    pairs = [(0, 1), (2, 3), (0, 2), (1, 3)]
    table, true = np.array(rows), np.array(truth)
    np.savez(
        folder / "session0_test.npz",
        track_id=table[:, 0].astype(np.int32),
        frame=table[:, 1].astype(np.int32),
        foot_px=table[:, 2:].astype(np.float32),
        fps=FPS,
        true_speed_kmh=true[:, 0],
        true_valid=np.ones(len(true), bool),
        true_lane=true[:, 1].astype(np.int32),
        true_time_near_s=true[:, 2],
        true_time_far_s=true[:, 3],
        measurement_lines=np.array([through((-4.0, y), (4.0, y)) for y in (NEAR_M, FAR_M)]),
        lane_lines=np.array([through((x, NEAR_M), (x, FAR_M)) for x in (-4.0, 0.0, 4.0)]),
        invalid_lanes=np.array([], np.int32),
        distance_px=np.array([[to_pixel(*corners[a]), to_pixel(*corners[b])] for a, b in pairs]),
        distance_m=np.array([np.hypot(*np.subtract(corners[a], corners[b])) for a, b in pairs]),
        vp1_px=camera().to_image(np.array([[0.0, 1e9]]))[0],
        vp2_px=camera().to_image(np.array([[-1e9, 0.0]]))[0],
        pp_px=np.array([960.5, 540.5]),
        scale=_published_scale(),
    )
    return folder


def _lowest(x_m: float, y_m: float, parameters: speed.SpeedParameters) -> np.ndarray:
    """(2,) image of the lowest visible point of a vehicle with its bumper at (x_m, y_m)."""
    distance = np.hypot(x_m, y_m)
    bumper = distance * parameters.clearance_m / (8.0 - parameters.clearance_m)
    return to_pixel(*(np.array([x_m, y_m]) * (1.0 + min(bumper, parameters.overhang_m) / distance)))


def _published_scale() -> float:
    down = -camera().ground_from_camera()[2]
    return float(8.0 / (down[:2] @ np.array([960.5, 540.5]) + 10.0))


def test_evaluate_measures_the_known_speeds(tmp_path: Path) -> None:
    result = speed.evaluate(brnocompspeed.load(recording(tmp_path)), speed.SpeedParameters())
    total = result["total"]
    assert (total["true"], total["matched"], total["measured"]) == (31, 30, 30)
    assert total["worst_kmh"] < 0.6
    assert abs(total["bias_kmh"]) < 0.15
    assert total["coverage_95"] == 1.0
    assert result["published_calibration"]["mean_kmh"] < 0.5
    assert set(result["files"]) == {"session0_test"}


def test_evaluate_is_biased_without_the_rolling_shutter(tmp_path: Path) -> None:
    recordings = brnocompspeed.load(recording(tmp_path))
    blind = speed.evaluate(recordings, speed.SpeedParameters(readout_s=0.0))["total"]
    assert blind["bias_kmh"] > 0.4


def test_select_tracks_drops_a_track_that_leaves_its_lanes(tmp_path: Path) -> None:
    (whole,) = brnocompspeed.load(recording(tmp_path, vehicles=4))
    assert len(brnocompspeed.select_tracks(whole).lane) == 4
    foot_px = np.array(whole.data["foot_px"])
    first = np.flatnonzero(whole.data["track_id"] == 0)
    foot_px[first[30], 0] = 20.0
    strayed = brnocompspeed.SurveyedRecording("strayed", {**whole.data, "foot_px": foot_px})
    assert len(brnocompspeed.select_tracks(strayed).lane) == 3


def test_match_gives_a_vehicle_to_one_track_only(tmp_path: Path) -> None:
    (whole,) = brnocompspeed.load(recording(tmp_path, vehicles=4))
    again = {key: np.concatenate([whole.data[key], whole.data[key]]) for key in ("frame", "foot_px")}
    twice = brnocompspeed.SurveyedRecording(
        "twice", {**whole.data, **again, "track_id": np.concatenate([whole["track_id"], whole["track_id"] + 100])}
    )
    vehicle = brnocompspeed.match(twice, brnocompspeed.select_tracks(twice))
    assert sorted(vehicle[vehicle >= 0].tolist()) == [0, 1, 2, 3]


def test_load_refuses_a_folder_without_recordings(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no \*\.npz"):
        brnocompspeed.load(tmp_path)


def test_main_runs_a_benchmark_by_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "speed" in names()
    assert main(["nothing"]) == 2
    assert main(["speed", "--data", str(recording(tmp_path, vehicles=4)), "--json"]) == 0
    printed = capsys.readouterr().out
    assert json.loads(printed[printed.index("{") :])["total"]["measured"] == 4


@pytest.mark.data
def test_errors_on_real_recordings_are_within_the_stated_bounds() -> None:
    folder = os.environ.get("QYRAN_DATA")
    if not folder:
        pytest.skip("QYRAN_DATA does not name the evaluation data")
    result = speed.evaluate(brnocompspeed.load(Path(folder)), speed.SpeedParameters())["total"]
    assert result["mean_kmh"] <= 0.45
    assert result["median_kmh"] <= 0.35
    assert result["p95_kmh"] <= 1.1
    assert result["share_of_matched"] >= 0.8
    assert 0.93 <= result["coverage_95"] <= 0.97
