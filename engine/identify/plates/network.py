"""The two networks of rapidocr as functions of pictures: find lines of text, and read them.

The only file that imports rapidocr and OpenCV; they come with `pip install qyran[plates]`. The weights are in
rapidocr's package: nothing is downloaded at run time.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

import numpy as np

from engine.errors import ModelError
from engine.identify.plates.letters import TextReading, columns, decode
from engine.types import Bytes8, Floats, Floats32

LINE_PX = 48
"""Height of the recogniser's input."""
WIDEST_PX = 640
"""Limits of the width of the recogniser's input; longer text is no plate."""
NARROWEST_PX = 320


def installed() -> bool:
    """True if plates can be read on this machine."""
    return all(importlib.util.find_spec(name) is not None for name in ("rapidocr", "cv2"))


class TextNetworks:
    """Text detector and recogniser on the CPU. Not thread-safe."""

    def __init__(self, threads: int = 0) -> None:
        """`threads` of each network; 0: as many as there are cores. Raises ModelError if a network does not load."""
        try:
            import cv2
            from rapidocr import RapidOCR
        except ImportError as error:
            raise ModelError(f"plates cannot be read: {error} (pip install qyran[plates])") from error
        self._cv2 = cv2
        try:
            # rapidocr's own pipeline decodes one best text; the vote needs the probabilities, so its parts are used.
            settings = {"Global.log_level": "error", "EngineConfig.onnxruntime.intra_op_num_threads": threads or -1}
            engine = RapidOCR(params=settings)
            self._detector, self._recogniser = engine._load_det_model(), engine._load_rec_model()  # type: ignore[no-untyped-call]
            self._columns = columns(self._recogniser.postprocess_op.character)
        except Exception as error:
            raise ModelError(f"plates cannot be read: rapidocr does not load: {error}") from error
        self._detector.limit_type = "max"

    def find(self, rgb: Bytes8, longest_px: int) -> list[Floats]:
        """Quads of the lines of text in a picture, (H, W, 3) u1, scaled so that its longer side has `longest_px`."""
        height, width = rgb.shape[:2]
        scale = longest_px / max(height, width)
        mode = self._cv2.INTER_CUBIC if scale > 1 else self._cv2.INTER_AREA
        small = self._cv2.resize(rgb[:, :, ::-1], None, fx=scale, fy=scale, interpolation=mode)
        self._detector.limit_side_len = longest_px
        boxes = self._detector(small).boxes
        return [] if boxes is None else [np.asarray(box, np.float64) / scale for box in boxes]

    def read(self, rgb: Bytes8, quads: Sequence[Floats]) -> list[TextReading]:
        """Readings of the quads, in one run of the network; each is weighted by its width in the picture's pixels."""
        if not quads:
            return []
        cuts = [self._cut(rgb, quad) for quad in quads]
        batch = np.zeros((len(cuts), 3, LINE_PX, max(NARROWEST_PX, *(cut.shape[2] for cut in cuts))), np.float32)
        for row, cut in zip(batch, cuts, strict=True):
            row[:, :, : cut.shape[2]] = cut
        steps = self._recogniser.session(batch)[:, :, self._columns]
        widths = [float(np.hypot(*(quad[1] - quad[0]))) for quad in quads]
        return [decode(row.astype(np.float64), width) for row, width in zip(steps, widths, strict=True)]

    def _cut(self, rgb: Bytes8, quad: Floats) -> Floats32:
        """The quad made upright: (3, 48, W) f4, -1 to 1, BGR, as the network was trained."""
        shape = np.hypot(*(quad[1] - quad[0])) / max(1e-6, np.hypot(*(quad[3] - quad[0])))
        width = int(np.clip(round(LINE_PX * shape), 16, WIDEST_PX))
        corners = np.array([(0, 0), (width, 0), (width, LINE_PX), (0, LINE_PX)], np.float32)
        turn = self._cv2.getPerspectiveTransform(quad.astype(np.float32), corners)
        cut = self._cv2.warpPerspective(
            rgb, turn, (width, LINE_PX), flags=self._cv2.INTER_CUBIC, borderMode=self._cv2.BORDER_REPLICATE
        )
        return (cut[:, :, ::-1].transpose(2, 0, 1).astype(np.float32) / 127.5) - 1.0
