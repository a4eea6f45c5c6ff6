"""The site file: what is known of one camera's place. Geometry is drawn in the image and measured on the ground.

Image pixels are those of `image_size_px`; (0, 0) is the outer corner of the first pixel. Frames of another size are not
judged until the site file is made again.
"""

from __future__ import annotations

import datetime as dt
import functools
import math
import operator
from collections.abc import Iterable
from pathlib import Path
from types import GenericAlias
from typing import Annotated, Literal, NamedTuple, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta
from PIL import Image

from engine.config import CameraConfig, Count, Name, Positive, Strict, tomlfile
from engine.errors import ConfigError
from engine.site.rule import ClassName, HoursText, PointPx, Rule
from engine.site.signals import Lamp, Signal

Polygon = Annotated[tuple[PointPx, ...], Meta(min_length=3)]
Row3 = tuple[float, float, float]
Aware = Annotated[dt.datetime, Meta(tz=True)]


def is_timezone(name: str) -> bool:
    """True if this is an IANA name of a time zone."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


class Place(Strict, frozen=True):
    """Where the camera stands, as a case names it."""

    address: dict[str, str]
    """By language: `ru`, `kk`, `en`."""
    latitude: Annotated[float, Meta(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Meta(ge=-180, le=180)] | None = None
    direction: str = ""
    area: Name | Literal[""] = ""
    """District or other part of the city: for filters and for access by area."""
    timezone: str = "Asia/Almaty"
    """IANA name; the hours of rules and the dates in documents are local."""

    def __post_init__(self) -> None:
        if not is_timezone(self.timezone):
            raise ValueError(f"there is no time zone {self.timezone!r}")


class LensBend(Strict, frozen=True):
    """Radial distortion of the lens (Brown 1966): distorted = straight (1 + k1 r^2 + k2 r^4), r in focal lengths."""

    focal_px: Positive
    centre_px: PointPx
    k1: float
    k2: float = 0.0


class Calibration(Strict, frozen=True):
    """Maps image pixels to metres on the road between two dates."""

    id: Name
    made: Aware
    expires: Aware
    image_to_ground: tuple[Row3, Row3, Row3]
    """Homography of homogeneous columns: (x, y, w) on the ground = H (u, v, 1)."""
    residual_m: Annotated[float, Meta(ge=0)]
    """Root mean square residual of the surveyed marks."""
    area_px: Polygon
    """Area in which the calibration holds; no speed is stated outside."""
    relative_sigma: Annotated[float, Meta(ge=0, le=0.2)] = 0.005
    """Standard uncertainty of lengths on the ground, as a share of the length."""
    covariance: Annotated[tuple[float, ...], Meta(min_length=81, max_length=81)] | None = None
    """Covariance of the homography's elements, 9 x 9 in row-major order."""
    camera_m: Row3 | None = None
    """Position of the camera on the ground's axes: x, y, and height above the road. It is used to correct a vehicle's
    position for the height of its lowest visible point (`engine.measure.FootModel`)."""
    lens: LensBend | None = None
    """Distortion to remove from image points before `image_to_ground`; None: the lens has no distortion."""
    readout_s: Annotated[float, Meta(ge=0, le=0.1)] = 0.0
    """Time from reading the first row of a picture to reading the last (rolling shutter), from the camera's data sheet;
    0 for a global shutter. An omitted 13 ms costs 1 % of the speed."""
    still: Path | None = None
    """The picture without traffic that the calibration was made on, relative to the site file. The drift monitor
    compares the camera's view with it (`engine.measure.drift`); None: drift is not monitored."""
    most_drift_px: Positive | None = None
    """Largest drift of the calibrated area's corners against the still at which speeds are measured, pixels; None: 0.2
    % of the picture's width."""

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
    """A speed limit. The first limit of the site that fits vehicle, hour and zone is in force."""

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
    rules: tuple[Rule, ...] = ()

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


class WatchedCamera(NamedTuple):
    """A camera as every stage gets to know it."""

    config: CameraConfig
    site: Site

    @property
    def name(self) -> str:
        """The camera's name in the configuration."""
        return self.config.name


def _unique(what: str, names: Iterable[str]) -> set[str]:
    """The names as a set. Raises ValueError if a name occurs twice."""
    known: set[str] = set()
    for name in names:
        if name in known:
            raise ValueError(f"two {what} are called {name!r}")
        known.add(name)
    return known


def _within(owner: str, lamp: Lamp, size_px: tuple[int, int]) -> None:
    """Raise ValueError for a lens that is not wholly in the picture."""
    for at, size in zip(lamp.centre_px, size_px, strict=True):
        if not lamp.radius_px <= at <= size - lamp.radius_px:
            raise ValueError(f"{owner} reaches out of the picture")


def _known(owner: str, what: str, named: Iterable[str], there: set[str]) -> None:
    """Raise ValueError for a name that the site does not define."""
    for name in named:
        if name not in there:
            raise ValueError(f"{owner}: there is no {what} {name!r}")


@functools.cache
def _site_file(rules: tuple[type[Rule], ...]) -> type[Site]:
    """The struct that a site file is read as: msgspec tells the rules apart by their tags, so it needs their union."""
    union = GenericAlias(tuple, (functools.reduce(operator.or_, rules), ...))
    made = msgspec.defstruct("Site", [("rules", union, ())], bases=(Site,), frozen=True, forbid_unknown_fields=True)
    return cast("type[Site]", made)


def load_site(path: Path, rules: tuple[type[Rule], ...]) -> Site:
    """Read a site file whose rules are of the given types. Raises ConfigError with the file and the place in it.

    `engine.rules.load_site` passes the types of all kinds.
    """
    return _with_still(parse_site(tomlfile.read_text(path), rules, source=str(path)), path)


def parse_site(text: str, rules: tuple[type[Rule], ...], *, source: str, still: Path | None = None) -> Site:
    """Read a site from its file's text. Raises ConfigError with `source` and the place in it.

    still   replaces the path of the still that the file names
    """
    site = tomlfile.parse(text, _site_file(rules), source=source)
    if still is None:
        return site
    if site.calibration is None or site.calibration.still is None:
        raise ConfigError(f"{source}: calibration.still: the site names no still, but one was given")
    named = msgspec.structs.replace(site.calibration, still=still)
    return _with_still(msgspec.structs.replace(site, calibration=named), Path(source))


def _with_still(site: Site, path: Path) -> Site:
    """The site with an absolute path of its still. Raises ConfigError if the still is no picture of the site's size."""
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
