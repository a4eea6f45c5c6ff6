"""The recipient kinds: from the scheme of a recipient's address to its channel."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from engine.config import RecipientConfig, redact
from engine.deliver.channel import Channel
from engine.deliver.https import HttpsChannel
from engine.deliver.rpc import RpcChannel
from engine.errors import ConfigError

CHANNELS: Mapping[str, Callable[[RecipientConfig], Channel]] = {
    "grpcs": RpcChannel,
    "grpc": RpcChannel,
    "https": HttpsChannel,
    "http": HttpsChannel,
}
"""Every scheme that an address may have. A new kind is a file of its own and a line here."""


def open_channel(recipient: RecipientConfig) -> Channel:
    """The channel of a recipient; it connects at the first submission. Raises ConfigError for a wrong configuration."""
    scheme, separator, _ = recipient.url.partition("://")
    if not separator or scheme.lower() not in CHANNELS:
        known = ", ".join(f"{scheme}://" for scheme in CHANNELS)
        raise ConfigError(f"recipient {recipient.name}: {redact(recipient.url)}: the address must begin with {known}")
    return CHANNELS[scheme.lower()](recipient)
