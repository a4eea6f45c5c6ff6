"""The language files: all have the same keys, and a template for every reason of the engine."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from engine.errors import ConfigError
from engine.language import Language, english, languages, load_language
from engine.rules import load_catalogue
from engine.rules.catalogue import shipped_catalogues
from engine.types import Clock, Reason, VehicleClass

ENGINE = Path(__file__).resolve().parents[1] / "engine"
TABLES = ("words", "laws", "kinds", "outcomes", "classes", "clocks", "instants", "marks", "facts", "reasons")


@pytest.fixture(params=["en", "kk", "ru"])
def language(request: pytest.FixtureRequest) -> Language:
    return load_language(request.param)


@cache
def modules() -> tuple[ast.Module, ...]:
    return tuple(ast.parse(path.read_text(encoding="utf-8")) for path in sorted(ENGINE.rglob("*.py")))


def reasons() -> Iterator[tuple[str, set[str]]]:
    """Code and parameter names of every `Reason(...)` in the engine; anything but literals fails here."""
    calls = (node for module in modules() for node in ast.walk(module) if isinstance(node, ast.Call))
    for call in calls:
        if getattr(call.func, "id", "") == "Reason":
            code, *params = (ast.literal_eval(call.args[0]), *(keys_of(one) for one in call.args[1:]))
            yield code, params[0] if params else set()


def keys_of(node: ast.expr) -> set[str]:
    assert isinstance(node, ast.Dict), f"line {node.lineno}: the parameters of a Reason are a literal"
    return {ast.literal_eval(key) for key in node.keys}


def holes(template: str) -> Mapping[str, str]:
    """Format by parameter."""
    return {name: form or "" for _, name, form, _ in string.Formatter().parse(template) if name is not None}


# -- every language is complete


def test_the_languages_are_english_kazakh_and_russian():
    assert languages() == ["en", "kk", "ru"]
    with pytest.raises(ConfigError, match="'de'"):
        load_language("de")


@pytest.mark.parametrize("table", TABLES)
def test_all_languages_have_the_same_keys(table: str):
    keys = [getattr(load_language(code), table).keys() for code in languages()]
    assert keys[0] == keys[1] == keys[2]
    assert all(text for code in languages() for text in getattr(load_language(code), table).values())


def test_every_reason_of_the_engine_has_a_template_with_its_parameters(language: Language):
    found = list(reasons())
    assert {code for code, _ in found} | {"sentence"} == language.reasons.keys(), f"{language.language}.toml"
    for code, params in found:
        assert holes(language.reasons[code]).keys() == params, f"{code} in {language.language}.toml"


def test_the_templates_of_all_languages_write_a_parameter_in_the_same_way(language: Language):
    for code, template in load_language("en").reasons.items():
        one, other = holes(template), holes(language.reasons[code])
        assert one.keys() == other.keys()
        differing = {name for name in one if one[name] != other[name]}
        assert differing <= {"article"}, "English gives an article as the catalogue has it"


def test_every_kind_and_law_of_every_catalogue_has_its_words(language: Language):
    catalogues = [load_catalogue(name) for name in shipped_catalogues()]
    assert {kind.kind for catalogue in catalogues for kind in catalogue.kinds} <= language.kinds.keys()
    assert {catalogue.version.partition("-")[0] for catalogue in catalogues} <= language.laws.keys()


def test_every_outcome_class_and_clock_has_its_words(language: Language):
    assert language.outcomes.keys() == {"fine", "warning", "officer", "indication"}
    assert language.classes.keys() == {one.name.lower() for one in VehicleClass}
    assert language.clocks.keys() == {one.name.lower() for one in Clock}


def test_every_word_is_used(language: Language):
    files = ("evidence/report/page.html", "evidence/report/page.py", "language/__init__.py")
    used = re.findall(r"say\.(\w+)|[\"'](\w+)[\"']", "".join((ENGINE / name).read_text("utf-8") for name in files))
    assert language.words.keys() <= {one or other for one, other in used}


def test_every_instant_that_a_rule_names_has_its_words(language: Language):
    named = {
        str(key.value)
        for module in modules()
        for node in ast.walk(module)
        if isinstance(node, ast.Dict) and is_instants(module, node)
        for key in node.keys
        if isinstance(key, ast.Constant)
    }
    assert {"entry", "exit", "halt", "dwell"} <= named
    assert named <= language.instants.keys()


def is_instants(module: ast.Module, found: ast.Dict) -> bool:
    """True if the table is assigned or passed as `instants`, the second argument of `offence`."""
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "offence" and found in node.args[1:2]:
            return True
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "instants" for t in node.targets):
            if found in ast.walk(node.value):
                return True
        elif isinstance(node, ast.keyword) and node.arg == "instants" and found in ast.walk(node.value):
            return True
    return False


# -- sentences


def test_a_sentence_has_the_facts_of_its_reason():
    reason = Reason("class_uncertain", {"classes": ("bus", "truck"), "limit_kmh": 62.5})
    assert english(reason) == "The class is uncertain (bus or truck): the most lenient limit, 62.5 km/h, was applied."
    sentence = load_language("ru").sentence(reason)
    assert sentence.startswith("Категория определена неоднозначно (автобус или грузовой автомобиль): ")
    assert "62,5 км/ч" in sentence


def test_numbers_have_the_decimals_of_the_template_and_the_decimal_sign_of_the_language():
    reason = Reason("clip_ends_early", {"early_s": 0.96})
    assert english(reason) == "The clip ends 1.0 s before the last instant of proof."
    assert "на 1,0 с раньше" in load_language("ru").sentence(reason)
    assert "1,0 с бұрын" in load_language("kk").sentence(reason)


def test_instants_articles_and_facts_are_translated():
    absent = Reason("still_absent", {"instant": "entry"})
    assert load_language("ru").sentence(absent) == "Нет кадра «въезд»."
    doubt = Reason("law_unverified", {"facts": ("article", "sanction"), "article": "596 p.3 or 601"})
    assert english(doubt) == "Not confirmed by any published source: the article and sanction of 596 p.3 or 601."
    assert load_language("ru").sentence(doubt).endswith("статья, взыскание (ч. 3 ст. 596 или ст. 601).")
    assert load_language("kk").sentence(doubt).endswith("бап, жаза (596-баптың 3-бөлігі немесе 601-бап).")


def test_an_unknown_reason_is_given_with_its_parameters(language: Language):
    assert language.sentence(Reason("quite_new", {"zone": "a", "count": 2})) == "quite_new zone=a count=2"
    assert language.sentence(Reason("still_absent", {"moment": "entry"})) == "still_absent moment=entry"


def test_a_value_without_a_word_stays_as_it_is(language: Language):
    assert "dusk" in language.sentence(Reason("still_absent", {"instant": "dusk"}))
    assert "{zone}" in language.sentence(Reason("still_failed", {"instant": "entry", "error": "{zone}"}))


@pytest.mark.parametrize(
    ("article", "ru", "kk"),
    [
        ("592 p.3-1", "ч. 3-1 ст. 592 КоАП РК", "ҚР ӘҚБтК 592-баптың 3-1-бөлігі"),
        ("595", "ст. 595 КоАП РК", "ҚР ӘҚБтК 595-бап"),
        ("596 p.3 or 601", "ч. 3 ст. 596 или ст. 601 КоАП РК", "ҚР ӘҚБтК 596-баптың 3-бөлігі немесе 601-бап"),
        ("", "", ""),
    ],
)
def test_an_article_is_cited_as_the_language_does(article: str, ru: str, kk: str):
    assert load_language("ru").article(article, "kz-2026.1") == ru
    assert load_language("kk").article(article, "kz-2026.1") == kk


def test_an_article_of_another_law_stays_as_it_is(language: Language):
    assert language.article("§ 3 StVO", "kz-2026.1") == "§ 3 StVO"
    assert language.article("592 p.1", "de-2026.1") == "592 p.1"
