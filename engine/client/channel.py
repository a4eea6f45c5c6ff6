"""How a client reaches the service: channel, certificates, token."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass
from pathlib import Path

import grpc

from engine.errors import ConfigError

_RETRIED = {
    "qyran.v1.ViolationService": ("Acknowledge", "GetCase", "ListCases", "ReportDisposition", "ReviewCase"),
    "qyran.v1.CameraService": ("ListCameras", "GetCamera"),
}
"""Idempotent calls, which gRPC retries by itself. The clients resume streams."""
_RETRY = {
    "maxAttempts": 5,
    "initialBackoff": "0.2s",
    "maxBackoff": "2s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}
_SERVICE_CONFIG = {
    "methodConfig": [
        {
            "name": [{"service": service, "method": method} for service, calls in _RETRIED.items() for method in calls],
            "retryPolicy": _RETRY,
        }
    ]
}
OPTIONS = (
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
)


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files. `certificate` and `key` are the client's own, if the service asks for a certificate."""

    ca: Path | None = None
    """Authorities of the service's certificate; None: those of the operating system."""
    certificate: Path | None = None
    key: Path | None = None
    server_name: str = ""
    """Name in the service's certificate, if it is not the host of the target."""

    def credentials(self) -> grpc.ChannelCredentials:
        """The credentials of a channel. Raises ConfigError for a file that cannot be read."""
        return grpc.ssl_channel_credentials(_read(self.ca), _read(self.key), _read(self.certificate))


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """Address and credentials of a service; never prints the token."""

    target: str
    token: str | Path = ""
    tls: Tls | None = None

    def __post_init__(self) -> None:
        if self.token and self.tls is None and not _is_local(self.target):
            raise ConfigError(f"{self.target}: a token is not sent over the network in plaintext: give `tls`")

    def __repr__(self) -> str:
        return f"ChannelSettings(target={self.target!r})"

    def open(self) -> grpc.Channel:
        """A new channel of grpc. Raises ConfigError."""
        if self.tls is None:
            return grpc.insecure_channel(self.target, options=OPTIONS)
        return grpc.secure_channel(self.target, self.tls.credentials(), options=self._options())

    def open_aio(self) -> grpc.aio.Channel:
        """A new channel of grpc.aio. Raises ConfigError."""
        if self.tls is None:
            return grpc.aio.insecure_channel(self.target, options=OPTIONS)
        return grpc.aio.secure_channel(self.target, self.tls.credentials(), options=self._options())

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The metadata of a call. A token file is read every time: the token may be renewed. Raises ConfigError."""
        if not self.token:
            return ()
        content = _read(self.token) if isinstance(self.token, Path) else self.token.encode()
        return (("authorization", f"Bearer {(content or b'').decode().strip()}"),)

    def _options(self) -> tuple[tuple[str, object], ...]:
        name = self.tls.server_name if self.tls else ""
        return (*OPTIONS, ("grpc.ssl_target_name_override", name)) if name else OPTIONS


def _read(path: Path | None) -> bytes | None:
    try:
        return path.read_bytes() if path else None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error


def _is_local(target: str) -> bool:
    host = target.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or target.startswith("unix:")
