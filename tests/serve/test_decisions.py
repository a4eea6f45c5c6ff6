"""Cursors of consumers, dispositions of registers, reviews of officers: monotonic, idempotent, with their history."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from qyran.v1 import violation_service_pb2 as pb

from engine import wire
from engine.access import EVERYTHING, Role
from engine.ledger import consumers, decisions
from rig.examples import make_case
from rig.serving import World, eventually
from tests.serve.test_access import bearer

CASE = "gate-000001"
END_OF_TIME = Timestamp(seconds=2**63 - 1)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    world.ledger.append([make_case(n) for n in range(1, 11)])
    yield world
    world.close()


def refused(call: grpc.UnaryUnaryMultiCallable, request: object, metadata: object = ()) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call(request, metadata=metadata)
    return caught.value.code().name, caught.value.details()


# -- consumers


def acknowledge(world: World, sequence: int, consumer: str = "astana", metadata: object = ()) -> int:
    request = pb.AcknowledgeRequest(consumer=consumer, sequence=sequence)
    return world.stub.Acknowledge(request, metadata=metadata).sequence


def first_of(world: World, consumer: str) -> int:
    stream = world.stub.WatchViolations(pb.WatchViolationsRequest(consumer=consumer))
    response = next(stream)
    stream.cancel()
    return response.entry.sequence or response.heartbeat.last_sequence


def test_a_watch_of_a_consumer_begins_after_what_it_acknowledged(world: World):
    assert first_of(world, "astana") == 1
    assert acknowledge(world, 4) == 4
    assert first_of(world, "astana") == 5
    assert first_of(world, "almaty") == 1


def test_the_consumers_of_a_credential_are_limited(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(consumers, "LIMIT", 3)
    for number in range(3):
        acknowledge(world, 1, f"consumer-{number}")
    request = pb.AcknowledgeRequest(consumer="one-more", sequence=1)
    code, message = refused(world.stub.Acknowledge, request)
    assert (code, message) == ("RESOURCE_EXHAUSTED", "'loopback' has 3 consumers, the limit is reached")
    assert acknowledge(world, 2, "consumer-0") == 2


def test_a_cursor_never_goes_back(world: World):
    assert [acknowledge(world, sequence) for sequence in (4, 2, 4, 7, 0)] == [4, 4, 4, 7, 7]


def test_acknowledgements_at_once_leave_the_highest(world: World):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda sequence: acknowledge(world, sequence), [3, 9, 1, 7, 5, 2, 8, 4]))
    assert acknowledge(world, 0) == 9


def test_the_lag_of_a_consumer_is_a_metric(world: World):
    acknowledge(world, 4)
    assert eventually(lambda: world.metric("qyran_consumer_lag_entries", consumer="astana") == 6)


def test_a_cursor_belongs_to_the_credential_that_made_it(world: World):
    mine, other = (bearer(world.tokens.new(name, Role.REGISTER, EVERYTHING)) for name in ("mine", "other"))
    world.let_know()
    assert acknowledge(world, 4, metadata=mine) == 4
    request = pb.AcknowledgeRequest(consumer="astana", sequence=9)
    assert refused(world.stub.Acknowledge, request, other)[0] == "PERMISSION_DENIED"
    assert acknowledge(world, 0, metadata=mine) == 4


def test_a_watch_takes_a_consumer_or_a_sequence_and_not_both(world: World):
    with pytest.raises(grpc.RpcError, match="after_sequence: must be 0 if a consumer is named"):
        next(world.stub.WatchViolations(pb.WatchViolationsRequest(consumer="a", after_sequence=3)))


# -- dispositions


def report_of(**fields: object) -> pb.ReportDispositionRequest:
    facts = {"report_id": "r1", "ruling": pb.RULING_ACCEPTED, "decided_at": wire.timestamp(1.78e9), **fields}
    return pb.ReportDispositionRequest(case_id=CASE, disposition=pb.Disposition(**facts))


def report(world: World, report_id: str, ruling: pb.Ruling, **fields: object) -> pb.Disposition:
    return world.stub.ReportDisposition(report_of(report_id=report_id, ruling=ruling, **fields)).disposition


def history(world: World) -> pb.GetCaseResponse:
    return world.stub.GetCase(pb.GetCaseRequest(case_id=CASE))


def test_a_repeated_report_is_recorded_once(world: World):
    first = report(world, "r1", pb.RULING_ACCEPTED, reference="A-17")
    assert (first.reporter, first.reference) == ("loopback", "A-17")
    assert report(world, "r1", pb.RULING_ACCEPTED, reference="A-17") == first
    assert list(history(world).dispositions) == [first]


def test_a_later_report_follows_the_earlier_one(world: World):
    report(world, "r1", pb.RULING_ACCEPTED)
    report(world, "r2", pb.RULING_EXEMPT_STOLEN)
    report(world, "r3", pb.RULING_REJECTED, reason="plate misread")
    report(world, "r1", pb.RULING_ACCEPTED)  # late, by a network that repeats
    assert [d.ruling for d in history(world).dispositions] == [
        pb.RULING_ACCEPTED, pb.RULING_EXEMPT_STOLEN, pb.RULING_REJECTED,
    ]  # fmt: skip


def test_the_dispositions_and_reviews_of_a_case_are_limited(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(decisions, "LIMIT", 1)
    report(world, "r1", pb.RULING_ACCEPTED)
    review(world, "v1", pb.FINDING_UPHELD)
    for one_more in (
        lambda: report(world, "r2", pb.RULING_EXEMPT_STOLEN),
        lambda: review(world, "v2", pb.FINDING_UPHELD, supersedes="v1"),
    ):
        with pytest.raises(grpc.RpcError, match="the limit is reached") as caught:
            one_more()
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    report(world, "r1", pb.RULING_ACCEPTED)  # again, by a network that repeats
    assert len(history(world).dispositions) == 1


def test_the_same_report_with_another_content_is_a_conflict(world: World):
    report(world, "r1", pb.RULING_ACCEPTED)
    with pytest.raises(grpc.RpcError, match="report 'r1' was recorded already, with another content") as caught:
        report(world, "r1", pb.RULING_EXEMPT_OTHER_DRIVER)
    assert caught.value.code() is grpc.StatusCode.ALREADY_EXISTS
    assert len(history(world).dispositions) == 1


# -- reviews


def review_of(case_id: str = CASE, **fields: object) -> pb.ReviewCaseRequest:
    facts = {"review_id": "v1", "finding": pb.FINDING_UPHELD, "person": "Badge 7", **fields}
    return pb.ReviewCaseRequest(case_id=case_id, review=pb.Review(**facts))


def review(world: World, review_id: str, finding: pb.Finding, **fields: object) -> pb.Review:
    return world.stub.ReviewCase(review_of(review_id=review_id, finding=finding, **fields)).review


def test_a_repeated_review_is_recorded_once_with_its_person(world: World):
    first = review(world, "v1", pb.FINDING_UPHELD)
    assert (first.officer, first.person) == ("loopback", "Badge 7")
    assert review(world, "v1", pb.FINDING_UPHELD) == first
    assert list(history(world).reviews) == [first]


def test_a_new_review_must_name_the_current_one(world: World):
    review(world, "v1", pb.FINDING_UPHELD)
    with pytest.raises(grpc.RpcError, match="was upheld by 'Badge 7' in review 'v1': name it in supersedes") as caught:
        review(world, "v2", pb.FINDING_DISMISSED, reason="ambulance", person="Badge 9")
    assert caught.value.code() is grpc.StatusCode.ALREADY_EXISTS
    review(world, "v2", pb.FINDING_DISMISSED, reason="ambulance", person="Badge 9", supersedes="v1")
    with pytest.raises(grpc.RpcError, match="was dismissed by 'Badge 9'"):
        review(world, "v3", pb.FINDING_UPHELD, supersedes="v1")
    assert [r.review_id for r in history(world).reviews] == ["v1", "v2"]


def test_one_of_two_simultaneous_reviews_is_recorded(world: World):
    def decide(number: int) -> str:
        try:
            return review(world, f"v{number}", pb.FINDING_UPHELD, person=f"Badge {number}").review_id
        except grpc.RpcError as error:
            return error.code().name

    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(decide, range(6)))
    assert sorted(outcomes)[:5] == ["ALREADY_EXISTS"] * 5
    assert len(history(world).reviews) == 1


def test_a_decision_about_an_unknown_case_is_refused(world: World):
    assert refused(world.stub.ReviewCase, review_of("x"))[0] == "NOT_FOUND"


BAD = "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("call", "request_", "code", "field"),
    [
        ("Acknowledge", pb.AcknowledgeRequest(consumer="a", sequence=11), "OUT_OF_RANGE", "sequence"),
        ("Acknowledge", pb.AcknowledgeRequest(consumer="a", sequence=-1), BAD, "sequence"),
        ("Acknowledge", pb.AcknowledgeRequest(sequence=1), BAD, "consumer"),
        ("Acknowledge", pb.AcknowledgeRequest(consumer="a b", sequence=1), BAD, "consumer"),
        ("ReportDisposition", report_of(report_id=""), BAD, "disposition.report_id"),
        ("ReportDisposition", report_of(ruling=pb.RULING_UNSPECIFIED), BAD, "disposition.ruling"),
        ("ReportDisposition", report_of(ruling=99), BAD, "disposition.ruling"),
        ("ReportDisposition", report_of(ruling=pb.RULING_REJECTED), BAD, "disposition.reason"),
        ("ReportDisposition", report_of(reason="x" * 1001), BAD, "disposition.reason"),
        ("ReportDisposition", report_of(reference="x" * 256), BAD, "disposition.reference"),
        ("ReportDisposition", report_of(decided_at=END_OF_TIME), BAD, "disposition.decided_at"),
        ("ReviewCase", review_of(finding=pb.FINDING_UNSPECIFIED), BAD, "review.finding"),
        ("ReviewCase", review_of(person=""), BAD, "review.person"),
        ("ReviewCase", review_of(finding=pb.FINDING_DISMISSED), BAD, "review.reason"),
        ("ReviewCase", review_of(supersedes="no such name!"), BAD, "review.supersedes"),
    ],
)
def test_a_wrong_request_is_not_recorded_and_names_the_field(world: World, call: str, request_, code: str, field: str):
    found, message = refused(getattr(world.stub, call), request_)
    assert found == code
    assert message.startswith(f"{field}: ")
    assert (list(history(world).dispositions), list(history(world).reviews)) == ([], [])
