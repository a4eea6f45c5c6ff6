"""Does a clip show what its truth says? Checked in numbers, and drawn for the eye."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Bytes8 = NDArray[np.uint8]
Flags = NDArray[np.bool_]
Json = dict[str, Any]

_CHANGED = 26
"""Difference to the still background, of 255, that counts as something there."""
_SHADE_BELOW, _SHADE_SPREAD = 0.85, 0.15
_LEAST_SIDE_PX = 24
_EDGE_PX = 4.0
"""How far the upper edge of a vehicle may be from the edge of its box."""
_LEAST_CHANGED = 0.3
_SHARE_THAT_FITS = 0.95


def read_truth(clip: Path) -> Json:
    """The truth beside a clip: avenue.mp4 and avenue.truth.json."""
    return msgspec.json.decode(clip.with_suffix(".truth.json").read_bytes(), type=Json)


def read_clip(clip: Path) -> tuple[Bytes8, list[float]]:
    """(F, H, W, 3) u1 and the presentation times in seconds."""
    with av.open(clip) as container:
        frames = list(container.decode(video=0))
    return np.stack([frame.to_ndarray(format="rgb24") for frame in frames]), [float(frame.time) for frame in frames]


def verify(clip: Path) -> list[str]:
    """What is wrong with the clip, in sentences; nothing when it fits its truth."""
    truth = read_truth(clip)
    pictures, times = read_clip(clip)
    problems = list(_outer(truth, pictures, times))
    if problems:
        return problems
    background = np.median(pictures[:: max(1, len(pictures) // 40)], axis=0).astype(np.int16)
    fits = [fit for k, picture in enumerate(pictures) for fit in _fits(truth["frames"][k], picture, background)]
    share = float(np.mean(fits)) if fits else 1.0
    if share < _SHARE_THAT_FITS:
        problems.append(f"only {share:.1%} of {len(fits)} boxes hold a vehicle up to their upper edge")
    return problems


def _outer(truth: Json, pictures: Bytes8, times: list[float]) -> Iterator[str]:
    camera, frames = truth["camera"], truth["frames"]
    if len(pictures) != len(frames):
        yield f"the clip has {len(pictures)} frames, the truth {len(frames)}"
    if pictures.shape[2:0:-1] != (camera["width_px"], camera["height_px"]):
        yield f"the clip's pictures are {pictures.shape[2]} x {pictures.shape[1]}"
    late = max(abs(t - frame["time_s"]) for t, frame in zip(times, frames, strict=False))
    if late > 0.002:
        yield f"a frame is {late:.3f} s off its time"


def _fits(frame: Json, picture: Bytes8, background: NDArray[np.int16]) -> Iterator[bool]:
    """For every vehicle that stands free in the picture: does something begin where its box does?"""
    changed = np.abs(picture.astype(np.int16) - background).max(axis=2) > _CHANGED
    lit = changed & ~_shade(picture, background)
    for row in frame["vehicles"]:
        left, top, right, bottom = row["xyxy_px"]
        if row["visible"] > 0.99 and min(right - left, bottom - top) > _LEAST_SIDE_PX and _free(row, frame["vehicles"]):
            inside = changed[int(top) : int(bottom), int(left) : int(right)]
            strip = lit[max(0, int(top) - 12) : int(bottom), int(left) + 2 : int(right) - 2]
            first = int(np.argmax(strip.mean(axis=1) > 0.25)) + max(0, int(top) - 12)
            yield bool(inside.mean() > _LEAST_CHANGED and abs(first - top) <= _EDGE_PX)


def _shade(picture: Bytes8, background: NDArray[np.int16]) -> Flags:
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
    pictures, _ = read_clip(clip)
    height_px = round(width_px * pictures.shape[1] / pictures.shape[2])
    columns = 3
    whole = Image.new("RGB", (columns * width_px, -(-count // columns) * height_px))
    for k, at in enumerate(np.linspace(0, len(pictures) - 1, count).astype(int)):
        one = drawn(pictures[at], truth["frames"][at], truth).resize((width_px, height_px), Image.Resampling.LANCZOS)
        whole.paste(one, (k % columns * width_px, k // columns * height_px))
    whole.save(target)
