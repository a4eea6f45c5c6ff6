"""The blocks of docs/adding-a-rule.md are a kind that works: they are extracted, put in place and run."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from engine.language import load_language
from engine.rules import kinds, load_catalogue, parse_site
from engine.rules.catalogue import Catalogue
from engine.types import Reason
from tests.support import road, twins, world

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"```(?:python|toml)\n# (\S+)\n(.*?)```", re.DOTALL)
BLOCKS = dict(BLOCK.findall((ROOT / "docs" / "adding-a-rule.md").read_text("utf-8")))
KIND, LAW, TEST = (
    next(path for path in BLOCKS if part in path) for part in ("kinds/close", "catalogues", "test_close")
)


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Catalogue]:
    """The example's kind and law in place; the catalogue with it."""
    (tmp_path / "kinds").mkdir()
    (tmp_path / "kinds" / Path(KIND).name).write_text(BLOCKS[KIND], "utf-8")
    (tmp_path / "law.toml").write_text((ROOT / LAW).read_text("utf-8") + "\n" + BLOCKS[LAW], "utf-8")
    law = load_catalogue(tmp_path / "law.toml")
    monkeypatch.setattr(kinds, "__path__", [*kinds.__path__, str(tmp_path / "kinds")])
    for module in (road, world):
        monkeypatch.setattr(module, "KZ", law)
    kinds.rule_kinds.cache_clear()
    yield law
    kinds.rule_kinds.cache_clear()


def load_test(folder: Path) -> ModuleType:
    """The example's test as a module."""
    path = folder / Path(TEST).name
    path.write_text(BLOCKS[TEST], "utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_touches_the_kind_the_law_the_languages_and_the_test() -> None:
    assert len(BLOCKS) == 6
    assert all((ROOT / path).exists() for path in BLOCKS if path not in (KIND, TEST))
    assert all(len(line) <= 120 for path in (KIND, TEST) for line in BLOCKS[path].splitlines())


def test_a_site_file_may_hold_a_rule_of_the_example(example: Catalogue) -> None:
    assert "close_following" in kinds.rule_kinds()
    text = """
        name = "one"
        image_size_px = [1280, 720]
        valid_from = 2026-01-01T00:00:00+05:00
        place = { address = { en = "One" } }
        zones = [{ name = "road", polygon_px = [[0, 700], [1280, 700], [700, 100]] }]
        [[rules]]
        kind = "close_following"
        name = "distance"
        zone = "road"
        gap_s = 0.5
    """
    (rule,) = parse_site(text, source="site.toml").rules
    assert rule == kinds.rule_kinds()["close_following"].rule(name="distance", zone="road", gap_s=0.5)  # type: ignore[comparison-overlap]


def test_the_tests_of_the_example_pass(example: Catalogue, tmp_path: Path) -> None:
    module = load_test(tmp_path)
    tests = [one for name, one in vars(module).items() if name.startswith("test_")]
    assert len(tests) >= 3
    for test in tests:
        test()


def test_the_example_goes_from_boxes_to_the_ledger_and_its_twin_does_not(example: Catalogue, tmp_path: Path) -> None:
    (pair,) = load_test(tmp_path).TWINS
    assert isinstance(pair, twins.Twins)
    for name, find_cases, expected in (
        ("guilty", pair.guilty_cases, [pair.kind]),
        ("innocent", pair.innocent_cases, []),
    ):
        (tmp_path / name).mkdir()
        assert [case.kind for case in find_cases(tmp_path / name)] == expected


@pytest.mark.parametrize("language", ["en", "ru", "kk"])
def test_every_language_has_the_title_and_the_sentence_of_the_example(language: str) -> None:
    block = tomllib.loads(next(text for path, text in BLOCKS.items() if path.endswith(f"{language}.toml")))
    assert block["kinds"].keys() == {"close_following"}
    own = msgspec.structs.replace(load_language(language), reasons=block["reasons"])
    (code,) = block["reasons"]
    sentence = own.sentence(Reason(code, {"lasted_s": 1.5, "gap_s": 0.72, "speed_kmh": 76}))
    assert f"0{own.decimal}7" in sentence and f"1{own.decimal}5" in sentence and "76" in sentence
