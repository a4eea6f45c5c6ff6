"""What a camera's pictures are like, learnt from one key frame by libavcodec, and whether a GPU's decoder takes them.

A hardware decoder says little of what it does not take, and nothing of which colours it has made. So whenever the
format of a camera changes, one key frame is decoded on the CPU first; that costs some milliseconds once a connection.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from engine.decode.codec import decoded
from engine.decode.messages import START_CODE
from engine.decode.picture import Encoding, encoding
from engine.ingest import remux
from engine.types import Segment

ON_GPU = frozenset({"h264", "hevc", "mjpeg", "vp9", "av1"})
"""Codecs that DALI hands to NVDEC; which of them a card has is the card's affair."""
ON_DALI_CPU = frozenset({"mjpeg", "vp9"})
"""What DALI's own CPU backend decodes of the codecs that are ingested: its libavcodec has no other decoder."""

_PIXELS = frozenset({"yuv420p", "yuvj420p", "nv12"})
"""8 bits and 4:2:0: what every NVDEC takes and what DALI's conversion to RGB reads."""
_PICTURE = {
    # ITU-T H.264, table 7-1: 1 to 5 are slices; ITU-T H.265, table 7-1: 0 to 31 are
    "h264": re.compile(rb"\0\0\x01[\x01-\x05\x21-\x25\x41-\x45\x61-\x65]"),
    "hevc": re.compile(rb"\0\0\x01[\x00-\x3f]"),
}


class PictureFormat(NamedTuple):
    """What one camera sends."""

    encoding: Encoding
    refused: str
    """Why the GPU's decoder is not asked (`metrics.FALLBACK_REASONS`); empty where it is."""


class PictureFormats:
    """The latest format of every camera.

    codecs  those that the GPU's decoder is asked to decode
    """

    def __init__(self, codecs: Iterable[str]) -> None:
        self._codecs = frozenset(codecs)
        self._known: dict[int, tuple[tuple[object, ...], PictureFormat]] = {}

    def of(self, segment: Segment) -> PictureFormat:
        """The format of the segment's pictures. Raises DecodeError where its key frame does not decode."""
        mark = (segment.codec, segment.extradata, segment.width_px, segment.height_px)
        if self._known.get(segment.camera, (None,))[0] != mark:
            self._known[segment.camera] = (mark, self._learnt(segment))
        return self._known[segment.camera][1]

    def remove_camera(self, camera: int) -> None:
        """Forget a camera."""
        self._known.pop(camera, None)

    def refuse(self, camera: int) -> None:
        """The GPU does not decode what this camera sends: it is not asked again until the format changes."""
        mark, known = self._known[camera]
        self._known[camera] = (mark, known._replace(refused="device"))

    def _learnt(self, segment: Segment) -> PictureFormat:
        _, frame = next(decoded(segment, np.zeros(1, np.int64)))
        refused = ""
        if segment.codec not in self._codecs:
            refused = "codec"
        elif frame.format.name not in _PIXELS:
            refused = "pixel_format"
        elif (frame.width, frame.height) != (segment.width_px, segment.height_px):
            refused = "size"
        return PictureFormat(encoding(frame), refused)


def is_regular(segment: Segment) -> bool:
    """Has every packet exactly one pts of its own, and a picture in it?

    DALI gives the n-th picture that comes out of NVDEC the pts of the n-th packet: where a packet brings no picture,
    every frame after it would carry the capture time of another.
    """
    if len(np.unique(segment.pts)) < len(segment.pts) or not segment.size_bytes.all():
        return False
    picture = _PICTURE.get(segment.codec)
    if picture is None or not segment.payload.startswith(START_CODE):
        return True
    return all(picture.search(packet) for packet in remux.packets(segment))


def shown(segment: Segment) -> np.ndarray:
    """(P,) i4: of every packet, the place of its frame in the order of presentation."""
    place = np.empty(len(segment.pts), np.int32)
    place[np.argsort(segment.pts)] = np.arange(len(segment.pts), dtype=np.int32)
    return place
