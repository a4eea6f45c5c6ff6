"""Delivery to recipients, against doubles that answer over the network."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from qyran.v1 import violation_service_pb2 as calls_pb

from engine.config import RecipientConfig, RetentionConfig
from engine.deliver import open_channel
from engine.deliver.credentials import Credentials
from engine.errors import ConfigError
from engine.ledger import Decisions, Retention
from engine.types.decision import Ruling
from rig.examples import make_case, write_case
from tests.support.certificates import Authority
from tests.support.recipients import DeliveryWorld, Register, Respond, erap, grpc_register, http_register, plain

AT = "2027-01-15T08:00:00Z"
HOUR_S = 3600.0


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def breaker(world: DeliveryWorld) -> float | None:
    return world.metrics.registry.get_sample_value("qyran_delivery_breaker", {"recipient": "city"})


def test_every_case_is_submitted_once_in_order_and_complete(world: DeliveryWorld) -> None:
    recipient, ids = Register(), world.append(1, 2, 3)
    world.deliver(recipient, evidence_target="qyran:50151")
    assert recipient.calls == ids
    request = recipient.taken[ids[1]]
    assert request.entry.sequence == 2
    assert request.entry.case.document == make_case(2).document
    assert request.evidence_target == "qyran:50151"
    assert world.outbox.status().delivered == 3


def test_cases_of_a_long_outage_are_delivered_in_order_afterwards(world: DeliveryWorld) -> None:
    recipient, port = Register(), free_port()
    worker = world.worker(f"grpc://127.0.0.1:{port}")
    ids = world.append(*range(5))
    world.rest(worker, 0.2 * HOUR_S, haste=40.0)
    ids += world.append(*range(5, 12), kind="wrong_way")
    world.rest(worker, 0.2 * HOUR_S, haste=40.0)
    assert world.outbox.status().pending == 12
    assert breaker(world) > 0
    with grpc_register(recipient, port):
        world.work(worker, world.is_done)
    assert recipient.calls == ids
    assert recipient.duplicates == []
    assert breaker(world) == 0


def test_an_unavailable_recipient_does_not_change_the_order(world: DeliveryWorld) -> None:
    words = iter(["take", "UNAVAILABLE", "UNAVAILABLE", "UNAUTHENTICATED", *["take"] * 9])
    recipient, ids = Register(lambda _: next(words)), world.append(1, 2, 3)
    world.deliver(recipient)
    assert recipient.calls == [ids[0], *[ids[1]] * 4, ids[2]]
    assert list(recipient.taken) == ids


@pytest.mark.parametrize("code", ["INVALID_ARGUMENT", "FAILED_PRECONDITION", "OUT_OF_RANGE", "ALREADY_EXISTS"])
def test_a_refused_case_is_kept_with_its_reason_and_goes_again_only_on_request(world: DeliveryWorld, code: str) -> None:
    recipient, ids = Register(lambda case_id: code if case_id.endswith("2") else "take"), world.append(1, 2, 3)
    with grpc_register(recipient) as port:
        worker = world.worker(f"grpc://127.0.0.1:{port}")
        world.work(worker, world.is_done)
        world.rest(worker, HOUR_S / 4, haste=60.0)
        assert recipient.calls == ids
        (dead,) = world.outbox.refused(10)
        assert (dead.case_id, dead.sequence) == (ids[1], 2)
        assert f"{code}: {code} it is" in dead.detail
        recipient.rule = lambda case_id: "take"
        assert world.outbox.retry_refused() == 1
        world.work(worker, world.is_done)
    assert recipient.calls == [*ids, ids[1]]
    assert world.outbox.refused(10) == []


def test_an_answer_after_the_deadline_costs_a_second_call_and_no_second_entry(world: DeliveryWorld) -> None:
    words = iter(["late", "take", "take"])
    recipient, ids = Register(lambda _: next(words)), world.append(1, 2)
    world.deliver(recipient, deadline_s=0.3)
    assert recipient.calls == [ids[0], ids[0], ids[1]]
    assert recipient.duplicates == [ids[0]]
    assert list(recipient.taken) == ids
    assert world.outbox.status().delivered == 2


def test_a_case_that_always_fails_lets_the_others_pass_and_is_retried(world: DeliveryWorld) -> None:
    recipient, ids = Register(lambda case_id: "INTERNAL" if case_id.endswith("1") else "take"), world.append(1, 2, 3)
    with grpc_register(recipient) as port:
        worker = world.worker(f"grpc://127.0.0.1:{port}")
        world.work(worker, lambda: world.outbox.status().delivered == 2)
        assert list(recipient.taken) == ids[1:]
        assert recipient.calls[:3] == [ids[0]] * 3
        recipient.rule = lambda case_id: "take"
        world.work(worker, world.is_done, haste=20.0)
    assert list(recipient.taken) == [ids[1], ids[2], ids[0]]


def test_a_case_that_cannot_be_encoded_lets_the_others_pass(world: DeliveryWorld) -> None:
    garbage = replace(make_case(1), document=b"\xff{")
    world.ledger.append([garbage])
    ids, recipient = world.append(2, 3), Register()
    with http_register(recipient) as port:
        worker = world.worker(f"http://127.0.0.1:{port}")
        world.work(worker, lambda: world.outbox.status().delivered == 2)
    assert recipient.calls == ids
    assert world.outbox.status().pending == 1


def test_an_unexpected_error_of_a_channel_fails_only_its_case(
    world: DeliveryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Credentials, "token", lambda self: "ключ")
    world.append(1)
    with http_register(Register()) as port:
        worker = world.worker(f"http://127.0.0.1:{port}")
        world.rest(worker, 5.0)
    assert world.outbox.status().pending == 1
    assert world.metrics.registry.get_sample_value("qyran_deliveries_total", {"recipient": "city", "result": "failed"})


def test_no_hour_has_more_submissions_than_per_hour(world: DeliveryWorld) -> None:
    recipient = Register()
    world.append(*range(20))
    with grpc_register(recipient) as port:
        worker = world.worker(f"grpc://127.0.0.1:{port}", per_hour=5)
        world.rest(worker, 0.99 * HOUR_S, haste=120.0)
        first = len(recipient.calls)
        restarted = world.worker(f"grpc://127.0.0.1:{port}", per_hour=5)
        world.rest(restarted, 0.99 * HOUR_S, haste=120.0)
    assert first == 5
    assert len(recipient.calls) == 10


def test_kinds_go_in_the_configured_order_after_overdue_cases(world: DeliveryWorld) -> None:
    recipient = Register()
    old = world.append(1, kind="illegal_stop")
    world.clock.now_s += 2 * HOUR_S
    world.append(2, 3, kind="illegal_stop")
    world.append(4, kind="wrong_way")
    world.append(5, 6, kind="speeding")
    world.deliver(recipient, first=("speeding", "wrong_way"), overdue_s=HOUR_S)
    assert recipient.calls == old + [f"gate-{n:06d}" for n in (5, 6, 4, 2, 3)]


def test_a_new_order_applies_to_pending_cases(world: DeliveryWorld) -> None:
    recipient, port = Register(), free_port()
    world.append(1, kind="illegal_stop")
    world.append(2, kind="speeding")
    world.rest(world.worker(f"grpc://127.0.0.1:{port}"), 10.0)
    with grpc_register(recipient, port):
        world.work(world.worker(f"grpc://127.0.0.1:{port}", first=("speeding",)), world.is_done)
    assert recipient.calls == ["gate-000002", "gate-000001"]


def test_a_recipient_gets_only_the_selected_cases(world: DeliveryWorld) -> None:
    recipient = Register()
    world.append(1, 2)
    world.append(3, kind="wrong_way")
    world.append(4, 5)
    wanted = {"kinds": ("speeding",), "outcomes": ("fine",), "after_sequence": 1}
    with grpc_register(recipient) as port:
        worker = world.worker(f"grpc://127.0.0.1:{port}", **wanted)
        world.work(worker, world.is_done)
        world.rest(worker, 60.0)
    assert recipient.calls == [f"gate-{n:06d}" for n in (2, 4, 5)]


def test_evidence_is_sent_up_to_inline_bytes_and_never_damaged(world: DeliveryWorld) -> None:
    files = {"overview.jpg": b"o" * 100, "clip.mp4": b"c" * 1000}
    whole, damaged = (write_case(world.folder / "evidence", number, files) for number in (1, 2))
    (world.folder / "evidence" / damaged.folder / "overview.jpg").write_bytes(b"x" * 100)
    world.ledger.append([whole, damaged])
    recipient = Register()
    with grpc_register(recipient) as port:
        worker = world.worker(f"grpc://127.0.0.1:{port}", inline_bytes=500)
        world.work(worker, lambda: world.outbox.status().delivered == 1)
        world.rest(worker, 30.0)
    request = recipient.taken[whole.id]
    assert {content.name: content.content for content in request.contents} == {"overview.jpg": files["overview.jpg"]}
    assert {file.name for file in request.entry.case.files} == set(files)
    assert damaged.id not in recipient.calls
    assert world.outbox.status().pending == 1


def test_missing_evidence_does_not_open_the_breaker(world: DeliveryWorld) -> None:
    cases = [write_case(world.folder / "evidence", number, {"overview.jpg": b"o"}) for number in range(9)]
    for case in cases[:8]:
        (world.folder / "evidence" / case.folder / "overview.jpg").unlink()
    world.ledger.append(cases)
    recipient = Register()
    with grpc_register(recipient) as port:
        worker, began_s = world.worker(f"grpc://127.0.0.1:{port}", inline_bytes=500), world.clock.now_s
        world.work(worker, lambda: world.outbox.status().delivered == 1)
    assert recipient.calls == [cases[8].id]
    assert world.clock.now_s - began_s < 15
    assert breaker(world) == 0


def test_one_process_delivers_at_a_time_and_another_takes_over(
    world: DeliveryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipient = Register()
    world.append(1)
    with grpc_register(recipient) as port:
        first = world.worker(f"grpc://127.0.0.1:{port}")
        world.work(first, world.is_done)
        monkeypatch.setattr("engine.deliver.worker.own_name", lambda: "elsewhere:1")
        second = world.worker(f"grpc://127.0.0.1:{port}")
        world.append(2)
        for _ in range(5):
            second.step()
        assert len(recipient.calls) == 1
        world.clock.now_s += 20.0
        world.work(second, lambda: len(recipient.calls) == 2)
        monkeypatch.undo()
        world.append(3)
        assert [first.step() for _ in range(5)] != []
        assert len(recipient.calls) == 2


def test_over_http_order_retries_and_refusals_are_the_same(world: DeliveryWorld) -> None:
    words = iter(["take", "503", "302", "500", "garbage", "take", "422"])
    recipient, ids = Register(lambda _: next(words)), world.append(1, 2, 3)
    world.deliver(recipient, plain)
    assert recipient.calls == [ids[0], *[ids[1]] * 5, ids[2]]
    assert list(recipient.taken) == ids[:2]
    assert "422: 422 it is" in world.outbox.refused(1)[0].detail
    body = recipient.taken[ids[1]]
    assert body["document"].encode() == make_case(2).document


@pytest.mark.parametrize("word", ["late", "dribble"])
def test_over_http_an_answer_after_the_deadline_makes_no_second_entry(world: DeliveryWorld, word: str) -> None:
    words = iter([word, "take", "take"])
    recipient, ids = Register(lambda _: next(words)), world.append(1, 2)
    world.deliver(recipient, plain, deadline_s=0.4)
    assert recipient.calls == [ids[0], ids[0], ids[1]]
    assert recipient.duplicates == [ids[0]]
    assert list(recipient.taken) == ids


@pytest.mark.parametrize(
    ("scheme", "beginning", "result"),
    [
        ("http", b"HTTP/1.1 200 OK\r\nX-Slow: ", "failed"),
        ("http", b"HTTP/1.1 200 OK\r\n\r\n", "failed"),
        ("https", b"\x16\x03\x03\x3f\xff\x02", "unavailable"),
    ],
)
def test_a_recipient_that_trickles_blocks_the_worker_at_most_for_the_deadline(
    world: DeliveryWorld, scheme: str, beginning: bytes, result: str
) -> None:
    world.append(1)
    with trickling(beginning) as port:
        worker = world.worker(f"{scheme}://127.0.0.1:{port}/cases", deadline_s=0.5)
        stepped = threading.Thread(target=worker.step, daemon=True)
        stepped.start()
        stepped.join(20)
        assert not stepped.is_alive()
    assert world.outbox.status().pending == 1
    assert world.metrics.registry.get_sample_value("qyran_deliveries_total", {"recipient": "city", "result": result})


@contextmanager
def trickling(beginning: bytes) -> Iterator[int]:
    """A server that sends every connection a byte now and then, for ever; yields its port."""
    ended = threading.Event()

    def trickle(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.sendall(beginning)
            while not ended.wait(0.1):
                connection.sendall(b"1")

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=trickle, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        ended.set()


def test_a_case_that_retention_removed_does_not_close_the_breaker(world: DeliveryWorld) -> None:
    world.append(*range(12))
    worker = world.worker(f"grpc://127.0.0.1:{free_port()}")
    world.work(worker, lambda: breaker(world) == 1)
    keeper = Retention(world.ledger.database, RetentionConfig(days=1), clock=lambda: world.clock() + 2 * 86_400)
    keeper.remove(keeper.due(0, 1))
    world.work(worker, lambda: world.outbox.status().refused == 1)
    assert breaker(world) > 0


def test_a_long_reason_is_cut(world: DeliveryWorld) -> None:
    recipient = Register(lambda case_id: "no " * 100_000)
    (case_id,) = world.append(1)
    world.deliver(recipient, erap, form="erap")
    (dead,) = world.outbox.refused(10)
    assert (dead.case_id, len(dead.detail)) == (case_id, 1023)


def test_retry_after_is_obeyed(world: DeliveryWorld) -> None:
    words = iter(["429", "take"])
    recipient = Register(lambda _: next(words))
    world.append(1)
    with http_register(recipient) as port:
        worker = world.worker(f"http://127.0.0.1:{port}/cases")
        world.work(worker, lambda: len(recipient.calls) == 1)
        world.rest(worker, 6.0, haste=0.5)
        assert len(recipient.calls) == 1
        world.work(worker, world.is_done)


def test_the_erap_form_maps_the_case(world: DeliveryWorld) -> None:
    recipient = Register(lambda case_id: "plate is not of this region" if case_id.endswith("2") else "take")
    case = write_case(world.folder / "evidence", 1, {"overview.jpg": b"jpeg"})
    world.ledger.append([case])
    world.append(2)
    world.deliver(recipient, erap, form="erap", inline_bytes=1000)
    request = recipient.taken[case.id]
    assert (request["offence"]["article"], request["offence"]["part"]) == ("592", "1")
    assert request["offence"]["proposedDecision"] == "FINE"
    assert request["measurement"]["enforcedKmh"] == 88
    assert request["place"] == {"camera": "gate", "direction": "east", "addressKk": "Абай даңғ.", "latitude": 43.25}
    assert request["attachments"][0]["content"] == "anBlZw=="
    assert world.outbox.status().delivered == 1
    assert world.outbox.refused(1)[0].detail == "plate is not of this region"


def test_the_token_is_sent_and_never_logged(world: DeliveryWorld, capsys: pytest.CaptureFixture[str]) -> None:
    (world.folder / "token").write_text("s3cret\n")
    words = iter(["UNAVAILABLE", "take", "401", "take"])
    recipient = Register(lambda _: next(words))
    world.append(1)
    world.deliver(recipient, token_file=world.folder / "token")
    world.append(2)
    with http_register(recipient) as port:
        worker = world.worker(f"http://127.0.0.1:{port}", token_file=world.folder / "token")
        world.work(worker, lambda: world.outbox.status().delivered == 2)
    assert recipient.tokens == ["Bearer s3cret"] * 4
    assert "s3cret" not in capsys.readouterr().out


def test_a_decision_in_the_answer_is_recorded_like_a_report(world: DeliveryWorld) -> None:
    decided = calls_pb.Disposition(
        report_id="D-1",
        ruling=calls_pb.RULING_REJECTED,
        reason="two plates",
        decided_at=Timestamp(seconds=180_000_000),
    )
    recipient, ids = Register(decide=lambda case_id: decided if case_id.endswith("1") else None), world.append(1, 2)
    world.deliver(recipient)
    decisions = Decisions(world.ledger.database)
    ((row,), _) = decisions.of_case(ids[0])
    assert (row.reporter, row.report_id, row.ruling, row.reason) == ("city", "D-1", Ruling.REJECTED, "two plates")
    assert row.decided_s == 180_000_000.0
    assert decisions.of_case(ids[1])[0] == []


@pytest.mark.parametrize(
    ("form", "respond", "extra"),
    [
        ("qyran", plain, {"disposition": {"report_id": "K-1", "ruling": "exempt_stolen", "decided_at": AT}}),
        ("erap", erap, {"decision": {"number": "K-1", "ruling": "EXEMPT_STOLEN", "decidedAt": AT}}),
    ],
)
def test_a_decision_in_an_answer_over_http_is_recorded(
    world: DeliveryWorld, form: str, respond: Respond, extra: dict[str, object]
) -> None:
    (case_id,) = world.append(1)
    world.deliver(Register(extra=extra), respond, form=form)
    ((row,), _) = Decisions(world.ledger.database).of_case(case_id)
    assert (row.report_id, row.ruling) == ("K-1", Ruling.EXEMPT_STOLEN)


def test_an_unusable_decision_does_not_prevent_the_delivery(world: DeliveryWorld) -> None:
    (case_id,) = world.append(1)
    world.deliver(Register(extra={"disposition": {"report_id": "", "ruling": "accepted"}}), plain)
    assert world.outbox.status().delivered == 1
    assert Decisions(world.ledger.database).of_case(case_id)[0] == []


def test_a_decision_with_an_impossible_time_does_not_prevent_the_delivery(world: DeliveryWorld) -> None:
    decided = calls_pb.Disposition(
        report_id="D-1", ruling=calls_pb.RULING_ACCEPTED, decided_at=Timestamp(seconds=2**63 - 1)
    )
    (case_id,) = world.append(1)
    world.deliver(Register(decide=lambda case_id: decided))
    assert world.outbox.status().delivered == 1
    assert Decisions(world.ledger.database).of_case(case_id)[0] == []


def test_mutual_tls_needs_the_right_certificates_on_both_sides(world: DeliveryWorld, tmp_path: Path) -> None:
    authority, stranger = Authority(tmp_path), Authority(folder(tmp_path / "stranger"))
    (certificate, key), (own, own_key) = authority.issue("register"), authority.issue("qyran")
    ours = {"ca_file": authority.ca, "certificate_file": own, "key_file": own_key}
    recipient, ids = Register(), world.append(1)
    pair = [(key.read_bytes(), certificate.read_bytes())]
    tls = grpc.ssl_server_credentials(pair, authority.ca.read_bytes(), require_client_auth=True)
    with grpc_register(recipient, tls=tls) as port:
        for missing in ({**ours, "ca_file": stranger.ca}, {"ca_file": authority.ca}):
            world.rest(world.worker(f"grpcs://127.0.0.1:{port}", **missing), 2.0)
        assert recipient.calls == []
        world.work(world.worker(f"grpcs://127.0.0.1:{port}", **ours), world.is_done)
    assert recipient.calls == ids
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.ca)
    context.load_cert_chain(certificate, key)
    context.verify_mode = ssl.CERT_REQUIRED
    ids += world.append(2)
    with http_register(recipient, tls=context) as port:
        world.rest(world.worker(f"https://127.0.0.1:{port}", **{**ours, "ca_file": stranger.ca}), 2.0)
        assert recipient.calls == ids[:1]
        worker = world.worker(f"https://127.0.0.1:{port}", **ours)
        world.work(worker, lambda: world.outbox.status().delivered == 2)
    assert recipient.calls == ids


def folder(path: Path) -> Path:
    path.mkdir()
    return path


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"url": "grpc://register.example:50200"}, "in the clear; use grpcs://"),
        ({"url": "http://192.0.2.1/cases"}, "in the clear; use https://"),
        ({"url": "ftp://127.0.0.1/"}, "must begin with grpcs://, .*http://"),
        ({"url": "register.example:50200"}, "must begin with grpcs://"),
        ({"url": "https:///cases"}, "names no host"),
        ({"url": "https://127.0.0.1/", "ca_file": Path("/nowhere/ca.pem")}, "certificates of a recipient"),
        ({"url": "grpcs://127.0.0.1:1", "ca_file": Path("/nowhere/ca.pem")}, "/nowhere/ca.pem"),
        ({"url": "grpc://127.0.0.1:1", "token_file": Path("/nowhere/token")}, "/nowhere/token"),
    ],
)
def test_a_wrong_configuration_is_refused_when_the_channel_is_opened(
    settings: dict[str, object], complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        open_channel(RecipientConfig(name="city", **settings))


def test_an_unusable_token_is_named_by_its_file_and_never_printed(tmp_path: Path) -> None:
    file = tmp_path / "token"
    for token in ("s3cret\x01x", "s3cret x", "s3cr\u00e9t"):
        file.write_text(token, encoding="utf-8")
        with pytest.raises(ConfigError, match="token: is no bearer token") as caught:
            open_channel(RecipientConfig(name="city", url="http://127.0.0.1:1", token_file=file))
        assert "s3cr" not in str(caught.value)


@pytest.mark.parametrize("url", ["https://user:s3cret@city:port/", "https://[::1/", "https://city:99999/"])
def test_an_invalid_address_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError, match="recipient city: url: its host or port is invalid") as caught:
        open_channel(RecipientConfig(name="city", url=url))
    assert "s3cret" not in str(caught.value)
