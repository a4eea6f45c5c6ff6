"""Forms of plates as data: layouts of letters and digits by country.

A form changes only characters that look alike (0 and O, 8 and B ...), and only where its layout defines whether the
place has a letter or a digit. A text that fits no form stays as it was read, and its country is unknown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from engine.config import Name, Strict, tomlfile
from engine.errors import ConfigError
from engine.identify.plates.letters import DIGITS, LETTERS, Glyph
from engine.types import Floats, Reason

TWINS = ("0O", "1I")
"""Characters that many plates draw alike: only their place tells them apart."""
ALIKE = ("0DQ", "OQ", "1L", "2Z", "4A", "5S", "6G", "7T", "8B")
"""Characters that differ, but that a reader confuses: one replaces the other only if the reader was in doubt."""
LEAST_DOUBT = 0.02
"""Least share of the vote for the other character."""
MOST_RESOLVED = 2
"""A form may resolve at most this many characters of a plate: with more it is another plate."""


class PlateForm(Strict, frozen=True):
    """One layout: `L` a letter, `D` a digit, `R` a digit of the region, anything else itself."""

    name: Name
    layout: Annotated[str, Meta(pattern=r"^[A-Z]{4,10}$")]

    def admits(self, place: int) -> str:
        """Characters that are allowed at a place."""
        sign = self.layout[place]
        return {"L": LETTERS, "D": DIGITS, "R": DIGITS}.get(sign, sign)


class PlateCountry(Strict, frozen=True):
    """The forms of one country."""

    country: Annotated[str, Meta(pattern=r"^[A-Z]{2}$")]
    """ISO 3166-1 alpha-2."""
    title: str
    forms: Annotated[tuple[PlateForm, ...], Meta(min_length=1)]
    regions: dict[str, str] = msgspec.field(default_factory=dict)
    """Name by code; a form with `R` fits only these codes."""


class ForeignPlates(Strict, frozen=True):
    """The file of foreign forms."""

    countries: tuple[PlateCountry, ...]


@dataclass(frozen=True, slots=True)
class FormFit:
    """A text, and the form that it fits."""

    text: str
    country: str = ""
    region: str = ""
    form: str = ""
    notes: tuple[Reason, ...] = ()
    known: bool = False
    """True if it fits a form of any country."""


@dataclass(frozen=True, slots=True)
class PlateForms:
    """The forms of the operator's own country, and those of others."""

    home: PlateCountry
    abroad: tuple[PlateCountry, ...] = ()

    def fit(self, glyphs: Floats) -> FormFit:
        """Fit a reading, (L, 36) shares of every character at every place, to a form.

        The fit that resolves the fewest characters wins, then the home country. If the remaining fits give different
        texts, no fit is used; if they give one text in several countries, the result has no country.
        """
        text = Glyph.best(glyphs)
        fits = list(self._fits(glyphs, text, (self.home, *self.abroad)))
        least = min((len(fit.notes) for fit in fits), default=0)
        fits = [fit for fit in fits if len(fit.notes) == least]
        fits = [fit for fit in fits if fit.country == self.home.country] or fits
        return _agreed(fits) if len({fit.text for fit in fits}) == 1 else FormFit(text)

    def _fits(self, glyphs: Floats, text: str, countries: tuple[PlateCountry, ...]) -> Iterator[FormFit]:
        for country in countries:
            for form in country.forms:
                fit = _fit(form, country, glyphs, text) if len(form.layout) == len(text) else None
                if fit is not None:
                    yield fit


def _agreed(fits: list[FormFit]) -> FormFit:
    """One fit of several with the same text; a country or form that differs between them is left empty."""
    countries, forms = {fit.country for fit in fits}, {fit.form for fit in fits}
    alone = len(countries) == 1
    return FormFit(
        text=fits[0].text,
        country=fits[0].country if alone else "",
        region=fits[0].region if alone else "",
        form=fits[0].form if len(forms) == 1 else "",
        notes=fits[0].notes,
        known=True,
    )


def _fit(form: PlateForm, country: PlateCountry, glyphs: Floats, text: str) -> FormFit | None:
    """The text in that form; None if that takes more than replacing characters that look alike."""
    made, notes = "", list[Reason]()
    for place, read in enumerate(text):
        admitted = form.admits(place)
        char = read if read in admitted else _resolved(glyphs[place], read, admitted)
        if not char:
            return None
        made += char
        if char != read:
            expected = "digit" if char in DIGITS else "letter"
            notes.append(
                Reason(
                    "character_resolved",
                    {"place": place + 1, "read": read, "form": form.name, "expected": expected, "char": char},
                )
            )
    region = "".join(char for char, sign in zip(made, form.layout, strict=True) if sign == "R")
    if len(notes) > MOST_RESOLVED or (region and region not in country.regions):
        return None
    return FormFit(made, country.country, region, form.name, tuple(notes))


def _resolved(shares: Floats, read: str, admitted: str) -> str:
    """Likeliest admitted character that looks like the one read; empty without such a character."""
    twins = _others(TWINS, read, admitted)
    doubted = [char for char in _others(ALIKE, read, admitted) if shares[Glyph.index(char)] >= LEAST_DOUBT]
    return max([*twins, *doubted], key=lambda char: float(shares[Glyph.index(char)]), default="")


def _others(groups: tuple[str, ...], read: str, admitted: str) -> list[str]:
    return [char for group in groups if read in group for char in group if char in admitted]


def load_forms(home: str | Path = "kz") -> PlateForms:
    """Load the forms of a shipped country (`kz`) or of a `.toml` file, and the shipped foreign ones.

    Raises ConfigError that names the file and the place in it.
    """
    if str(home).endswith(".toml"):
        own = tomlfile.load(Path(home), PlateCountry)
    else:
        own = tomlfile.parse(_shipped(str(home)), PlateCountry, source=f"plate forms {home}")
    abroad = tomlfile.parse(_shipped("foreign"), ForeignPlates, source="plate forms foreign").countries
    return PlateForms(own, tuple(country for country in abroad if country.country != own.country))


def _shipped(name: str) -> str:
    file = resources.files("engine.identify.plates") / "forms" / f"{name}.toml"
    if not file.is_file():
        raise ConfigError(f"plate forms {name!r} are not shipped")
    return file.read_text("utf-8")
