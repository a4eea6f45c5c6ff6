"""Read BrnoCompSpeed, one file a camera: tracks of a published detector, true speeds and the survey of the road.

Sochor et al., "Comprehensive Data Set for Automatic Single Camera Visual Speed Measurement", IEEE T-ITS 2019. The
protocol: drop points closer than 10 px to the border, and tracks of at most five points. Keep a track if it stays in
valid lanes and has at least six points between the first and the last measurement line. Match it with the valid true
vehicle of its lane that crosses measurement line 0 at the nearest time, within 0.2 s. A vehicle has at most one track.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.tools.calibrate.marks import Direction, Distance, Mark
from engine.tools.calibrate.solve import Calibrated, calibrate

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

IMAGE_SIZE_PX = (1920, 1080)
BORDER_PX = 10.0
FEWEST_POINTS = 6
WITHIN_S = 0.2
LINE_SIGMA_RAD = 0.002
"""Standard deviation of the direction of painted lane lines."""
SQUARE_SIGMA_RAD = 0.02
"""Standard deviation of the angle between measurement lines and road."""


@dataclass(frozen=True, slots=True, eq=False)
class KeptTracks:
    """Points of each track between the first and the last measurement line, as compressed sparse rows."""

    offset: Ints
    """(N + 1,) i8"""
    t_s: Floats
    """(P,) f8: time of the frame."""
    foot_px: Floats
    """(P, 2) f8"""
    lane: Ints
    """(N,) i8: lane where the track crosses line 0, or of its last point."""
    crossing_s: Floats
    """(N,) f8: time at measurement line 0; nan if the track does not cross it."""
    stretch_px: Floats
    """(2, 2) f8: the middle of the road at the first and at the last measurement line."""


@dataclass(frozen=True, slots=True, eq=False)
class SurveyedRecording:
    """The file of one camera."""

    name: str
    data: dict[str, NDArray[np.generic]]

    def __getitem__(self, key: str) -> Floats:
        """An array of the file as f8."""
        return np.asarray(self.data[key], np.float64)

    @property
    def valid(self) -> Flags:
        """(V,) True for the true vehicles that the protocol counts."""
        return np.asarray(self.data["true_valid"], np.bool_)


def load(folder: Path) -> list[SurveyedRecording]:
    """Load all recordings of a folder, or of its subfolder `brnocompspeed`. Raises FileNotFoundError without any."""
    inner = folder / "brnocompspeed"
    paths = sorted((inner if inner.is_dir() else folder).glob("*.npz"))
    if not paths:
        raise FileNotFoundError(f"{folder}: no *.npz of the BrnoCompSpeed layout")
    return [SurveyedRecording(path.stem, dict(np.load(path))) for path in paths]


def survey(recording: SurveyedRecording) -> list[Mark]:
    """Marks of the survey: distances on the road, parallel lane lines, measurement lines at right angles to them."""
    lanes, lines = recording["lane_lines"], recording["measurement_lines"]
    marks: list[Mark] = [
        Distance(f"distance {i}", _segment(*ends), float(length))
        for i, (ends, length) in enumerate(zip(recording["distance_px"], recording["distance_m"], strict=True))
    ]
    for i, lane in enumerate(lanes):
        ends = _segment(_meet(lane, lines[0]), _meet(lane, lines[-1]))
        marks.append(Direction(f"lane line {i}", ends, 0.0, LINE_SIGMA_RAD))
    for i, line in enumerate(lines):
        ends = _segment(_meet(line, lanes[0]), _meet(line, lanes[-1]))
        marks.append(Direction(f"measurement line {i}", ends, np.pi / 2, SQUARE_SIGMA_RAD))
    return marks


def calibrate_survey(recording: SurveyedRecording) -> Calibrated:
    """Calibrate the camera from the survey alone."""
    u, v = recording["pp_px"]
    return calibrate(survey(recording), IMAGE_SIZE_PX, centre_px=(float(u), float(v)))


def published_calibration(recording: SurveyedRecording) -> tuple[Floats, tuple[float, float, float]]:
    """Homography and camera position of the published calibration: two vanishing points and a scale.

    Its authors place the road 10 units below the corner of the image plane, so the camera is 10 + n . pp units high.
    """
    centre = recording["pp_px"]
    along, across = recording["vp1_px"] - centre, recording["vp2_px"] - centre
    focal = np.sqrt(-along @ across)
    down = np.cross(np.append(across, focal), np.append(along, focal))
    down *= np.sign(down[1]) / np.linalg.norm(down)
    height = float(recording["scale"] * (down[:2] @ centre + 10.0))
    ahead = np.append(along, focal) / np.linalg.norm(np.append(along, focal))
    ray = np.array([[1.0, 0.0, -centre[0]], [0.0, 1.0, -centre[1]], [0.0, 0.0, focal]])
    axes = np.array([np.cross(down, ahead) * height, ahead * height, down])
    return axes @ ray, (0.0, 0.0, height)


def select_tracks(recording: SurveyedRecording) -> KeptTracks:
    """Select the tracks that the protocol keeps."""
    order = np.lexsort((recording["frame"], recording["track_id"]))
    foot_px = recording["foot_px"][order]
    clear = ((foot_px > BORDER_PX) & (foot_px < np.array(IMAGE_SIZE_PX) - BORDER_PX)).all(axis=1)
    foot_px, identity = foot_px[clear], recording["track_id"][order][clear]
    t_s = recording["frame"][order][clear] / float(recording["fps"])
    kept, lanes, crossings = [], [], []
    for rows in np.split(np.arange(len(identity)), np.flatnonzero(np.diff(identity)) + 1):
        found = _follow(recording, t_s[rows], foot_px[rows]) if len(rows) >= FEWEST_POINTS else None
        if found is not None:
            kept.append(rows[found[0]])
            lanes.append(found[1])
            crossings.append(found[2])
    offset = np.cumsum([0, *map(len, kept)], dtype=np.int64)
    rows = np.concatenate(kept)
    lines, edges = recording["measurement_lines"][[0, -1]], recording["lane_lines"][[0, -1]]
    stretch_px = np.array([np.mean([_meet(line, edge) for edge in edges], axis=0) for line in lines])
    return KeptTracks(offset, t_s[rows], foot_px[rows], np.array(lanes, np.int64), np.array(crossings), stretch_px)


def _follow(recording: SurveyedRecording, t_s: Floats, foot_px: Floats) -> tuple[Flags, int, float] | None:
    """Flags of the points between the lines, lane and time at line 0; None if the protocol drops the track."""
    near, far = (_beyond(line, foot_px) for line in recording["measurement_lines"][[0, -1]])
    between = (near < 0) & (far > 0)
    lane = _lanes(recording["lane_lines"], foot_px)
    valid = (lane >= 0) & (lane < len(recording["lane_lines"]) - 1) & ~np.isin(lane, recording["invalid_lanes"])
    if between.sum() < FEWEST_POINTS or not valid[between].all():
        return None
    crossed = np.flatnonzero((near[:-1] < 0) != (near[1:] < 0))
    if len(crossed) == 0:
        return between, int(lane[between][-1]), np.nan
    k = crossed[-1]
    crossing_s = t_s[k] + (t_s[k + 1] - t_s[k]) * near[k] / (near[k] - near[k + 1])
    return between, int(lane[k]), float(crossing_s)


def match(recording: SurveyedRecording, kept: KeptTracks) -> Ints:
    """(N,) true vehicle of each track, -1 without one. A vehicle is matched with the nearest track in time."""
    vehicles = np.flatnonzero(recording.valid)
    truth_s, truth_lane = recording["true_time_near_s"][vehicles], recording["true_lane"][vehicles]
    late_s = np.abs(kept.crossing_s[:, None] - truth_s)
    late_s[(kept.lane[:, None] != truth_lane) | ~(late_s <= WITHIN_S)] = np.inf
    nearest = late_s.argmin(axis=1)
    least_s = late_s[np.arange(len(late_s)), nearest]
    vehicle = np.where(np.isfinite(least_s), vehicles[nearest], -1)
    for track in np.argsort(least_s, kind="stable")[::-1]:
        rivals = np.flatnonzero((vehicle == vehicle[track]) & (vehicle >= 0))
        vehicle[rivals[np.argsort(least_s[rivals], kind="stable")[1:]]] = -1
    return vehicle


def _beyond(line: Floats, points: Floats) -> Floats:
    """(P,) signed distance from an image line, positive below it."""
    return np.asarray((points @ line[:2] + line[2]) * np.sign(line[1]))


def _lanes(lane_lines: Floats, points: Floats) -> Ints:
    """(P,) lane of each point. Lane i is between the lane lines i and i + 1, from left to right."""
    right_of = [(points @ line[:2] + line[2]) * np.sign(line[0]) > 0 for line in lane_lines]
    return np.asarray(np.sum(right_of, axis=0) - 1)


def _meet(line: Floats, other: Floats) -> Floats:
    """(2,) intersection of two image lines."""
    point = np.cross(line, other)
    return np.asarray(point[:2] / point[2])


def _segment(one: Floats, other: Floats) -> tuple[tuple[float, float], tuple[float, float]]:
    return (float(one[0]), float(one[1])), (float(other[0]), float(other[1]))
