from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from qyran.v1 import case_pb2 as pb
from qyran.v1 import violation_service_pb2 as calls_pb

from engine import wire
from engine.language import english
from engine.types import Case, Clock, Entry, EvidenceFile, Reason, VehicleClass
from engine.types import document as doc
from rig.examples import ENFORCED, EPOCH_S, make_case, make_document

PROTO = Path(__file__).resolve().parents[1] / "proto"
DATA = Path(__file__).parent / "data"

names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
instants_s = st.floats(1e9, 4e9)
"""From 2001 on: so large that a float has no fraction of a nanosecond."""
files = st.builds(EvidenceFile, names, names, st.integers(0, 2**62), names)
cases = st.builds(Case, names, names, names, instants_s, st.binary(max_size=300), st.lists(files).map(tuple), names)


def case_message(case: Case) -> pb.Case:
    return wire.entry_to_message(Entry(1, EPOCH_S, case)).case


@given(st.builds(Entry, st.integers(0, 2**62), instants_s, cases))
def test_any_entry_comes_back_equal_from_the_wire(entry: Entry):
    sent = wire.entry_to_message(entry).SerializeToString()
    assert wire.entry_from_message(pb.Entry.FromString(sent)) == entry


@given(st.builds(Entry, st.integers(0, 2**62), instants_s, cases))
def test_an_entry_put_together_from_its_summary_equals_its_message(entry: Entry):
    summary, _ = wire.summarise(entry.case)
    sent = wire.serialize_entry(entry.sequence, entry.recorded_s, summary, entry.case.document)
    assert calls_pb.WatchViolationsResponse.FromString(sent).entry == wire.entry_to_message(entry)


@pytest.mark.parametrize("size", [0, 1, 127, 128, 300_000, 3_000_000])
def test_a_document_of_any_length_is_framed(size: int):
    sent = wire.serialize_entry(1, EPOCH_S, b"", bytes(size))
    assert calls_pb.WatchViolationsResponse.FromString(sent).entry.case.document == bytes(size)


def test_a_summary_stays_what_the_released_ledgers_hold():
    """A change needs a migration that rebuilds the stored summaries; then write the file again."""
    stored = json_format.MessageToDict(pb.Case.FromString(wire.summarise(make_case(7))[0]))
    assert {"case": stored} == json.loads((DATA / "summary.json").read_text("utf-8"))


@given(st.floats(-1e9, 4e9))
def test_an_instant_comes_back_as_the_very_same_float_or_within_a_nanosecond(instant_s: float):
    stamp = wire.timestamp(instant_s)
    assert 0 <= stamp.nanos < wire.NANO
    back_s = wire.seconds(stamp)
    assert abs(back_s - instant_s) < 1e-9
    assert back_s == instant_s or abs(instant_s) < 2**22


def test_the_message_repeats_what_the_document_says():
    message = case_message(make_case(7))
    assert message.article == "592 p.1"
    assert message.outcome == pb.OUTCOME_FINE
    assert message.clock == pb.CLOCK_SYNCHRONISED
    assert message.vehicle_class == pb.VEHICLE_CLASS_TRUCK
    assert list(message.reasons) == [english(ENFORCED)]
    assert message.place.address["kk"] == "Абай даңғ."
    assert message.place.latitude == 43.25
    assert not message.place.HasField("longitude")
    assert (message.measurement.speed_kmh, message.measurement.enforced_kmh) == (90.4, 88)
    assert message.measurement.ended_at.ToSeconds() == EPOCH_S + 8
    assert wire.seconds(message.occurred_at) == EPOCH_S + 7


def test_the_message_has_the_plate_of_the_document_if_there_is_one():
    plate = doc.PlateRecord(
        text="123ABC02",
        country="KZ",
        region="02",
        form="private_2012",
        confidence=0.97,
        frames=5,
        alternatives=(doc.PlateReading(text="128ABC02", confidence=0.02),),
        notes=(),
        still="plate.jpg",
        marks=("stolen",),
    )
    case = make_case()
    assert not case_message(case).HasField("plate")
    read = Case(case.id, "gate", "speeding", EPOCH_S, doc.encode(make_document(plate=plate)), (), "")
    message = case_message(read).plate
    assert (message.text, message.country, message.region) == ("123ABC02", "KZ", "02")
    assert [(one.text, one.confidence) for one in message.alternatives] == [("128ABC02", 0.02)]
    assert list(message.marks) == ["stolen"]


def test_reasons_travel_as_sentences_and_as_data():
    reason = Reason("class_uncertain", {"classes": ("car", "truck"), "limit_kmh": 62.5})
    missing = Reason("still_failed", {"instant": "entry", "error": "gone"})
    record = make_document(reasons=(reason,), incomplete=(missing, Reason("too_few_stills", {"needed": 2, "count": 1})))
    message = case_message(Case(record.id, "gate", "speeding", EPOCH_S, doc.encode(record), (), ""))
    assert list(message.reasons) == [english(reason)]
    assert message.incomplete[0] == english(missing)
    (coded,) = message.coded_reasons
    assert (coded.code, [param.name for param in coded.params]) == ("class_uncertain", ["classes", "limit_kmh"])
    assert (list(coded.params[0].words.values), coded.params[1].number) == (["car", "truck"], 62.5)
    assert message.coded_incomplete[0].params[1].text == "gone"
    assert [param.integer for param in message.coded_incomplete[1].params] == [2, 1]


def test_a_kind_without_a_measurement_has_none():
    record = make_document(measurement=None)
    case = Case(record.id, "gate", "wrong_way", EPOCH_S, doc.encode(record), (), "")
    assert not case_message(case).HasField("measurement")


def test_an_unknown_word_becomes_unspecified():
    record = make_document(outcome="sermon", vehicle_class="hovercraft")
    message = case_message(Case(record.id, "gate", "speeding", EPOCH_S, doc.encode(record), (), ""))
    assert message.outcome == pb.OUTCOME_UNSPECIFIED
    assert message.vehicle_class == pb.VEHICLE_CLASS_UNSPECIFIED


def test_an_unreadable_document_is_sent_and_marked_incomplete():
    message = case_message(Case("gate-1", "gate", "speeding", EPOCH_S, b"{]", (), ""))
    assert message.document == b"{]"
    assert len(message.incomplete) == 1
    assert "case gate-1" in message.incomplete[0]
    assert message.coded_incomplete[0].code == "sentence"


def test_a_document_of_a_newer_program_is_read():
    content = doc.encode(make_document()).replace(b'"schema": 2', b'"schema": 2, "colour": "white"')
    assert doc.decode(content, source="") == make_document()


@pytest.mark.parametrize(
    ("own", "of_protocol"),
    [
        ([clock.name for clock in Clock], [n.removeprefix("CLOCK_") for n in pb.Clock.keys()[1:]]),
        (
            [one.name for one in VehicleClass if one is not VehicleClass.PERSON],
            [n.removeprefix("VEHICLE_CLASS_") for n in pb.VehicleClass.keys()[1:]],
        ),
    ],
)
def test_the_protocol_has_the_names_of_our_enums(own: list[str], of_protocol: list[str]):
    assert own == of_protocol


def test_the_generated_code_is_that_of_the_proto_files(tmp_path: Path):
    spec = importlib.util.spec_from_file_location("generate", PROTO / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.generate(tmp_path)
    made = {path.name: path.read_text() for path in (tmp_path / "qyran" / "v1").iterdir()}
    kept = {path.name: path.read_text() for path in (PROTO / "qyran" / "v1").glob("*_pb2*")}
    assert made == kept, "run `make proto`"
