"""The speedometer: boxes with identity become places, velocities and speeds on the road, or a reason why not.

The point that is followed is the middle of the lower edge of the box. It is not the point of the road nearest to the
camera that the vehicle stands on, nor always on the road at all: seen from the front it is the edge of the bumper or
the tyre behind it (`kernels.ground.onto_road` takes it back), and a box's edge errs by a pixel or two, alike for some
frames. A mean over a stretch of road survives that; a single frame does not. So a speed is stated of a stretch, never
of two instants, and its uncertainty sums the scatter of the fit with the correlation of its residuals, the covariance
of the calibration through the same fit, and what is not known of the vehicle's clearance.

A sighting is used when the whole vehicle was in the picture, in the calibrated area, not hidden by a nearer box, at a
time that the calibration and the clock stand for. Where too few of them are left, the reason of most of the others is
given; whatever could belong to another vehicle is no measurement (OIML R 91).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from engine.measure.geometry import CameraGeometry, GeometryTable, geometries
from engine.measure.history import SIGHTING, History, Sightings, columns
from engine.measure.verdict import SpeedBounds, first_that_applies, judge, tally
from engine.site import WatchedCamera
from engine.types import Bytes8, Clock, Floats, Frames, Ints, Ints32, Measurable, Motion, Speeds, Tracks
from kernels.ground import onto_road, speed_by_homography, to_ground, undistort
from kernels.outline import oversized
from kernels.overlap import occluded_share
from kernels.speed import Fits, fit_speed, momentary_velocity
from kernels.zones import inside


@dataclass(slots=True)
class GroundSpeedometer:
    """`Speedometer` over a road plane a camera: a bounded history of every live track, gone when the track ends."""

    geometry: Mapping[int, CameraGeometry]
    """By camera index; a camera that is not in it is `NOT_CALIBRATED`."""
    bounds: SpeedBounds = field(default_factory=SpeedBounds)
    _table: GeometryTable = field(init=False)
    _history: History = field(init=False)

    def __post_init__(self) -> None:
        self._table = GeometryTable(self.geometry)
        self._history = History(self.bounds.most_sightings)

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
        fresh = self._sight(tracks, moved, can_record)
        seen, offset = self._history.lengthen(fresh)
        velocity_mps, sigma_mps = self._momentary(seen, offset, len(tracks))
        speeds = self._state(seen, offset)
        for track in tracks.ended.tolist():
            self._history.forget(track)
        return Motion(tracks, fresh["position_m"].copy(), velocity_mps, sigma_mps, speeds, self._persons_m(tracks))

    def remembered(self) -> dict[int, int]:
        """How many sightings are held of every live track."""
        return self._history.sizes()

    def _sight(self, tracks: Tracks, moved: frozenset[int], can_record: bool) -> Sightings:
        """(T,) the sightings of the batch, on the ground, each with the reason why it may not be used."""
        table, rows = self._table, len(tracks)
        sighting = np.zeros(rows, SIGHTING)
        geometry = self._geometry(tracks.frames, tracks.frame)
        foot_px = tracks.foot_px.astype(np.float64)
        sighting["track"], sighting["row"] = tracks.track, np.arange(rows)
        sighting["camera"] = np.where(geometry >= 0, tracks.camera, -1)
        sighting["exposed_s"] = tracks.captured_s + _rows(table.readout_s, geometry) * self._depth(tracks, foot_px)
        sighting["reason"] = self._reasons(tracks, geometry, foot_px, moved, can_record)
        undistort(table.lens, geometry, foot_px)
        position_m, jacobian, by_clearance = np.empty((rows, 2)), np.empty((rows, 2, 2)), np.empty((rows, 2))
        to_ground(table.image_to_ground, geometry, foot_px, position_m, jacobian)
        onto_road(table.foot, geometry, position_m, by_clearance)
        sighting["foot_px"], sighting["position_m"] = foot_px, position_m
        sighting["jacobian"], sighting["by_clearance"] = jacobian, by_clearance
        sighting["width_m"] = (tracks.xyxy_px[:, 2] - tracks.xyxy_px[:, 0]) * np.hypot(*jacobian[:, :, 0].T)
        away_m = position_m - _rows(table.foot[:, :2], geometry)
        sighting["bearing_rad"] = np.arctan2(away_m[:, 1], away_m[:, 0])
        return sighting

    @staticmethod
    def _depth(tracks: Tracks, foot_px: Floats) -> Floats:
        """(T,) how far down the picture a foot point is, 0 to 1."""
        return np.asarray(foot_px[:, 1] / tracks.frames.size_px[tracks.frame, 1])

    def _persons_m(self, tracks: Tracks) -> Floats:
        """(P, 2) where the persons of the batch stand, by the lower edges of their boxes."""
        table, persons = self._table, tracks.persons
        geometry = self._geometry(tracks.frames, persons.frame)
        foot_px, position_m = persons.foot_px.astype(np.float64), np.empty((len(persons), 2))
        undistort(table.lens, geometry, foot_px)
        to_ground(table.image_to_ground, geometry, foot_px, position_m, np.empty((len(persons), 2, 2)))
        return position_m

    def _geometry(self, frames: Frames, frame: Ints32) -> Ints32:
        """(T,) the row of the table that every sighting is measured by; -1 where none holds."""
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
        """(T,) `Measurable` of every sighting by itself."""
        within = np.empty((len(tracks), 1), np.bool_)
        inside(
            foot_px,
            np.where(geometry < 0, len(self._table.index), geometry).astype(np.int32),
            self._table.areas,
            within,
        )
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
            (hidden > self.bounds.most_hidden, Measurable.OCCLUDED),
        ]
        return first_that_applies(reasons, np.full(len(tracks), Measurable.YES))

    def _momentary(self, seen: Sightings, offset: Ints, rows: int) -> tuple[Floats, Floats]:
        """(T, 2) velocity and (T,) its standard uncertainty at every sighting of the batch."""
        velocity_mps, sigma_mps = np.full((rows, 2), np.nan), np.full(rows, np.nan)
        found, spread = np.empty((len(seen), 2)), np.empty(len(seen))
        setting = (self.bounds.momentary_s, self.bounds.noise_px, self.bounds.wobble_m)
        now = seen["row"] >= 0
        momentary_velocity(offset, *columns(seen), now, setting, found, spread)
        velocity_mps[seen["row"][now]], sigma_mps[seen["row"][now]] = found[now], spread[now]
        return velocity_mps, sigma_mps

    def _state(self, seen: Sightings, offset: Ints) -> Speeds:
        """One speed a track of the batch."""
        t_s, position_m, jacobian = columns(seen)
        origin_s = t_s[offset[:-1]]
        since_s = t_s - np.repeat(origin_s, np.diff(offset))
        reasons = self._without_swollen(seen, offset, position_m)
        usable = reasons == Measurable.YES
        fit = fit_speed(offset, since_s, position_m, jacobian, usable, (self.bounds.noise_px, self.bounds.wobble_m))
        sigma_mps = self._sigma(seen, offset, fit)
        reason = judge(self.bounds, fit, sigma_mps, tally(reasons, offset))
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

    def _without_swollen(self, seen: Sightings, offset: Ints, position_m: Floats) -> Bytes8:
        """(P,) the reasons of the sightings; a box that holds more than its vehicle hides it."""
        usable, wide = seen["reason"] == Measurable.YES, np.empty(len(seen), np.bool_)
        bearing_rad, width_m = (np.ascontiguousarray(seen[name]) for name in ("bearing_rad", "width_m"))
        oversized(offset, position_m, bearing_rad, width_m, usable, self.bounds.widest_box, wide)
        return np.where(wide, np.uint8(Measurable.OCCLUDED), seen["reason"])

    def _sigma(self, seen: Sightings, offset: Ints, fit: Fits) -> Floats:
        """(N,) m/s: combined standard uncertainty (GUM 5.1.2): scatter, homography, scale, clearance and outline."""
        table = self._table
        geometry = table.row_of(np.maximum.reduceat(np.append(seen["camera"], -1), offset[:-1]))
        by_homography = np.empty((len(fit.speed_mps), 9))
        foot_px = np.ascontiguousarray(seen["foot_px"])
        speed_by_homography(table.image_to_ground, offset, geometry, foot_px, fit.gain, fit.heading_rad, by_homography)
        calibration = np.einsum("ni,nij,nj->n", by_homography, _rows(table.covariance, geometry), by_homography)
        toward = np.repeat(
            np.stack([np.cos(fit.heading_rad), np.sin(fit.heading_rad)], axis=1), np.diff(offset), axis=0
        )
        lifted = fit.gain * (seen["by_clearance"] * toward).sum(axis=1)
        clearance = np.add.reduceat(np.append(lifted, 0.0), offset[:-1]) * _rows(table.clearance_sigma_m, geometry)
        scale = _rows(table.relative_sigma, geometry) * fit.speed_mps
        outline = (
            np.sqrt(2.0) * self.bounds.outline_m * fit.speed_mps / np.maximum(fit.length_m, self.bounds.shortest_m)
        )
        return np.asarray(np.sqrt(fit.sigma_mps**2 + calibration + clearance**2 + scale**2 + outline**2))


def _rows(table: Floats, row: Ints32) -> Floats:
    """Rows of a geometry table, zeros where there is none."""
    padded = np.concatenate([table, np.zeros((1, *table.shape[1:]))])
    return np.asarray(padded[row])
