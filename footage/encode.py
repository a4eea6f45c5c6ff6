"""Encoding of frames to a video file."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

_OPTIONS: dict[str, tuple[str, str, dict[str, str]]] = {
    "h264": ("libx264", "yuv420p", {"preset": "slow", "bf": "0", "profile": "high"}),
    "hevc": ("libx265", "yuv420p", {"preset": "slow", "x265-params": "bframes=0:log-level=error"}),
    "vp9": ("libvpx-vp9", "yuv420p", {"b": "0", "deadline": "good", "cpu-used": "3", "lag-in-frames": "0"}),
    "mjpeg": ("mjpeg", "yuvj420p", {"qmin": "4", "qmax": "4", "color_range": "pc"}),
}
"""Encoder, pixel format and options of each codec; without B-frames, like most traffic cameras."""


def encode(frames: Sequence[Path], target: Path, fps: float, crf: int, codec: str = "h264") -> None:
    """Write the pictures as a video with a key frame every second. Raises ValueError for an unknown codec."""
    if codec not in _OPTIONS:
        raise ValueError(f"codec {codec!r} must be one of {', '.join(_OPTIONS)}")
    encoder, pixel_format, options = _OPTIONS[codec]
    muxer = {"movflags": "+faststart"} if target.suffix == ".mp4" else {}
    with av.open(target, "w", options=muxer) as container:
        rate = Fraction(fps).limit_denominator(1000)
        stream = container.add_stream(encoder, rate=rate, options=options | {"crf": str(crf)})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = Image.open(frames[0]).size
        stream.pix_fmt, stream.gop_size, stream.time_base = pixel_format, round(fps), 1 / rate
        for k, path in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.asarray(Image.open(path).convert("RGB")), format="rgb24")
            frame.pts, frame.time_base = k, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def frame_paths(folder: Path, count: int) -> list[Path]:
    """Paths of a scene's rendered frames. Raises FileNotFoundError with the number of missing frames."""
    paths = [folder / f"{k:05d}.png" for k in range(count)]
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise FileNotFoundError(f"{len(missing)} of {count} frames are not rendered yet, the first is {missing[0]}")
    return paths
