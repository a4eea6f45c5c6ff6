"""The speedometer: boxes with identity to positions, velocities and speeds on the road, or the reason for no speed.

It follows the middle of the lower edge of the box. This point is not always on the road: seen from the front it is the
edge of the bumper or the tyre behind it (`kernels.ground.onto_road` corrects it). And the edge of a box errs by a pixel
or two, equally over several frames. A mean over a stretch of road tolerates that; a single frame does not. So a speed
is stated for a stretch, never for two instants. Its uncertainty combines the scatter of the fit with the correlation of
its residuals, the covariance of the calibration through the same fit, and the unknown clearance of the vehicle.

A sighting is used if the whole vehicle is in the picture and in the calibrated area, if no nearer box hides it, and if
calibration and clock are valid. If too few sightings remain, the reason of most of the others is given. A result that
could belong to another vehicle is not a measurement (OIML R 91).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from engine.measure.geometry import CameraGeometry, GeometryTable, geometries
from engine.measure.history import SIGHTING, SightingHistory, SightingRows, fit_columns
from engine.measure.verdict import SpeedBounds, count_reasons, decide, first_applicable
from engine.site import WatchedCamera
from engine.types import Bytes8, Clock, Floats, Frames, Ints, Ints32, Measurable, Motion, Speeds, Tracks
from kernels.ground import onto_road, speed_by_homography, to_ground, undistort
from kernels.outline import oversized
from kernels.overlap import occluded_share
from kernels.speed import Fits, fit_speed, momentary_velocity
from kernels.zones import inside


@dataclass(slots=True)
class GroundSpeedometer:
    """`stages.Speedometer` on one road plane per camera. It keeps a bounded history of each track until the track
    ends."""

    geometry: Mapping[int, CameraGeometry]
    """By camera index. A camera without geometry is `NOT_CALIBRATED`."""
    bounds: SpeedBounds = field(default_factory=SpeedBounds)
    _table: GeometryTable = field(init=False)
    _history: SightingHistory = field(init=False)

    def __post_init__(self) -> None:
        self._table = GeometryTable(self.geometry)
        self._history = SightingHistory(self.bounds.max_sightings)

    def add_camera(self, index: int, camera: WatchedCamera) -> None:
        """Measure one more camera if it is calibrated; between two batches. Raises CalibrationError."""
        self.geometry = {**self.geometry, **geometries({index: camera.site})}
        self._table = GeometryTable(self.geometry)

    def remove_camera(self, index: int) -> None:
        """Forget a camera whose tracks have all ended; between two batches."""
        self.geometry = {known: geometry for known, geometry in self.geometry.items() if known != index}
        self._table = GeometryTable(self.geometry)

    def measure(self, tracks: Tracks, *, moved: frozenset[int] = frozenset(), can_record: bool = True) -> Motion:
        """Put the tracks on the ground and state speeds with their uncertainty, or why there is none.

        What a camera sees while it has `moved`, or while nothing can be recorded, is never used for a speed.
        """
        fresh = self._project(tracks, moved, can_record)
        seen, offset = self._history.extend(fresh)
        velocity_mps, sigma_mps = self._momentary(seen, offset, len(tracks))
        speeds = self._speeds(seen, offset)
        for track in tracks.ended.tolist():
            self._history.forget(track)
        return Motion(tracks, fresh["position_m"].copy(), velocity_mps, sigma_mps, speeds, self._persons_m(tracks))

    def remembered(self) -> dict[int, int]:
        """Number of stored sightings of each live track."""
        return self._history.sizes()

    def _project(self, tracks: Tracks, moved: frozenset[int], can_record: bool) -> SightingRows:
        """(T,) the sightings of the batch, on the ground, each with a reason if it may not be used."""
        table, rows = self._table, len(tracks)
        sighting = np.zeros(rows, SIGHTING)
        geometry = self._geometry(tracks.frames, tracks.frame)
        foot_px = tracks.foot_px.astype(np.float64)
        sighting["track"], sighting["row"] = tracks.track, np.arange(rows)
        sighting["camera"] = np.where(geometry >= 0, tracks.camera, -1)
        depth = foot_px[:, 1] / tracks.frames.size_px[tracks.frame, 1]  # 0 at the top of the picture, 1 at the bottom
        sighting["exposed_s"] = tracks.captured_s + _table_rows(table.readout_s, geometry) * depth
        sighting["reason"] = self._reasons(tracks, geometry, foot_px, moved, can_record)
        undistort(table.lens, geometry, foot_px)
        position_m, jacobian, by_clearance = np.empty((rows, 2)), np.empty((rows, 2, 2)), np.empty((rows, 2))
        to_ground(table.image_to_ground, geometry, foot_px, position_m, jacobian)
        onto_road(table.foot, geometry, position_m, by_clearance)
        sighting["foot_px"], sighting["position_m"] = foot_px, position_m
        sighting["jacobian"], sighting["by_clearance"] = jacobian, by_clearance
        sighting["width_m"] = (tracks.xyxy_px[:, 2] - tracks.xyxy_px[:, 0]) * np.hypot(*jacobian[:, :, 0].T)
        away_m = position_m - _table_rows(table.foot[:, :2], geometry)
        sighting["bearing_rad"] = np.arctan2(away_m[:, 1], away_m[:, 0])
        return sighting

    def _persons_m(self, tracks: Tracks) -> Floats:
        """(P, 2) positions of the persons of the batch, from the lower edges of their boxes."""
        table, persons = self._table, tracks.persons
        geometry = self._geometry(tracks.frames, persons.frame)
        foot_px, position_m = persons.foot_px.astype(np.float64), np.empty((len(persons), 2))
        undistort(table.lens, geometry, foot_px)
        to_ground(table.image_to_ground, geometry, foot_px, position_m, np.empty((len(persons), 2, 2)))
        return position_m

    def _geometry(self, frames: Frames, frame: Ints32) -> Ints32:
        """(T,) the table row of each sighting's geometry; -1 if no geometry is valid."""
        geometry = self._table.row_of(frames.camera[frame])
        if len(self._table.index) == 0:
            return geometry
        since, until = self._table.valid_s[geometry].T
        at_s = frames.captured_s[frame]
        size_fits = (frames.size_px[frame] == self._table.image_size_px[geometry]).all(axis=1)
        geometry[~((geometry >= 0) & (at_s >= since) & (at_s < until) & size_fits)] = -1
        return geometry

    def _reasons(
        self, tracks: Tracks, geometry: Ints32, foot_px: Floats, moved: frozenset[int], can_record: bool
    ) -> Bytes8:
        """(T,) `Measurable` of each single sighting."""
        within = np.empty((len(tracks), 1), np.bool_)
        area = np.where(geometry < 0, len(self._table.index), geometry).astype(np.int32)
        inside(foot_px, area, self._table.areas, within)
        hidden = np.empty(len(tracks))
        occluded_share(tracks.frame, tracks.xyxy_px, hidden)
        margin, size_px = self.bounds.border_px, tracks.frames.size_px[tracks.frame]
        cut = (tracks.xyxy_px[:, :2] <= margin).any(axis=1) | (tracks.xyxy_px[:, 2:] >= size_px - margin).any(axis=1)
        reasons = [
            (np.isin(tracks.camera, list(moved)), Measurable.MOVED),
            (np.full(len(tracks), not can_record), Measurable.UNRECORDABLE),
            (geometry < 0, Measurable.NOT_CALIBRATED),
            (tracks.frames.clock[tracks.frame] == Clock.UNSTABLE, Measurable.CLOCK_UNSTABLE),
            (cut, Measurable.TRUNCATED),
            (~within[:, 0], Measurable.OUTSIDE),
            (hidden > self.bounds.max_hidden, Measurable.OCCLUDED),
        ]
        return first_applicable(reasons, np.full(len(tracks), Measurable.YES))

    def _momentary(self, seen: SightingRows, offset: Ints, rows: int) -> tuple[Floats, Floats]:
        """(T, 2) momentary velocity and (T,) its standard uncertainty at each sighting of the batch."""
        velocity_mps, sigma_mps = np.full((rows, 2), np.nan), np.full(rows, np.nan)
        found, spread = np.empty((len(seen), 2)), np.empty(len(seen))
        setting = (self.bounds.momentary_s, self.bounds.noise_px, self.bounds.wobble_m)
        now = seen["row"] >= 0
        momentary_velocity(offset, *fit_columns(seen), now, setting, found, spread)
        velocity_mps[seen["row"][now]], sigma_mps[seen["row"][now]] = found[now], spread[now]
        return velocity_mps, sigma_mps

    def _speeds(self, seen: SightingRows, offset: Ints) -> Speeds:
        """One speed per track of the batch."""
        t_s, position_m, jacobian = fit_columns(seen)
        origin_s = t_s[offset[:-1]]
        since_s = t_s - np.repeat(origin_s, np.diff(offset))
        reasons = self._without_oversized(seen, offset, position_m)
        usable = reasons == Measurable.YES
        fit = fit_speed(offset, since_s, position_m, jacobian, usable, (self.bounds.noise_px, self.bounds.wobble_m))
        sigma_mps = self._sigma(seen, offset, fit)
        reason = decide(self.bounds, fit, sigma_mps, count_reasons(reasons, offset))
        measured = reason == Measurable.YES
        return Speeds(
            track=seen["track"][offset[:-1]],
            speed_mps=np.where(measured, fit.speed_mps, np.nan),
            sigma_mps=np.where(measured, sigma_mps, np.nan),
            measurable=reason,
            began_s=origin_s + fit.began_s,
            ended_s=origin_s + fit.ended_s,
            length_m=fit.length_m,
            heading_rad=fit.heading_rad,
        )

    def _without_oversized(self, seen: SightingRows, offset: Ints, position_m: Floats) -> Bytes8:
        """(P,) the reasons of the sightings, with OCCLUDED for boxes that are too wide for one vehicle."""
        usable, wide = seen["reason"] == Measurable.YES, np.empty(len(seen), np.bool_)
        bearing_rad, width_m = (np.ascontiguousarray(seen[name]) for name in ("bearing_rad", "width_m"))
        oversized(offset, position_m, bearing_rad, width_m, usable, self.bounds.max_widening, wide)
        return np.where(wide, np.uint8(Measurable.OCCLUDED), seen["reason"])

    def _sigma(self, seen: SightingRows, offset: Ints, fit: Fits) -> Floats:
        """(N,) m/s: combined standard uncertainty (GUM 5.1.2): scatter, homography, scale, clearance and outline."""
        table = self._table
        # reduceat needs all offsets inside the array, so one neutral element is appended.
        geometry = table.row_of(np.maximum.reduceat(np.append(seen["camera"], -1), offset[:-1]))
        by_homography = np.empty((len(fit.speed_mps), 9))
        foot_px = np.ascontiguousarray(seen["foot_px"])
        speed_by_homography(table.image_to_ground, offset, geometry, foot_px, fit.gain, fit.heading_rad, by_homography)
        calibration = np.einsum("ni,nij,nj->n", by_homography, _table_rows(table.covariance, geometry), by_homography)
        heading = np.stack([np.cos(fit.heading_rad), np.sin(fit.heading_rad)], axis=1)
        lifted = fit.gain * (seen["by_clearance"] * np.repeat(heading, np.diff(offset), axis=0)).sum(axis=1)
        lifted_mps = np.add.reduceat(np.append(lifted, 0.0), offset[:-1])
        clearance = lifted_mps * _table_rows(table.clearance_sigma_m, geometry)
        scale = _table_rows(table.relative_sigma, geometry) * fit.speed_mps
        length_m = np.maximum(fit.length_m, self.bounds.min_length_m)
        outline = np.sqrt(2.0) * self.bounds.outline_m * fit.speed_mps / length_m
        return np.asarray(np.sqrt(fit.sigma_mps**2 + calibration + clearance**2 + scale**2 + outline**2))


def _table_rows(table: Floats, row: Ints32) -> Floats:
    """Rows of a geometry table; zeros for row -1."""
    padded = np.concatenate([table, np.zeros((1, *table.shape[1:]))])
    return np.asarray(padded[row])
