"""Changes of cameras while the engine runs: numbered versions of each camera, append-only."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from engine.config import CameraConfig, redact
from engine.errors import OutOfDate
from engine.ledger.database import Database, record
from engine.ledger.tables import metadata
from engine.site import Site

_versions = sa.Table(
    "camera_versions",
    metadata,
    sa.Column("device", sa.String(255), primary_key=True),
    sa.Column("camera", sa.String(63), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("state", sa.String(15), nullable=False),
    sa.Column("settings", sa.LargeBinary, comment="JSON; null: as in the configuration file"),
    sa.Column("site", sa.Text, comment="text of a site file; null: the file that the configuration names"),
    sa.Column("still", sa.LargeBinary, comment="image file of the calibration; null: no image"),
    sa.Column("changed_s", sa.Double, nullable=False),
    sa.Column("changed_by", sa.String(63), nullable=False),
    sa.Column("change", sa.String(31), nullable=False),
)


class CameraState(StrEnum):
    """What the engine does with a camera."""

    WATCHED = "watched"
    PAUSED = "paused"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class CameraVersion:
    """A camera from one change to the next."""

    camera: str
    version: int
    """1, 2, 3 ...; 0 for a camera of the configuration file that was never changed."""
    state: CameraState
    settings: bytes | None = None
    """JSON of the camera's table; None: as in the configuration file."""
    site: str | None = None
    """Text of a site file; None: the file that the configuration names."""
    still: bytes | None = None
    """Image file of the calibration; None: no image, or the one that the site file names."""
    changed_s: float = 0.0
    changed_by: str = ""
    change: str = ""
    """`add`, `remove`, `pause`, `resume` or `update_site`."""


@dataclass(frozen=True, slots=True)
class CameraRecord:
    """A camera now: its newest version, parsed."""

    version: CameraVersion
    config: CameraConfig
    """Ready to be opened: secrets in its address, paths absolute."""
    site: Site
    site_text: str

    @property
    def name(self) -> str:
        """Name of the camera."""
        return self.version.camera

    @property
    def url(self) -> str:
        """The address without its secrets; the file name of a recording that is played."""
        url = redact(self.config.url)
        return url if "://" in url else Path(url).name


@dataclass(frozen=True, slots=True)
class CameraChange:
    """A change of a camera without site and still, which are large."""

    version: int
    state: CameraState
    changed_s: float
    changed_by: str
    change: str


class CameraVersions:
    """The versions of the cameras of one recording system. Safe from any thread; every method raises LedgerError."""

    def __init__(self, database: Database, device: str = "", *, clock: Callable[[], float] = time.time) -> None:
        """`device` is the serial number of the system; several systems may share a database."""
        self._database = database
        self._device = device
        self._clock = clock

    def latest(self, *, whole: bool = True) -> Mapping[str, CameraVersion]:
        """The newest version of every camera that was ever changed, by name; without site and still if not `whole`."""
        newest = sa.select(_versions.c.camera, sa.func.max(_versions.c.version)).where(
            _versions.c.device == self._device
        )
        which = sa.tuple_(_versions.c.camera, _versions.c.version).in_(newest.group_by(_versions.c.camera))
        return {version.camera: version for version in self._read(which, _FIELDS if whole else _SMALL)}

    def newest(self, camera: str) -> CameraVersion | None:
        """The newest version of a camera; None if it was never changed."""
        last = sa.select(sa.func.max(_versions.c.version)).where(self._of(camera)).scalar_subquery()
        return next(iter(self._read(self._of(camera) & (_versions.c.version == last), _FIELDS)), None)

    def history(self, camera: str) -> Sequence[CameraChange]:
        """All changes of a camera, ascending."""
        query = sa.select(*_CHANGES).where(self._of(camera)).order_by(_versions.c.version)
        with self._database.reading() as connection:
            return [record(CameraChange, row) for row in connection.execute(query)]

    def add(self, version: CameraVersion) -> CameraVersion:
        """Record a version, which must follow the newest one. Returns it with its time. Raises OutOfDate."""
        fresh = replace(version, changed_s=self._clock())
        with self._database.writing("record a camera") as connection:
            newest = sa.select(sa.func.max(_versions.c.version)).where(self._of(version.camera))
            last = connection.execute(newest).scalar() or 0
            if version.version != last + 1:
                raise OutOfDate(f"camera {version.camera!r} is at version {last}, not {version.version - 1}")
            connection.execute(sa.insert(_versions).values(device=self._device, **asdict(fresh)))
        return fresh

    def _of(self, camera: str) -> sa.ColumnElement[bool]:
        return (_versions.c.device == self._device) & (_versions.c.camera == camera)

    def _read(self, which: sa.ColumnElement[bool], fields: Sequence[sa.ColumnElement[Any]]) -> list[CameraVersion]:
        query = (
            sa.select(*fields)
            .where(_versions.c.device == self._device, which)
            .order_by(_versions.c.camera, _versions.c.version)
        )
        with self._database.reading() as connection:
            return [record(CameraVersion, row) for row in connection.execute(query)]


_FIELDS = [_versions.c[field.name] for field in fields(CameraVersion)]
_SMALL = [sa.null().label(field.name) if field.name in ("site", "still") else field for field in _FIELDS]
_CHANGES = [_versions.c[field.name] for field in fields(CameraChange)]
