"""Audits all evidence of an engine: complete, unchanged, in order, and without anything that the engine did not write.

Every case is verified alone, then its place in the chain: each number once, each seal naming the one before it. The
engine's own record (`chain.db` beside the cases) shows a changed seal and missing last cases; the ledger's entries show
what was removed even if that record was removed too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from engine.errors import EvidenceError
from engine.evidence.chain import CHAIN, NO_SEAL, Seal, SealedCase, committed_seals
from engine.evidence.folder import ASIDE, case_folder
from engine.evidence.keys import PublicKey
from engine.evidence.manifest import CASE, SEAL, read_seal, verify_case
from engine.types import Entry, document


@dataclass(frozen=True, slots=True)
class ChainLink:
    """A seal that was found."""

    where: str
    """The case's folder, relative to the root."""
    seal: Seal
    sha256: str


@dataclass(slots=True)
class EvidenceAudit:
    """Result of an audit."""

    cases: int = 0
    links: dict[str, list[ChainLink]] = field(default_factory=dict)
    """By the chain's name."""
    serials: set[str] = field(default_factory=set)
    """Serial numbers of the devices that made the cases."""
    problems: list[str] = field(default_factory=list)
    """One sentence each; empty if all is well."""


def audit(
    root: Path,
    keys: Sequence[PublicKey] = (),
    entries: Iterable[Entry] | None = None,
    removed: Mapping[str, str] | None = None,
) -> EvidenceAudit:
    """Verify every case below `root` and the chain; with `entries` also that all cases of the ledger are there.

    Only entries of devices that made a case below the root count, or all if there is no case. `removed` has the cases
    that retention removed: id to the SHA-256 of the seal; a link with exactly that seal is not missing. Slow: reads
    every byte. Raises EvidenceError if `chain.db` cannot be read.
    """
    found = EvidenceAudit()
    own = committed_seals(root / CHAIN)
    gone = {seal.number for seal in _removed(own, removed or {})}
    for folder in sorted(path for path in root.glob("[0-9]*/[0-9]*/[0-9]*/*") if path.is_dir()):
        _verify(found, root, folder, keys)
    for links in found.links.values():
        links.sort(key=lambda link: (link.seal.number, link.where))
    for _, links in sorted(found.links.items()):
        found.problems += [*_repeated(links), *_unlinked(links), *_missing(links, own, gone)]
    found.problems += _differing(found, own, gone)
    found.problems += _not_in_ledger(found, root, entries) if entries is not None else ()
    return found


def _verify(found: EvidenceAudit, root: Path, folder: Path, keys: Sequence[PublicKey]) -> None:
    where = folder.relative_to(root).as_posix()
    if ASIDE in folder.name:
        found.problems.append(f"{where}: is damaged and was set aside")
    else:
        found.cases += 1
        found.problems += [f"{where}: {line}" for line in verify_case(folder, keys)]
        found.problems += _misplaced(found, root, folder, where)
    try:
        sealed = read_seal(folder)
        link = ChainLink(where, sealed.read(), sealed.sha256)
    except (OSError, EvidenceError):
        return
    found.links.setdefault(link.seal.chain, []).append(link)


def _misplaced(found: EvidenceAudit, root: Path, folder: Path, where: str) -> Iterator[str]:
    """Report a case in the folder of another day. Also notes the device's serial number."""
    try:
        record = document.decode((folder / CASE).read_bytes(), source=CASE)
    except (OSError, EvidenceError):
        return
    found.serials.add(record.device.serial)
    due = case_folder(record.id, record.time.occurred.timestamp()).as_posix()
    if record.id == folder.name and due != where:
        yield f"{where}: belongs to {due}"


def _missing(links: Sequence[ChainLink], own: Sequence[SealedCase], gone: Collection[int]) -> Iterator[str]:
    """The numbers of a chain that no folder has, with their cases if `chain.db` has them."""
    name, there = links[0].seal.chain, sorted({link.seal.number for link in links})
    known = {seal.number: seal.case for sealed in own if (seal := sealed.read()).chain == name}
    yield from (_missing_number(name, number, known[number]) for number in sorted(known.keys() - {*there} - {*gone}))
    for before, after in pairwise([0, *there]):
        unknown = after - before - 1 - sum(before < number < after for number in known)
        if unknown == 1 and after == before + 2:
            yield _missing_number(name, before + 1, "")
        elif unknown:
            yield f"chain {name}: {unknown} numbers between {before} and {after} are missing"


def _removed(own: Sequence[SealedCase], removed: Mapping[str, str]) -> Iterator[Seal]:
    """The committed seals of cases that retention removed."""
    for sealed in own:
        seal = sealed.read()
        if removed.get(seal.case) == sealed.sha256:
            yield seal


def _missing_number(chain: str, number: int, case: str) -> str:
    return f"chain {chain}: number {number} is missing" + (f": case {case}" if case else "")


def _repeated(links: Sequence[ChainLink]) -> Iterator[str]:
    for one, other in pairwise(links):
        if one.seal.number == other.seal.number:
            yield f"{other.where}: has the number {other.seal.number} of {one.where}"


def _unlinked(links: Sequence[ChainLink]) -> Iterator[str]:
    """Seals that do not name the one before them."""
    if links[0].seal.number == 1 and links[0].seal.previous_sha256 != NO_SEAL:
        yield f"{links[0].where}: is the first of its chain, but its seal names one before it"
    for one, other in pairwise(links):
        if other.seal.number == one.seal.number + 1 and other.seal.previous_sha256 != one.sha256:
            yield f"{other.where}: does not follow {one.where}: its seal names another seal before it"


def _differing(found: EvidenceAudit, own: Sequence[SealedCase], gone: Collection[int]) -> Iterator[str]:
    """Report differences from `chain.db`, and the numbers of a chain without any folder."""
    seals = {sealed.sha256: sealed.read() for sealed in own}
    names = {seal.chain for seal in seals.values()}
    for name in sorted(names - found.links.keys()):
        yield from (
            _missing_number(name, seal.number, seal.case)
            for seal in seals.values()
            if seal.chain == name and seal.number not in gone
        )
    for name, links in sorted(found.links.items()):
        if name in names:
            yield from (
                f"{link.where}: {SEAL}: is not the seal that the engine committed"
                for link in links
                if link.sha256 not in seals
            )
        elif names:
            yield from (f"{link.where}: belongs to the chain {name}, which is not this engine's" for link in links)


def _not_in_ledger(found: EvidenceAudit, root: Path, entries: Iterable[Entry]) -> Iterator[str]:
    """Report differences between the ledger and the folders."""
    links = {link.seal.case: link for several in found.links.values() for link in several if ASIDE not in link.where}
    known: set[str] = set()
    for entry in entries:
        case = entry.case
        known.add(case.id)
        if found.serials and document.decode(case.document, source=case.id).device.serial not in found.serials:
            continue
        content = root / case.folder / CASE
        if not content.is_file():
            yield f"{case.folder}: is in the ledger (sequence {entry.sequence}), but not here"
        elif content.read_bytes() != case.document:
            yield f"{case.folder}: the ledger has another {CASE} (sequence {entry.sequence})"
        elif any(file.name == SEAL and file.sha256 != links[case.id].sha256 for file in case.files if case.id in links):
            yield f"{case.folder}: the ledger has another {SEAL} (sequence {entry.sequence})"
    yield from (f"{link.where}: is not in the ledger" for case, link in links.items() if case not in known)
