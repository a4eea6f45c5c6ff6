"""What Qyran shows of itself to a recipient: read from files when needed, never printed."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from pathlib import Path

from engine.config import tomlfile
from engine.errors import ConfigError

_TOKEN = re.compile(r"[!-~]+")
"""What a header can carry (RFC 6750, 2.1); else every single case would fail at it."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The files of one recipient.

    A token that is replaced counts from the next submission on, certificates from the next start.
    """

    encrypted: bool
    token_file: Path | None = None
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None

    def token(self) -> str:
        """The bearer token, empty where there is none. Raises ConfigError."""
        if self.token_file is None:
            return ""
        token = tomlfile.read_secret(self.token_file)
        if _TOKEN.fullmatch(token) is None:
            raise ConfigError(f"{self.token_file}: is no bearer token: only visible ASCII characters may be in one")
        return token

    def pem(self) -> tuple[bytes | None, bytes | None, bytes | None]:
        """Authorities, own key, own certificate, as gRPC takes them. Raises ConfigError."""
        return tuple(map(_content, (self.ca_file, self.key_file, self.certificate_file)))  # type: ignore[return-value]

    def context(self) -> ssl.SSLContext:
        """The same for HTTPS. Raises ConfigError."""
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.certificate_file:
                context.load_cert_chain(self.certificate_file, self.key_file)
        except OSError as error:
            raise ConfigError(f"certificates of a recipient: {error}") from error
        return context


def _content(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
