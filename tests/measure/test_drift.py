"""Cameras that are knocked, turned and moved back, and traffic, weather and night that may look like drift."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import msgspec
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from engine.config import CameraConfig
from engine.decode.frame_fetcher import fetch_frames
from engine.errors import BadStream, ConfigError, NotFound
from engine.measure.drift import (
    DRIFT_SHARE,
    CheckSchedule,
    DriftState,
    ReferenceStill,
    ViewDriftMonitor,
    key_frame,
    load_references,
)
from engine.metrics import Metrics
from engine.site import Calibration, Place, Site
from engine.tools.still import take_still
from engine.types import Bytes8, Floats, Segment
from rig.videos import cut

FOOTAGE = Path(__file__).parents[2] / "engine" / "tools" / "demo" / "footage"
EPOCH_S = 1_780_000_000.0
Spoil = Callable[[Bytes8, np.random.Generator], np.ndarray]


def frames(video: Path, every_s: float) -> Iterator[Bytes8]:
    """Pictures of a video at a fixed interval."""
    due_s = 0.0
    with av.open(str(video)) as container:
        for frame in container.decode(video=0):
            if frame.time is not None and frame.time >= due_s:
                due_s += every_s
                yield frame.to_ndarray(format="rgb24")


def median(pictures: Sequence[Bytes8]) -> Bytes8:
    """The median of the pictures."""
    return np.sort(np.stack(pictures), axis=0)[len(pictures) // 2]


def area_of(rgb: Bytes8) -> Floats:
    """A calibrated area: a road that leads away from the camera."""
    height, width = rgb.shape[:2]
    return np.array([[0.1, 0.85], [0.9, 0.85], [0.62, 0.27], [0.4, 0.27]]) * [width, height]


def reference(rgb: Bytes8) -> ReferenceStill:
    return ReferenceStill(rgb, area_of(rgb), DRIFT_SHARE * rgb.shape[1])


def warped(
    rgb: Bytes8, shift_px: tuple[float, float] = (0.0, 0.0), turn_deg: float = 0.0, zoom: float = 1.0
) -> tuple[Bytes8, float]:
    """The picture of a camera that moved in this way, and the true drift of the area's corners."""
    turn = zoom * np.exp(1j * np.deg2rad(turn_deg))
    middle = (rgb.shape[1] + 1j * rgb.shape[0]) / 2
    corners = area_of(rgb) @ [1, 1j]
    drift_px = np.abs((turn - 1) * (corners - middle) + complex(*shift_px)).max()
    back, about = 1 / turn, np.array([middle.imag, middle.real]) - 0.5
    matrix = np.array([[back.real, back.imag], [-back.imag, back.real]])
    offset = about - matrix @ (about + np.array(shift_px)[::-1])
    green = ndimage.affine_transform(rgb[..., 1], matrix, offset, order=1, mode="nearest")
    return np.repeat(green[..., None], 3, axis=2), float(drift_px)


@pytest.fixture(scope="module")
def avenue() -> list[Bytes8]:
    return list(frames(FOOTAGE / "avenue.mp4", 1.0))


@pytest.fixture(scope="module")
def still() -> Bytes8:
    """The still that the engine takes."""
    return take_still(CameraConfig(name="avenue", url=str(FOOTAGE / "avenue.mp4"), site=Path(), segment_s=1.0), 12.0)


@pytest.fixture
def watch(still: Bytes8) -> DriftState:
    return DriftState(reference(still), window=4)


# -- one check


@pytest.mark.parametrize("clip", ["avenue.mp4", "kerbside.mp4"])
def test_traffic_causes_no_drift(clip: str) -> None:
    pictures = list(frames(FOOTAGE / clip, 1.0))
    unmoved = DriftState(reference(median(pictures[::3])), window=4)
    drifts_px = [unmoved.drift_px(picture) for picture in pictures]
    assert len(drifts_px) >= 12
    assert all(drift_px is not None and drift_px < 0.3 for drift_px in drifts_px)


@pytest.mark.parametrize(
    "motion",
    [
        {"shift_px": (1.0, 0.0)},
        {"shift_px": (0.0, -2.0)},
        {"shift_px": (2.5, -1.7)},
        {"shift_px": (4.0, 0.0)},
        {"shift_px": (-8.0, 8.0)},
        {"shift_px": (90.0, -40.0)},
        {"turn_deg": 0.2},
        {"turn_deg": 0.5},
        {"turn_deg": -1.0},
        {"turn_deg": 2.0},
        {"zoom": 1.005},
        {"zoom": 1.03},
        {"zoom": 0.99, "turn_deg": 0.4, "shift_px": (3.0, 5.0)},
    ],
)
def test_the_drift_is_in_pixels_of_the_picture(
    watch: DriftState, avenue: list[Bytes8], motion: dict[str, object]
) -> None:
    picture, true_px = warped(avenue[7], **motion)  # type: ignore[arg-type]
    assert watch.drift_px(picture) == pytest.approx(true_px, rel=0.03, abs=0.25)


def jpeg(rgb: Bytes8, rng: np.random.Generator) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=12)
    return np.asarray(Image.open(buffer))


def rain(rgb: Bytes8, rng: np.random.Generator) -> np.ndarray:
    streaks = np.zeros(rgb.shape[:2])
    streaks[tuple(rng.integers(0, side, 6000) for side in streaks.shape)] = 900
    streaks = ndimage.uniform_filter1d(streaks, 21, axis=0)
    return 0.8 * ndimage.gaussian_filter(rgb, (1, 1, 0)) + streaks[..., None]


def jam(rgb: Bytes8, rng: np.random.Generator) -> np.ndarray:
    """Boxes that cover half of the picture."""
    busy = rgb.copy()
    for y, x in zip(rng.integers(100, 640, 60), rng.integers(0, 1180, 60), strict=True):
        busy[y : y + 70, x : x + 110] = rng.integers(0, 256, 3)
        busy[y + 12 : y + 30, x + 15 : x + 95] = rng.integers(0, 256, 3)
    return busy


def shadows(rgb: Bytes8, rng: np.random.Generator) -> np.ndarray:
    """New hard shadows of clouds and houses."""
    shade = ndimage.zoom(rng.uniform(0, 1, (6, 10)), (120, 128), order=0) > 0.5
    return rgb * np.where(shade, 0.5, 1.0)[..., None]


SPOILS: dict[str, Spoil] = {
    "dusk": lambda rgb, rng: 0.3 * rgb,
    "night and gain": lambda rgb, rng: 0.1 * rgb + rng.normal(0, 6, rgb.shape),
    "glare": lambda rgb, rng: 1.9 * rgb + 30,
    "noise": lambda rgb, rng: rgb + rng.normal(0, 30, rgb.shape),
    "fog": lambda rgb, rng: 0.15 * rgb + 170,
    "out of focus": lambda rgb, rng: ndimage.gaussian_filter(rgb, (5, 5, 0)),
    "JPEG": jpeg,
    "rain": rain,
    "traffic jam": jam,
    "shadows": shadows,
}


@pytest.mark.parametrize("what", SPOILS)
def test_weather_light_and_traffic_cause_no_drift(watch: DriftState, avenue: list[Bytes8], what: str) -> None:
    for number in range(2):
        spoilt = SPOILS[what](avenue[number], np.random.default_rng(number))
        drift_px = watch.drift_px(spoilt.clip(0, 255).astype(np.uint8))
        assert drift_px is None or drift_px < 0.6 * watch.most_drift_px


@pytest.mark.parametrize("what", ["dusk", "night and gain", "noise", "rain", "traffic jam", "shadows"])
def test_a_knock_is_detected_in_weather_and_traffic(watch: DriftState, avenue: list[Bytes8], what: str) -> None:
    picture, true_px = warped(avenue[7], shift_px=(5.0, 3.0))
    spoilt = SPOILS[what](picture, np.random.default_rng(1)).clip(0, 255).astype(np.uint8)
    assert watch.drift_px(spoilt) == pytest.approx(true_px, abs=0.6)


def test_an_empty_picture_noise_and_another_size_are_not_conclusive(watch: DriftState, still: Bytes8) -> None:
    rng = np.random.default_rng(5)
    noise = [rng.integers(0, 256, still.shape, np.uint8) for _ in range(4)]
    for picture in (np.full_like(still, 0), np.full_like(still, 255), still[:360, :640], *noise):
        assert watch.drift_px(picture) is None


def test_another_static_scene_is_an_infinite_drift(watch: DriftState, avenue: list[Bytes8]) -> None:
    elsewhere = frames(FOOTAGE / "kerbside.mp4", 2.0)
    assert [watch.drift_px(next(elsewhere)) for _ in range(3)] == [None, math.inf, math.inf]
    assert watch.drift_px(avenue[0]) == pytest.approx(0.0, abs=0.3)
    assert watch.drift_px(next(elsewhere)) is None


def test_a_large_turn_is_an_infinite_drift(watch: DriftState, avenue: list[Bytes8]) -> None:
    turned = [warped(picture, turn_deg=12.0, zoom=1.1)[0] for picture in avenue[:2]]
    assert [watch.drift_px(picture) for picture in turned] == [None, math.inf]


def test_a_static_caption_does_not_hide_drift(still: Bytes8, avenue: list[Bytes8]) -> None:
    text = np.random.default_rng(2).integers(0, 2, (8, 128)).repeat(6, axis=0).repeat(10, axis=1) * 255

    def captioned(rgb: Bytes8) -> Bytes8:
        written = rgb.copy()
        written[10:58], written[660:708] = text[..., None], text[::-1, :, None]
        return written

    moved, true_px = warped(avenue[7], shift_px=(6.0, 4.0))
    watch = DriftState(reference(captioned(still)), window=4)
    assert watch.drift_px(captioned(moved)) == pytest.approx(true_px, abs=0.4)


# -- the monitor


def segment_of(rgb: Bytes8, at_s: float, camera: int = 0) -> Segment:
    """One frame, encoded."""
    height, width = rgb.shape[:2]
    context = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.framerate, context.time_base = Fraction(25), Fraction(1, 25)
    context.options = {"preset": "ultrafast", "crf": "26"}
    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")
    frame.pts = 0
    packets = [*context.encode(frame), *context.encode(None)]
    segment = cut(packets, "h264", (width, height), camera)
    return dataclasses.replace(segment, captured_s=np.array([EPOCH_S + at_s]))


class CountingFetcher:
    """Fetches real frames and counts the calls."""

    def __init__(self) -> None:
        self.cameras: list[int] = []

    def __call__(self, segments: Sequence[Segment], instants_s: Sequence[float]) -> Sequence[object]:
        self.cameras.append(segments[0].camera)
        return fetch_frames(segments, instants_s)


class Stand:
    """A monitor of cameras with the avenue's still, its metrics, and the checked cameras."""

    def __init__(self, still: Bytes8, cameras: int = 1, **pace: int) -> None:
        self.metrics, self.fetcher = Metrics(), CountingFetcher()
        names = {camera: f"c{camera}" for camera in range(cameras + 1)}
        for name in names.values():
            self.metrics.add_camera(name)
        known = {camera: reference(still) for camera in range(cameras)}
        self.monitor = ViewDriftMonitor(known, self.fetcher, self.metrics, names, CheckSchedule(**pace))  # type: ignore[arg-type]
        self.at_s = 0.0

    def see(self, *pictures: Bytes8) -> list[bool]:
        """The states of camera 0 after each picture, 20 s apart."""
        answers = []
        for picture in pictures:
            answers.append(0 in self.monitor.check([segment_of(picture, self.at_s)]))
            self.at_s += 20.0
        return answers

    def value(self, name: str, camera: str = "c0") -> float | None:
        return self.metrics.registry.get_sample_value(name, {"camera": camera})


@pytest.fixture
def stand(still: Bytes8) -> Stand:
    return Stand(still)


@pytest.fixture(scope="module")
def knocked(avenue: list[Bytes8]) -> Bytes8:
    return warped(avenue[3], shift_px=(3.0, -2.0))[0]


def test_a_knocked_camera_is_suspended_and_resumes_by_itself(
    stand: Stand, avenue: list[Bytes8], knocked: Bytes8
) -> None:
    assert stand.see(avenue[0], avenue[1], knocked, knocked) == [False] * 4
    assert stand.see(knocked) == [True]
    assert stand.value("qyran_camera_moved") == 1
    assert stand.value("qyran_view_drift_pixels") == pytest.approx(math.hypot(3, 2), abs=0.4)
    assert stand.see(avenue[2], avenue[3], avenue[4]) == [True, True, False]
    assert stand.value("qyran_camera_moved") == 0
    assert stand.value("qyran_view_drift_pixels") == pytest.approx(0, abs=0.4)


def test_a_single_check_beyond_the_limit_suspends_nothing(stand: Stand, avenue: list[Bytes8], knocked: Bytes8) -> None:
    assert stand.see(*[knocked, avenue[0]] * 4) == [False] * 8


def test_an_inconclusive_check_keeps_the_state_and_is_counted(stand: Stand, knocked: Bytes8) -> None:
    night = np.zeros_like(knocked)
    assert stand.see(night, knocked, night, knocked, knocked, night, night, night) == [False] * 4 + [True] * 4
    assert stand.value("qyran_view_unclear_total") == 5


def test_a_corrupt_key_frame_is_not_conclusive(stand: Stand, avenue: list[Bytes8]) -> None:
    segment = segment_of(avenue[0], 0.0)
    spoilt = dataclasses.replace(segment, payload=bytes(len(segment.payload)))
    assert stand.monitor.check([spoilt]) == frozenset()
    assert stand.value("qyran_view_unclear_total") == 1


def test_a_camera_is_checked_every_twenty_seconds_of_capture_time(stand: Stand, avenue: list[Bytes8]) -> None:
    segments = [segment_of(avenue[0], at_s) for at_s in (0.0, 2.0, 19.9, 20.0, 21.0, 5.0, 6.0)]
    stand.monitor.check(segments[:2])
    for segment in segments[2:5]:
        stand.monitor.check([segment])
    assert len(stand.fetcher.cameras) == 2
    stand.monitor.check(segments[5:6])
    assert len(stand.fetcher.cameras) == 3, "a clock that was set back makes the camera due"
    stand.monitor.check(segments[6:])
    assert len(stand.fetcher.cameras) == 3


def test_many_cameras_take_turns(still: Bytes8, avenue: list[Bytes8]) -> None:
    stand = Stand(still, cameras=5, checks_per_batch=2)
    segments = [segment_of(avenue[0], 0.0, camera) for camera in range(6)]
    checks = []
    for _ in range(4):
        stand.monitor.check(segments)
        checks.append(len(stand.fetcher.cameras))
    assert checks == [2, 4, 5, 5]
    assert sorted(stand.fetcher.cameras) == [0, 1, 2, 3, 4]


def test_a_camera_without_a_still_is_never_suspended(still: Bytes8, knocked: Bytes8) -> None:
    stand = Stand(still, cameras=0)
    assert stand.see(*[knocked] * 5) == [False] * 5
    assert stand.fetcher.cameras == []


def test_no_segment_changes_nothing(stand: Stand, knocked: Bytes8) -> None:
    stand.see(knocked, knocked, knocked)
    assert stand.monitor.check([]) == frozenset({0})


def test_only_the_key_frame_of_a_segment_is_decoded(avenue: list[Bytes8]) -> None:
    whole = segment_of(avenue[0], 0.0)
    twice = dataclasses.replace(
        whole,
        payload=whole.payload + b"no packet at all",
        size_bytes=np.array([len(whole.payload), 16]),
        pts=np.array([0, 1]),
        dts=np.array([0, 1]),
        key=np.array([True, False]),
        captured_s=EPOCH_S + np.array([0.0, 0.04]),
    )
    assert key_frame(twice).payload == whole.payload
    assert fetch_frames([key_frame(twice)], [EPOCH_S])[0].rgb.shape == avenue[0].shape


# -- the still


def site_with(still: Path, most_drift_px: float | None = None) -> Site:
    made = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    calibration = Calibration(
        id="c1",
        made=made,
        expires=made + dt.timedelta(days=365),
        image_to_ground=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
        residual_m=0.02,
        area_px=((0, 700), (1280, 700), (700, 100)),
        still=still,
        most_drift_px=most_drift_px,
    )
    return Site(name="s", image_size_px=(1280, 720), place=Place(address={}), valid_from=made, calibration=calibration)


def test_references_are_the_stills_of_the_sites(tmp_path: Path, still: Bytes8) -> None:
    Image.fromarray(still).save(tmp_path / "still.png")
    known = load_references({2: site_with(tmp_path / "still.png"), 3: site_with(tmp_path / "still.png", 1.5)})
    np.testing.assert_array_equal(known[2].rgb, still)
    assert [known[2].most_drift_px, known[3].most_drift_px] == [pytest.approx(2.56), 1.5]
    bare = msgspec.structs.replace(site_with(tmp_path / "still.png"), calibration=None)
    assert load_references({0: bare}) == {}


def test_the_error_names_a_truncated_still(tmp_path: Path, still: Bytes8) -> None:
    Image.fromarray(still).save(tmp_path / "still.png")
    content = (tmp_path / "still.png").read_bytes()
    (tmp_path / "still.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(ConfigError, match=r"still\.png: the still of calibration c1"):
        load_references({0: site_with(tmp_path / "still.png")})


def test_the_still_contains_no_vehicles(still: Bytes8, avenue: list[Bytes8]) -> None:
    def share_unlike(picture: Bytes8) -> float:
        return float((np.abs(still.astype(np.int16) - picture).max(axis=2) > 40).mean())

    assert share_unlike(median(avenue[1::2])) < max(map(share_unlike, avenue)) / 4


def test_too_few_key_frames_make_no_still() -> None:
    with pytest.raises(BadStream, match=r"camera avenue: 2 key frame\(s\) within 1 s"):
        take_still(CameraConfig(name="avenue", url=str(FOOTAGE / "avenue.mp4"), site=Path(), segment_s=1.0), 1.0)


def test_a_still_of_a_missing_file_is_refused() -> None:
    with pytest.raises(NotFound):
        take_still(CameraConfig(name="gone", url="/nowhere/gone.mp4", site=Path()), 10.0)


# -- real streets


@pytest.mark.data
@pytest.mark.parametrize("video", ["street.mp4", "highway_side.mp4"])
def test_real_streets_raise_no_alarm_and_a_real_drift_is_found(data: Path, video: str) -> None:
    pictures = list(frames(data / "videos" / video, 1.0))
    street = DriftState(reference(median(pictures[:15])), window=4)
    bound_px = street.most_drift_px
    drifts_px = [street.drift_px(picture) for picture in pictures]
    assert all(drift_px is not None and drift_px < bound_px / 2 for drift_px in drifts_px)
    for picture in pictures[::6]:
        moved, true_px = warped(picture, shift_px=(1.6, 1.0), turn_deg=0.2)
        assert street.drift_px(moved) == pytest.approx(true_px, rel=0.05, abs=0.4)
