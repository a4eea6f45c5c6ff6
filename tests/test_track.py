"""The tracker: one identity per vehicle, times in seconds, and results per camera that are equal to the last bit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from engine.track import KalmanTracker, TrackerParameters
from engine.types import TRACK_BITS, Detections, Frames, Tracks, VehicleClass
from kernels.track import CAMERA_SHIFT

Sighting = tuple[int, float, float, float, float, VehicleClass]
"""camera, time, centre x, centre y, score, class; every vehicle is 40 x 30 pixels."""

CAR = VehicleClass.CAR
HALF_PX = np.array([20.0, 15.0], np.float32)


def detections(sightings: list[Sighting], frames: list[tuple[int, float]] | None = None) -> Detections:
    """A batch. `frames` are camera and time; by default those of the sightings."""
    frames = frames if frames is not None else sorted({(c, t) for c, t, *_ in sightings})
    ordered = sorted(sightings, key=lambda one: frames.index((one[0], one[1])))
    centre = np.array([(x, y) for _, _, x, y, _, _ in ordered], np.float32).reshape(-1, 2)
    return Detections(
        frames=Frames(
            camera=np.array([camera for camera, _ in frames], np.int32),
            captured_s=np.array([time_s for _, time_s in frames], np.float64),
            size_px=np.tile(np.array([[1280, 720]], np.int32), (len(frames), 1)),
            clock=np.ones(len(frames), np.uint8),
        ),
        frame=np.array([frames.index((c, t)) for c, t, *_ in ordered], np.int32),
        xyxy_px=np.concatenate([centre - HALF_PX, centre + HALF_PX], axis=1).astype(np.float32),
        score=np.array([one[4] for one in ordered], np.float32),
        class_id=np.array([one[5] for one in ordered], np.int32),
    )


def drive(times_s: list[float], x: float = 100.0, speed_px_s: float = 100.0, **other: float) -> list[Sighting]:
    """One car that drives to the right."""
    row = (other.get("y", 200.0), other.get("score", 0.95))
    return [(int(other.get("camera", 0)), t, x + speed_px_s * t, *row, CAR) for t in times_s]


def steps(begin_s: float, end_s: float, rate_hz: float = 10.0) -> list[float]:
    return [round(begin_s + k / rate_hz, 6) for k in range(round((end_s - begin_s) * rate_hz))]


def identities(*batches: Tracks) -> set[int]:
    return set(np.concatenate([tracks.track for tracks in batches]).tolist())


def test_a_vehicle_keeps_its_identity_over_batches() -> None:
    tracker = KalmanTracker()
    first, second = (tracker.track(detections(drive(steps(t, t + 1)))) for t in (0.0, 1.0))
    assert len(first) == len(second) == 10
    assert len(identities(first, second)) == 1
    assert np.array_equal(first.xyxy_px[3], detections(drive(steps(0, 1))).xyxy_px[3])


@pytest.mark.parametrize("rate_hz", [25.0, 12.5, 5.0, 2.5])
def test_the_frame_rate_does_not_matter_for_steady_traffic(rate_hz: float) -> None:
    cars = [s for lane in range(3) for s in drive(steps(0, 4, rate_hz), y=100.0 + 60 * lane, speed_px_s=30.0)]
    tracks = KalmanTracker().track(detections(cars))
    assert len(identities(tracks)) == 3
    assert len(tracks) == len(cars)


def test_variable_rate_and_gaps_are_taken_by_their_seconds() -> None:
    times_s = [0.0, 0.04, 0.2, 0.21, 0.5, 0.55, 1.3, 1.31, 2.0]
    tracks = KalmanTracker().track(detections(drive(times_s, speed_px_s=80.0)))
    assert len(tracks) == len(times_s)
    assert len(identities(tracks)) == 1


def test_a_hidden_vehicle_is_found_at_its_predicted_position() -> None:
    hidden = [t for t in steps(0, 3) if not 1.0 < t < 1.9]
    tracks = KalmanTracker().track(detections(drive(hidden), [(0, t) for t in steps(0, 3)]))
    assert len(identities(tracks)) == 1
    assert len(tracks) == len(hidden)


def test_crossing_vehicles_keep_their_identities() -> None:
    times_s = steps(0, 4)
    right = drive(times_s, x=100.0, speed_px_s=150.0, y=200.0)
    left = drive(times_s, x=700.0, speed_px_s=-150.0, y=206.0)
    tracks = KalmanTracker().track(detections(right + left))
    top = np.isclose(tracks.xyxy_px[:, 1], 185.0)
    assert len(set(tracks.track[top].tolist())) == 1
    assert len(set(tracks.track[~top].tolist())) == 1
    assert len(identities(tracks)) == 2


def test_a_standing_vehicle_stays_one_track() -> None:
    tracks = KalmanTracker().track(detections(drive(steps(0, 60, 5.0), speed_px_s=0.0)))
    assert len(identities(tracks)) == 1


def test_a_lost_track_ends_and_its_identity_is_not_reused() -> None:
    tracker = KalmanTracker()
    before = tracker.track(detections(drive(steps(0, 1), speed_px_s=0.0)))
    silent = tracker.track(detections([], [(0, t) for t in steps(1, 5)]))
    after = tracker.track(detections(drive(steps(5, 6), speed_px_s=0.0)))
    assert silent.ended.tolist() == sorted(identities(before))
    assert len(silent) == 0
    assert not identities(before) & identities(after)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (drive(steps(0, 1), speed_px_s=0.0), drive(steps(3600, 3601), x=-359900.0)),
        (drive(steps(100, 101), x=-9900.0), drive(steps(50, 51), x=-4900.0)),
    ],
    ids=["long gap", "clock jumps back"],
)
def test_a_break_of_the_time_ends_the_tracks(first: list[Sighting], second: list[Sighting]) -> None:
    tracker = KalmanTracker()
    before, after = tracker.track(detections(first)), tracker.track(detections(second))
    assert after.ended.tolist() == sorted(identities(before))
    assert len(identities(after)) == 1
    assert not identities(before) & identities(after)


def test_a_repeated_frame_is_ignored() -> None:
    tracker = KalmanTracker()
    first = tracker.track(detections(drive([0.0, 0.1])))
    again = tracker.track(detections(drive([0.1])))
    after = tracker.track(detections(drive([0.2])))
    assert len(again) == 0
    assert identities(first) == identities(after)


def test_a_track_that_leaves_the_picture_ends_early() -> None:
    tracker = KalmanTracker()
    before = tracker.track(detections(drive(steps(0, 1), x=1180.0)))
    after = tracker.track(detections([], [(0, t) for t in steps(1, 2)]))
    assert after.ended.tolist() == sorted(identities(before))


def test_end_tracks_ends_only_the_tracks_of_its_camera() -> None:
    tracker = KalmanTracker()
    both = [s for camera in (0, 1) for s in drive(steps(0, 1), camera=camera)]
    tracks = tracker.track(detections(both))
    tracker.end_tracks(0)
    tracker.end_tracks(77)
    after = tracker.track(detections([s for camera in (0, 1) for s in drive(steps(1, 2), camera=camera)]))
    assert after.ended.tolist() == sorted(set(tracks.track[tracks.camera == 0].tolist()))
    assert set(after.track[after.camera == 1].tolist()) == set(tracks.track[tracks.camera == 1].tolist())
    assert not set(after.track[after.camera == 0].tolist()) & identities(tracks)


def test_a_low_score_needs_several_sightings_for_a_track() -> None:
    once = KalmanTracker().track(detections(drive([0.0], score=0.7), [(0, t) for t in steps(0, 1)]))
    often = KalmanTracker().track(detections(drive(steps(0, 1), score=0.7)))
    sure = KalmanTracker().track(detections(drive([0.0], score=0.95)))
    assert len(once) == 0
    assert len(often) == 10
    assert len(sure) == 1


def test_only_earlier_sightings_of_the_same_batch_are_reported() -> None:
    tracker = KalmanTracker()
    assert len(tracker.track(detections(drive([0.0], score=0.7)))) == 0
    tracks = tracker.track(detections(drive(steps(0.1, 1), score=0.7)))
    assert tracks.frame.tolist() == list(range(9))


def test_low_scores_continue_a_track_but_start_none() -> None:
    poor = KalmanTracker().track(detections(drive(steps(0, 2), score=0.3)))
    good_then_poor = detections(drive(steps(0, 1)) + drive(steps(1, 2), score=0.3))
    carried = KalmanTracker().track(good_then_poor)
    assert len(poor) == 0
    assert len(carried) == 20
    assert len(identities(carried)) == 1


def test_the_class_is_the_vote_of_the_sightings_by_score() -> None:
    seen = drive(steps(0, 1))
    seen[4] = (*seen[4][:4], 0.6, VehicleClass.TRUCK)
    tracks = KalmanTracker().track(detections(seen))
    assert set(tracks.class_id.tolist()) == {CAR}


def test_persons_and_invalid_boxes_are_not_tracked() -> None:
    person = [(*s[:5], VehicleClass.PERSON) for s in drive(steps(0, 1))]
    broken = detections(drive(steps(0, 1)))
    broken.xyxy_px[:5, 0] = np.nan
    broken.xyxy_px[5:, 2] = broken.xyxy_px[5:, 0]
    assert len(KalmanTracker().track(detections(person))) == 0
    assert len(KalmanTracker().track(broken)) == 0


def test_persons_pass_through_as_boxes_without_identity() -> None:
    person = [(*s[:5], VehicleClass.PERSON) for s in drive(steps(0, 1))]
    doubtful = [(*s[:4], 0.3, VehicleClass.PERSON) for s in drive(steps(0, 1))]
    tracks = KalmanTracker().track(detections(person))
    assert len(tracks.persons) == len(person)
    assert set(tracks.persons.__slots__) == {"frame", "xyxy_px"}
    assert len(KalmanTracker().track(detections(doubtful)).persons) == 0


def test_an_empty_batch_gives_no_tracks() -> None:
    tracks = KalmanTracker().track(detections([]))
    assert len(tracks) == 0
    assert len(tracks.ended) == 0


def test_the_capacity_grows_when_needed() -> None:
    cars = [s for k in range(50) for s in drive(steps(0, 1), x=50.0 + k % 10 * 100, y=50.0 + k // 10 * 100)]
    tracks = KalmanTracker(capacity=3).track(detections(cars))
    assert len(identities(tracks)) == 50
    roomy = KalmanTracker(capacity=500).track(detections(cars))
    assert np.array_equal(tracks.track, roomy.track)


def busy(camera: int, rng: np.random.Generator) -> Detections:
    """Four seconds of random traffic with noise, gaps, false detections, random scores and classes, and its own
    clock."""
    times_s = camera * 7.3 + np.cumsum(rng.uniform(0.02, 0.3, 30))
    seen: list[Sighting] = []
    for vehicle in rng.uniform(0, 600, (8, 2)):
        speed = rng.normal(0, 60, 2)
        for t in times_s[rng.random(30) < 0.8]:
            x, y = vehicle + speed * (t - times_s[0]) + rng.normal(0, 2, 2)
            seen.append((camera, float(t), float(x), float(y), float(rng.random()), VehicleClass(rng.integers(6))))
    return detections(seen, [(camera, float(t)) for t in times_s])


def together(parts: list[Detections]) -> Detections:
    """The frames of all cameras in one batch, in turn."""
    frames = {name: np.concatenate([getattr(p.frames, name) for p in parts]) for name in Frames.__dataclass_fields__}
    turn = np.argsort(np.concatenate([np.arange(len(p.frames)) for p in parts]), kind="stable")
    place = np.argsort(turn)
    offset = np.cumsum([0] + [len(p.frames) for p in parts])
    frame = np.concatenate([place[p.frame + o] for p, o in zip(parts, offset, strict=False)]).astype(np.int32)
    order = np.argsort(frame, kind="stable")
    names = ("xyxy_px", "score", "class_id")
    columns = {name: np.concatenate([getattr(p, name) for p in parts])[order] for name in names}
    turned = Frames(**{name: values[turn] for name, values in frames.items()})
    return Detections(frames=turned, frame=frame[order], **columns)


def cut(whole: Detections, begin: int, end: int) -> Detections:
    """Frames begin to end - 1."""
    rows = (whole.frame >= begin) & (whole.frame < end)
    frames = {name: getattr(whole.frames, name)[begin:end] for name in Frames.__dataclass_fields__}
    columns = {name: getattr(whole, name)[rows] for name in ("xyxy_px", "score", "class_id")}
    return Detections(frames=Frames(**frames), frame=whole.frame[rows] - begin, **columns)


def rows_of(tracks: Tracks, camera: int) -> tuple[bytes, ...]:
    mine = tracks.camera == camera
    names = ("captured_s", "track", "xyxy_px", "score", "class_id")
    return tuple(getattr(tracks, name)[mine].tobytes() for name in names)


def test_a_camera_alone_and_among_300_gives_the_same_bits() -> None:
    cameras = [busy(camera, np.random.default_rng(camera)) for camera in range(300)]
    shared = KalmanTracker()
    halves = [together([cut(one, begin, begin + 15) for one in cameras]) for begin in (0, 15)]
    tracks = [shared.track(half) for half in halves]
    for camera in (0, 1, 150, 299):
        alone = KalmanTracker(capacity=2)
        for begin, among in zip((0, 15), tracks, strict=True):
            one = alone.track(cut(cameras[camera], begin, begin + 15))
            assert rows_of(one, camera) == rows_of(among, camera)
            assert one.ended.tolist() == [i for i in among.ended.tolist() if i >> 40 == camera]
            assert len(one) > 20


def test_rows_are_ordered_by_frame_without_duplicate_identities() -> None:
    tracks = KalmanTracker().track(together([busy(camera, np.random.default_rng(camera)) for camera in range(20)]))
    assert (np.diff(tracks.frame) >= 0).all()
    assert len(set(zip(tracks.frame.tolist(), tracks.track.tolist(), strict=True))) == len(tracks)


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("high_score", float("nan"), "high_score is nan"),
        ("max_lost_s", -1.0, "max_lost_s is -1.0"),
        ("low_score", 0.9, "low_score 0.9 is above high_score"),
        ("even_score", 1.0, "even_score is 1.0"),
        ("centre_noise", 0.0, "must be above 0"),
    ],
)
def test_the_error_names_an_invalid_parameter(field: str, value: float, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        dataclasses.replace(TrackerParameters(), **{field: value})


def test_invalid_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="frame 1 of camera 0 has no finite capture time"):
        KalmanTracker().track(detections([], [(0, 0.0), (0, float("nan"))]))
    with pytest.raises(ValueError, match="camera -1 is negative"):
        KalmanTracker().track(detections([], [(-1, 0.0)]))
    backwards = dataclasses.replace(detections(drive([0.0, 0.1])), frame=np.array([1, 0], np.int32))
    with pytest.raises(ValueError, match="does not ascend"):
        KalmanTracker().track(backwards)


def test_an_identity_contains_its_camera() -> None:
    assert CAMERA_SHIFT == TRACK_BITS
