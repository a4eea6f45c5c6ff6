"""A case on the disk: `root/YYYY/MM/DD/<case id>/`, complete or absent.

A folder is written in `root/.incoming`, synced, sealed (its seal is committed to the chain) and moved to its place:
a reader always sees a complete case. At the next start after a crash, a folder in `.incoming` is moved to its place if
its seal was committed, and deleted if not; anything else that is found there is moved to `root/.strange`. One engine
writes below a root.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import structlog

from engine.errors import EvidenceError
from engine.evidence import manifest
from engine.evidence.chain import CHAIN, Chain, SealedCase, is_committed
from engine.evidence.keys import SigningKey
from engine.evidence.manifest import CASE, MANIFEST, SEAL, SIGNATURE, Manifest, describe, read_seal, verify_case
from engine.types import Case, EvidenceFile, document
from engine.types.document import CaseDocument

log = structlog.get_logger()

INCOMING = ".incoming"
ASIDE = ".damaged-"
"""Part of the name of a damaged folder that was set aside."""
CLAIM = ".claim"
"""File that is locked by the engine that writes below the root."""
STRANGE = ".strange"
"""Folder for stray files found among incoming cases."""
DAY_S = 86_400.0


class Folders:
    """Writes and finds the cases below a root."""

    def __init__(self, root: Path, owner: str, key: SigningKey | None) -> None:
        """Create and lock the root, and finish or delete what a crash left; `owner` is part of a new chain's name.

        Raises EvidenceError, also if another process writes there.
        """
        self._root = root
        try:
            (root / INCOMING).mkdir(parents=True, exist_ok=True)
            weakref.finalize(self, os.close, _lock(root))
            self._chain = Chain(root / CHAIN, owner, key)
            for orphan in sorted((root / INCOMING).iterdir()):
                self._settle(orphan)
        except OSError as error:
            raise EvidenceError(f"{root}: {error}") from error

    def find(self, case: str, occurred_s: float) -> Case | None:
        """The case if it is there and complete, else None. A damaged one is renamed to `<case id>.damaged-N` first.

        Raises EvidenceError if the disk refuses.
        """
        folder = case_folder(case, occurred_s)
        try:
            if not (self._root / folder).exists() and not self._finish(self._root / INCOMING / case):
                return None
            if not verify_case(self._root / folder):
                return load(self._root, folder)
            _set_damaged_aside(self._root / folder)
        except OSError as error:
            raise EvidenceError(f"{self._root / folder}: {error.strerror or error}") from error
        return None

    def store(self, record: CaseDocument, files: Mapping[str, bytes]) -> Case:
        """Write a case with its document, manifest and seal.

        Raises EvidenceError; then nothing is left, or, if the seal is committed, `find` completes the case later.
        """
        folder = case_folder(record.id, record.time.occurred.timestamp())
        content = {**files, CASE: document.encode(record)}
        content |= self._seal(record.id, content)
        sealed = SealedCase(content[SEAL], content.get(SIGNATURE, b""))
        incoming = self._root / INCOMING / record.id
        try:
            _write(incoming, content)
            self._commit(sealed, incoming)
            _move(incoming, self._root / folder)
        except OSError as error:
            raise EvidenceError(f"{self._root / folder}: {error.strerror or error}") from error
        return _case(record, content, folder)

    def _seal(self, case: str, files: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """The manifest of the files, its seal, and the signature if there is a key."""
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
        """Complete or delete a folder that a crash left; set anything else aside. Raises OSError."""
        if orphan.is_symlink() or not orphan.is_dir():
            _set_stray_aside(self._root, orphan)
        elif not self._finish(orphan):
            log.warning("deleted a case that a crash left incomplete", case=orphan.name)
            shutil.rmtree(orphan)

    def _finish(self, incoming: Path) -> bool:
        """Move a written case to its place if its seal was committed. Raises OSError."""
        if not incoming.is_dir() or verify_case(incoming) or not self._chain.holds(read_seal(incoming)):
            return False
        record = document.decode((incoming / CASE).read_bytes(), source=str(incoming / CASE))
        target = self._root / case_folder(record.id, record.time.occurred.timestamp())
        if target.exists():
            return False
        log.warning("moved a case that was sealed before a crash to its place", case=record.id)
        _move(incoming, target)
        return True


def _lock(root: Path) -> int:
    """Lock the root and return the lock's file descriptor. The lock ends with this process, however that ends.

    Two engines would delete each other's incoming cases. Raises EvidenceError if another process has the lock.
    """
    claim = os.open(root / CLAIM, os.O_RDWR | os.O_CREAT, 0o640)
    try:
        fcntl.lockf(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(claim)
        raise EvidenceError(f"{root}: another engine writes its evidence there") from error
    return claim


def case_folder(case: str, occurred_s: float) -> Path:
    """The folder of a case, relative to the root; days are UTC."""
    return Path(f"{document.moment(occurred_s):%Y/%m/%d}") / case


def remove_folder(root: Path, folder: str) -> None:
    """Delete a case's folder if it exists, and empty folders of its day, month and year. Raises EvidenceError."""
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


def stored_cases(root: Path, is_known: Callable[[str], bool], *, days: int = 2) -> Iterator[Case]:
    """The complete cases of the newest `days` days that are not known: after a crash the ledger may lack them.

    Leaves out damaged folders, and folders that this engine did not seal or did not put there.
    """
    for day in _newest(root, days):
        for folder in sorted(path for path in day.iterdir() if path.is_dir() and ASIDE not in path.name):
            if not is_known(folder.name) and _is_own(root, folder):
                case = load(root, folder.relative_to(root))
                if root / case_folder(case.id, case.occurred_s) == folder:
                    yield case
                else:
                    log.error("a case is in the folder of another day and is not recorded", folder=str(folder))


def _newest(root: Path, days: int) -> Sequence[Path]:
    """Folders of the newest days, and folders that changed in that time: a camera with a wrong clock writes into other
    years, and must not hide the days of the others."""
    named = sorted(root.glob("[0-9]*/[0-9]*/[0-9]*"))
    newest, since_s = {*named[-days:]}, time.time() - days * DAY_S
    return [day for day in named if day in newest or day.stat().st_mtime >= since_s]


def _is_own(root: Path, folder: Path) -> bool:
    if problems := verify_case(folder):
        log.error("a case that is not in the ledger is damaged", folder=str(folder), problems=problems)
    elif not is_committed(root / CHAIN, read_seal(folder)):
        problems = ["this engine did not seal it"]
        log.critical("found a case that this engine did not seal", folder=str(folder))
    return not problems


def _set_damaged_aside(folder: Path) -> None:
    aside = _free(folder.with_name(f"{folder.name}{ASIDE}"))
    log.error("a case's folder is damaged and was set aside", folder=str(folder), aside=aside.name)
    folder.rename(aside)


def _set_stray_aside(root: Path, stray: Path) -> None:
    """Keep something that the engine did not write, for its owner."""
    (root / STRANGE).mkdir(exist_ok=True)
    aside = _free(root / STRANGE / f"{stray.name}-")
    log.error(
        "found something among the incoming cases that is not a case: set aside", path=str(stray), aside=str(aside)
    )
    stray.rename(aside)


def _free(path: Path) -> Path:
    """The path with the first number appended that is not taken."""
    return next(found for n in itertools.count(1) if not os.path.lexists(found := path.with_name(f"{path.name}{n}")))


def load(root: Path, folder: Path) -> Case:
    """Read the case in `folder`, which is relative to the root. Raises OSError, EvidenceError."""
    listed = manifest.decode((root / folder / MANIFEST).read_bytes()).files
    names = [CASE, *(name for name in (MANIFEST, SEAL, SIGNATURE) if (root / folder / name).exists())]
    files = {name: (root / folder / name).read_bytes() for name in names}
    record = document.decode(files[CASE], source=str(folder / CASE))
    return _case(record, files, folder, tuple(file for file in listed if file.name != CASE))


def _case(record: CaseDocument, files: Mapping[str, bytes], folder: Path, rest: tuple[EvidenceFile, ...] = ()) -> Case:
    """A case of files with their content, and of others that are described already."""
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
    """Write a folder with the files and sync it; deletes it if that fails."""
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
    """mkdir -p that survives a power cut: a new name is durable once its parent folder is synced (fsync(2))."""
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
