from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from engine.errors import ConfigError
from engine.evidence import SigningKey, load_public_key, load_signing_key, new_key, public_pem


def test_only_the_owner_can_read_a_new_key_and_everyone_its_public_half(tmp_path: Path):
    public = new_key(tmp_path / "key.pem")
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "key.pem.pub").stat().st_mode) == 0o644
    assert load_public_key(tmp_path / "key.pem.pub") == load_signing_key(tmp_path / "key.pem").public == public
    assert public_pem(public) == (tmp_path / "key.pem.pub").read_bytes()


def test_a_signature_belongs_to_its_content_and_its_key(key: SigningKey, other_key: SigningKey):
    signature = key.sign(b"content")
    assert signature == key.sign(b"content")
    assert key.public.has_signed(b"content", signature)
    assert not key.public.has_signed(b"contents", signature)
    assert not other_key.public.has_signed(b"content", signature)
    assert not key.public.has_signed(b"content", b"")


def test_the_repr_of_a_signing_key_hides_the_private_key(key: SigningKey):
    assert key.public.id in repr(key)
    assert "rivate" not in repr(key)


def test_a_key_is_never_overwritten(tmp_path: Path, key: SigningKey):
    before = (tmp_path / "key.pem").read_bytes()
    with pytest.raises(ConfigError, match="never overwritten"):
        new_key(tmp_path / "key.pem")
    assert (tmp_path / "key.pem").read_bytes() == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_private_key_that_others_can_read_is_refused(tmp_path: Path, key: SigningKey, mode: int):
    (tmp_path / "key.pem").chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_signing_key(tmp_path / "key.pem")


def test_a_file_that_is_not_a_key_is_named(tmp_path: Path):
    (tmp_path / "text").write_text("hello")
    (tmp_path / "text").chmod(0o600)
    for load in (load_signing_key, load_public_key):
        with pytest.raises(ConfigError, match="text"):
            load(tmp_path / "text")
        with pytest.raises(ConfigError, match="nowhere"):
            load(tmp_path / "nowhere")


def test_a_key_of_another_kind_is_refused(tmp_path: Path):
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (tmp_path / "ec").write_bytes(generate_private_key(SECP256R1()).private_bytes(*form))
    (tmp_path / "ec").chmod(0o600)
    with pytest.raises(ConfigError, match="not Ed25519"):
        load_signing_key(tmp_path / "ec")


def test_openssl_reads_the_same_public_key(tmp_path: Path, key: SigningKey):
    command = ["openssl", "pkey", "-pubin", "-in", str(tmp_path / "key.pem.pub"), "-outform", "DER"]
    der = subprocess.run(command, capture_output=True, check=True).stdout
    assert der[-32:].hex() == key.public.hex
