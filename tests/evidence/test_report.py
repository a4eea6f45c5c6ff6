"""The report of a case: complete in every language, made of the document alone."""

from __future__ import annotations

import ast
import datetime as dt
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from engine.decode.second_look import look
from engine.errors import ConfigError, EvidenceError
from engine.evidence import EvidenceTools, embedded, languages, write_report
from engine.evidence.report.words import Words, words_of
from engine.identify.papers.paper import PAPERS, PaperRecord, Until
from engine.rules import load_catalogue
from engine.rules.catalogue import shipped_catalogues
from engine.tools.cli import app
from engine.types import Clock, VehicleClass, document
from rig.evidence_bench import Bench, build_case, find_nothing
from rig.examples import make_document, make_footage

ENGINE = Path(__file__).resolve().parents[2] / "engine"
SPEAKING = ("rules", "section", "evidence", "signals", "plates", "inquiry", "registry")
"""Packages whose sentences go into a case's `reasons` and `incomplete`."""
TABLES = ("words", "laws", "kinds", "outcomes", "classes", "clocks", "instants", "marks", "facts")


@pytest.fixture(params=["ru", "kk", "en"])
def words(request: pytest.FixtureRequest) -> Words:
    return words_of(request.param)


def report(language: str = "en", **changes: object) -> str:
    return write_report(document.encode(make_document(**changes)), language).decode()


# -- every language says everything


def test_there_is_a_report_in_russian_kazakh_and_english():
    assert languages() == ["en", "kk", "ru"]
    with pytest.raises(ConfigError, match="'de'"):
        words_of("de")


def test_every_kind_of_every_catalogue_has_a_title(words: Words):
    kinds = {kind.kind for name in shipped_catalogues() for kind in load_catalogue(name).kinds}
    assert kinds <= words.kinds.keys()


def test_every_catalogue_has_its_law(words: Words):
    names = {load_catalogue(name).version.partition("-")[0] for name in shipped_catalogues()}
    assert names <= words.laws.keys()


def test_every_outcome_class_and_clock_has_its_words(words: Words):
    assert words.outcomes.keys() == {"fine", "warning", "officer", "indication"}
    assert words.classes.keys() == {one.name.lower() for one in VehicleClass}
    assert words.clocks.keys() == {one.name.lower() for one in Clock}


@pytest.mark.parametrize("table", TABLES)
def test_all_languages_have_the_same_keys(table: str):
    keys = [getattr(words_of(language), table).keys() for language in languages()]
    assert keys[0] == keys[1] == keys[2]
    assert all(text for language in languages() for text in getattr(words_of(language), table).values())


def test_every_word_of_the_page_is_used(words: Words):
    sources = [
        (ENGINE / "evidence" / "report" / name).read_text("utf-8") for name in ("page.html", "page.py", "words.py")
    ]
    used = set(re.findall(r"say\.(\w+)|[\"'](\w+)[\"']", "".join(sources)))
    assert words.words.keys() <= {one or other for one, other in used}


def modules() -> Iterator[ast.Module]:
    paths = [path for package in SPEAKING for path in (ENGINE / package).rglob("*.py")]
    yield from (ast.parse(path.read_text(encoding="utf-8")) for path in sorted(paths) if path.name != "table.py")


def spoken() -> set[str]:
    """What cases may say: every sentence in the code that is neither a docstring nor an error, every failure noted."""
    return {said for module in modules() for said in (*sentences(module), *failures(module))}


def sentences(module: ast.Module) -> Iterator[str]:
    """Strings that begin and end like a sentence."""
    silent: set[int] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Raise) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            silent |= {id(part) for part in ast.walk(node)}
        elif isinstance(node, ast.JoinedStr):
            silent |= {id(part) for part in node.values}
    said = (text_of(node) for node in ast.walk(module) if id(node) not in silent)
    yield from (text for text in said if re.match(r"[A-Z].* .*\.$", text, re.DOTALL))


def failures(module: ast.Module) -> Iterator[str]:
    """What is given to `miss` and `attempt`, which end it themselves."""
    ends = {"miss": ".", "attempt": ": X."}
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ends:
            text = text_of(node.args[0])
            yield from [text + ends[node.func.attr]] if text.strip("X: ") else []
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "failure":
            yield text_of(node.value) + ": X."


def text_of(node: ast.AST) -> str:
    """A string as it may come out, X for what is put in; empty for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.sub(r"\{\w*\}", "X", node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
    return ""


@pytest.mark.parametrize("language", ["ru", "kk"])
def test_every_sentence_that_a_case_may_say_is_said_in_this_language(language: str):
    words = words_of(language)
    assert len(spoken()) > 15
    missing = [said for said in sorted(spoken()) if words.sentence(said) == said]
    assert not missing, f"engine/evidence/report/{language}.toml needs [[sentences]] for these: {missing}"


def test_every_instant_that_a_rule_names_has_its_words(words: Words):
    named = {
        str(key.value)
        for module in modules()
        for node in ast.walk(module)
        if isinstance(node, ast.Dict) and is_instants(module, node)
        for key in node.keys
        if isinstance(key, ast.Constant)
    }
    assert {"entry", "exit", "halt", "dwell"} <= named
    assert named <= words.instants.keys()


def is_instants(module: ast.Module, found: ast.Dict) -> bool:
    """Is the table given as `instants`?"""
    for node in ast.walk(module):
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "instants" for t in node.targets):
            if found in ast.walk(node.value):
                return True
        elif isinstance(node, ast.keyword) and node.arg == "instants" and found in ast.walk(node.value):
            return True
    return False


# -- what it says


def test_a_sentence_is_said_with_its_facts():
    said = "The class is uncertain (bus or truck): the most lenient limit, 62.5 km/h, was applied."
    told = words_of("ru").sentence(said)
    assert told.startswith("Категория определена неоднозначно (автобус или грузовой автомобиль): ")
    assert "62,5 км/ч" in told
    assert words_of("en").sentence(said) == said


def test_a_sentence_within_a_sentence_is_said_too():
    inner = (
        "Enforced 87 km/h = 90.1 measured - 0 tolerance - 3.0 x 0.70 standard uncertainty, rounded down; limit 60 km/h."
    )
    outer = f"Plate 123ABC02 from west (w) to east (e): 5000.0 m in 200.00 s. {inner}"
    assert words_of("kk").sentence(outer).endswith(words_of("kk").sentence(inner))
    assert words_of("kk").sentence(inner) != inner


@pytest.mark.parametrize("until", ["none", dt.date(2026, 1, 31)])
def test_what_a_registry_says_is_said_with_its_paper(until: Until):
    at = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
    for kind in PAPERS:
        said = PaperRecord(until, at, "the registry's snapshot").judged(kind, at).says
        assert "снимок реестра" in words_of("ru").sentence(said)
        assert "тізілім көшірмесі" in words_of("kk").sentence(said)


def test_a_sentence_that_nobody_knows_stays_as_it_is(words: Words):
    assert words.sentence("Something quite new.") == "Something quite new."


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
    assert words_of("ru").article(article, "kz-2026.1") == ru
    assert words_of("kk").article(article, "kz-2026.1") == kk


def test_an_article_of_another_law_stays_as_it_is(words: Words):
    assert words.article("§ 3 StVO", "kz-2026.1") == "§ 3 StVO"
    assert words.article("592 p.1", "de-2026.1") == "592 p.1"


def test_the_measurement_shows_how_the_enforced_speed_comes_about():
    page = report("ru")
    assert "90,40 ± 2,20 км/\u2060ч" in page
    assert "90,40 − 0,00 (допуск) − 2,20 = 88 км/\u2060ч" in page
    assert "превышение 28 км/\u2060ч" in page
    assert report(measurement=None).count("Measured speed") == 0


def test_time_is_local_and_utc_with_the_state_of_the_clock():
    at = document.moment(1_780_000_000.25)
    page = report(time=msgspec.structs.replace(make_document().time, occurred=at, clock="unstable"))
    assert "2026-05-29 01:26:40.250 (UTC+05:00)" in page
    assert "2026-05-28 20:26:40.250 UTC" in page
    assert "not stable" in page


def test_the_address_is_in_the_readers_language_or_the_next_best():
    assert "Абай даңғ." in report("kk")
    assert "Абай даңғ." in report("en")
    address = {"en": "Abay ave.", "ru": "пр. Абая"}
    where = msgspec.structs.replace(make_document().place, address=address)
    assert "пр. Абая" in report("kk", place=where)
    assert "Abay ave." in report("en", place=where)


def test_what_others_wrote_cannot_become_part_of_the_page():
    where = msgspec.structs.replace(make_document().place, address={"en": "<script>alert(1)</script>"})
    page = report(place=where, reasons=("<img src=x>",))
    assert "<script" not in page
    assert "<img src=x>" not in page


def test_a_plate_with_its_readings_and_marks():
    plate = document.PlateRecord(
        text="123ABC02", country="KZ", region="02", form="private", confidence=0.973, frames=7,
        alternatives=(document.PlateReading("128ABC02", 0.01),), notes=(), still=None, marks=("stolen",),
    )  # fmt: skip
    page = report("ru", plate=plate)
    for text in ("123ABC02", "KZ 02", "0,973", "128ABC02", "в розыске"):
        assert text in page
    assert "не прочитан" in report("ru")


def test_who_answers_is_said_with_the_article():
    liable = document.Liability(article="31", says={"ru": "Отвечает собственник.", "kk": "Меншік иесі жауап береді."})
    assert "Отвечает собственник. (ст. 31 КоАП РК)" in report("ru", liability=liable)
    assert "Меншік иесі жауап береді. (ҚР ӘҚБтК 31-бап)" in report("kk", liability=liable)
    assert "Отвечает собственник." in report("en", liability=liable)
    assert "Liability" not in report("en")


def test_papers_that_did_not_hold_are_said_loudly():
    at = make_document().time.occurred
    year = dt.timedelta(days=365)
    paper = document.CertificateRecord(number="KZ.1", issued=at - 2 * year, expires=at - year, valid=False)
    page = report("ru", device=msgspec.structs.replace(make_document().device, certificate=paper))
    assert "НЕ ДЕЙСТВУЕТ" in page


def test_a_case_that_nobody_signed_says_so_and_a_signed_one_says_by_which_key():
    assert "NOT SIGNED" in report()
    device = msgspec.structs.replace(make_document().device, signing_key="3f2a91c0d4e5b677")
    assert "3f2a91c0d4e5b677" in report(device=device)
    assert "NOT SIGNED" not in report(device=device)


# -- made of the document alone


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    bench = Bench(tmp_path_factory.mktemp("evidence"), EvidenceTools(look, find_nothing))
    proved, _ = build_case(bench, make_footage(12))
    return bench.root / proved.folder


@pytest.mark.parametrize("language", ["ru", "kk", "en"])
def test_the_command_makes_the_very_report_that_lies_in_the_folder(case: Path, language: str, tmp_path: Path):
    out = tmp_path / "report.html"
    result = CliRunner().invoke(app, ["report", str(case), "--lang", language, "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert out.read_bytes() == (case / f"report.{language}.html").read_bytes()


def test_every_picture_of_the_report_is_a_file_of_the_case(case: Path):
    page = (case / "report.ru.html").read_text(encoding="utf-8")
    shown = re.findall(r'src="([^"]+)"', page)
    assert {"overview.jpg", "overlay.jpg", "plan.svg", "vehicle.jpg", "still-first.jpg"} <= {*shown}
    assert all((case / name).is_file() for name in shown)


def test_every_file_of_the_document_is_listed_with_its_hash(case: Path):
    page = (case / "report.en.html").read_text(encoding="utf-8")
    record = document.decode((case / "case.json").read_bytes(), source="case.json")
    assert all(f"<b>{file.name}</b> {file.sha256}" in page for file in record.files)


def test_an_embedded_report_needs_no_file_beside_it(case: Path):
    page = embedded((case / "report.en.html").read_bytes(), case).decode()
    assert 'src="overview.jpg"' not in page
    assert page.count("data:image/jpeg;base64,") >= 4
    with pytest.raises(EvidenceError, match=r"overview\.jpg"):
        embedded((case / "report.en.html").read_bytes(), case.parent)


def test_a_folder_without_a_case_is_an_error(tmp_path: Path):
    result = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert isinstance(result.exception, EvidenceError)
