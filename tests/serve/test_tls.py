"""TLS of the service: client certificates, and certificates that are renewed while it runs."""

from __future__ import annotations

import datetime as dt
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.access import EVERYTHING, Role
from engine.client import CallRefused, QyranClient, Tls
from engine.config import TlsConfig
from engine.errors import ConfigError
from rig.examples import make_case
from rig.serving import World, eventually
from tests.support.certificates import Authority


class Pki:
    """An authority with a service's certificate, and the service's configuration."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority(folder)
        self.certificate, self.key = self.authority.issue("server")

    def config(self, *, clients: bool) -> TlsConfig:
        client_ca = self.authority.ca if clients else None
        return TlsConfig(certificate=self.certificate, key=self.key, client_ca=client_ca)

    def tls(self, name: str = "", *, authority: Authority | None = None, **options: object) -> Tls:
        """The TLS settings of a client, with its own certificate if a name is given."""
        if not name:
            return Tls(self.authority.ca)
        return Tls(self.authority.ca, *(authority or self.authority).issue(name, **options))


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path)


@pytest.fixture
def world(tmp_path: Path, pki: Pki) -> Iterator[World]:
    """A service that requires client certificates; `registry` has a role."""
    world = World(tmp_path, tls=pki.config(clients=True))
    world.ledger.append([make_case(1)])
    world.tokens.new_certificate("registry", Role.REGISTER, EVERYTHING)
    world.let_know()
    yield world
    world.close()


def first(world: World, tls: Tls, token: str = "", timeout_s: float = 2.0) -> int:
    """The first sequence that a client receives. Raises CallRefused."""
    with QyranClient(world.address, tls=tls, token=token, timeout_s=timeout_s) as client:
        return next(iter(client.list_cases())).sequence


def test_a_certificate_has_its_role(world: World, pki: Pki):
    assert first(world, pki.tls("registry")) == 1


def test_a_certificate_without_a_role_needs_a_token(world: World, pki: Pki):
    with pytest.raises(CallRefused, match="'stranger' has no role"):
        first(world, pki.tls("stranger"))
    token = world.tokens.new("ours", Role.VIEWER, EVERYTHING)
    world.let_know()
    assert first(world, pki.tls("stranger"), token) == 1


def test_a_revoked_certificate_is_refused(world: World, pki: Pki):
    tls = pki.tls("registry")
    assert first(world, tls) == 1
    world.tokens.revoke(world.tokens.all()[0].id)
    world.let_know()
    with pytest.raises(CallRefused, match="UNAUTHENTICATED"):
        first(world, tls)


def test_a_missing_foreign_or_expired_certificate_is_refused(world: World, pki: Pki):
    for tls in (
        pki.tls(),
        pki.tls("registry", authority=Authority(pki.folder, "other-ca"), file="foreign"),
        pki.tls("registry", file="expired", valid=dt.timedelta(days=-1)),
    ):
        with pytest.raises(CallRefused, match=r"UNAVAILABLE|DEADLINE"):
            first(world, tls)


def test_a_client_refuses_a_service_of_another_authority(world: World, pki: Pki):
    certificate, key = pki.authority.issue("registry")
    with pytest.raises(CallRefused, match=r"UNAVAILABLE|DEADLINE"):
        first(world, Tls(Authority(pki.folder, "elsewhere").ca, certificate, key))


def test_encryption_alone_does_not_admit_a_caller(tmp_path: Path, pki: Pki):
    world = World(tmp_path, tls=pki.config(clients=False))
    with pytest.raises(CallRefused, match="UNAUTHENTICATED: no credential"):
        first(world, pki.tls())
    token = world.tokens.new("ours", Role.VIEWER, EVERYTHING)
    world.ledger.append([make_case(1)])
    world.let_know()
    assert first(world, pki.tls(), token) == 1
    world.close()


def served(world: World, pki: Pki) -> bytes:
    """The certificate that a new connection receives."""
    import socket
    import ssl

    context = ssl.create_default_context(cafile=str(pki.authority.ca))
    context.set_alpn_protocols(["h2"])
    host, _, port = world.address.rpartition(":")
    with socket.create_connection((host, int(port))) as plain, context.wrap_socket(plain, server_hostname=host) as tls:
        return tls.getpeercert(binary_form=True) or b""


def test_renewed_certificates_are_loaded_and_broken_ones_are_not(tmp_path: Path, pki: Pki):
    world = World(tmp_path, tls=pki.config(clients=False))
    before = served(world, pki)
    renewed = pki.authority.issue("server", "renewed")
    shutil.copy(renewed[0], pki.certificate)  # half-way: the key is still the old one
    assert served(world, pki) == before
    shutil.copy(renewed[1], pki.key)
    assert eventually(lambda: served(world, pki) != before)
    after = served(world, pki)
    pki.certificate.write_text("rubbish")
    pki.key.unlink()
    assert served(world, pki) == after
    world.close()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda pki: pki.key.unlink(), r"server\.key: No such file"),
        (lambda pki: pki.key.write_text("x"), r"server\.key: is no private key"),
        (lambda pki: pki.certificate.write_text("x"), r"server\.pem: holds no certificate"),
        (lambda pki: shutil.copy(pki.authority.issue("b")[1], pki.key), r"server\.key is not the key of .*server\.pem"),
    ],
)
def test_mismatched_files_are_an_error_at_the_start(tmp_path: Path, pki: Pki, spoil, message: str):
    spoil(pki)
    with pytest.raises(ConfigError, match=rf"service\.tls: .*{message}"):
        World(tmp_path, tls=pki.config(clients=False))


def test_the_end_of_the_certificate_is_a_metric(world: World):
    assert 0.5 < (world.metric("qyran_certificate_expiry_timestamp_seconds") - time.time()) / 86400 < 1.1


def test_a_client_sends_no_token_in_plaintext_over_a_network():
    with pytest.raises(ConfigError, match="a token is not sent over the network in plaintext"):
        QyranClient("qyran.example:50151", token="qyran_0_0")
