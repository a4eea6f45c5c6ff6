"""What was ordered about cameras while the engine runs: numbered versions of each, only ever added to."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from engine.errors import OutOfDate
from engine.ledger.database import Database
from engine.ledger.tables import metadata

_versions = sa.Table(
    "camera_versions",
    metadata,
    sa.Column("device", sa.String(255), primary_key=True),
    sa.Column("camera", sa.String(63), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("state", sa.String(15), nullable=False),
    sa.Column("settings", sa.LargeBinary, comment="JSON as in the configuration file; null: as there"),
    sa.Column("site", sa.Text, comment="TOML, the text of a site file; null: the configuration's"),
    sa.Column("still", sa.LargeBinary, comment="the calibration's still, an image file; null: none"),
    sa.Column("changed_s", sa.Double, nullable=False),
    sa.Column("changed_by", sa.String(63), nullable=False),
    sa.Column("change", sa.String(31), nullable=False),
)


class CameraState(StrEnum):
    WATCHED = "watched"
    PAUSED = "paused"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class CameraVersion:
    """What holds of a camera from one change to the next."""

    camera: str
    version: int
    """1, 2, 3 ...; 0 for a camera that only the configuration file speaks of."""
    state: CameraState
    settings: bytes | None = None
    """JSON of the camera's table in the configuration file; None: as it stands there."""
    site: str | None = None
    """Text of a site file; None: the file that the configuration names."""
    still: bytes | None = None
    """The calibration's still, an image file; None: there is none, or it is the site file's."""
    changed_s: float = 0.0
    changed_by: str = ""
    change: str = ""
    """What was ordered: `add`, `remove`, `pause`, `resume`, `update_site`."""


@dataclass(frozen=True, slots=True)
class CameraChange:
    """What was ordered about a camera, without what it brought along: sites and stills are large."""

    version: int
    state: CameraState
    changed_s: float
    changed_by: str
    change: str


class CameraVersions:
    """The versions of one recording system's cameras. Safe from any thread; every method raises LedgerError."""

    def __init__(self, database: Database, device: str = "", *, clock: Callable[[], float] = time.time) -> None:
        """`device` is the system's serial number: several share a database, and each has cameras of its own."""
        self._database = database
        self._device = device
        self._clock = clock

    def latest(self, *, whole: bool = True) -> Mapping[str, CameraVersion]:
        """The newest version of every camera that anything was ordered about, by name; not `whole`: without sites and
        stills, which are large."""
        newest = sa.select(_versions.c.camera, sa.func.max(_versions.c.version)).where(
            _versions.c.device == self._device
        )
        which = sa.tuple_(_versions.c.camera, _versions.c.version).in_(newest.group_by(_versions.c.camera))
        return {version.camera: version for version in self._read(which, _FIELDS if whole else _SMALL)}

    def newest(self, camera: str) -> CameraVersion | None:
        """The newest version of one camera; None where nothing was ordered about it."""
        last = sa.select(sa.func.max(_versions.c.version)).where(self._of(camera)).scalar_subquery()
        return next(iter(self._read(self._of(camera) & (_versions.c.version == last), _FIELDS)), None)

    def history(self, camera: str) -> Sequence[CameraChange]:
        """All that was ordered about a camera, ascending."""
        query = sa.select(*_CHANGES).where(self._of(camera)).order_by(_versions.c.version)
        with self._database.reading() as connection:
            rows = [row._asdict() for row in connection.execute(query)]
        return [CameraChange(**row | {"state": CameraState(row["state"])}) for row in rows]

    def add(self, version: CameraVersion) -> CameraVersion:
        """Record a version, which must follow the newest one; gives it with its time. Raises OutOfDate."""
        fresh = replace(version, changed_s=self._clock())
        with self._database.writing("record a camera") as connection:
            newest = sa.select(sa.func.max(_versions.c.version)).where(self._of(version.camera))
            last = connection.execute(newest).scalar() or 0
            if version.version != last + 1:
                raise OutOfDate(f"camera {version.camera!r} is at version {last}, not {version.version - 1}")
            values = {name: getattr(fresh, name) for name in CameraVersion.__dataclass_fields__}
            connection.execute(sa.insert(_versions).values(device=self._device, **values))
        return fresh

    def _of(self, camera: str) -> sa.ColumnElement[bool]:
        return (_versions.c.device == self._device) & (_versions.c.camera == camera)

    def _read(self, which: sa.ColumnElement[bool], fields: Sequence[sa.ColumnElement[Any]]) -> list[CameraVersion]:
        ours = _versions.c.device == self._device
        query = sa.select(*fields).where(ours, which).order_by(_versions.c.camera, _versions.c.version)
        with self._database.reading() as connection:
            rows = [row._asdict() for row in connection.execute(query)]
        return [CameraVersion(**row | {"state": CameraState(row["state"])}) for row in rows]


_FIELDS = [_versions.c[name] for name in CameraVersion.__dataclass_fields__]
_SMALL = [sa.null().label(field.name) if field.name in ("site", "still") else field for field in _FIELDS]
_CHANGES = [_versions.c[name] for name in CameraChange.__dataclass_fields__]
