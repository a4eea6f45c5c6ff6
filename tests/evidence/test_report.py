"""The report of a case: complete in every language, made from the document alone."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from engine.errors import EvidenceError
from engine.evidence import embed_pictures, verify_case, write_report
from engine.language import english
from engine.tools.cli import app
from engine.types import Reason, Segment, document
from rig.evidence_bench import Bench, build_case
from rig.examples import make_document


def report(language: str = "en", **changes: object) -> str:
    return write_report(document.encode(make_document(**changes)), language).decode()


# -- content


def test_the_measurement_shows_how_the_enforced_speed_is_computed():
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


def test_text_from_outside_cannot_become_part_of_the_page():
    where = msgspec.structs.replace(make_document().place, address={"en": "<script>alert(1)</script>"})
    page = report(place=where, reasons=(Reason("sentence", {"text": "<img src=x>"}),))
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


def test_the_liability_is_given_with_its_article():
    liable = document.Liability(article="31", says={"ru": "Отвечает собственник.", "kk": "Меншік иесі жауап береді."})
    assert "Отвечает собственник. (ст. 31 КоАП РК)" in report("ru", liability=liable)
    assert "Меншік иесі жауап береді. (ҚР ӘҚБтК 31-бап)" in report("kk", liability=liable)
    assert "Отвечает собственник." in report("en", liability=liable)
    assert "Liability" not in report("en")


def test_papers_that_are_not_valid_are_shown_in_capitals():
    at = make_document().time.occurred
    year = dt.timedelta(days=365)
    paper = document.CertificateRecord(number="KZ.1", issued=at - 2 * year, expires=at - year, valid=False)
    page = report("ru", device=msgspec.structs.replace(make_document().device, certificate=paper))
    assert "НЕ ДЕЙСТВУЕТ" in page


def test_the_report_names_the_signing_key_or_states_that_the_case_is_not_signed():
    assert "NOT SIGNED" in report()
    device = msgspec.structs.replace(make_document().device, signing_key="3f2a91c0d4e5b677")
    assert "3f2a91c0d4e5b677" in report(device=device)
    assert "NOT SIGNED" not in report(device=device)


# -- made from the document alone


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory, footage: list[Segment]) -> Path:
    bench = Bench(tmp_path_factory.mktemp("evidence"))
    return bench.root / build_case(bench, footage)[0].folder


@pytest.mark.parametrize("language", ["ru", "kk", "en"])
def test_the_command_writes_the_same_report_as_in_the_folder(case: Path, language: str, tmp_path: Path):
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
    page = embed_pictures((case / "report.en.html").read_bytes(), case).decode()
    assert 'src="overview.jpg"' not in page
    assert page.count("data:image/jpeg;base64,") >= 4
    with pytest.raises(EvidenceError, match=r"overview\.jpg"):
        embed_pictures((case / "report.en.html").read_bytes(), case.parent)


def test_a_folder_without_a_case_is_an_error(tmp_path: Path):
    result = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert isinstance(result.exception, EvidenceError)


# -- cases of schema 1: their reasons are sentences

DOUBT = "The plate was read with a confidence of 0.83, below 0.9: an officer has to identify the vehicle."
OLD = Path(__file__).resolve().parents[1] / "data" / "schema_1" / "gate-000007"


def test_a_case_of_schema_1_is_verified_and_read():
    assert verify_case(OLD) == []
    record = document.decode((OLD / "case.json").read_bytes(), source="case.json")
    assert record.reasons[1] == Reason("sentence", {"text": DOUBT})
    assert [english(reason) for reason in record.incomplete] == ["No recording of the time is kept."]
    assert record.plate.notes[0].params["text"].startswith("Character 5 looks like 0")


@pytest.mark.parametrize("language", ["ru", "kk", "en"])
def test_a_report_of_schema_1_has_its_sentences_unchanged(language: str):
    page = write_report((OLD / "case.json").read_bytes(), language).decode()
    assert f"<li>{DOUBT}</li>" in page
    assert "<li>No recording of the time is kept.</li>" in page


@pytest.mark.parametrize("damage", [b'"reasons": 1', b'"reasons": [1]', b'"reasons": [{"code": 1}]'])
def test_reasons_of_another_type_are_an_error(damage: bytes):
    for content in ((OLD / "case.json").read_bytes(), document.encode(make_document())):
        damaged = re.sub(rb'"reasons": \[.*?\n \]', damage, content, flags=re.DOTALL)
        with pytest.raises(EvidenceError, match=r"case\.json: .*reasons"):
            document.decode(damaged, source="case.json")
