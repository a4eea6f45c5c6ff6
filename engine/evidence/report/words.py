"""The words of a report in one language: data, a file each (`ru.toml`, `kk.toml`, `en.toml`).

What a case says in English sentences (`reasons`, `incomplete`) is said again by patterns: `said` with a name in braces
wherever a fact stands, `text` with the same names. A sentence that no pattern knows stays as it is.
"""

from __future__ import annotations

import re
from functools import cache, cached_property
from importlib import resources

from engine.config import Strict, tomlfile
from engine.errors import ConfigError

_HOLE = re.compile(r"\{(\w+)\}")
_ARTICLE = re.compile(r"(\d[\d-]*)(?: p\.([\d-]+))?( or )?")
_NUMBER = re.compile(r"-?\d+\.\d+")


class Sentence(Strict, frozen=True, dict=True):
    """A sentence of a case, and how this language says it."""

    said: str
    text: str

    def __post_init__(self) -> None:
        if sorted(_HOLE.findall(self.said)) != sorted(_HOLE.findall(self.text)):
            raise ValueError(f"{self.text!r} does not name what {self.said!r} names")

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        parts = _HOLE.split(self.said)
        return re.compile("".join(f"(?P<{p}>.+?)" if i % 2 else re.escape(p) for i, p in enumerate(parts)), re.DOTALL)


class Articles(Strict, frozen=True):
    """How an article of the law is cited."""

    whole: str
    part: str
    of_law: str
    """The article and the law's name."""


class Words(Strict, frozen=True):
    """The whole file. Keys of the tables are those of `case.json`."""

    language: str
    decimal: str
    """What stands between whole and fraction of a number."""
    date: str
    """`strftime`'s pattern of a date."""
    words: dict[str, str]
    """What the page is labelled with; the template names them."""
    articles: Articles
    laws: dict[str, str]
    """By the catalogue's name, the part of its version before the dash."""
    kinds: dict[str, str]
    outcomes: dict[str, str]
    classes: dict[str, str]
    clocks: dict[str, str]
    instants: dict[str, str]
    marks: dict[str, str]
    facts: dict[str, str]
    """What else stands in the holes of sentences, or for a direction."""
    sentences: tuple[Sentence, ...]

    def number(self, value: float, digits: int = 1) -> str:
        return f"{value:.{digits}f}".replace(".", self.decimal)

    def sentence(self, said: str) -> str:
        """In this language, where a pattern fits; the sentence itself where none does."""
        for sentence in self.sentences:
            if found := sentence.pattern.fullmatch(said):
                facts = {name: self._fact(name, part) for name, part in found.groupdict().items()}
                return sentence.text.format_map(facts)
        return said

    def article(self, article: str, catalogue: str) -> str:
        """`592 p.3-1` as this language cites it; what does not look like that stays as it is."""
        law = self.laws.get(law_of(catalogue))
        if not article or law is None or _ARTICLE.sub("", article):
            return article
        return self.articles.of_law.format(article=_ARTICLE.sub(self._cite, article), law=law)

    def _cite(self, found: re.Match[str]) -> str:
        number, part, joint = found.groups()
        cited = (self.articles.part if part else self.articles.whole).format(number=number, part=part)
        return cited + (f" {self.words['or']} " if joint else "")

    def _fact(self, name: str, said: str) -> str:
        """What stands in a hole of a sentence: a number, words of this language, or what it was."""
        if name == "sentence":
            return self.sentence(said)
        if name == "classes":
            return f" {self.words['or']} ".join(self.classes.get(word, word) for word in said.split(" or "))
        if name == "facts":
            return ", ".join(self.facts.get(word, word) for word in said.split(" and "))
        if name == "article":
            return _ARTICLE.sub(self._cite, said)
        if name == "instant":
            return self.instants.get(said, said)
        return self.facts.get(said) or (said.replace(".", self.decimal) if _NUMBER.fullmatch(said) else said)


def law_of(catalogue: str) -> str:
    """The name in a catalogue's version: `kz` of `kz-2026.1`."""
    return catalogue.partition("-")[0]


def languages() -> list[str]:
    """Those that a report can be had in."""
    folder = resources.files("engine.evidence.report")
    return sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml"))


@cache
def words_of(language: str) -> Words:
    """Raises ConfigError for a language that there are no words of."""
    if language not in languages():
        raise ConfigError(f"no report in {language!r}: there is {', '.join(languages())}")
    text = (resources.files("engine.evidence.report") / f"{language}.toml").read_text("utf-8")
    return tomlfile.parse(text, Words, source=f"words of the report: {language}")
