"""The report of a case: one page that a judge can read and print, in every language that there are words of.

It is made of `case.json` and nothing else, and only formats its numbers: the same document gives the same bytes. The
pictures are the files beside it; `embedded` puts them into the page where it has to travel alone.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import jinja2

from engine.errors import EvidenceError
from engine.evidence.manifest import MEDIA_TYPES
from engine.evidence.report.page import make_page
from engine.evidence.report.words import languages, words_of
from engine.types import document

__all__ = ["embedded", "languages", "report_name", "reports", "write_report"]

_IMAGE = re.compile(r'(?<=<img src=")([a-z0-9_.-]+)(?=")', re.IGNORECASE)


def report_name(language: str) -> str:
    """The file's name."""
    return f"report.{language}.html"


def reports(content: bytes) -> Mapping[str, bytes]:
    """The reports of a `case.json` by file name, one a language. Raises EvidenceError where it is none."""
    return {report_name(language): write_report(content, language) for language in languages()}


def write_report(content: bytes, language: str) -> bytes:
    """The report of a `case.json`: HTML in UTF-8.

    Raises EvidenceError where the content is none, ConfigError for a language that there are no words of.
    """
    words = words_of(language)
    page = make_page(words, document.decode(content, source="case.json"), content)
    return _template().render(page=page, record=page.record, say=words.words).encode()


def embedded(report: bytes, folder: Path) -> bytes:
    """The report with its pictures in it, out of the case's folder. Raises EvidenceError where one is missing."""

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
