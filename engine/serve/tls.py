"""TLS of the service: its certificate and the authority of client certificates; renewed files are reloaded."""

from __future__ import annotations

from pathlib import Path

import grpc
import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from engine.config import TlsConfig
from engine.errors import ConfigError
from engine.metrics import Metrics

log = structlog.get_logger()


class Certificates:
    """The files of `config`, checked before every handshake. Called by threads of gRPC, one at a time.

    Files that do not match each other, as half-way through a renewal, change nothing: the old files stay in use.
    """

    def __init__(self, config: TlsConfig, metrics: Metrics) -> None:
        """Raises ConfigError for a file that is missing or does not match."""
        self._config = config
        self._metrics = metrics
        self._paths = [path for path in (config.certificate, config.key, config.client_ca) if path is not None]
        self._seen = self._modified()
        self._initial = self._load()

    def credentials(self) -> grpc.ServerCredentials:
        """Credentials for a port of the server."""
        wants_clients = self._config.client_ca is not None
        return grpc.dynamic_ssl_server_credentials(self._initial, self._renewed, wants_clients)  # type: ignore[arg-type]  # None is allowed

    def _renewed(self) -> grpc.ServerCertificateConfiguration | None:
        """The new configuration; None: keep the current one."""
        try:
            now = self._modified()
            if now == self._seen:
                return None
            fresh = self._load()
        except (ConfigError, OSError) as error:
            log.error("certificates cannot be renewed, the old ones stay in use", error=str(error))
            return None
        self._seen = now
        log.info("certificates renewed", certificate=str(self._config.certificate))
        return fresh

    def _modified(self) -> tuple[tuple[int, int], ...]:
        return tuple((stat.st_mtime_ns, stat.st_ino) for stat in (path.stat() for path in self._paths if path.exists()))

    def _load(self) -> grpc.ServerCertificateConfiguration:
        chain, key = _read(self._config.certificate), _read(self._config.key)
        ends_s = _require_pair(self._config, chain, key)
        clients = _read(self._config.client_ca) if self._config.client_ca else None
        if clients is not None:
            _require_certificates(self._config.client_ca, clients)
        self._metrics.certificate_ends_s.set(ends_s)
        return grpc.ssl_server_certificate_configuration([(key, chain)], root_certificates=clients)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"service.tls: {path}: {error.strerror}") from error


def _require_pair(config: TlsConfig, chain: bytes, key: bytes) -> float:
    """When the certificate ends, Unix seconds UTC. Raises ConfigError if the key does not match the certificate."""
    certificate = _require_certificates(config.certificate, chain)[0]
    try:
        private = load_pem_private_key(key, password=None)
    except (ValueError, TypeError):
        raise ConfigError(f"service.tls: {config.key}: is no private key in PEM without a password") from None
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if private.public_key().public_bytes(*form) != certificate.public_key().public_bytes(*form):
        raise ConfigError(f"service.tls: {config.key} is not the key of {config.certificate}")
    return certificate.not_valid_after_utc.timestamp()


def _require_certificates(path: Path | None, content: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError:
        raise ConfigError(f"service.tls: {path}: holds no certificate in PEM") from None
