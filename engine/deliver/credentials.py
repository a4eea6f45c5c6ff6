"""The credentials that Qyran presents to a recipient: read from files when needed, never printed."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from engine.config import RecipientConfig, is_loopback, redact, tomlfile
from engine.errors import ConfigError

_TOKEN = re.compile(r"[!-~]+")
"""The characters of a header (RFC 6750, 2.1). Any other character would fail at every submission."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The files of one recipient.

    A replaced token counts from the next submission on, replaced certificates from the next start.
    """

    files: RecipientConfig = field(repr=False)
    """Names the files; its address may hold a password."""

    def token(self) -> str:
        """The bearer token; empty without a token file. Raises ConfigError."""
        if (file := self.files.token_file) is None:
            return ""
        token = tomlfile.read_secret(file)
        if _TOKEN.fullmatch(token) is None:
            raise ConfigError(f"{file}: is no bearer token: it may hold visible ASCII characters only")
        return token

    def pem(self) -> tuple[bytes | None, bytes | None, bytes | None]:
        """Authorities, own key and own certificate, as gRPC takes them. Raises ConfigError."""
        return _content(self.files.ca_file), _content(self.files.key_file), _content(self.files.certificate_file)

    def context(self) -> ssl.SSLContext:
        """The same for HTTPS. Raises ConfigError."""
        try:
            context = ssl.create_default_context(cafile=self.files.ca_file)
            if self.files.certificate_file:
                context.load_cert_chain(self.files.certificate_file, self.files.key_file)
        except OSError as error:
            raise ConfigError(f"certificates of a recipient: {error}") from error
        return context


def network_target(recipient: RecipientConfig, *, encrypted: bool) -> tuple[str, Credentials]:
    """host:port and credentials of a recipient on the network.

    Raises ConfigError for an invalid address, for one that is sent in the clear beyond loopback without `insecure`,
    and for an unusable token. No message repeats a password.
    """
    try:
        parts = urlsplit(recipient.url)
        _ = parts.port
    except ValueError:
        raise ConfigError(f"recipient {recipient.name}: url: its host or port is invalid") from None
    where = f"recipient {recipient.name}: {redact(recipient.url)}"
    if not parts.hostname:
        raise ConfigError(f"{where}: names no host")
    if not (encrypted or recipient.insecure or is_loopback(parts.hostname)):
        raise ConfigError(f"{where}: would be sent in the clear; use {parts.scheme}s://, or set insecure = true")
    credentials = Credentials(recipient)
    credentials.token()
    return parts.netloc.rpartition("@")[2], credentials


def _content(path: Path | None) -> bytes | None:
    try:
        return path.read_bytes() if path else None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
