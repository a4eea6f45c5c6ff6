"""Types of the values in operators' files, the base class of all structs that are read from them, and addresses.

Addresses of cameras, databases and services must be printed without credentials: see `redact`.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal
from urllib.parse import quote, urlsplit, urlunsplit

import msgspec
from msgspec import Meta

from engine.errors import ConfigError

Positive = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]
Fraction01 = Annotated[float, Meta(ge=0, le=1)]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
"""Letters, digits, dot, dash and underscore: names become part of file names, labels and case ids."""
Region = tuple[Fraction01, Fraction01, Fraction01, Fraction01]
"""Left, top, right, bottom as fractions of the picture."""
Review = Literal["automatic", "officer"]
"""Whether a case of a kind needs the decision of an officer."""

WHOLE_PICTURE: Region = (0.0, 0.0, 1.0, 1.0)


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all structs that are read from files: frozen; an unknown key is an error."""


def redact(url: str) -> str:
    """The address without user, password, query and fragment, for logs and messages (RFC 3986, 3.2.1 and 7.5)."""
    if "://" not in url:
        return url
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def is_loopback(host: str) -> bool:
    """True if the host is this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def split_address(listen: str, *, source: str) -> tuple[str, int]:
    """Host and port of `host:port`. Raises ConfigError; `source` is the place in its message."""
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f"{source}: {listen!r} is not host:port")
    return host, int(port)


def with_password(url: str, password: str) -> str:
    """The URL with this password, which replaces another one."""
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}:{quote(password, safe='')}@{host}"))
