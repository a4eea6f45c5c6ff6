"""The key that signs an engine's cases: Ed25519 (RFC 8032), in PEM files that OpenSSL also reads.

Only its owner may read the private key's file; the public key, for verification, is beside it. To rotate, make a new
key and name it in the configuration: every seal names its key, so keep the old public key for the cases that it signed.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from engine.errors import ConfigError

ID_DIGITS = 16
"""Length of a key's id: the first hexadecimal digits of the public key, for people to compare."""
PUBLIC_SUFFIX = ".pub"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """Verifies signatures."""

    hex: str
    """The 32 bytes of the key (RFC 8032, 5.1.5), hexadecimal."""

    @property
    def id(self) -> str:
        """Short form for people."""
        return self.hex[:ID_DIGITS]

    def has_signed(self, content: bytes, signature: bytes) -> bool:
        """True if the signature is of this content and by this key."""
        try:
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.hex)).verify(signature, content)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class SigningKey:
    """Signs. Its repr shows the public half only."""

    public: PublicKey
    _private: Ed25519PrivateKey = field(repr=False)

    def sign(self, content: bytes) -> bytes:
        """64 bytes; the same for the same content."""
        return self._private.sign(content)


def new_key(path: Path) -> PublicKey:
    """Make a key pair: the private key at `path`, mode 0600, the public key at `path`.pub. Raises ConfigError."""
    private = Ed25519PrivateKey.generate()
    try:
        _write(path, _private_pem(private), 0o600)
        _write(path.with_name(path.name + PUBLIC_SUFFIX), public_pem(_public(private)), 0o644)
    except FileExistsError as error:
        raise ConfigError(f"{error.filename}: exists already; a key is never overwritten") from error
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    return _public(private)


def load_signing_key(path: Path) -> SigningKey:
    """Read a private key. Raises ConfigError, also if others than its owner may read the file."""
    mode = stat.S_IMODE(_read(path)[1].st_mode)
    if mode & 0o077:
        raise ConfigError(f"{path}: others can read this private key (mode {mode:04o}): chmod 600 it")
    try:
        private = serialization.load_pem_private_key(_read(path)[0], password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{path}: is not a private key in PEM without a password: {error}") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise ConfigError(f"{path}: is a private key, but not Ed25519")
    return SigningKey(_public(private), private)


def load_public_key(path: Path) -> PublicKey:
    """Read a public key. Raises ConfigError."""
    try:
        public = serialization.load_pem_public_key(_read(path)[0])
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{path}: is not a public key in PEM: {error}") from error
    if not isinstance(public, Ed25519PublicKey):
        raise ConfigError(f"{path}: is a public key, but not Ed25519")
    return PublicKey(public.public_bytes_raw().hex())


def public_pem(public: PublicKey) -> bytes:
    """SubjectPublicKeyInfo in PEM (RFC 8410)."""
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public.hex))
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _private_pem(private: Ed25519PrivateKey) -> bytes:
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _public(private: Ed25519PrivateKey) -> PublicKey:
    return PublicKey(private.public_key().public_bytes_raw().hex())


def _read(path: Path) -> tuple[bytes, os.stat_result]:
    try:
        return path.read_bytes(), path.stat()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a new file that never has another mode: O_EXCL, and fchmod against the umask, before the content."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as stream:
        os.fchmod(descriptor, mode)
        stream.write(content)
        stream.flush()
        os.fsync(descriptor)
