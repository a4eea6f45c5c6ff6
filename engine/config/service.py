"""Configuration of the register, of who is called and of who may call."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from engine.config.addresses import redact
from engine.config.values import Count, Name, Positive, Strict


class TlsConfig(Strict, frozen=True):
    """PEM files, relative to the configuration file; taken up by themselves when they are renewed."""

    certificate: Path
    """The service's certificate, and those that lead from it to its authority."""
    key: Path
    """The certificate's private key, without a password: only the engine's user may read it."""
    client_ca: Path | None = None
    """Authorities of client certificates; with it every caller must present one. None: none is asked for."""


class LimitsConfig(Strict, frozen=True):
    """What one credential may ask of the service."""

    calls_per_s: Positive = 100.0
    """In the long run; a stream is one call."""
    burst: Count = 200
    """Calls at once, after a silence."""
    streams: Count = 64
    """Watches, downloads and uploads open at the same time."""
    failures_per_s: Positive = 0.2
    """Calls without a valid credential that are answered at all, by address, in the long run."""
    failures_burst: Count = 20


class LedgerConfig(Strict, frozen=True):
    url: str = ""
    """postgresql://USER@HOST/DATABASE of a server that several nodes share; empty: SQLite in the state folder.

    ${NAME} is taken from the environment.
    """
    password_file: Path | None = None
    """File whose first line is the password of `url`, relative to the configuration file."""

    def __repr__(self) -> str:
        return f"LedgerConfig(url={redact(self.url)!r})"


class KeepRule(Strict, frozen=True):
    """How long some cases are kept; what is empty does not restrict, what is given must all hold."""

    days: Count
    """After they were recorded."""
    kinds: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    """Proposed: fine, warning, officer, indication."""
    dispositions: tuple[Literal["none", "accepted", "rejected", "exempt_other_driver", "exempt_stolen"], ...] = ()
    """What was decided last; none: nothing yet."""


class RetentionConfig(Strict, frozen=True):
    days: Annotated[int, Meta(ge=0)] = 0
    """How long a case is kept that no rule names; 0: for ever."""
    rules: tuple[KeepRule, ...] = ()
    """The first that fits counts."""


class RecipientConfig(Strict, frozen=True):
    """A register that wants to be called: every case that it wants is submitted to it, once by id."""

    name: Name
    url: str
    """Address; `engine.deliver.channels` lists the schemes. grpc:// and http:// beyond loopback need `insecure`.

    ${NAME} is taken from the environment.
    """
    form: Literal["qyran", "erap"] = "qyran"
    """How an HTTPS request is written; gRPC has one form."""
    insecure: bool = False
    """Send without encryption beyond loopback: only inside a network that is trusted as a whole."""
    token_file: Path | None = None
    """File whose first line is the bearer token, relative to the configuration file."""
    ca_file: Path | None = None
    """Certificates that the recipient's is checked against; None: those of the system."""
    certificate_file: Path | None = None
    key_file: Path | None = None
    """With `certificate_file`, what Qyran shows of itself (mutual TLS)."""
    kinds: tuple[str, ...] = ()
    """Only these kinds; empty: all."""
    outcomes: tuple[str, ...] = ()
    """Only cases proposed as these outcomes; empty: all."""
    first: tuple[str, ...] = ()
    """Kinds that go before the others, the first named first."""
    after_sequence: Annotated[int, Meta(ge=0)] = 0
    """Cases up to this sequence of the register are not submitted."""
    overdue_s: Positive = 86_400.0
    """A case that has waited for this long goes before all kinds."""
    per_hour: Count = 2_000
    """Submissions in an hour, evenly spread."""
    deadline_s: Positive = 10.0
    """How long a submission may take, from connecting to the last byte of the answer."""
    longest_pause_s: Positive = 300.0
    """Pauses after failures double up to this."""
    inline_bytes: Annotated[int, Meta(ge=0, le=64 * 1024 * 1024)] = 0
    """Evidence sent along with a case, at the most; the rest is fetched by the recipient. 0: everything is."""
    evidence_target: str = ""
    """host:port of the gRPC service where the recipient fetches evidence."""

    def __post_init__(self) -> None:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError(f"recipient {self.name}: certificate_file and key_file go together")

    def __repr__(self) -> str:
        return f"RecipientConfig(name={self.name!r}, url={redact(self.url)!r})"


class ServiceConfig(Strict, frozen=True):
    listen: str = "127.0.0.1:50151"
    """Address of the gRPC service; port 0 takes a free one."""
    insecure_listen: bool = False
    """Listen without encryption beyond loopback: only inside a network that is trusted as a whole."""
    heartbeat_s: Positive = 5.0
    """How often a watcher hears from the service when there is nothing to say."""
    keepalive_s: Positive = 30.0
    """A connection that is silent for so long is asked whether it lives, and closed if it does not answer."""
    tls: TlsConfig | None = None
    """None: plaintext, on loopback only unless `insecure_listen`."""
    camera_secrets: tuple[str, ...] = ()
    """Secrets that the address of a camera which is ordered over gRPC may name as ${NAME}; empty: none.

    Whoever may order cameras may have them sent to a host of their choice.
    """
    limits: LimitsConfig = LimitsConfig()


class MetricsConfig(Strict, frozen=True):
    listen: str = "127.0.0.1:9151"
    """Address of the Prometheus endpoint."""
