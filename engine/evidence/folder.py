"""A case on the disk: `root/YYYY/MM/DD/<case id>/`, all of it or nothing.

A folder is written beside the others in `root/.incoming`, synced, sealed (its seal is committed to the chain), and
renamed into its place; so whoever sees a case sees the whole of it. What a crash left in `.incoming` is put into its
place at the next start where its seal was committed, and swept away where it was not; what is no case at all, as a file
that somebody laid there, is set aside in `root/.strange`. One engine writes below a root.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
import weakref
from collections.abc import Mapping
from pathlib import Path

import structlog

from engine.errors import EvidenceError
from engine.evidence import manifest
from engine.evidence.chain import CHAIN, Chain, SealedCase
from engine.evidence.keys import SigningKey
from engine.evidence.manifest import CASE, MANIFEST, SEAL, SIGNATURE, Manifest, describe, read_seal, verify_case
from engine.types import Case, EvidenceFile, document
from engine.types.document import CaseDocument

log = structlog.get_logger()

INCOMING = ".incoming"
ASIDE = ".damaged-"
"""In the name of a folder that was put aside."""
CLAIM = ".claim"
"""File that the one engine which writes below a root has locked."""
STRANGE = ".strange"
"""Where that goes which lay among the incoming cases and is none."""


class Folders:
    """Writes and finds the cases below a root."""

    def __init__(self, root: Path, owner: str, key: SigningKey | None) -> None:
        """Make the root, claim it, and settle what a crash left half-done; `owner` names a new chain.

        Raises EvidenceError, also where another process writes there.
        """
        self._root = root
        try:
            (root / INCOMING).mkdir(parents=True, exist_ok=True)
            weakref.finalize(self, os.close, _claimed(root))
            self._chain = Chain(root / CHAIN, owner, key)
            for orphan in sorted((root / INCOMING).iterdir()):
                self._settle(orphan)
        except OSError as error:
            raise EvidenceError(f"{root}: {error}") from error

    def find(self, case: str, occurred_s: float) -> Case | None:
        """The case, if it is there and whole. A damaged one is put aside as `<case id>.damaged-N`, never overwritten.

        Raises EvidenceError where the disk refuses.
        """
        folder = place(case, occurred_s)
        try:
            if not (self._root / folder).exists() and not self._finish(self._root / INCOMING / case):
                return None
            if not verify_case(self._root / folder):
                return load(self._root, folder)
            _put_aside(self._root / folder)
        except OSError as error:
            raise EvidenceError(f"{self._root / folder}: {error.strerror or error}") from error
        return None

    def store(self, record: CaseDocument, files: Mapping[str, bytes]) -> Case:
        """Write a case with its document, manifest and seal.

        Raises EvidenceError with nothing left behind, or, where its seal is committed, with what `find` will finish.
        """
        folder = place(record.id, record.time.occurred.timestamp())
        content = {**files, CASE: document.encode(record)}
        content |= self._sealed(record.id, content)
        sealed = SealedCase(content[SEAL], content.get(SIGNATURE, b""))
        incoming = self._root / INCOMING / record.id
        try:
            _write(incoming, content)
            self._commit(sealed, incoming)
            _move(incoming, self._root / folder)
        except OSError as error:
            raise EvidenceError(f"{self._root / folder}: {error.strerror or error}") from error
        return _case(record, content, folder)

    def _sealed(self, case: str, files: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """The manifest of the files, its seal, and the signature if there is one."""
        listed = tuple(describe(name, files[name]) for name in sorted(files))
        content = manifest.encode(Manifest(schema=1, case=case, files=listed))
        sealed = self._chain.next(case, describe(MANIFEST, content).sha256)
        signature = {SIGNATURE: sealed.signature} if sealed.signature else {}
        return {MANIFEST: content, SEAL: sealed.content} | signature

    def _commit(self, sealed: SealedCase, incoming: Path) -> None:
        try:
            self._chain.commit(sealed)
        except EvidenceError:
            shutil.rmtree(incoming, ignore_errors=True)
            raise

    def _settle(self, orphan: Path) -> None:
        """Finish a case that a crash left behind, sweep away half of one, set aside what is none. Raises OSError."""
        if orphan.is_symlink() or not orphan.is_dir():
            _set_aside(self._root, orphan)
        elif not self._finish(orphan):
            log.warning("half-written case of a crash swept away", case=orphan.name)
            shutil.rmtree(orphan)

    def _finish(self, incoming: Path) -> bool:
        """Put a written case into its place, if its seal was committed. Raises OSError."""
        if not incoming.is_dir() or verify_case(incoming) or not self._chain.holds(read_seal(incoming)):
            return False
        record = document.decode((incoming / CASE).read_bytes(), source=str(incoming / CASE))
        target = self._root / place(record.id, record.time.occurred.timestamp())
        if target.exists():
            return False
        log.warning("case that was sealed before a crash is put into its place", case=record.id)
        _move(incoming, target)
        return True


def _claimed(root: Path) -> int:
    """The descriptor of a claim to write below the root, which ends with this process, however that ends.

    Two would sweep each other's cases away: raises EvidenceError where another process has it.
    """
    claim = os.open(root / CLAIM, os.O_RDWR | os.O_CREAT, 0o640)
    try:
        fcntl.lockf(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(claim)
        raise EvidenceError(f"{root}: another engine writes its evidence there") from error
    return claim


def place(case: str, occurred_s: float) -> Path:
    """The folder of a case, relative to the root; the day is UTC's."""
    return Path(f"{document.moment(occurred_s):%Y/%m/%d}") / case


def remove_folder(root: Path, folder: str) -> None:
    """Take a case's folder away, and its day's where that was the last; done already is done. Raises EvidenceError."""
    path = (root / folder).resolve()
    if root.resolve() not in path.parents:
        raise EvidenceError(f"{folder}: lies outside the evidence")
    try:
        if path.exists():
            shutil.rmtree(path)
        for parent in list(path.parents)[:3]:
            if parent == root.resolve() or not parent.is_dir() or any(parent.iterdir()):
                break
            parent.rmdir()
    except OSError as error:
        raise EvidenceError(f"{path}: {error.strerror or error}") from error


def _put_aside(folder: Path) -> None:
    aside = _free(folder.with_name(f"{folder.name}{ASIDE}"))
    log.error("a case's folder is damaged and was put aside", folder=str(folder), aside=aside.name)
    folder.rename(aside)


def _set_aside(root: Path, stranger: Path) -> None:
    """What the engine did not write is kept for whoever did, where it is in nobody's way."""
    (root / STRANGE).mkdir(exist_ok=True)
    aside = _free(root / STRANGE / f"{stranger.name}-")
    log.error("no case, though it lay among the incoming ones: set aside", path=str(stranger), aside=str(aside))
    stranger.rename(aside)


def _free(path: Path) -> Path:
    """The path with the first number behind it that nothing has yet."""
    return next(found for n in itertools.count(1) if not os.path.lexists(found := path.with_name(f"{path.name}{n}")))


def load(root: Path, folder: Path) -> Case:
    """The case in a folder, which is relative to the root. Raises OSError, EvidenceError."""
    listed = manifest.decode((root / folder / MANIFEST).read_bytes()).files
    names = [CASE, *(name for name in (MANIFEST, SEAL, SIGNATURE) if (root / folder / name).exists())]
    files = {name: (root / folder / name).read_bytes() for name in names}
    record = document.decode(files[CASE], source=str(folder / CASE))
    return _case(record, files, folder, tuple(file for file in listed if file.name != CASE))


def _case(record: CaseDocument, files: Mapping[str, bytes], folder: Path, rest: tuple[EvidenceFile, ...] = ()) -> Case:
    """Of files whose content is here, and the rest, which is described."""
    described = (*rest, *(describe(name, content) for name, content in files.items()))
    return Case(
        id=record.id,
        camera=record.place.camera,
        kind=record.kind,
        occurred_s=record.time.occurred.timestamp(),
        document=files[CASE],
        files=tuple(sorted(described, key=lambda file: file.name)),
        folder=folder.as_posix(),
        area=record.place.area,
    )


def _write(incoming: Path, files: Mapping[str, bytes]) -> None:
    """A folder with the files, synced; nothing is left of it where that fails."""
    try:
        shutil.rmtree(incoming, ignore_errors=True)
        incoming.mkdir()
        for name, content in files.items():
            _write_synced(incoming / name, content)
        _sync_folder(incoming)
    except OSError:
        shutil.rmtree(incoming, ignore_errors=True)
        raise


def _move(incoming: Path, target: Path) -> None:
    _make_folders(target.parent)
    incoming.rename(target)
    _sync_folder(target.parent)


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
