"""`qyran report`: the page of a case, made anew."""

from __future__ import annotations

from pathlib import Path

from engine.errors import EvidenceError
from engine.evidence import embed_pictures, write_report


def make_report(case: Path, language: str, *, embed: bool) -> bytes:
    """The report of the case in that folder. Raises EvidenceError, ConfigError."""
    try:
        content = (case / "case.json").read_bytes()
    except OSError as error:
        raise EvidenceError(f"{case}: {error}") from error
    report = write_report(content, language)
    return embed_pictures(report, case) if embed else report
