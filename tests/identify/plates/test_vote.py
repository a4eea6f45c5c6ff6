from __future__ import annotations

import numpy as np
import pytest

from engine.identify.plates.letters import Glyph, TextReading, columns, decode
from engine.identify.plates.vote import distance, elect, probability
from tests.support.glyphs import single


def read(text: str, weight: float = 1.0, sure: float = 0.9) -> TextReading:
    return TextReading(single(text) * sure, weight)


def steps(text: str, peak: float = 0.8) -> np.ndarray:
    """(T, 36) as the network gives it: `-` is a gap, a repeated character is held."""
    rows = np.zeros((len(text), 36))
    for row, char in zip(rows, text, strict=True):
        if char != "-":
            row[Glyph.index(char)] = peak
    return rows


def test_the_best_path_drops_gaps_and_holds():
    assert decode(steps("--11-2-AAA-A-")).text == "12AA"


def test_a_character_less_likely_than_all_others_together_is_a_gap():
    assert decode(steps("1A2", peak=0.4)).text == ""


def test_the_confidence_of_a_character_is_that_of_its_best_step():
    rows = steps("AA")
    rows[0] *= 0.5 / 0.8
    assert decode(rows[[1, 0]]).confidence == pytest.approx(0.8)
    assert decode(np.zeros((0, 36))).confidence == 0.0


def test_the_alphabet_is_found_in_the_networks_own():
    characters = ["blank", *"zy", *reversed(Glyph.ALPHABET)]
    assert "".join(characters[n] for n in columns(characters)) == Glyph.ALPHABET
    with pytest.raises(ValueError, match="not in list"):
        columns(["A"])


def test_a_single_reading_is_elected_unchanged():
    outcome = elect([read("123ABC02")])
    assert (outcome.text, outcome.agreement) == ("123ABC02", 1.0)


def test_a_vote_without_readings_is_empty():
    assert elect([]).text == ""
    assert elect([TextReading(np.zeros((0, 36)))]).text == ""
    assert elect([]).weakest == 0.0


def test_the_majority_decides_each_character_separately():
    outcome = elect([read("123ABC02"), read("128ABC02"), read("123ABG02")])
    assert outcome.text == "123ABC02"
    assert outcome.agreement == pytest.approx(1 / 3)


def test_a_wide_plate_outvotes_two_narrow_ones():
    assert elect([read("123ABC02", 200), read("128ABC02", 60), read("128ABC02", 60)]).text == "123ABC02"


def test_a_sure_reading_outvotes_an_unsure_one():
    assert elect([read("128ABC02", sure=0.5), read("123ABC02", sure=0.95)]).text == "123ABC02"


def test_a_sticker_that_one_crop_takes_for_a_character_is_outvoted():
    assert elect([read("4B281875"), read("4B21875"), read("4B21875")]).text == "4B21875"


def test_a_character_that_one_crop_has_lost_is_kept():
    assert elect([read("RK019AF"), read("K019AF"), read("RK019AF")]).text == "RK019AF"


def test_a_disputed_character_is_the_weakest():
    assert elect([read("1A"), read("1A")]).weakest > elect([read("1A"), read("1B", 0.9)]).weakest


@pytest.mark.parametrize(
    ("a", "b", "apart"), [("", "", 0), ("ABC", "ABC", 0), ("ABC", "AXC", 1), ("ABC", "AC", 1), ("ABC", "", 3)]
)
def test_distance_counts_changes(a: str, b: str, apart: int):
    assert distance(a, b) == distance(b, a) == apart


def test_agreement_and_a_known_form_make_a_reading_likelier():
    sure, disputed = elect([read("1A"), read("1A")]), elect([read("1A"), read("1B", 0.9)])
    assert 0 < probability(disputed, fits=False) < probability(sure, fits=False) < probability(sure, fits=True) < 1
