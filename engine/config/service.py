"""Configuration of the ledger, of the recipients, and of the service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from engine.config.values import Count, Name, Positive, Strict, redact


class TlsConfig(Strict, frozen=True):
    """PEM files, relative to the configuration file. The service loads renewed files without a restart."""

    certificate: Path
    """The service's certificate with its chain up to the authority."""
    key: Path
    """The certificate's private key, without a password. Only the engine's user may read it."""
    client_ca: Path | None = None
    """Authorities of client certificates. If set, each caller must present a certificate."""


class LimitsConfig(Strict, frozen=True):
    """Limits of one credential at the service."""

    calls_per_s: Positive = 100.0
    """Calls per second on average. A stream is one call."""
    burst: Count = 200
    """Calls at once after a pause."""
    streams: Count = 64
    """Watches, downloads and uploads that are open at the same time."""
    failures_per_s: Positive = 0.2
    """Answered calls without a valid credential per second and address, on average."""
    failures_burst: Count = 20
    """Answered calls without a valid credential at once."""


class LedgerConfig(Strict, frozen=True):
    """Where the ledger is."""

    url: str = ""
    """postgresql://USER@HOST/DATABASE of a server that several nodes share; empty for SQLite in the state folder.
    ${NAME} comes from the environment."""
    password_file: Path | None = None
    """File with the password of `url` in its first line, relative to the configuration file."""

    def __repr__(self) -> str:
        return f"LedgerConfig(url={redact(self.url)!r})"


class KeepRule(Strict, frozen=True):
    """How long the cases that match all given conditions are kept. An empty condition matches all cases."""

    days: Count
    """Days since the case was recorded."""
    kinds: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    """Proposed outcomes: fine, warning, officer, indication."""
    dispositions: tuple[Literal["none", "accepted", "rejected", "exempt_other_driver", "exempt_stolen"], ...] = ()
    """The latest decision; `none` if there is no decision yet."""


class RetentionConfig(Strict, frozen=True):
    """How long cases are kept."""

    days: Annotated[int, Meta(ge=0)] = 0
    """Days for cases that no rule matches; 0 for ever."""
    rules: tuple[KeepRule, ...] = ()
    """The first rule that matches applies."""


class RecipientConfig(Strict, frozen=True):
    """A register that the engine calls. The engine submits each matching case to it once, by id."""

    name: Name
    url: str
    """Address; `engine.deliver.deliverer` lists the schemes. grpc:// and http:// beyond loopback need `insecure`.

    ${NAME} is taken from the environment.
    """
    form: Literal["qyran", "erap"] = "qyran"
    """Format of HTTPS requests. gRPC has one format."""
    insecure: bool = False
    """Send without encryption beyond loopback. Only for a network that is trusted as a whole."""
    token_file: Path | None = None
    """File with the bearer token in its first line, relative to the configuration file."""
    ca_file: Path | None = None
    """Authorities that verify the recipient's certificate; None for those of the system."""
    certificate_file: Path | None = None
    """Client certificate for mutual TLS."""
    key_file: Path | None = None
    """Private key of `certificate_file`."""
    kinds: tuple[str, ...] = ()
    """Submit only these kinds; empty for all."""
    outcomes: tuple[str, ...] = ()
    """Submit only cases with these proposed outcomes; empty for all."""
    first: tuple[str, ...] = ()
    """Kinds with priority, in this order."""
    after_sequence: Annotated[int, Meta(ge=0)] = 0
    """Submit only cases after this sequence of the ledger."""
    overdue_s: Positive = 86_400.0
    """A case that waits for longer has priority over all kinds."""
    per_hour: Count = 2_000
    """Submissions per hour, evenly spread."""
    deadline_s: Positive = 10.0
    """Time limit of a submission, from the connection to the last byte of the answer."""
    longest_pause_s: Positive = 300.0
    """Pauses after failures double up to this limit."""
    inline_bytes: Annotated[int, Meta(ge=0, le=64 * 1024 * 1024)] = 0
    """Send at most this much evidence with a case; the recipient fetches the rest. 0: it fetches all evidence."""
    evidence_target: str = ""
    """host:port of the gRPC service from which the recipient fetches evidence."""

    def __post_init__(self) -> None:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError(f"recipient {self.name}: certificate_file and key_file must be set together")

    def __repr__(self) -> str:
        return f"RecipientConfig(name={self.name!r}, url={redact(self.url)!r})"


class ServiceConfig(Strict, frozen=True):
    """The gRPC service."""

    listen: str = "127.0.0.1:50151"
    """Address of the service; port 0 takes a free port."""
    insecure_listen: bool = False
    """Listen without encryption beyond loopback. Only for a network that is trusted as a whole."""
    heartbeat_s: Positive = 5.0
    """Interval of the messages to a watcher while there are no new cases."""
    keepalive_s: Positive = 30.0
    """The service probes a connection that is silent for this long, and closes it if there is no answer."""
    tls: TlsConfig | None = None
    """None for plaintext, which is for loopback only unless `insecure_listen` is set."""
    camera_secrets: tuple[str, ...] = ()
    """Secrets that the address of a camera added over gRPC may name as ${NAME}. A client that may add cameras can send
    these secrets to any host."""
    limits: LimitsConfig = LimitsConfig()


class MetricsConfig(Strict, frozen=True):
    """The Prometheus endpoint."""

    listen: str = "127.0.0.1:9151"
    """Address of the endpoint."""
