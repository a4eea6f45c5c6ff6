"""Identifies callers: by bearer token, by client certificate, or by this machine while no security is configured."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import grpc
import structlog
from cryptography import x509

from engine.access import Caller, Role
from engine.ledger.tokens import Token, split
from engine.serve.status import Unauthenticated

log = structlog.get_logger()

LOOPBACK = Caller("loopback", Role.ADMIN, credential="loopback")
LOCAL_PEERS = ("ipv4:127.", "ipv6:%5B::1%5D", "ipv6:[::1]", "unix:")
"""Beginnings of gRPC's name for a peer on this machine."""


class CallerDirectory:
    """The credentials in memory: a caller is identified without reading the disk. For one thread."""

    def __init__(self, *, encrypted: bool) -> None:
        self._encrypted = encrypted
        self._tokens: Mapping[str, Token] = {}
        self._certificates: Mapping[str, Token] = {}
        self._open: bool | None = None

    def update(self, tokens: Sequence[Token]) -> None:
        """Replace all credentials."""
        self._tokens = {token.id: token for token in tokens}
        valid = [token for token in tokens if token.is_valid(time.time())]
        self._certificates = {token.name: token for token in valid if token.is_certificate}
        was_open, self._open = self._open, not tokens and not self._encrypted
        if self._open and not was_open:
            log.warning("no security is configured: every caller on this machine is admin, other machines may not call")

    def caller(self, context: grpc.aio.ServicerContext[Any, Any]) -> Caller:
        """The caller of a call. Raises Unauthenticated, but no message says which part of a credential was wrong."""
        bearer = _bearer(context)
        if bearer is not None:
            return self._by_token(bearer)
        if (certificate := _certificate(context)) is not None:
            return self._by_certificate(*certificate)
        if self._open and context.peer().startswith(LOCAL_PEERS):
            return LOOPBACK
        raise Unauthenticated("no credential: send `authorization: Bearer TOKEN`, or a client certificate")

    def require_valid(self, caller: Caller) -> None:
        """Raises Unauthenticated if the credential of an admitted caller has ended; for calls that last."""
        kind, _, token_id = caller.credential.partition(" ")
        token = self._tokens.get(token_id)
        known = self._open if kind == "loopback" else token is not None and token.is_valid(time.time())
        if not known or caller.expires_s <= time.time():
            raise Unauthenticated("the credential has expired or was revoked")

    def _by_token(self, bearer: str) -> Caller:
        token_id, secret = split(bearer) or ("", "")
        token = self._tokens.get(token_id)
        if token is None or not token.fits(secret) or not token.is_valid(time.time()):
            raise Unauthenticated("the token is unknown, expired or revoked")
        return _caller(token, "token", float("inf"))

    def _by_certificate(self, name: str, expires_s: float) -> Caller:
        token = self._certificates.get(name)
        if token is None or not token.is_valid(time.time()):
            raise Unauthenticated(f"the certificate of {name!r} has no role: `qyran token new --certificate`")
        return _caller(token, "certificate", expires_s)


def _caller(token: Token, kind: str, expires_s: float) -> Caller:
    ends_s = min(expires_s, token.expires_s if token.expires_s is not None else float("inf"))
    return Caller(
        name=token.name, role=token.role, scope=token.scope, credential=f"{kind} {token.id}", expires_s=ends_s
    )


def _bearer(context: grpc.aio.ServicerContext[Any, Any]) -> str | None:
    for key, value in context.invocation_metadata() or ():
        if key == "authorization":
            scheme, _, token = str(value).partition(" ")
            return token.strip() if scheme.lower() == "bearer" else ""
    return None


def _certificate(context: grpc.aio.ServicerContext[Any, Any]) -> tuple[str, float] | None:
    """Common name and end of the client's certificate, which the handshake has verified; None without certificate."""
    found = context.auth_context()
    pem, names = list(found.get("x509_pem_cert", ())), list(found.get("x509_common_name", ()))
    if not pem or not names:
        return None
    return names[0].decode("utf-8", "replace"), _ends_s(pem[0])


@lru_cache(maxsize=1024)
def _ends_s(pem: bytes) -> float:
    return x509.load_pem_x509_certificate(pem).not_valid_after_utc.timestamp()
