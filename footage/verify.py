"""Checks that a clip agrees with its truth, and draws the truth on it for inspection."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from footage.bodies import load
from footage.camera import Camera
from footage.motion import Pose
from footage.silhouette import outline
from footage.truth import solid
from footage.ways import inside

Bytes8 = NDArray[np.uint8]
Floats32 = NDArray[np.float32]
Flags = NDArray[np.bool_]
Json = dict[str, Any]

_BACKGROUND_FRAMES = 24
_LATE_S = 0.002
_CHANGED = 26
"""Smallest difference from the static background, of 255, that counts as an object."""
_SHADE_BELOW, _SHADE_SPREAD = 0.85, 0.22
_LEAST_SIDE_PX = 24
_BAND_PX, _ASIDE_PX = 3, 8
"""Width of the two bands along an outline, and the shift to each of the four sides for comparison."""
_SHARE_THAT_FITS = 0.75
"""Smallest share of fitting outlines, as the mean over vehicles. It is at least 0.77 if the truth is right, and at most
0.05 if the truth is ten pixels off."""
_BODIES = Path(__file__).with_name("bodies.npz")


def read_truth(clip: Path) -> Json:
    """The truth of a clip, from the file beside it (avenue.truth.json for avenue.mp4)."""
    return msgspec.json.decode(clip.with_suffix(".truth.json").read_bytes(), type=Json)


def read_clip(clip: Path) -> Iterator[tuple[float, Bytes8]]:
    """Presentation time in seconds and (H, W, 3) u1 of every frame."""
    with av.open(clip) as container:
        for frame in container.decode(video=0):
            yield float(frame.time or 0.0), frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)


def verify(clip: Path) -> list[str]:
    """The problems of the clip as sentences; empty if it agrees with its truth."""
    truth = read_truth(clip)
    step = max(1, len(truth["frames"]) // _BACKGROUND_FRAMES)
    times, some = [], []
    for k, (time_s, picture) in enumerate(read_clip(clip)):
        times.append(time_s)
        if k % step == 0:
            some.append((picture, truth["frames"][min(k, len(truth["frames"]) - 1)]))
    problems = list(_outer(truth, some[0][0], times))
    return problems or list(_outlines(truth, clip, _background(some)))


def _background(some: list[tuple[Bytes8, Json]]) -> Floats32:
    """(H, W, 3): median of every pixel over the frames in which no box of a mover contains it."""
    free = [picture.astype(np.float32) for picture, _ in some]
    for picture, (_, frame) in zip(free, some, strict=True):
        for row in frame["vehicles"] + frame["persons"]:
            left, top, right, bottom = (int(v) for v in row["xyxy_px"])
            picture[max(0, top - 2) : bottom + 2, max(0, left - 2) : right + 2] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.stack([np.nanmedian([picture[y] for picture in free], axis=0) for y in range(len(free[0]))])


def _outer(truth: Json, picture: Bytes8, times: list[float]) -> Iterator[str]:
    camera, frames = truth["camera"], truth["frames"]
    if len(times) != len(frames):
        yield f"the clip has {len(times)} frames, the truth {len(frames)}"
    if picture.shape[1::-1] != (camera["width_px"], camera["height_px"]):
        yield f"the clip's pictures are {picture.shape[1]} x {picture.shape[0]}"
    late = max(abs(t - frame["time_s"]) for t, frame in zip(times, frames, strict=False))
    if late > _LATE_S:
        yield f"a frame is {late:.3f} s off its time"


def _outlines(truth: Json, clip: Path, background: Floats32) -> Iterator[str]:
    area = next(zone["polygon_m"] for zone in truth["zones"] if zone["kind"] == "measured")
    lens, shapes = _lens(truth["camera"]), load(_BODIES)
    body = {vehicle["name"]: shapes[vehicle["body"]] for vehicle in truth["vehicles"]}
    pictures = (picture for _, picture in read_clip(clip))
    found: dict[str, list[bool]] = {}
    for frame, picture in zip(truth["frames"], pictures, strict=True):
        changed, shade = _differing(picture, background)
        for row in _free_vehicles(frame, area):
            pose = Pose(*row["position_m"], row["heading_rad"], row["speed_mps"])
            drawn = outline(lens, solid(lens, body[row["name"]], pose))
            if drawn is not None:
                found.setdefault(row["name"], []).append(fits(changed, shade, drawn, row["xyxy_px"]))
    share = float(np.mean([np.mean(of_vehicle) for of_vehicle in found.values()])) if found else 0.0
    if share < _SHARE_THAT_FITS:
        yield f"only {share:.1%} of the outlines of {len(found)} vehicles fit better than {_ASIDE_PX} pixels beside"


def _lens(camera: Json) -> Camera:
    named = ("position_m", "target_m", "focal_length_mm", "sensor_width_mm", "width_px", "height_px")
    return Camera(*(camera[name] for name in named))


def _free_vehicles(frame: Json, area_m: list[Any]) -> Iterator[Json]:
    """Vehicles that are large, completely visible, and separate from others."""
    for row in frame["vehicles"]:
        left, top, right, bottom = row["xyxy_px"]
        large = row["visible"] > 0.99 and min(right - left, bottom - top) > _LEAST_SIDE_PX
        if large and _free(row, frame["vehicles"]) and inside(area_m, np.array([row["position_m"]]))[0]:
            yield row


def fits(changed: Flags, shade: Flags, drawn: Flags, xyxy_px: list[float]) -> bool:
    """True if an object ends along the outline more clearly than along the outline shifted to any side.

    All (H, W): `changed` differs from the background, `shade` may be either a shadow or a dark object, `drawn` is the
    filled outline. `xyxy_px` is the box around it.
    """
    left, top, right, bottom = (round(v) for v in xyxy_px)
    cut = np.pad(drawn, _BAND_PX)[top : bottom + 2 * _BAND_PX, left : right + 2 * _BAND_PX]
    within, beyond = _bands(cut)
    there, unshaded = (np.pad(flags, _BAND_PX + _ASIDE_PX) for flags in (changed, ~shade))

    def ends(across: int, down: int) -> float:
        y, x = top + _ASIDE_PX + down, left + _ASIDE_PX + across
        here = np.s_[y : y + cut.shape[0], x : x + cut.shape[1]]
        return _share(there[here], within & unshaded[here]) - _share(there[here], beyond & unshaded[here])

    beside = [(_ASIDE_PX, 0), (-_ASIDE_PX, 0), (0, _ASIDE_PX), (0, -_ASIDE_PX)]
    return ends(0, 0) > max(ends(*step) for step in beside)


def _share(flags: Flags, of: Flags) -> float:
    return float(flags[of].mean()) if of.any() else 0.0


def _bands(drawn: Flags) -> tuple[Flags, Flags]:
    """Bands of pixels along an outline: inside it, and outside it."""
    image, size = Image.fromarray(drawn.astype(np.uint8)), 2 * _BAND_PX + 1
    grown = np.asarray(image.filter(ImageFilter.MaxFilter(size)), bool)
    shrunk = np.asarray(image.filter(ImageFilter.MinFilter(size)), bool)
    return drawn & ~shrunk, grown & ~drawn


def _differing(picture: Bytes8, background: Floats32) -> tuple[Flags, Flags]:
    """Masks: pixels that differ from the background; pixels darker by about the same share in every colour."""
    share = (picture + 1.0) / (background + 1.0)
    darker = (share.max(axis=2) < _SHADE_BELOW) & (np.ptp(share, axis=2) < _SHADE_SPREAD)
    return np.abs(picture - background).max(axis=2) > _CHANGED, np.asarray(darker)


def _free(row: Json, rows: list[Json]) -> bool:
    """True if no other box is within 20 pixels."""
    left, top, right, bottom = row["xyxy_px"]
    return not any(
        a < right + 20 and c > left - 20 and b < bottom + 20 and d > top - 20
        for a, b, c, d in (other["xyxy_px"] for other in rows if other is not row)
    )


def drawn(picture: Bytes8, frame: Json, truth: Json) -> Image.Image:
    """The picture with the truth drawn on it."""
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    for zone in truth["zones"]:
        draw.polygon([tuple(point) for point in zone["polygon_px"]], outline="deepskyblue")
    for line in truth["lines"]:
        draw.line([tuple(point) for point in line["ends_px"]], fill="orange", width=2)
    for row in frame["vehicles"] + frame["persons"]:
        left, top, *_ = row["xyxy_px"]
        draw.rectangle(row["xyxy_px"], outline="lime" if row["visible"] > 0.5 else "red")
        draw.text((left, top - 11), f"{row['name']} {row['speed_mps'] * 3.6:.0f}", fill="yellow")
        if row.get("plate"):
            draw.polygon([tuple(point) for point in row["plate"]["quad_px"]], outline="magenta")
    return image


def sheet(clip: Path, target: Path, count: int, width_px: int = 480) -> None:
    """Write a contact sheet: `count` evenly spaced frames with the truth drawn on them."""
    truth = read_truth(clip)
    camera, columns = truth["camera"], 3
    height_px = round(width_px * camera["height_px"] / camera["width_px"])
    whole = Image.new("RGB", (columns * width_px, -(-count // columns) * height_px))
    chosen = np.linspace(0, len(truth["frames"]) - 1, count).astype(int).tolist()
    for k, (_, picture) in enumerate(read_clip(clip)):
        if k in chosen:
            one = drawn(picture, truth["frames"][k], truth).resize((width_px, height_px), Image.Resampling.LANCZOS)
            row, column = divmod(chosen.index(k), columns)
            whole.paste(one, (column * width_px, row * height_px))
    whole.save(target)
