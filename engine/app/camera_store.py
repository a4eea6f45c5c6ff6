"""Which cameras there are: those of the configuration file, and over them what was ordered while the engine ran.

The newest version on record stands over the file: a camera that was removed stays away though the file names it, until
it is added again. Secrets are not on record: an address has `${NAME}` for its user and password, of those names that
the configuration allows (`service.camera_secrets`).
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import structlog

from engine.config import CameraConfig, EngineConfig, redact
from engine.config.tomlfile import expand, variables_in
from engine.errors import CalibrationError, ConfigError, LedgerError, NoCamera, OutOfDate, QyranError, RecordConflict
from engine.ledger import CameraChange, CameraVersion, CameraVersions
from engine.rules import load_site, parse_site
from engine.site import Site

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class CameraRecord:
    """A camera as it stands."""

    version: CameraVersion
    config: CameraConfig
    """Ready to be opened: secrets in its address, paths absolute."""
    site: Site
    site_text: str

    @property
    def name(self) -> str:
        return self.version.camera

    @property
    def url(self) -> str:
        """The address without its secrets; of a file that plays, its name alone."""
        url = redact(self.config.url)
        return url if "://" in url else Path(url).name


class CameraStore:
    """The cameras of a configuration, with what is on record about them."""

    def __init__(
        self,
        config: EngineConfig,
        versions: CameraVersions,
        secrets: Mapping[str, str],
        check: Callable[[Site], object] = lambda site: None,
    ) -> None:
        """`secrets` is where ${NAME}s come from; `check` raises ConfigError for a site that the engine cannot open."""
        self._check = check
        self._declared = {camera.name: camera for camera in config.cameras}
        self._allowed = frozenset(config.service.camera_secrets)
        self._stills = config.state / "stills"
        self._versions = versions
        self._secrets = secrets

    def all(self) -> Sequence[CameraRecord]:
        """Every camera that is not removed, those of the file first. Raises LedgerError.

        One that cannot be read any more, as when its secret or its file is gone, is logged and left out.
        """
        return [record for version in self._standing() if (record := self._read(version, _tell)) is not None]

    def watched(self) -> Sequence[CameraRecord]:
        """Those to be watched that the engine can open; of the others one on record is logged and left out.

        Raises LedgerError, and ConfigError or CalibrationError for one that only the configuration file speaks of.
        """
        due = [version for version in self._standing() if version.state == "watched"]
        return [record for version in due if (record := self._opened(version)) is not None]

    def due(self) -> frozenset[str]:
        """The names of the cameras that ought to be watched, whether they can be or not. Raises LedgerError."""
        return frozenset(one.camera for one in self._standing(whole=False) if one.state == "watched")

    def get(self, name: str) -> CameraRecord:
        """A camera that is not removed; raises NoCamera, ConfigError, LedgerError."""
        return self._record(self._there(name))

    def history(self, name: str) -> Sequence[CameraChange]:
        """Everything that was ordered about a camera, ascending."""
        return self._versions.history(name)

    def draft(self, settings: CameraConfig, site: str, still: bytes | None, by: str) -> CameraRecord:
        """A camera as it would be, not yet on record. Raises ConfigError; RecordConflict where there is one already."""
        name = settings.name
        last = self._latest(name)
        if self._stands(last):
            raise RecordConflict(f"camera {name!r} is there already")
        table = msgspec.json.encode(settings, enc_hook=str)
        fresh = (name, last.version + 1, "watched", table, site, still, 0.0, by, "add")
        return self._record(CameraVersion(*fresh))

    def change(self, name: str, expected: int, by: str, change: str, **changes: Any) -> CameraRecord:
        """A camera as it would be after a change, not yet on record.

        Raises NoCamera, ConfigError, and OutOfDate where the camera is not at version `expected`.
        """
        return self._record(self._following(name, expected, changed_by=by, change=change, **changes))

    def remove(self, name: str, expected: int, by: str) -> CameraVersion:
        """Put on record that there is no such camera any more, be it one that cannot be read. Raises as `change`."""
        gone = self._following(name, expected, changed_by=by, change="remove", state="removed")
        return self._versions.add(gone)

    def commit(self, record: CameraRecord) -> CameraRecord:
        """Put a draft on record; from now on it stands, over restarts too. Raises OutOfDate, LedgerError."""
        return replace(record, version=self._versions.add(record.version))

    def _following(self, name: str, expected: int, **changes: Any) -> CameraVersion:
        """The version that follows the one that a change was made for. Raises NoCamera, OutOfDate."""
        version = self._there(name)
        if version.version != expected:
            raise OutOfDate(f"camera {name!r} is at version {version.version}, not {expected}: look at it again")
        return replace(version, version=version.version + 1, **changes)

    def _there(self, name: str) -> CameraVersion:
        """The newest version of a camera that is not removed; raises NoCamera."""
        version = self._latest(name)
        if not self._stands(version):
            raise NoCamera(f"there is no camera {name!r}")
        return version

    def _latest(self, name: str) -> CameraVersion:
        return self._versions.newest(name) or _of_the_file(name)

    def _standing(self, *, whole: bool = True) -> Sequence[CameraVersion]:
        """The newest version of every camera that is not removed, those of the file first."""
        latest = self._versions.latest(whole=whole)
        names = [*self._declared, *(name for name in latest if name not in self._declared)]
        return [version for name in names if self._stands(version := latest.get(name) or _of_the_file(name))]

    def _stands(self, version: CameraVersion) -> bool:
        """Is there such a camera? One of the configuration file's goes when the file names it no more."""
        known = version.settings is not None or version.camera in self._declared
        return known and version.state != "removed"

    def _opened(self, version: CameraVersion) -> CameraRecord | None:
        record = self._read(version, _tolerate)
        try:
            if record is not None:
                self._check(record.site)
        except (ConfigError, CalibrationError) as error:
            _tolerate(version, error)
            return None
        return record

    def _read(self, version: CameraVersion, fail: Callable[[CameraVersion, QyranError], None]) -> CameraRecord | None:
        """The record, or None with `fail` told why not. A register that fails here has failed to keep a still."""
        try:
            return self._record(version)
        except (ConfigError, LedgerError) as error:
            fail(version, error)
            return None

    def _record(self, version: CameraVersion) -> CameraRecord:
        config = self._declared[version.camera] if version.settings is None else self._settings(version)
        site, text = self._site(version, config)
        return CameraRecord(version, config, site, text)

    def _settings(self, version: CameraVersion) -> CameraConfig:
        source = f"camera {version.camera}"
        try:
            config = msgspec.json.decode(version.settings or b"", type=CameraConfig, dec_hook=_decode)
        except (msgspec.DecodeError, ValueError) as error:
            raise ConfigError(f"{source}: {error}") from error
        self._require_allowed(config.url, source)
        return msgspec.structs.replace(config, url=expand(config.url, self._secrets, source=source))

    def _require_allowed(self, url: str, source: str) -> None:
        """Raises ConfigError for a secret that no order may name, whether there is one or not."""
        for name in sorted(variables_in(url) - self._allowed):
            raise ConfigError(f"{source}: url: ${{{name}}} is none of the secrets that service.camera_secrets allows")

    def _site(self, version: CameraVersion, config: CameraConfig) -> tuple[Site, str]:
        if version.site is None:
            return load_site(config.site), config.site.read_text(encoding="utf-8")
        source = f"site of camera {version.camera}"
        still = self._still(version.still) if version.still else None
        site = parse_site(version.site, source=source, still=still)
        if still is None and site.calibration is not None and site.calibration.still is not None:
            raise ConfigError(f"{source}: calibration.still: names a picture, but none was given")
        return site, version.site

    def _still(self, content: bytes) -> Path:
        """Where the still lies as a file, by its content. Raises LedgerError where the disk refuses it."""
        path = self._stills / hashlib.sha256(content).hexdigest()
        try:
            if not path.exists() or path.read_bytes() != content:
                self._stills.mkdir(parents=True, exist_ok=True)
                part = path.with_suffix(f".{threading.get_ident()}")
                part.write_bytes(content)
                part.replace(path)
        except OSError as error:
            raise LedgerError(f"{path}: cannot keep the still: {error.strerror or error}") from error
        return path


def _tolerate(version: CameraVersion, error: QyranError) -> None:
    """A wrong configuration file is the operator's to mend before the start; what is on record holds up nobody."""
    if not version.version:
        raise error
    _tell(version, error)


def _tell(version: CameraVersion, error: QyranError) -> None:
    log.error("a camera cannot be watched", camera=version.camera, version=version.version, error=str(error))


def _of_the_file(name: str) -> CameraVersion:
    return CameraVersion(name, 0, "watched", None, None, None, 0.0, "configuration", "")


def _decode(kind: type[Any], text: Any) -> Any:
    """Paths, the one type that JSON does not have."""
    return kind(text)
