"""The site file: what is known of one camera's place. Geometry is drawn in the image and measured on the ground.

Image pixels are those of `image_size_px`, (0, 0) the outer corner of the first pixel. A camera that sends another size
than that is not judged until its site is made anew.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta
from PIL import Image

from engine.config import Count, Name, Positive, Strict, tomlfile
from engine.errors import ConfigError
from engine.site.looks import AnyLookRule
from engine.site.rules import AnyRule, ClassName, HoursText, PointPx
from engine.site.signals import AnySignalRule, Lamp, Signal

Polygon = Annotated[tuple[PointPx, ...], Meta(min_length=3)]
Row3 = tuple[float, float, float]
Aware = Annotated[dt.datetime, Meta(tz=True)]


class Place(Strict, frozen=True):
    """Where the camera stands, as a case names it."""

    address: dict[str, str]
    """By language: `ru`, `kk`, `en`."""
    latitude: Annotated[float, Meta(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Meta(ge=-180, le=180)] | None = None
    direction: str = ""
    area: Name | Literal[""] = ""
    """District or other part of the city, for filters and for who may see what."""
    timezone: str = "Asia/Almaty"
    """IANA name; hours of rules and dates in documents are local."""

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"there is no time zone {self.timezone!r}") from error


class LensBend(Strict, frozen=True):
    """Radial distortion of the lens (Brown 1966): distorted = straight (1 + k1 r^2 + k2 r^4), r in focal lengths."""

    focal_px: Positive
    centre_px: PointPx
    k1: float
    k2: float = 0.0


class Calibration(Strict, frozen=True):
    """How image pixels become metres on the road, and how long that may be trusted."""

    id: Name
    made: Aware
    expires: Aware
    image_to_ground: tuple[Row3, Row3, Row3]
    """Homography of homogeneous columns: (x, y, w) on the ground = H (u, v, 1)."""
    residual_m: Annotated[float, Meta(ge=0)]
    """Root mean square residual of the marks that it was made from."""
    area_px: Polygon
    """Where the calibration holds: no speed is stated outside."""
    relative_sigma: Annotated[float, Meta(ge=0, le=0.2)] = 0.005
    """Standard uncertainty of lengths on the ground, as a share of the length."""
    covariance: Annotated[tuple[float, ...], Meta(min_length=81, max_length=81)] | None = None
    """Covariance of the homography's elements, 9 x 9 in row-major order."""
    camera_m: Row3 | None = None
    """Where the camera hangs, on the ground's axes: x, y, and height above the road. With it the height of a vehicle's
    lowest visible point is taken out of its position (`engine.measure.FootModel`)."""
    lens: LensBend | None = None
    """Distortion to be taken out of image points before `image_to_ground`; None: the lens draws straight."""
    readout_s: Annotated[float, Meta(ge=0, le=0.1)] = 0.0
    """A rolling shutter reads the last row of a picture so much later than the first; 0 for a global shutter. From the
    camera's data sheet: 13 ms left out cost 1 % of the speed."""
    still: Path | None = None
    """The picture that it was made on, without traffic, relative to the site file: whether the camera has moved is told
    against it (`engine.steady`); None: nobody notices."""
    most_drift_px: Positive | None = None
    """Drift of the calibrated area's corners against the still beyond which nothing is measured, in pixels of the
    picture; None: 0.2 % of its width."""

    def __post_init__(self) -> None:
        if self.expires <= self.made:
            raise ValueError(f"calibration {self.id} expires before it is made")
        if not all(math.isfinite(value) for row in self.image_to_ground for value in row):
            raise ValueError(f"calibration {self.id}: image_to_ground holds a value that is not a number")


class Certificate(Strict, frozen=True):
    """The verification certificate of the measuring system (ST RK 3825-2022)."""

    number: str
    issued: Aware
    expires: Aware


class Zone(Strict, frozen=True):
    """A named area of the road. A vehicle is in it when its foot point is."""

    name: Name
    polygon_px: Polygon


class Line(Strict, frozen=True):
    """A named line on the road. Crossing it from left to right (looking from `from_px` to `to_px`) is forward."""

    name: Name
    from_px: PointPx
    to_px: PointPx

    def __post_init__(self) -> None:
        if self.from_px == self.to_px:
            raise ValueError(f"line {self.name} has no length")


class Limit(Strict, frozen=True):
    """A speed limit; the first of the site's that fits vehicle, hour and zone is in force."""

    kmh: Positive
    classes: tuple[ClassName, ...] = ()
    """Empty: every class."""
    hours: HoursText = ""
    zone: str = ""
    """Empty: everywhere in the picture."""


class Site(Strict, frozen=True):
    """The whole file."""

    name: Name
    image_size_px: tuple[Count, Count]
    place: Place
    valid_from: Aware
    valid_to: Aware | None = None
    calibration: Calibration | None = None
    certificate: Certificate | None = None
    zones: tuple[Zone, ...] = ()
    lines: tuple[Line, ...] = ()
    signals: tuple[Signal, ...] = ()
    limits: tuple[Limit, ...] = ()
    rules: tuple[AnyRule | AnySignalRule | AnyLookRule, ...] = ()

    @property
    def lamps(self) -> tuple[Lamp, ...]:
        """The lamps of all signals, in the order of the file."""
        return tuple(lamp for signal in self.signals for lamp in signal.lamps)

    def __post_init__(self) -> None:
        zones = _unique("zones", (zone.name for zone in self.zones))
        lines = _unique("lines", (line.name for line in self.lines))
        signals = _unique("signals", (signal.name for signal in self.signals))
        for signal in self.signals:
            for lamp in signal.lamps:
                _within(f"signal {signal.name}: the {lamp.colour} lamp", lamp, self.image_size_px)
        _unique("rules", (rule.name for rule in self.rules))
        for limit in self.limits:
            _known(f"limit {limit.kmh:g}", "zone", (limit.zone,) if limit.zone else (), zones)
        for rule in self.rules:
            _known(f"rule {rule.name}", "zone", rule.zones, zones)
            _known(f"rule {rule.name}", "line", rule.lines, lines)
            _known(f"rule {rule.name}", "signal", rule.signals, signals)


def _unique(what: str, names: Iterable[str]) -> set[str]:
    """The names; raises ValueError where one stands there twice."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"two {what} are called {name!r}")
        seen.add(name)
    return seen


def _within(owner: str, lamp: Lamp, size_px: tuple[int, int]) -> None:
    """Raises ValueError for a lens that is not wholly in the picture."""
    for at, size in zip(lamp.centre_px, size_px, strict=True):
        if not lamp.radius_px <= at <= size - lamp.radius_px:
            raise ValueError(f"{owner} reaches out of the picture")


def _known(owner: str, what: str, named: Iterable[str], there: set[str]) -> None:
    """Raises ValueError where something is named that is not there."""
    for name in named:
        if name not in there:
            raise ValueError(f"{owner}: there is no {what} {name!r}")


def load_site(path: Path) -> Site:
    """Read a site file; raises ConfigError that names the file and the place in it."""
    return _with_still(parse_site(tomlfile.read_text(path), source=str(path)), path)


def parse_site(text: str, *, source: str, still: Path | None = None) -> Site:
    """Read a site from its file's text; `source` is what an error calls it, `still` stands for the one that it names.

    Raises ConfigError.
    """
    site = tomlfile.parse(text, Site, source=source)
    if still is None:
        return site
    if site.calibration is None or site.calibration.still is None:
        raise ConfigError(f"{source}: calibration.still: the site names none, but one was given")
    named = msgspec.structs.replace(site.calibration, still=still)
    return _with_still(msgspec.structs.replace(site, calibration=named), Path(source))


def _with_still(site: Site, path: Path) -> Site:
    """The site with its still's path made absolute; raises ConfigError where it is no picture of the site's size."""
    if site.calibration is None or site.calibration.still is None:
        return site
    still = (path.parent / site.calibration.still).resolve()
    try:
        with Image.open(still) as picture:
            width, height = picture.size
    except (OSError, Image.DecompressionBombError) as error:
        raise ConfigError(f"{path}: calibration.still: {error}") from error
    if (width, height) != site.image_size_px:
        expected = "x".join(map(str, site.image_size_px))
        raise ConfigError(f"{path}: calibration.still: {still} is {width}x{height}, the site is drawn on {expected}")
    return msgspec.structs.replace(site, calibration=msgspec.structs.replace(site.calibration, still=still))
