"""Detection on full-resolution stills, for redaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.config import WHOLE_PICTURE, Region
from engine.decode.regions import fit_region
from engine.decode.settings import ModelInput
from engine.detect.cards import ModelCard
from engine.stages import Detector
from engine.types import Clock, Detections, Floats32, FrameBatch, Frames, Still

TILES: tuple[Region, ...] = (
    WHOLE_PICTURE,
    *((left, top, left + 0.4, top + 0.6) for top in (0.0, 0.4) for left in (0.0, 0.3, 0.6)),
)
"""The whole picture and six overlapping parts of it, in which small objects are larger."""
SENSITIVE = 0.2
"""Score threshold for stills: a false box only blurs too much, a missed one exposes a person. On rendered roads it
redacts 86 % of the vehicles and all readable plates; the threshold of the live path, 0.35, redacts 64 %; 0.12 redacts
93 %, but also two fifths of the picture."""


def sensitive_card(card: ModelCard) -> ModelCard:
    """The detector's card with the threshold for stills: more boxes, and more false ones."""
    low = min(SENSITIVE, card.low_score_threshold)
    return msgspec.structs.replace(card, score_threshold=low, low_score_threshold=low)


class StillDetector:
    """Runs a detector on all tiles of all stills. `frame` of the result is the index of the still."""

    def __init__(self, detector: Detector, model: ModelInput) -> None:
        self._detector, self._model = detector, model

    def __call__(self, stills: Sequence[Still]) -> Detections:
        """The boxes of all stills."""
        return self._detector.detect(self._batch(stills))

    def _batch(self, stills: Sequence[Still]) -> FrameBatch:
        model, rows = self._model, len(stills) * len(TILES)
        memory = np.empty((rows, model.height_px, model.width_px, 3), model.dtype)
        to_image = np.empty((rows, 4), np.float32)
        regions = np.empty((rows, 4), np.float32)
        for index, still in enumerate(stills):
            picture = Image.fromarray(still.rgb)
            for row, tile in enumerate(TILES, start=index * len(TILES)):
                regions[row] = np.round(np.multiply(tile, (picture.width, picture.height) * 2))
                to_image[row] = self._fill(memory[row], picture, regions[row])
        frame = np.repeat(np.arange(len(stills), dtype=np.int32), len(TILES))
        pixels = memory.transpose(0, 3, 1, 2)
        pixels = np.ascontiguousarray(pixels) if model.layout == "nchw" else pixels
        return FrameBatch(_frames(stills), pixels, frame, to_image, regions)

    def _fill(self, out: NDArray[Any], picture: Image.Image, region: Floats32) -> Floats32:
        """Scale a region into one model input. Returns its row of `model_to_image`."""
        model = self._model
        left, top, right, bottom = region.tolist()
        scale_x, scale_y = model.width_px / (right - left), model.height_px / (bottom - top)
        if model.resize == "letterbox":
            scale_x = scale_y = min(scale_x, scale_y)
        (width, height), (x, y) = fit_region((right - left, bottom - top), model)
        canvas = np.full(out.shape, model.pad, np.float32)
        scaled = picture.resize((width, height), Image.Resampling.BILINEAR, box=(left, top, right, bottom))
        canvas[y : y + height, x : x + width] = np.asarray(scaled)
        if model.colour == "bgr":
            canvas = canvas[..., ::-1]
        out[:] = (canvas - np.array(model.mean, np.float32)) / np.array(model.std, np.float32)
        return np.array([1 / scale_x, 1 / scale_y, left - x / scale_x, top - y / scale_y], np.float32)


def _frames(stills: Sequence[Still]) -> Frames:
    count, captured_s = len(stills), np.array([still.captured_s for still in stills], np.float64)
    size_px = np.array([still.rgb.shape[1::-1] for still in stills], np.int32).reshape(count, 2)
    return Frames(np.arange(count, dtype=np.int32), captured_s, size_px, np.full(count, Clock.DECLARED, np.uint8))
