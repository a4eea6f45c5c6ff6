"""The report of a case: one page for a judge to read and print, in every language of `engine.language`.

It is made of `case.json` alone and only formats its numbers, so the same document always gives the same bytes. The
pictures are files beside it; `embed_pictures` puts them into the page when it is sent alone.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import jinja2

from engine.errors import EvidenceError
from engine.evidence.manifest import MEDIA_TYPES
from engine.evidence.report.page import ReportPage
from engine.language import languages, load_language
from engine.types import document

__all__ = ["embed_pictures", "languages", "report_name", "write_report", "write_reports"]

_IMAGE = re.compile(r'(?<=<img src=")([a-z0-9_.-]+)(?=")', re.IGNORECASE)


def report_name(language: str) -> str:
    """Name of the report's file."""
    return f"report.{language}.html"


def write_reports(content: bytes) -> Mapping[str, bytes]:
    """Reports of a `case.json` in all languages, by file name. Raises EvidenceError if it is no document."""
    return {report_name(language): write_report(content, language) for language in languages()}


def write_report(content: bytes, language: str) -> bytes:
    """Report of a `case.json`: HTML in UTF-8.

    Raises EvidenceError if the content is not a document, ConfigError for an unknown language.
    """
    words = load_language(language)
    record = document.decode(content, source="case.json")
    page = ReportPage(words, record, hashlib.sha256(content).hexdigest())
    return _template().render(page=page, record=record, say=words.words).encode()


def embed_pictures(report: bytes, folder: Path) -> bytes:
    """The report with the pictures of the case's folder as data URLs. Raises EvidenceError if one is missing."""

    def embed(found: re.Match[str]) -> str:
        path = folder / found[1]
        try:
            return f"data:{MEDIA_TYPES[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}"
        except (OSError, KeyError) as error:
            raise EvidenceError(f"{path}: {error}") from error

    return _IMAGE.sub(embed, report.decode()).encode()


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("engine.evidence.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html")
