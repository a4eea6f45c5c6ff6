"""The second look: full-resolution frames out of kept segments, for the few instants that a case needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import av
import numpy as np

from engine.decode.codec import decoded
from engine.decode.model_input import ModelInput
from engine.decode.picture import colour, encoding, picture, readable
from engine.decode.regions import geometry
from engine.errors import DecodeError
from engine.types import Bytes8, Segment, Still
from kernels.letterbox import letterbox


def stills(segment: Segment, rows: Sequence[int]) -> Iterator[tuple[int, Still]]:
    """Every wanted frame, by the row of its packet. Raises DecodeError, perhaps after some."""
    for row, frame in decoded(segment, np.array(rows, np.int64)):
        yield row, Still(float(segment.captured_s[row]), rgb(frame))


Stills = Callable[[Segment, Sequence[int]], Iterator[tuple[int, Still]]]
"""`stills`, or what another decoder has in its place."""


def look(segments: Sequence[Segment], instants_s: Sequence[float], decode: Stills = stills) -> list[Still]:
    """The frames of one camera that were captured nearest to the instants, in the order of the instants.

    Decodes only the segments that hold them, each once. Raises DecodeError naming the camera and the instant where
    there is no segment, or where the one that holds the instant does not decode.
    """
    nearest = [_nearest(segments, instant_s) for instant_s in instants_s]
    seen: dict[tuple[int, int], Still] = {}
    for (which, row), instant_s in zip(nearest, instants_s, strict=True):
        if (which, row) in seen:
            continue
        rows = sorted({other for segment, other in nearest if segment == which})
        try:
            seen |= {(which, found): still for found, still in decode(segments[which], rows)}
        except DecodeError as error:
            raise DecodeError(f"camera {segments[which].camera}, instant {instant_s:.3f} s: {error}") from error
    return [seen[found] for found in nearest]


def _nearest(segments: Sequence[Segment], instant_s: float) -> tuple[int, int]:
    """Index of the segment and row of its packet with the frame captured nearest to the instant."""
    if not segments:
        raise DecodeError(f"instant {instant_s:.3f} s: no segment of the camera is kept")
    apart_s = [np.abs(segment.captured_s - instant_s) for segment in segments]
    which = min(range(len(segments)), key=lambda index: float(apart_s[index].min()))
    return which, int(apart_s[which].argmin())


def rgb(frame: av.VideoFrame) -> Bytes8:
    """(H, W, 3) u1: the whole frame, in the colours that the detector sees."""
    frame = readable(frame)
    planes, subsampling = picture(frame)
    width, height = subsampling.size_px
    model = ModelInput(name="", width_px=width, height_px=height, layout="nhwc", dtype="uint8")
    pixels = np.empty((height, width, 3), np.uint8)
    whole = geometry(subsampling, (0, 0, width, height), (width, height), (0, 0))
    letterbox(planes, whole, colour(encoding(frame), model), pixels.transpose(2, 0, 1))
    return pixels
