"""Fetches full-resolution frames from recorded segments, for the few instants that a case needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import av
import numpy as np

from engine.decode.codec import decode_frames
from engine.decode.picture import colour_encoding, model_colour, picture_planes, to_supported_format
from engine.decode.regions import scaling_geometry
from engine.decode.settings import ModelInput
from engine.errors import DecodeError
from engine.types import Bytes8, Segment, Still
from kernels.letterbox import letterbox

StillDecoder = Callable[[Segment, Sequence[int]], Iterator[tuple[int, Still]]]
"""Decodes the frames of the packets at these rows; yields (row, still). Raises DecodeError, perhaps after some."""


def decode_stills(segment: Segment, rows: Sequence[int]) -> Iterator[tuple[int, Still]]:
    """The `StillDecoder` of the CPU."""
    for row, frame in decode_frames(segment, np.array(rows, np.int64)):
        yield row, Still(float(segment.captured_s[row]), to_rgb(frame))


def fetch_frames(
    segments: Sequence[Segment], instants_s: Sequence[float], decode: StillDecoder = decode_stills
) -> list[Still]:
    """The frames of one camera that were captured nearest to the instants, in the order of the instants.

    Decodes only the segments that contain them, each once. Raises DecodeError that names the camera and the instant if
    there is no segment, or if the segment does not decode.
    """
    nearest = [_find_nearest(segments, instant_s) for instant_s in instants_s]
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


def _find_nearest(segments: Sequence[Segment], instant_s: float) -> tuple[int, int]:
    """Index of the segment, and row of its packet, of the frame captured nearest to the instant."""
    if not segments:
        raise DecodeError(f"instant {instant_s:.3f} s: no recorded segment of the camera")
    apart_s = [np.abs(segment.captured_s - instant_s) for segment in segments]
    which = min(range(len(segments)), key=lambda index: float(apart_s[index].min()))
    return which, int(apart_s[which].argmin())


def to_rgb(frame: av.VideoFrame) -> Bytes8:
    """(H, W, 3) u1: the whole frame in the colours that the detector gets."""
    frame = to_supported_format(frame)
    planes, subsampling = picture_planes(frame)
    width, height = subsampling.size_px
    model = ModelInput(name="", width_px=width, height_px=height, layout="nhwc", dtype="uint8")
    pixels = np.empty((height, width, 3), np.uint8)
    whole = scaling_geometry(subsampling, (0, 0, width, height), (width, height), (0, 0))
    letterbox(planes, whole, model_colour(colour_encoding(frame), model), pixels.transpose(2, 0, 1))
    return pixels
