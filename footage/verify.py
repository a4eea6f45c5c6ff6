"""Does a clip show what its truth says? Checked in numbers, and drawn for the eye."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from footage.ways import inside

Bytes8 = NDArray[np.uint8]
Floats32 = NDArray[np.float32]
Flags = NDArray[np.bool_]
Json = dict[str, Any]

_BACKGROUND_FRAMES = 24
_LATE_S = 0.002
_CHANGED = 26
"""Difference to the still background, of 255, that counts as something there."""
_SHADE_BELOW, _SHADE_SPREAD = 0.85, 0.15
_LEAST_SIDE_PX = 24
_EDGE_REACHED, _EDGE_PASSED, _EDGES_THAT_FIT = 0.08, 0.3, 2
"""Share of an edge at which something must be, share of what lies beyond it that may differ, and how many of the upper
and the two side edges must fit: shadows and neighbours spoil one."""
_LEAST_CHANGED = 0.3
_SHARE_THAT_FITS = 0.75
"""Every vehicle counts once, however long it stands there. Boxes ten pixels beside their vehicles fit at two thirds,
nine below them at a quarter."""


def read_truth(clip: Path) -> Json:
    """The truth beside a clip: avenue.mp4 and avenue.truth.json."""
    return msgspec.json.decode(clip.with_suffix(".truth.json").read_bytes(), type=Json)


def read_clip(clip: Path) -> Iterator[tuple[float, Bytes8]]:
    """Presentation time in seconds and (H, W, 3) u1 of every frame."""
    with av.open(clip) as container:
        for frame in container.decode(video=0):
            yield float(frame.time or 0.0), frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)


def verify(clip: Path) -> list[str]:
    """What is wrong with the clip, in sentences; nothing when it fits its truth."""
    truth = read_truth(clip)
    step = max(1, len(truth["frames"]) // _BACKGROUND_FRAMES)
    times, some = [], []
    for k, (time_s, picture) in enumerate(read_clip(clip)):
        times.append(time_s)
        if k % step == 0:
            some.append((picture, truth["frames"][min(k, len(truth["frames"]) - 1)]))
    problems = list(_outer(truth, some[0][0], times))
    return problems or list(_boxes(truth, clip, _background(some)))


def _background(some: list[tuple[Bytes8, Json]]) -> Floats32:
    """(H, W, 3): median of every pixel over the frames in which no vehicle's box holds it."""
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


def _boxes(truth: Json, clip: Path, background: Floats32) -> Iterator[str]:
    area = next(zone["polygon_m"] for zone in truth["zones"] if zone["kind"] == "measured")
    pictures = (picture for _, picture in read_clip(clip))
    frames = zip(truth["frames"], pictures, strict=True)
    fits: dict[str, list[bool]] = {}
    for frame, picture in frames:
        for name, fit in _fits(frame, picture, background, area):
            fits.setdefault(name, []).append(fit)
    share = float(np.mean([np.mean(of_vehicle) for of_vehicle in fits.values()])) if fits else 0.0
    if share < _SHARE_THAT_FITS:
        yield f"only {share:.1%} of the boxes of {len(fits)} vehicles hold one that ends where they do"


def _fits(frame: Json, picture: Bytes8, background: Floats32, area_m: list[Any]) -> Iterator[tuple[str, bool]]:
    """Of every vehicle that stands free on the road, by name: does it fill its box, and end where the box does?"""
    changed = np.abs(picture - background).max(axis=2) > _CHANGED
    lit = changed & ~_shade(picture, background)
    for row in frame["vehicles"]:
        left, top, right, bottom = (round(v) for v in row["xyxy_px"])
        large = row["visible"] > 0.99 and min(right - left, bottom - top) > _LEAST_SIDE_PX
        if large and _free(row, frame["vehicles"]) and inside(area_m, np.array([row["position_m"]]))[0]:
            filled = changed[top:bottom, left:right].mean() > _LEAST_CHANGED
            edges = [
                _ends(lit[max(0, top - 9) : top + 4, left:right]),
                _ends(lit[top:bottom, max(0, left - 9) : left + 4].T),
                _ends(lit[top:bottom, right - 4 : right + 9].T[::-1]),
            ]
            yield row["name"], bool(filled and sum(edges) >= _EDGES_THAT_FIT)


def _ends(across: Flags) -> bool:
    """Of rows from outside to inside a box, the last four within it: is there something within, and nothing outside?"""
    outside = across[:-8]
    passed = outside.mean() if outside.size else 0.0
    return bool(across[-4:].any(axis=0).mean() > _EDGE_REACHED and passed < _EDGE_PASSED)


def _shade(picture: Bytes8, background: Floats32) -> Flags:
    """Is it the background, only darker by the same share in every colour?"""
    share = (picture + 1.0) / (background + 1.0)
    return np.asarray((share.max(axis=2) < _SHADE_BELOW) & (np.ptp(share, axis=2) < _SHADE_SPREAD))


def _free(row: Json, rows: list[Json]) -> bool:
    """Nobody else's box comes near."""
    left, top, right, bottom = row["xyxy_px"]
    return not any(
        a < right + 20 and c > left - 20 and b < bottom + 20 and d > top - 20
        for a, b, c, d in (other["xyxy_px"] for other in rows if other is not row)
    )


def drawn(picture: Bytes8, frame: Json, truth: Json) -> Image.Image:
    """The picture with the truth over it."""
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
    """A contact sheet: so many frames, evenly spaced, with the truth drawn over them."""
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
