"""Is all the evidence of an engine there, unchanged, in its order, and nothing that the engine did not put there?

Every case is verified by itself, then its place in the chain: each number once, each seal naming the one before it.
Against the engine's own memory (`chain.db`, where it lies beside the cases) a changed seal and a missing tail show,
too; and against the register's entries whatever was taken away, had somebody taken that memory away as well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from engine.errors import EvidenceError
from engine.evidence.chain import CHAIN, NOTHING, Seal, SealedCase, remembered
from engine.evidence.folder import ASIDE, place
from engine.evidence.keys import PublicKey
from engine.evidence.manifest import CASE, SEAL, read_seal, verify_case
from engine.types import Entry, document


@dataclass(frozen=True, slots=True)
class ChainLink:
    """A seal that was found, and where."""

    where: str
    seal: Seal
    sha256: str


@dataclass(slots=True)
class EvidenceAudit:
    """What was found below a root."""

    cases: int = 0
    links: dict[str, list[ChainLink]] = field(default_factory=dict)
    """By the chain's name."""
    serials: set[str] = field(default_factory=set)
    """Of the devices that made the cases."""
    problems: list[str] = field(default_factory=list)
    """A sentence each."""


def audit(
    root: Path,
    keys: Sequence[PublicKey] = (),
    entries: Iterable[Entry] | None = None,
    removed: Mapping[str, str] | None = None,
) -> EvidenceAudit:
    """Verify every case below `root` and the chain; with `entries` also that the register's cases are all there.

    Of the entries those count whose device made a case below the root, or all where there is no case. `removed` are the
    cases that retention took away, by id, with the SHA-256 of their seals: a link that the engine remembers as just
    that seal is not missing. Slow: every byte is read. Raises EvidenceError where `chain.db` cannot be read.
    """
    found = EvidenceAudit()
    own = remembered(root / CHAIN)
    gone = {seal.number for seal in _removed(own, removed or {})}
    for folder in sorted(path for path in root.glob("[0-9]*/[0-9]*/[0-9]*/*") if path.is_dir()):
        _verify(found, root, folder, keys)
    for links in found.links.values():
        links.sort(key=lambda link: (link.seal.number, link.where))
    for _, links in sorted(found.links.items()):
        found.problems += [*_repeated(links), *_unlinked(links), *_missing(links, own, gone)]
    found.problems += _unlike(found, own, gone)
    found.problems += _not_in_ledger(found, root, entries) if entries is not None else ()
    return found


def _verify(found: EvidenceAudit, root: Path, folder: Path, keys: Sequence[PublicKey]) -> None:
    where = folder.relative_to(root).as_posix()
    if ASIDE in folder.name:
        found.problems.append(f"{where}: is damaged and was put aside")
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
    """A case in the folder of another day. Takes down the device besides."""
    try:
        record = document.decode((folder / CASE).read_bytes(), source=CASE)
    except (OSError, EvidenceError):
        return
    found.serials.add(record.device.serial)
    due = place(record.id, record.time.occurred.timestamp()).as_posix()
    if record.id == folder.name and due != where:
        yield f"{where}: belongs to {due}"


def _missing(links: Sequence[ChainLink], own: Sequence[SealedCase], gone: Collection[int]) -> Iterator[str]:
    """The numbers of a chain that no folder has: by their cases, where the engine remembers them."""
    name, there = links[0].seal.chain, sorted({link.seal.number for link in links})
    known = {seal.number: seal.case for sealed in own if (seal := sealed.read()).chain == name}
    yield from (_told(name, number, known[number]) for number in sorted(known.keys() - {*there} - {*gone}))
    for before, after in pairwise([0, *there]):
        unknown = after - before - 1 - sum(before < number < after for number in known)
        if unknown == 1 and after == before + 2:
            yield _told(name, before + 1, "")
        elif unknown:
            yield f"chain {name}: {unknown} number(s) between {before} and {after} are missing"


def _removed(own: Sequence[SealedCase], removed: Mapping[str, str]) -> Iterator[Seal]:
    """The seals, as the engine remembers them, of cases that are no longer kept."""
    for sealed in own:
        seal = sealed.read()
        if removed.get(seal.case) == sealed.sha256:
            yield seal


def _told(chain: str, number: int, case: str) -> str:
    return f"chain {chain}: number {number} is missing" + (f": case {case}" if case else "")


def _repeated(links: Sequence[ChainLink]) -> Iterator[str]:
    for one, other in pairwise(links):
        if one.seal.number == other.seal.number:
            yield f"{other.where}: has the number {other.seal.number} of {one.where}"


def _unlinked(links: Sequence[ChainLink]) -> Iterator[str]:
    """Seals that do not name the one before them."""
    if links[0].seal.number == 1 and links[0].seal.previous_sha256 != NOTHING:
        yield f"{links[0].where}: is the first of its chain, but names one before it"
    for one, other in pairwise(links):
        if other.seal.number == one.seal.number + 1 and other.seal.previous_sha256 != one.sha256:
            yield f"{other.where}: does not follow {one.where}: its seal names another one before it"


def _unlike(found: EvidenceAudit, own: Sequence[SealedCase], gone: Collection[int]) -> Iterator[str]:
    """What the engine does not remember like this. Of a chain without a case nothing was said yet."""
    seals = {sealed.sha256: sealed.read() for sealed in own}
    names = {seal.chain for seal in seals.values()}
    for name in sorted(names - found.links.keys()):
        yield from (
            _told(name, seal.number, seal.case)
            for seal in seals.values()
            if seal.chain == name and seal.number not in gone
        )
    for name, links in sorted(found.links.items()):
        if name in names:
            yield from (
                f"{link.where}: {SEAL}: is not the seal that the engine gave it, or it gave none"
                for link in links
                if link.sha256 not in seals
            )
        elif names:
            yield from (f"{link.where}: is of the chain {name}, not of this engine's" for link in links)


def _not_in_ledger(found: EvidenceAudit, root: Path, entries: Iterable[Entry]) -> Iterator[str]:
    """Between the register and the folders."""
    links = {link.seal.case: link for several in found.links.values() for link in several if ASIDE not in link.where}
    known: set[str] = set()
    for entry in entries:
        case = entry.case
        known.add(case.id)
        if found.serials and document.decode(case.document, source=case.id).device.serial not in found.serials:
            continue
        content = root / case.folder / CASE
        if not content.is_file():
            yield f"{case.folder}: the register has it (sequence {entry.sequence}), it is not here"
        elif content.read_bytes() != case.document:
            yield f"{case.folder}: the register has another {CASE} (sequence {entry.sequence})"
        elif any(file.name == SEAL and file.sha256 != links[case.id].sha256 for file in case.files if case.id in links):
            yield f"{case.folder}: the register has another {SEAL} (sequence {entry.sequence})"
    yield from (f"{link.where}: the register does not have it" for case, link in links.items() if case not in known)
