from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from engine.decode.frame_fetcher import fetch_frames
from engine.errors import ConfigError, DecodeError
from engine.identify import Identification, Looks, StolenList, VehicleIdentifier
from engine.identify.identifier import largest, views
from engine.metrics import Metrics
from engine.types import Findings, Outcome, Plate, PlateSighting, Reason, Sighting, VehicleView, Violation
from rig.examples import EPOCH_S, SIZE_PX, keep_all, make_footage, make_violation
from tests.support.road import SPEEDING, site

FOOTAGE = make_footage(4)
AT_S = EPOCH_S + 2


def plate(text: str = "123ABC02", confidence: float = 0.97, country: str = "KZ") -> Plate:
    return Plate(text=text, country=country, region="02", form="private_2012", confidence=confidence)


class Reader:
    """Returns a fixed plate, and records the views it gets."""

    def __init__(self, read: Plate | None) -> None:
        self.plate = read
        self.shown: list[Sequence[VehicleView]] = []

    def read(self, shown: Sequence[VehicleView]) -> PlateSighting | None:
        self.shown.append(shown)
        return PlateSighting(self.plate, shown[0].captured_s, shown[0].xyxy_px) if self.plate and shown else None


RECORDINGS = keep_all(FOOTAGE)


def identifier(
    reader: Reader | None, *, exempt: tuple[str, ...] = (), stolen: str = "", metrics: Metrics | None = None
) -> VehicleIdentifier:
    where = site(msgspec.structs.replace(SPEEDING, name="limit-60", exempt_plates=exempt))
    rules = Identification("KZ", 0.9, is_stolen=lambda text: text == stolen)
    return VehicleIdentifier(
        lambda camera: where, {0: "cam"}, Looks(RECORDINGS, fetch_frames, reader), rules, metrics or Metrics()
    )


def identified(
    reader: Reader | None, violation: Violation | None = None, *, metrics: Metrics | None = None, stolen: str = ""
) -> Violation:
    """The violation after identification."""
    findings = Findings((violation or make_violation(AT_S),))
    (found,) = identifier(reader, metrics=metrics, stolen=stolen).identify(findings)
    return found


def counted(metrics: Metrics, result: str) -> float:
    return metrics.plates.labels("cam", result)._value.get()


def test_a_surely_read_plate_of_the_country_names_the_owner():
    metrics = Metrics()
    found = identified(Reader(plate()), metrics=metrics)
    assert found.plate is not None
    assert (found.plate.plate.text, found.outcome, found.marks) == ("123ABC02", "fine", ())
    assert counted(metrics, "read") == 1


@pytest.mark.parametrize(
    ("read", "reason", "result"),
    [
        (plate(confidence=0.7), Reason("plate_doubtful", {"confidence": 0.7, "least": 0.9}), "doubtful"),
        (plate("A123BC77", country="RU"), Reason("plate_country_uncertain", {"country": "KZ"}), "read"),
        (plate("RK576AH", country=""), Reason("plate_country_uncertain", {"country": "KZ"}), "read"),
        (None, Reason("plate_unread"), "none"),
    ],
)
def test_any_other_plate_is_for_an_officer(read: Plate | None, reason: Reason, result: str):
    metrics = Metrics()
    found = identified(Reader(read), metrics=metrics)
    assert found.outcome == "officer"
    assert found.reasons[-1] == reason
    assert counted(metrics, result) == 1
    assert (found.plate and found.plate.plate) == read


def test_without_a_reader_an_officer_identifies_every_vehicle():
    metrics = Metrics()
    found = identified(None, metrics=metrics)
    assert (found.outcome, found.plate) == ("officer", None)
    assert found.reasons[-1] == Reason("plate_reader_absent")
    assert counted(metrics, "no_reader") == 1


def test_an_indication_stays_one():
    violation = replace(make_violation(AT_S), outcome=Outcome.INDICATION)
    assert identified(Reader(None), violation).outcome == "indication"


def test_a_stolen_vehicle_is_marked_and_not_fined():
    found = identified(Reader(plate()), stolen="123ABC02")
    assert (found.outcome, found.marks) == ("officer", ("stolen",))
    assert found.reasons[-1] == Reason("plate_stolen")


def test_a_plate_that_the_rule_exempts_drops_the_violation_and_counts_it():
    metrics = Metrics()
    exempting = identifier(Reader(plate()), exempt=("123ABC02",), metrics=metrics)
    assert exempting.identify(Findings((make_violation(AT_S),))) == []
    assert metrics.dropped_violations.labels("cam", "speeding", "exempt_plate")._value.get() == 1


def test_a_doubtful_plate_or_another_rule_does_not_exempt():
    doubtful = identifier(Reader(plate(confidence=0.7)), exempt=("123ABC02",))
    assert len(doubtful.identify(Findings((make_violation(AT_S),)))) == 1
    surely = identifier(Reader(plate()), exempt=("123ABC02",))
    assert len(surely.identify(Findings((replace(make_violation(AT_S), rule="another"),)))) == 1


def test_a_vehicle_that_breaks_two_rules_is_read_once_if_surely_and_again_if_not():
    for read, looks in ((plate(), 1), (plate(confidence=0.5), 2)):
        reader = Reader(read)
        identifier(reader).identify(Findings((make_violation(AT_S), make_violation(AT_S, measured=False))))
        assert len(reader.shown) == looks


def test_a_plate_read_in_another_offence_of_the_vehicle_is_read_again():
    """Its frame is not in the recording of the later one."""
    reader = Reader(plate())
    identifier(reader).identify(Findings((make_violation(EPOCH_S + 1.0), make_violation(EPOCH_S + 3.0 - 0.001))))
    first, second = reader.shown
    assert max(view.captured_s for view in first) <= min(view.captured_s for view in second) + 0.1


def test_an_error_of_the_reader_costs_the_plate_and_not_the_violation():
    class Broken:
        def read(self, shown: Sequence[VehicleView]) -> PlateSighting | None:
            raise RuntimeError("the network fails")

    metrics = Metrics()
    found = identified(Broken(), metrics=metrics)  # type: ignore[arg-type]
    assert found.outcome == "officer"
    assert counted(metrics, "failed") == 1


def test_the_reader_gets_whole_frames_in_which_the_vehicle_is_largest():
    reader = Reader(plate())
    identifier(reader).identify(Findings((make_violation(AT_S),)))
    (shown,) = reader.shown
    assert 1 <= len(shown) <= 4
    assert all(view.rgb.shape == (SIZE_PX[1], SIZE_PX[0], 3) for view in shown)


def test_a_violation_without_a_recording_has_no_view():
    assert views(make_violation(AT_S), [], fetch_frames, 4) == []


def test_a_frame_that_is_not_kept_is_left_out():
    """The box of one moment does not fit the frame of another."""
    violation = make_violation(AT_S)
    assert len(views(violation, FOOTAGE, fetch_frames, 9)) == len(violation.sightings)
    late = [segment for segment in FOOTAGE if segment.began_s >= AT_S]
    assert {view.captured_s >= AT_S for view in views(violation, late, fetch_frames, 9)} == {True}


def test_a_recording_that_does_not_decode_is_an_error():
    broken = [replace(segment, payload=bytes(len(segment.payload))) for segment in FOOTAGE]
    with pytest.raises(DecodeError):
        views(make_violation(AT_S), broken, fetch_frames, 2)


def sighting(at_s: float, width: float, left: float = 50.0) -> Sighting:
    return Sighting(at_s, (left, 50.0, left + width, 50.0 + width / 2), None)


def test_the_largest_whole_sightings_come_first_and_only_one_of_a_moment():
    cut, large, twin, small = sighting(0.0, 200, left=0), sighting(1.0, 100), sighting(1.02, 99), sighting(2.0, 40)
    assert largest((cut, large, twin, small), SIZE_PX, 3) == [large, small, cut]
    assert largest((cut, large, twin, small), SIZE_PX, 1) == [large]


def test_the_list_of_stolen_plates_is_read_and_read_again_when_it_changes(tmp_path: Path):
    path = tmp_path / "stolen.txt"
    path.write_text("# reported to the police\n123 abc 02  # 3 May\n\n")
    stolen = StolenList(path)
    assert stolen("123ABC02")
    assert not stolen("740KRM09")
    path.write_text("740KRM09\n")
    os.utime(path, ns=(1, 1))
    assert stolen("740KRM09")
    assert not stolen("123ABC02")


def test_a_deleted_list_stays_in_use_and_a_missing_one_is_an_error_at_the_start(tmp_path: Path):
    path = tmp_path / "stolen.txt"
    path.write_text("123ABC02\n")
    stolen = StolenList(path)
    path.unlink()
    assert stolen("123ABC02")
    with pytest.raises(ConfigError, match=r"stolen\.txt"):
        StolenList(path)
