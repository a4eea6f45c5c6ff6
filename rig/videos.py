"""Short videos in any codec, cut into segments; every picture shows its own number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from engine.types import Bytes8, Clock, Segment

FPS = 25
SIZE_PX = (192, 128)
BEGAN_S = 1_780_000_000.0
ENCODINGS: Mapping[str, tuple[str, str, dict[str, str]]] = {
    "h264": ("libx264", "yuv420p", {"tune": "zerolatency"}),
    "h264 with B-frames": ("libx264", "yuv420p", {"bf": "3", "b-adapt": "0"}),
    "h264 4:2:2": ("libx264", "yuv422p", {"bf": "2"}),
    "h264 10 bit": ("libx264", "yuv420p10le", {}),
    "h264 full range": ("libx264", "yuvj420p", {}),
    "hevc": ("libx265", "yuv420p", {"x265-params": "log-level=none"}),
    "mjpeg": ("mjpeg", "yuvj420p", {}),
    "mjpeg 4:2:2": ("mjpeg", "yuvj422p", {}),
    "vp9": ("libvpx-vp9", "yuv420p", {"deadline": "realtime", "cpu-used": "8"}),
}
"""Encoder, pixel format and options."""


def picture(number: int, size_px: tuple[int, int] = SIZE_PX) -> Bytes8:
    """(H, W, 3): grey, its brightness is its number, with a moving bar so that there is motion to predict."""
    width, height = size_px
    pixels = np.full((height, width, 3), 40 + 4 * (number % 50), np.uint8)
    pixels[height // 2 :, (5 * number) % width :][:, :9] = 255
    return pixels


def number_of(brightness: float) -> int:
    """The number of the picture whose upper half is this bright, 0 to 255."""
    return round((brightness - 40) / 4)


def make_segment(
    encoder: str = "libx264",
    numbers: Sequence[int] = range(FPS),
    *,
    camera: int = 0,
    size_px: tuple[int, int] = SIZE_PX,
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
) -> Segment:
    """The pictures of these numbers as one segment; picture n is captured n / FPS after BEGAN_S."""
    context = av.CodecContext.create(encoder, "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = *size_px, pix_fmt
    context.framerate, context.time_base = Fraction(FPS), Fraction(1, FPS)
    context.options = options or {}
    packets = []
    for number in numbers:
        frame = av.VideoFrame.from_ndarray(picture(number, size_px), format="rgb24").reformat(format=pix_fmt)
        frame.pts, frame.pict_type = number, 1 if number == numbers[0] else 0
        packets += context.encode(frame)
    packets += context.encode(None)
    return cut(packets, av.CodecContext.create(encoder, "w").codec.canonical_name, size_px, camera)


def encode(name: str, size_px: tuple[int, int] = SIZE_PX) -> Segment:
    """One second in the encoding of this name."""
    encoder, pix_fmt, options = ENCODINGS[name]
    return make_segment(encoder, pix_fmt=pix_fmt, options=options, size_px=size_px)


def cut(
    packets: Sequence[av.Packet[VideoStream]],
    codec: str,
    size_px: tuple[int, int],
    camera: int = 0,
    *,
    sequence: int = 0,
    fps: int = FPS,
    began_s: float = BEGAN_S,
    clock: Clock = Clock.DECLARED,
) -> Segment:
    """Packets as one segment, the first of a camera unless another `sequence` is given."""
    pts = np.array([packet.pts for packet in packets], np.int64)
    return Segment(
        camera=camera,
        sequence=sequence,
        codec=codec,
        extradata=b"",
        width_px=size_px[0],
        height_px=size_px[1],
        time_base=Fraction(1, fps),
        payload=b"".join(bytes(packet) for packet in packets),
        size_bytes=np.array([packet.size for packet in packets], np.int64),
        pts=pts,
        dts=np.array([packet.dts for packet in packets], np.int64),
        key=np.array([packet.is_keyframe for packet in packets]),
        captured_s=began_s + pts / fps,
        clock=clock,
        continues=sequence > 0,
    )
