"""Draws on a copy of a still, for people; the still itself stays untouched.

The rule's zones, lines, arrow and lamps; the vehicle's path with a mark at every sighting, and the time between the
ends of the measurement; its box; and lines of text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from engine.evidence.rule_geometry import RuleGeometry
from engine.site import PointPx
from engine.types import BoxPx, Measurement, Sighting

Pen = ImageDraw.ImageDraw
ORANGE, CYAN, LIME = (255, 140, 0), (0, 210, 255), (120, 255, 80)
WHITE, DARK = (255, 255, 255), (16, 16, 16)
FILL_ALPHA = 24
"""Of 255, so that everything in a zone stays visible."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """What is drawn on every still of a case."""

    sightings: Sequence[Sighting]
    geometry: RuleGeometry
    measurement: Measurement | None
    lines: Sequence[str]


def draw_overlay(image: Image.Image, overlay: Overlay, box: BoxPx | None, captured: str) -> Image.Image:
    """A copy with everything drawn on it; `box` is the vehicle's, `captured` the time as text."""
    image = image.copy()
    pen = ImageDraw.Draw(image, "RGBA")
    width = max(2, image.width // 640)
    _draw_rule(pen, overlay.geometry, width)
    _draw_path(pen, overlay.sightings, width)
    if overlay.measurement:
        _draw_measurement(pen, overlay.sightings, overlay.measurement, width)
    if box:
        pen.rectangle(box, outline=ORANGE, width=width)
    _write_lines(pen, (overlay.lines[0], captured, *overlay.lines[1:]), size=max(12, image.height // 36))
    return image


def _draw_rule(pen: Pen, geometry: RuleGeometry, width: int) -> None:
    for name, polygon in geometry.zones.items():
        pen.polygon([*polygon], fill=(*CYAN, FILL_ALPHA))
        pen.line([*polygon, polygon[0]], fill=(*CYAN, 200), width=max(1, width // 2))
        _write(pen, max(polygon, key=lambda point: point[1]), name, CYAN, width)
    for name, ends in geometry.lines.items():
        pen.line([*ends], fill=CYAN, width=2 * width)
        _write(pen, ends[0], name, CYAN, width)
    if len(geometry.arrow) == 2:
        _draw_arrow(pen, geometry.arrow[0], geometry.arrow[1], width)
    for lamp in geometry.lamps:
        (x, y), r = lamp.centre_px, lamp.radius_px + 2 * width
        pen.ellipse((x - r, y - r, x + r, y + r), outline=CYAN, width=width)  # cyan: no lamp has this colour


def _draw_arrow(pen: Pen, tail: PointPx, head: PointPx, width: int) -> None:
    pen.line([tail, head], fill=LIME, width=2 * width)
    angle, size = math.atan2(head[1] - tail[1], head[0] - tail[0]), 10 * width
    barbs = [(head[0] - size * math.cos(angle + a), head[1] - size * math.sin(angle + a)) for a in (-0.4, 0.4)]
    pen.polygon([head, *barbs], fill=LIME)


def _draw_path(pen: Pen, sightings: Sequence[Sighting], width: int) -> None:
    points = [foot(sighting) for sighting in sightings]
    if len(points) > 1:
        pen.line(points, fill=ORANGE, width=width)
    for x, y in points:
        pen.ellipse((x - width, y - width, x + width, y + width), fill=ORANGE)


def _draw_measurement(pen: Pen, sightings: Sequence[Sighting], held: Measurement, width: int) -> None:
    """Mark the ends of the measured stretch, with its time and length."""
    span_s = held.ended_s - held.began_s
    marks = [(held.began_s, "0 s"), (held.ended_s, f"{span_s:.2f} s  {held.length_m:.2f} m")]
    for at_s, text in marks:
        x, y = foot(min(sightings, key=lambda seen: abs(seen.captured_s - at_s)))
        pen.line([(x - 8 * width, y), (x + 8 * width, y)], fill=WHITE, width=width)
        _write(pen, (x + 9 * width, y + 6 * width), text, WHITE, width)


def foot(sighting: Sighting) -> PointPx:
    """Middle of the box's lower edge, image pixels."""
    left, _, right, bottom = sighting.xyxy_px
    return (left + right) / 2, bottom


def _write(pen: Pen, at: PointPx, text: str, colour: tuple[int, int, int], width: int) -> None:
    font = ImageFont.load_default(9 * width)
    pen.text(at, text, font=font, fill=colour, stroke_width=max(1, width // 2), stroke_fill=DARK, anchor="lm")


def _write_lines(pen: Pen, lines: Sequence[str], size: int) -> None:
    font = ImageFont.load_default(size)
    text = "\n".join(lines)
    left, top, right, bottom = pen.multiline_textbbox((size, size), text, font=font)
    pen.rectangle((left - size / 2, top - size / 2, right + size / 2, bottom + size / 2), fill=DARK)
    pen.multiline_text((size, size), text, font=font, fill=WHITE)
