"""Boxes and captions on a picture, for people: never on an original."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from engine.types import Bytes8

Colour = tuple[int, int, int]
AMBER: Colour = (255, 176, 0)


@dataclass(frozen=True, slots=True)
class BoxLabel:
    """A box and what is written above it."""

    xyxy_px: tuple[float, float, float, float]
    text: str
    colour: Colour = AMBER


def draw_boxes(rgb: Bytes8, labels: Sequence[BoxLabel]) -> Image.Image:
    """A copy of the picture, (H, W, 3) u1, with the labels drawn on it."""
    picture = Image.fromarray(rgb)
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=max(12, picture.height // 50))
    for label in labels:
        pen.rectangle(label.xyxy_px, outline=label.colour, width=max(1, picture.height // 360))
        _caption(pen, label, font)
    return picture


def _caption(pen: ImageDraw.ImageDraw, label: BoxLabel, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> None:
    left, top = label.xyxy_px[:2]
    box = pen.textbbox((left, top), label.text, font=font, anchor="lb")
    pen.rectangle(box, fill=(0, 0, 0))
    pen.text((left, top), label.text, font=font, fill=label.colour, anchor="lb")
