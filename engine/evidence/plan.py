"""The vehicle's path on the ground, seen from above and to scale: an SVG without words, for every language.

Metres of the site's ground plane, turned so that the path goes to the right. Filled: the rule's zones; dashed: its
lines; a dot for every sighting; the measured stretch is thick, with its length and time; numbers mark the instants of
proof in their order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from engine.evidence.rule_geometry import RuleGeometry, shapes_on_road
from engine.site import Calibration
from engine.types import Floats, Measurement, Sighting

WIDTH, HEIGHT = 760, 110
"""Size of the drawing, SVG user units."""
MARGIN = 24
LEAST_M, LEAST_ACROSS_M = 12.0, 5.0
"""The drawing shows at least this much of the road along and across."""
SCALES_M = (1, 2, 5, 10, 20, 50, 100, 200, 500)
"""Possible lengths of the scale bar."""
_STYLE = (
    "text{font:10px sans-serif;fill:#333}.z{fill:#00a0c8;fill-opacity:.13;stroke:#00a0c8;stroke-width:.8}"
    ".l{stroke:#0080a0;stroke-width:2;stroke-dasharray:5 3}.g{stroke:#ddd;stroke-width:.6}"
    ".w{fill:none;stroke:#d06000;stroke-width:1.4}.m{fill:none;stroke:#d06000;stroke-width:4}.d{fill:#d06000}"
    ".i{fill:#fff;stroke:#222;stroke-width:1.2}.b{stroke:#222;stroke-width:2}"
)


@dataclass(frozen=True, slots=True)
class _View:
    """From metres on the ground to the drawing."""

    rotation: Floats
    """(2, 2) f8."""
    middle_m: Floats
    """(2,) f8: the turned point in the middle of the drawing."""
    per_m: float

    def __call__(self, points_m: Floats) -> Floats:
        turned = points_m @ self.rotation.T - self.middle_m
        return np.asarray(turned * (self.per_m, -self.per_m) + (WIDTH / 2, HEIGHT / 2))


def draw_plan(
    sightings: Sequence[Sighting],
    instants_s: Sequence[float],
    held: Measurement | None,
    calibration: Calibration | None,
    geometry: RuleGeometry,
) -> bytes | None:
    """Draw the plan: SVG in UTF-8; None if fewer than two sightings have a position on the ground."""
    placed = [(seen.captured_s, seen.position_m) for seen in sightings if seen.position_m is not None]
    if len(placed) < 2:
        return None
    times_s, path_m = np.array([at for at, _ in placed]), np.array([position for _, position in placed])
    view = _view(path_m)
    parts = [*_grid(view)]
    if calibration is not None:
        parts += [_shape("polygon", "z", view(corners)) for corners in shapes_on_road(calibration, geometry.zones)]
        parts += [_shape("polyline", "l", view(ends)) for ends in shapes_on_road(calibration, geometry.lines)]
    parts += [
        _shape("polyline", "w", view(path_m)),
        *(f'<circle class="d" cx="{x:.1f}" cy="{y:.1f}" r="1.8"/>' for x, y in view(path_m)),
    ]
    if held is not None:
        parts += _measured(view, times_s, path_m, held)
    parts += [*_instants(view, times_s, path_m, instants_s), *_bar(view)]
    return _document(parts)


def _view(path_m: Floats) -> _View:
    """View in which the path's chord points to the right, as large as fits."""
    chord = path_m[-1] - path_m[0]
    length_m = float(np.hypot(*chord))
    cos, sin = chord / length_m if length_m > 0.5 else (1.0, 0.0)
    rotation = np.array([[cos, sin], [-sin, cos]])
    turned = path_m @ rotation.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    along_m, across_m = np.maximum(high - low, (LEAST_M, LEAST_ACROSS_M))
    per_m = min((WIDTH - 2 * MARGIN) / along_m, (HEIGHT - 2 * MARGIN) / across_m)
    return _View(rotation, (low + high) / 2, float(per_m))


def _grid(view: _View) -> Iterator[str]:
    """Grid lines, one scale bar apart, so that distances can be read."""
    step = _scale_m(view) * view.per_m
    for number in range(int(WIDTH / step) + 1):
        yield f'<path class="g" d="M{number * step:.1f} 0V{HEIGHT}"/>'
    for number in range(int(HEIGHT / step) + 1):
        yield f'<path class="g" d="M0 {number * step:.1f}H{WIDTH}"/>'


def _scale_m(view: _View) -> int:
    """Largest scale that takes at most a sixth of the width."""
    fitting = [scale for scale in SCALES_M if scale * view.per_m <= WIDTH / 6]
    return fitting[-1] if fitting else SCALES_M[0]


def _measured(view: _View, times_s: Floats, path_m: Floats, held: Measurement) -> Iterator[str]:
    """The measured stretch. Sightings are drawn where they were seen: the chord may differ from the measured length."""
    within = (times_s >= held.began_s - 1e-3) & (times_s <= held.ended_s + 1e-3)
    ends_m = np.array([_at(times_s, path_m, held.began_s), _at(times_s, path_m, held.ended_s)])
    points = view(np.vstack([ends_m[:1], path_m[within], ends_m[1:]]))
    x, y = points.mean(axis=0)
    span_s = held.ended_s - held.began_s
    yield _shape("polyline", "m", points)
    yield f'<text x="{x:.1f}" y="{y + 22:.1f}" text-anchor="middle">{held.length_m:.2f} m · {span_s:.2f} s</text>'


def _instants(view: _View, times_s: Floats, path_m: Floats, instants_s: Sequence[float]) -> Iterator[str]:
    """Marks of the instants, numbered from 1; instants at one place share a mark."""
    places: dict[tuple[float, float], list[int]] = {}
    for number, at_s in enumerate(instants_s, start=1):
        x, y = view(_at(times_s, path_m, at_s)[None])[0]
        places.setdefault((round(float(x)), round(float(y))), []).append(number)
    for (x, y), numbers in places.items():
        yield f'<circle class="i" cx="{x}" cy="{y}" r="4"/>'
        yield f'<text x="{x}" y="{y - 9}" text-anchor="middle">{", ".join(map(str, numbers))}</text>'


def _at(times_s: Floats, path_m: Floats, at_s: float) -> Floats:
    return np.array([np.interp(at_s, times_s, path_m[:, axis]) for axis in range(2)])


def _bar(view: _View) -> Iterator[str]:
    scale = _scale_m(view)
    end = 10 + scale * view.per_m
    yield f'<path class="b" d="M10 {HEIGHT - 8}H{end:.1f}M10 {HEIGHT - 12}v8M{end:.1f} {HEIGHT - 12}v8"/>'
    yield f'<text x="{end + 5:.1f}" y="{HEIGHT - 5}">{scale} m</text>'


def _shape(element: str, name: str, points: Floats) -> str:
    return f'<{element} class="{name}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'


def _document(parts: Sequence[str]) -> bytes:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">'
    paper = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
    return "\n".join([head, f"<style>{_STYLE}</style>", paper, *parts, "</svg>\n"]).encode()
