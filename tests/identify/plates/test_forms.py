from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.errors import ConfigError
from engine.identify.plates.forms import load_forms
from engine.identify.plates.letters import Glyph
from engine.types import Reason
from tests.support.glyphs import single

KZ = load_forms("kz")


def fit(text: str, **doubts: tuple[int, float]):
    """The text, with another character in doubt: B=(4, 0.3) gives place 4 three tenths of a B."""
    glyphs = single(text)
    for char, (place, share) in doubts.items():
        glyphs[place] *= 1 - share
        glyphs[place, Glyph.index(char)] += share
    return KZ.fit(glyphs)


@pytest.mark.parametrize(
    ("text", "form", "region"),
    [
        ("123ABC02", "private_2012", "02"),
        ("123AB17", "legal_2012", "17"),
        ("F123405", "foreign_owner_f", "05"),
        ("H123420", "foreign_owner_h", "20"),
        ("A585CUO", "private_1993", ""),
        ("A001AA", "legal_1993", ""),
    ],
)
def test_the_forms_of_kazakhstan_are_known_with_their_region(text: str, form: str, region: str):
    found = fit(text)
    assert (found.text, found.country, found.form, found.region) == (text, "KZ", form, region)
    assert found.notes == ()


def test_a_plate_with_an_unknown_region_fits_no_form_of_the_country():
    found = fit("123ABC21")
    assert (found.text, found.country, found.form) == ("123ABC21", "", "")


def test_a_digit_in_the_place_of_a_letter_is_resolved_and_noted():
    found = fit("123A0C02")
    assert (found.text, found.country) == ("123AOC02", "KZ")
    facts = {"place": 5, "read": "0", "form": "private_2012", "expected": "letter", "char": "O"}
    assert found.notes == (Reason("character_resolved", facts),)


def test_similar_characters_are_resolved_if_the_reader_was_in_doubt():
    assert fit("123A8C02", B=(4, 0.3)).text == "123ABC02"


def test_similar_characters_stay_without_a_doubt_and_the_plate_has_no_country():
    found = fit("123A8C02")
    assert (found.text, found.country, found.known) == ("123A8C02", "", False)


def test_more_than_two_characters_are_never_resolved():
    assert fit("12300002").text == "12300002"


def test_a_foreign_plate_is_not_changed_into_a_form_of_the_country():
    found = fit("BA738DE", **{"4": (1, 0.3), "B": (4, 0.3)})
    assert (found.text, found.country) == ("BA738DE", "")
    assert found.known


def test_a_foreign_form_of_one_country_gives_that_country():
    found = fit("A123BC77")
    assert (found.country, found.form, found.region) == ("RU", "ru", "")


def test_a_form_of_several_countries_gives_no_country_but_separates_letters_from_digits():
    found = fit("RK1O1A0")
    assert (found.text, found.country, found.form) == ("RK101AO", "", "")
    assert len(found.notes) == 2


def test_a_text_that_fits_no_form_stays_as_it_was_read():
    found = fit("BIMMIAN")
    assert (found.text, found.known, found.notes) == ("BIMMIAN", False, ())


def test_a_file_defines_the_forms_of_another_country(tmp_path: Path):
    path = tmp_path / "xx.toml"
    path.write_text('country = "XX"\ntitle = "X"\nforms = [{ name = "plain", layout = "LLDD" }]\n')
    assert load_forms(path).fit(single("AB12")).country == "XX"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('country = "XX"\ntitle = "X"\nforms = []\n', "forms"),
        ('country = "XX"\ntitle = "X"\nforms = [{ name = "a", layout = "L?" }]\n', "layout"),
        ('country = "XX"\ntitle = "X"\ncolour = 1\nforms = [{ name = "a", layout = "LLDD" }]\n', "colour"),
    ],
)
def test_a_wrong_file_is_an_error_that_names_it(tmp_path: Path, text: str, message: str):
    path = tmp_path / "xx.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=f"xx.toml.*{message}"):
        load_forms(path)


def test_a_country_that_is_not_shipped_is_an_error():
    with pytest.raises(ConfigError, match="'zz' are not shipped"):
        load_forms("zz")


def test_a_form_selects_the_likelier_of_two_similar_characters():
    glyphs = single("123A0C02")
    glyphs[4] = 0
    glyphs[4, [Glyph.index("0"), Glyph.index("D"), Glyph.index("O")]] = 0.5, 0.3, 0.1
    assert KZ.fit(glyphs).text == "123ADC02"
    assert np.isclose(glyphs[4].sum(), 0.9)
