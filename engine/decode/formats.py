"""The format of each camera's pictures, and whether a GPU's decoder supports it.

A hardware decoder reports little about unsupported streams, and nothing about the colours of its output. So libavcodec
decodes one key frame first, whenever the format of a camera changes. That takes a few milliseconds per connection.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from engine.decode.codec import START_CODE, decode_frames
from engine.decode.picture import Encoding, colour_encoding
from engine.ingest import remux
from engine.types import Segment

GPU_CODECS = frozenset({"h264", "hevc", "mjpeg", "vp9", "av1"})
"""Codecs that DALI decodes with NVDEC. Not all cards support all of them."""
DALI_CPU_CODECS = frozenset({"mjpeg", "vp9"})
"""Codecs that DALI's CPU backend decodes: its own build of libavcodec has no other decoder."""

_PIXELS = frozenset({"yuv420p", "yuvj420p", "nv12"})
"""8 bits and 4:2:0: all NVDECs support it, and DALI's conversion to RGB reads it."""
_PICTURE = {
    # Slices are NAL unit types 1 to 5 of H.264 and 0 to 31 of H.265 (table 7-1 of each).
    "h264": re.compile(rb"\0\0\x01[\x01-\x05\x21-\x25\x41-\x45\x61-\x65]"),
    "hevc": re.compile(rb"\0\0\x01[\x00-\x3f]"),
}


class PictureFormat(NamedTuple):
    """Format of one camera's pictures."""

    encoding: Encoding
    refused: str
    """Reason why the GPU does not decode it (`metrics.FALLBACK_REASONS`); empty if it does."""


class PictureFormats:
    """The latest format of each camera.

    codecs  codecs that the GPU decodes
    """

    def __init__(self, codecs: Iterable[str]) -> None:
        self._codecs = frozenset(codecs)
        self._known: dict[int, tuple[tuple[object, ...], PictureFormat]] = {}

    def of(self, segment: Segment) -> PictureFormat:
        """The format of the segment's pictures. Raises DecodeError if its key frame does not decode."""
        mark = (segment.codec, segment.extradata, segment.width_px, segment.height_px)
        if self._known.get(segment.camera, (None,))[0] != mark:
            self._known[segment.camera] = (mark, self._detect(segment))
        return self._known[segment.camera][1]

    def remove_camera(self, camera: int) -> None:
        """Forget a camera."""
        self._known.pop(camera, None)

    def refuse(self, camera: int) -> None:
        """Let the CPU decode this camera until its format changes."""
        mark, known = self._known[camera]
        self._known[camera] = (mark, known._replace(refused="device"))

    def _detect(self, segment: Segment) -> PictureFormat:
        _, frame = next(decode_frames(segment, np.zeros(1, np.int64)))
        refused = ""
        if segment.codec not in self._codecs:
            refused = "codec"
        elif frame.format.name not in _PIXELS:
            refused = "pixel_format"
        elif (frame.width, frame.height) != (segment.width_px, segment.height_px):
            refused = "size"
        return PictureFormat(colour_encoding(frame), refused)


def is_regular(segment: Segment) -> bool:
    """True if each packet has its own pts and contains a picture.

    DALI assigns the pts of the n-th packet to the n-th picture from NVDEC. After a packet without a picture, each frame
    would get the capture time of another one.
    """
    if len(np.unique(segment.pts)) < len(segment.pts) or not segment.size_bytes.all():
        return False
    picture = _PICTURE.get(segment.codec)
    if picture is None or not segment.payload.startswith(START_CODE):
        return True
    return all(picture.search(packet) for packet in remux.packets(segment))


def presentation_order(segment: Segment) -> np.ndarray:
    """(P,) i4: position of each packet's frame in presentation order."""
    place = np.empty(len(segment.pts), np.int32)
    place[np.argsort(segment.pts)] = np.arange(len(segment.pts), dtype=np.int32)
    return place
