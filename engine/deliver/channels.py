"""From a recipient's configuration to its channel: the one place that knows the protocols."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import SplitResult, urlsplit

from engine.config import RecipientConfig, is_loopback, redact
from engine.deliver.channel import Channel
from engine.deliver.credentials import Credentials
from engine.deliver.erap import ErapForm
from engine.deliver.https import HttpsChannel, SubmissionForm
from engine.deliver.plain import PlainForm
from engine.deliver.rpc import RpcChannel
from engine.errors import ConfigError

FORMS: dict[str, Callable[[], SubmissionForm]] = {"qyran": PlainForm, "erap": ErapForm}
SCHEMES = ("grpcs", "grpc", "https", "http")


def open_channel(recipient: RecipientConfig) -> Channel:
    """Connects to nobody yet. Raises ConfigError."""
    parts = _split(recipient)
    where = f"recipient {recipient.name}: {redact(recipient.url)}"
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise ConfigError(f"{where}: is none of {', '.join(f'{scheme}://host' for scheme in SCHEMES)}")
    encrypted = parts.scheme in ("grpcs", "https")
    if not (encrypted or recipient.insecure or is_loopback(parts.hostname)):
        raise ConfigError(f"{where}: would be sent in the clear; use {parts.scheme}s://, or set insecure = true")
    credentials = Credentials(
        encrypted, recipient.token_file, recipient.ca_file, recipient.certificate_file, recipient.key_file
    )
    credentials.token()
    if parts.scheme in ("grpcs", "grpc"):
        return RpcChannel(parts.netloc.rpartition("@")[2], credentials, recipient.deadline_s)
    return HttpsChannel(recipient.url, FORMS[recipient.form](), credentials, recipient.deadline_s)


def _split(recipient: RecipientConfig) -> SplitResult:
    """Raises ConfigError for what is no address, repeating nothing of it: there may be a password in it."""
    try:
        parts = urlsplit(recipient.url)
        _ = parts.port
    except ValueError:
        raise ConfigError(f"recipient {recipient.name}: url: its host or port is none") from None
    return parts
