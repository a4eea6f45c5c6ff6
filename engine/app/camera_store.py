"""The cameras of the configuration file, changed by the recorded orders.

The newest recorded version overrides the file: a removed camera stays removed, even if the file names it, until it is
added again. Secrets are not recorded: an address has `${NAME}` for its user and password, and the configuration
allows the names (`service.camera_secrets`).
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import structlog

from engine.config import CameraConfig, EngineConfig
from engine.config.tomlfile import expand, variables_in
from engine.errors import CalibrationError, ConfigError, LedgerError, NoCamera, OutOfDate, QyranError, RecordConflict
from engine.ledger import CameraChange, CameraRecord, CameraState, CameraVersion, CameraVersions
from engine.rules import load_site, parse_site
from engine.site import Site

log = structlog.get_logger()


class CameraStore:
    """The cameras of a configuration, with their versions on record."""

    def __init__(
        self,
        config: EngineConfig,
        versions: CameraVersions,
        secrets: Mapping[str, str],
        check: Callable[[Site], object] = lambda site: None,
    ) -> None:
        """`secrets` gives the values of ${NAME}s; `check` raises ConfigError or CalibrationError for a site that the
        engine cannot open."""
        self._check = check
        self._declared = {camera.name: camera for camera in config.cameras}
        self._allowed = frozenset(config.service.camera_secrets)
        self._stills = config.state / "stills"
        self._versions, self._secrets = versions, secrets

    def all(self) -> Sequence[CameraRecord]:
        """Every camera that is not removed, those of the file first. Raises LedgerError.

        A camera that cannot be read any more, for example without its secret or its file, is logged and left out.
        """
        return [record for version in self._present() if (record := self._read(version, _log_failure)) is not None]

    def watched(self) -> Sequence[CameraRecord]:
        """Every camera to be watched that the engine can open; a camera on record that it cannot is logged, left out.

        Raises LedgerError, and ConfigError or CalibrationError for a camera of the configuration file alone.
        """
        due = [version for version in self._present() if version.state is CameraState.WATCHED]
        return [record for version in due if (record := self._read_checked(version)) is not None]

    def due(self) -> frozenset[str]:
        """The names of the cameras that should be watched, whether they can be opened or not. Raises LedgerError."""
        return frozenset(one.camera for one in self._present(whole=False) if one.state is CameraState.WATCHED)

    def get(self, name: str) -> CameraRecord:
        """A camera that is not removed. Raises NoCamera, ConfigError or LedgerError."""
        return self._record(self._require(name))

    def history(self, name: str) -> Sequence[CameraChange]:
        """The orders about a camera, oldest first."""
        return self._versions.history(name)

    def draft(self, settings: CameraConfig, site: str, still: bytes | None, by: str) -> CameraRecord:
        """A new camera, not yet on record. Raises ConfigError, and RecordConflict if the name is taken."""
        name = settings.name
        last = self._newest(name)
        if self._is_present(last):
            raise RecordConflict(f"camera {name!r} is there already")
        fresh = CameraVersion(camera=name, version=last.version + 1, state=CameraState.WATCHED, change="add")
        table = msgspec.json.encode(settings, enc_hook=str)
        return self._record(replace(fresh, settings=table, site=site, still=still, changed_by=by))

    def change(self, name: str, expected: int, by: str, change: str, **changes: Any) -> CameraRecord:
        """A changed camera, not yet on record.

        Raises NoCamera, ConfigError, and OutOfDate if the camera is not at version `expected`.
        """
        return self._record(self._next(name, expected, changed_by=by, change=change, **changes))

    def remove(self, name: str, expected: int, by: str) -> CameraVersion:
        """Record a removal, also of a camera that cannot be opened any more. Raises the errors of `change`."""
        return self._versions.add(self._next(name, expected, changed_by=by, change="remove", state=CameraState.REMOVED))

    def commit(self, record: CameraRecord) -> CameraRecord:
        """Record a draft. It is valid from now on, also after a restart. Raises OutOfDate or LedgerError."""
        return replace(record, version=self._versions.add(record.version))

    def _next(self, name: str, expected: int, **changes: Any) -> CameraVersion:
        """The version after `expected`. Raises NoCamera or OutOfDate."""
        version = self._require(name)
        if version.version != expected:
            raise OutOfDate(f"camera {name!r} is at version {version.version}, not {expected}: look at it again")
        return replace(version, version=version.version + 1, **changes)

    def _require(self, name: str) -> CameraVersion:
        """The newest version of a camera that is not removed. Raises NoCamera."""
        version = self._newest(name)
        if not self._is_present(version):
            raise NoCamera(f"there is no camera {name!r}")
        return version

    def _newest(self, name: str) -> CameraVersion:
        return self._versions.newest(name) or _of_the_file(name)

    def _present(self, *, whole: bool = True) -> Sequence[CameraVersion]:
        """The newest version of every camera that is not removed, those of the file first."""
        latest = self._versions.latest(whole=whole)
        names = [*self._declared, *(name for name in latest if name not in self._declared)]
        return [version for name in names if self._is_present(version := latest.get(name) or _of_the_file(name))]

    def _is_present(self, version: CameraVersion) -> bool:
        """False for a removed camera, and for one of the configuration file that the file no longer names."""
        known = version.settings is not None or version.camera in self._declared
        return known and version.state is not CameraState.REMOVED

    def _read_checked(self, version: CameraVersion) -> CameraRecord | None:
        record = self._read(version, _tolerate)
        try:
            if record is not None:
                self._check(record.site)
        except (ConfigError, CalibrationError) as error:
            _tolerate(version, error)
            return None
        return record

    def _read(self, version: CameraVersion, fail: Callable[[CameraVersion, QyranError], None]) -> CameraRecord | None:
        """The record, or None after `fail` got the reason. LedgerError here means that a still cannot be kept."""
        try:
            return self._record(version)
        except (ConfigError, LedgerError) as error:
            fail(version, error)
            return None

    def _record(self, version: CameraVersion) -> CameraRecord:
        config = self._declared[version.camera] if version.settings is None else self._settings(version)
        site, text = self._site(version, config)
        return CameraRecord(version=version, config=config, site=site, site_text=text)

    def _settings(self, version: CameraVersion) -> CameraConfig:
        source = f"camera {version.camera}"
        try:
            config = msgspec.json.decode(version.settings or b"", type=CameraConfig, dec_hook=_decode)
        except (msgspec.DecodeError, ValueError) as error:
            raise ConfigError(f"{source}: {error}") from error
        self._require_allowed(config.url, source)
        return msgspec.structs.replace(config, url=expand(config.url, self._secrets, source=source))

    def _require_allowed(self, url: str, source: str) -> None:
        """Raises ConfigError for a secret that orders may not name, whether it is set or not."""
        for name in sorted(variables_in(url) - self._allowed):
            raise ConfigError(
                f"{source}: url: ${{{name}}} is not one of the secrets that service.camera_secrets allows"
            )

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
        """The still as a file, named by its content. Raises LedgerError if the disk refuses it."""
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
    """Raise the error of a camera of the file, which the operator corrects; log the error of a recorded camera."""
    if not version.version:
        raise error
    _log_failure(version, error)


def _log_failure(version: CameraVersion, error: QyranError) -> None:
    log.error("a camera cannot be watched", camera=version.camera, version=version.version, error=str(error))


def _of_the_file(name: str) -> CameraVersion:
    return CameraVersion(camera=name, version=0, state=CameraState.WATCHED, changed_by="configuration")


def _decode(kind: type[Any], text: Any) -> Any:
    """Decode a path, the one type that JSON does not have."""
    return kind(text)
