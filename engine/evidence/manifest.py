"""The manifest of a case's folder, and the check that every byte is as it was written.

`manifest.json` lists every file of the folder with its SHA-256, except itself and the next two; `seal.json` has the
SHA-256 of the manifest and the case's place in the engine's chain (`chain`); `seal.sig` signs the bytes of the seal.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from engine.errors import EvidenceError
from engine.evidence.chain import Seal, SealedCase
from engine.evidence.keys import PublicKey
from engine.types import EvidenceFile, document

CASE = "case.json"
MANIFEST = "manifest.json"
SEAL = "seal.json"
SIGNATURE = "seal.sig"
REPORT = re.compile(r"report\.[a-z]+\.html")
"""Names of reports: they are made from the document, so the document does not list them."""
BESIDE = frozenset({MANIFEST, SEAL, SIGNATURE})
"""Files that the manifest does not list."""
MEDIA_TYPES = {
    ".jpg": "image/jpeg",
    ".mp4": "video/mp4",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".html": "text/html",
    ".sig": "application/octet-stream",
}


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`manifest.json`."""

    schema: Literal[1]
    case: str
    files: tuple[EvidenceFile, ...]
    """By name."""


def describe(name: str, content: bytes) -> EvidenceFile:
    """The manifest's entry for a file. Raises KeyError for an unknown file type."""
    return EvidenceFile(name, MEDIA_TYPES[Path(name).suffix], len(content), hashlib.sha256(content).hexdigest())


def encode(manifest: Manifest) -> bytes:
    """UTF-8 JSON, indented, with a final newline."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"


def decode(content: bytes) -> Manifest:
    """Read a `manifest.json`. Raises EvidenceError if the content is not a manifest."""
    try:
        return msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, ValueError) as error:
        raise EvidenceError(str(error)) from error


def read_seal(folder: Path) -> SealedCase:
    """The seal of a folder, not checked. Raises OSError."""
    signature = folder / SIGNATURE
    return SealedCase((folder / SEAL).read_bytes(), signature.read_bytes() if signature.exists() else b"")


def verify_case(folder: Path, keys: Sequence[PublicKey] = ()) -> list[str]:
    """Problems of a case's folder, one sentence each; empty if every byte is as it was written.

    Finds changed, missing and extra files, a document of another case or with other files, a seal of another manifest,
    and a wrong signature. With `keys` also a case that is not signed, or signed by another key.
    """
    try:
        content = (folder / MANIFEST).read_bytes()
        manifest = decode(content)
    except (OSError, EvidenceError) as error:
        return [f"{MANIFEST}: cannot be read: {error}"]
    problems = list(_file_problems(folder, manifest)) or list(_contradictions(folder, manifest))
    return problems + list(_seal_problems(folder, manifest, hashlib.sha256(content).hexdigest(), keys))


def _file_problems(folder: Path, manifest: Manifest) -> Iterator[str]:
    listed = {file.name: file for file in manifest.files}
    there = {path.name for path in folder.iterdir()}
    yield from (f"{name}: is not in the manifest" for name in sorted(there - listed.keys() - BESIDE))
    yield from (f"{name}: is missing" for name in sorted(listed.keys() - there))
    yield from (line for name in sorted(there & listed.keys()) if (line := _differs(folder / name, listed[name])))


def _differs(path: Path, file: EvidenceFile) -> str:
    try:
        found = describe(file.name, path.read_bytes())
    except (OSError, KeyError) as error:
        return f"{file.name}: cannot be read: {error}"
    if found.sha256 != file.sha256:
        return f"{file.name}: was changed: its SHA-256 differs"
    return "" if found == file else f"{file.name}: differs from its entry in the manifest"


def _contradictions(folder: Path, manifest: Manifest) -> Iterator[str]:
    """Contradictions between manifest, document and the folder's name."""
    if CASE not in (file.name for file in manifest.files):
        yield f"{CASE}: is missing"
        return
    try:
        record = document.decode((folder / CASE).read_bytes(), source=CASE)
    except EvidenceError as error:
        yield str(error)
        return
    if not record.id == manifest.case == folder.name:
        yield f"{CASE}: is case {record.id}, but the manifest is of {manifest.case} and the folder {folder.name}"
    if {*record.files} != {file for file in manifest.files if file.name != CASE and not REPORT.fullmatch(file.name)}:
        yield f"{CASE}: lists other files than the manifest"


def _seal_problems(folder: Path, manifest: Manifest, manifest_sha256: str, keys: Sequence[PublicKey]) -> Iterator[str]:
    try:
        sealed = read_seal(folder)
        seal = sealed.read()
    except (OSError, EvidenceError) as error:
        yield f"{SEAL}: cannot be read: {error}"
        return
    if seal.case != manifest.case or seal.manifest_sha256 != manifest_sha256:
        yield f"{SEAL}: belongs to another manifest"
    yield from _signature_problems(sealed, seal, keys)


def _signature_problems(sealed: SealedCase, seal: Seal, keys: Sequence[PublicKey]) -> Iterator[str]:
    if seal.key is None:
        if sealed.signature:
            yield f"{SIGNATURE}: exists, but the seal names no key"
        if keys:
            yield f"{SEAL}: is not signed"
        return
    if not seal.key.has_signed(sealed.content, sealed.signature):
        yield f"{SIGNATURE}: is not a signature of {SEAL}"
    if keys and seal.key not in keys:
        yield f"{SEAL}: is signed by the key {seal.key.id}, which is not one of the given keys"
