"""A case on the disk: `root/YYYY/MM/DD/<case id>/`, all of it or nothing.

A folder is written beside the others in `root/.incoming`, synced, and renamed into its place; so whoever sees a case
sees the whole of it, and what a crash left half-written lies where `sweep` finds it. One engine writes below a root.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal

import msgspec
import structlog

from engine import document
from engine.document import Document
from engine.errors import EvidenceError
from engine.types import Case, EvidenceFile

log = structlog.get_logger()

INCOMING = ".incoming"
CASE = "case.json"
MANIFEST = "manifest.json"
JSON = "application/json"
MEDIA_TYPES = {".jpg": "image/jpeg", ".mp4": "video/mp4", ".json": JSON}


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`manifest.json`: what a case consists of."""

    schema: Literal[1]
    case: str
    files: tuple[EvidenceFile, ...]
    """Every file of the folder but this one, by name."""


def describe(name: str, content: bytes) -> EvidenceFile:
    """What a manifest says of a file."""
    return EvidenceFile(name, MEDIA_TYPES[Path(name).suffix], len(content), hashlib.sha256(content).hexdigest())


def sweep(root: Path) -> int:
    """Make the root and take away what a crash left half-written; returns how many. Raises EvidenceError."""
    try:
        incoming = root / INCOMING
        incoming.mkdir(parents=True, exist_ok=True)
        orphans = list(incoming.iterdir())
        for orphan in orphans:
            shutil.rmtree(orphan)
    except OSError as error:
        raise EvidenceError(f"{root}: {error}") from error
    return len(orphans)


def place(case: str, occurred_s: float) -> Path:
    """The folder of a case, relative to the root; the day is UTC's."""
    return Path(f"{document.moment(occurred_s):%Y/%m/%d}") / case


def store(root: Path, record: Document, files: Mapping[str, bytes]) -> Case:
    """Write a case with its document and manifest; raises EvidenceError with nothing left behind."""
    folder = place(record.id, record.time.occurred.timestamp())
    files = {**files, CASE: document.encode(record)}
    manifest = Manifest(schema=1, case=record.id, files=tuple(describe(name, files[name]) for name in sorted(files)))
    files[MANIFEST] = msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"
    try:
        _write(root / INCOMING / record.id, root / folder, files)
    except OSError as error:
        raise EvidenceError(f"{root / folder}: {error.strerror or error}") from error
    listed = (*manifest.files, describe(MANIFEST, files[MANIFEST]))
    return _case(record, files[CASE], listed, folder)


def find(root: Path, case: str, occurred_s: float) -> Case | None:
    """The case, if it is there and whole. A damaged folder is put aside as `<case id>.damaged-N`, never overwritten.

    Raises EvidenceError where the disk refuses.
    """
    folder = place(case, occurred_s)
    try:
        if not (root / folder).exists():
            return None
        if not verify_case(root / folder):
            return _load(root, folder)
        _put_aside(root / folder)
    except OSError as error:
        raise EvidenceError(f"{root / folder}: {error.strerror or error}") from error
    return None


def stored_cases(root: Path, is_known: Callable[[str], bool], *, days: int = 2) -> Iterator[Case]:
    """The whole cases of the newest `days` days whose id is not known: what a crash kept from the register.

    A damaged folder is left out.
    """
    newest = sorted(root.glob("[0-9]*/[0-9]*/[0-9]*"), reverse=True)[:days]
    for day in reversed(newest):
        for folder in sorted(path for path in day.iterdir() if path.is_dir()):
            if not is_known(folder.name) and not verify_case(folder):
                yield _load(root, folder.relative_to(root))


def verify_case(folder: Path) -> list[str]:
    """What is wrong with a case's folder, a sentence for each file; empty when every byte is as it was written.

    Finds changed, missing and extra files, and a document that is of another case or lists other files.
    """
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError) as error:
        return [f"{MANIFEST}: cannot be read: {error}"]
    listed = {file.name: file for file in manifest.files}
    there = {path.name for path in folder.iterdir()}
    problems = [f"{name}: is not in the manifest" for name in sorted(there - listed.keys() - {MANIFEST})]
    problems += [f"{name}: is missing" for name in sorted(listed.keys() - there)]
    problems += [line for name in sorted(there & listed.keys()) if (line := _differs(folder / name, listed[name]))]
    return problems or list(_contradictions(folder, manifest))


def _put_aside(folder: Path) -> None:
    number = 1
    while (aside := folder.with_name(f"{folder.name}.damaged-{number}")).exists():
        number += 1
    log.error("a case's folder is damaged and was put aside", folder=str(folder), aside=aside.name)
    folder.rename(aside)


def _differs(path: Path, file: EvidenceFile) -> str:
    try:
        found = describe(file.name, path.read_bytes())
    except (OSError, KeyError) as error:
        return f"{file.name}: cannot be read: {error}"
    if found.sha256 != file.sha256:
        return f"{file.name}: is not what was written: its SHA-256 differs"
    return "" if found == file else f"{file.name}: the manifest describes it wrongly"


def _contradictions(folder: Path, manifest: Manifest) -> Iterator[str]:
    """Between manifest, document and the folder's name."""
    if CASE not in (file.name for file in manifest.files):
        yield f"{CASE}: is missing"
        return
    try:
        record = document.decode((folder / CASE).read_bytes(), source=CASE)
    except EvidenceError as error:
        yield str(error)
        return
    if not record.id == manifest.case == folder.name:
        yield f"{CASE}: is of case {record.id}, the manifest of {manifest.case}, in the folder {folder.name}"
    if {*record.files} != {file for file in manifest.files if file.name != CASE}:
        yield f"{CASE}: lists other files than the manifest"


def _load(root: Path, folder: Path) -> Case:
    manifest = msgspec.json.decode((root / folder / MANIFEST).read_bytes(), type=Manifest)
    content = (root / folder / CASE).read_bytes()
    own = describe(MANIFEST, (root / folder / MANIFEST).read_bytes())
    return _case(document.decode(content, source=str(folder / CASE)), content, (*manifest.files, own), folder)


def _case(record: Document, content: bytes, files: tuple[EvidenceFile, ...], folder: Path) -> Case:
    return Case(
        id=record.id,
        camera=record.place.camera,
        kind=record.kind,
        occurred_s=record.time.occurred.timestamp(),
        document=content,
        files=files,
        folder=folder.as_posix(),
    )


def _write(incoming: Path, target: Path, files: Mapping[str, bytes]) -> None:
    try:
        shutil.rmtree(incoming, ignore_errors=True)
        incoming.mkdir()
        for name, content in files.items():
            _write_synced(incoming / name, content)
        _sync_folder(incoming)
        _make_folders(target.parent)
        incoming.rename(target)
        _sync_folder(target.parent)
    except OSError:
        shutil.rmtree(incoming, ignore_errors=True)
        raise


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("xb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _make_folders(folder: Path) -> None:
    """mkdir -p that survives a power cut: every new name is synced in its parent."""
    if folder.is_dir():
        return
    _make_folders(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
