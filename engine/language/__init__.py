"""The texts of a case in each language: one file per language, `en.toml`, `kk.toml`, `ru.toml`.

A case carries reasons as data (`engine.types.Reason`); a language file has a template for every code. This package is
the only place that makes a sentence of a reason.
"""

from __future__ import annotations

import re
import string
from functools import cache
from importlib import resources
from typing import Any

from engine.config import Strict, tomlfile
from engine.errors import ConfigError
from engine.types import Reason

_ARTICLE = re.compile(r"(\d[\d-]*)(?: p\.([\d-]+))?( or )?")


class Articles(Strict, frozen=True):
    """How an article of the law is cited."""

    whole: str
    part: str
    of_law: str
    """The article and the law's name."""


class Language(Strict, frozen=True):
    """A language file. The keys of its tables are the values that `case.json` has."""

    language: str
    decimal: str
    """Decimal sign of a number."""
    date: str
    """`strftime` pattern of a date."""
    words: dict[str, str]
    """Labels of the report, by the name that the page's template uses."""
    articles: Articles
    laws: dict[str, str]
    """By the catalogue's name: the part of its version before the dash."""
    kinds: dict[str, str]
    outcomes: dict[str, str]
    classes: dict[str, str]
    clocks: dict[str, str]
    instants: dict[str, str]
    marks: dict[str, str]
    facts: dict[str, str]
    """Values of reasons' parameters, and directions."""
    reasons: dict[str, str]
    """Templates by the reason's code. A hole is `{parameter}` or `{parameter:format}`: a number's format of Python, or
    `class`, `classes`, `fact`, `facts`, `instant`, `article` for a value that has a word in this language."""

    def number(self, value: float, digits: int = 1) -> str:
        """The number with `digits` decimal places."""
        return f"{value:.{digits}f}".replace(".", self.decimal)

    def sentence(self, reason: Reason) -> str:
        """The reason as a sentence of this language.

        A reason of another version of the program, with an unknown code or parameters, gives its code and parameters.
        """
        try:
            return _Filler(self).vformat(self.reasons[reason.code], (), reason.params)
        except (LookupError, ValueError):
            return " ".join([reason.code, *(f"{name}={value}" for name, value in reason.params.items())])

    def article(self, article: str, catalogue: str) -> str:
        """`592 p.3-1` with the law's name, as this language cites it; any other text is returned unchanged."""
        law = self.laws.get(law_of(catalogue))
        if not article or law is None or _ARTICLE.sub("", article):
            return article
        return self.articles.of_law.format(article=self.cite(article), law=law)

    def cite(self, article: str) -> str:
        """The article without the law's name."""
        return _ARTICLE.sub(self._cite, article)

    def _cite(self, found: re.Match[str]) -> str:
        number, part, joint = found.groups()
        cited = (self.articles.part if part else self.articles.whole).format(number=number, part=part)
        return cited + (f" {self.words['or']} " if joint else "")


class _Filler(string.Formatter):
    """Fills a template: the part behind the colon of a hole may name a table of the language."""

    def __init__(self, language: Language) -> None:
        self._language = language

    def format_field(self, value: Any, format_spec: str) -> str:
        own = self._language
        match format_spec, value:
            case "class" | "fact" | "instant", str():
                return {"class": own.classes, "fact": own.facts, "instant": own.instants}[format_spec].get(value, value)
            case "classes", [*names]:
                return f" {own.words['or']} ".join(own.classes.get(name, name) for name in names)
            case "facts", [*names]:
                return own.words["and"].join(own.facts.get(name, name) for name in names)
            case "article", str():
                return own.cite(value)
            case _, str():
                return value
            case _:
                return format(value, format_spec).replace(".", own.decimal)


def law_of(catalogue: str) -> str:
    """The law's name in a catalogue's version: `kz` of `kz-2026.1`."""
    return catalogue.partition("-")[0]


def languages() -> list[str]:
    """Codes of the languages that have a file, ISO 639-1."""
    folder = resources.files("engine.language")
    return sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml"))


@cache
def load_language(code: str) -> Language:
    """Read a language file. Raises ConfigError for an unknown language."""
    if code not in languages():
        raise ConfigError(f"language {code!r} is not available: choose from {', '.join(languages())}")
    text = (resources.files("engine.language") / f"{code}.toml").read_text("utf-8")
    return tomlfile.parse(text, Language, source=f"language {code}")


def english(reason: Reason) -> str:
    """The reason in English: for the wire, for logs, and for recipients that take sentences."""
    return load_language("en").sentence(reason)
