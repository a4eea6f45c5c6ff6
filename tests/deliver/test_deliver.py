"""Delivery to registers that want to be called, against doubles that really answer over the network."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from qyran.v1 import violation_service_pb2 as calls_pb

from engine.config import RecipientConfig, RetentionConfig
from engine.deliver import DeliveryWorker, open_channel
from engine.deliver.credentials import Credentials
from engine.errors import ConfigError
from engine.ledger import Decisions, Outbox, Retention, SqlLedger
from engine.metrics import Metrics
from engine.types.decision import Ruling
from rig.examples import make_case, write_case
from tests.support.certificates import Authority
from tests.support.recipients import Register, Respond, erap, grpc_register, http_register, plain

AT = "2027-01-15T08:00:00Z"
HOUR_S = 3600.0


class Clock:
    """Time that passes only when it is told to."""

    def __init__(self) -> None:
        self.now_s = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now_s


class World:
    """A register of ours, a recipient, and the line between them, whose pauses pass at once."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.clock = Clock()
        self.ledger = stack.enter_context(closing(SqlLedger(folder / "ledger.db", clock=self.clock)))
        self.outbox = Outbox(self.ledger.database, "city", clock=self.clock)
        self.metrics = Metrics()
        self._stack = stack

    def append(self, *numbers: int, kind: str = "speeding") -> list[str]:
        return [entry.case.id for entry in self.ledger.append([make_case(n, kind=kind) for n in numbers])]

    def line(self, url: str, **settings: object) -> DeliveryWorker:
        config = RecipientConfig(name="city", url=url, **{"per_hour": 3_600_000, "deadline_s": 5.0, **settings})
        channel = self._stack.enter_context(closing(open_channel(config)))
        return DeliveryWorker(
            config, self.ledger, channel, self.folder / "evidence", self.metrics, clock=self.clock, wall=self.clock
        )

    def work(self, line: DeliveryWorker, until: Callable[[], bool], haste: float = 1.0) -> None:
        """Step, letting the pauses pass, until something holds."""
        for _ in range(2000):
            if until():
                return
            self.clock.now_s += haste * line.step() + 1e-6
        pytest.fail("the line did not get there")

    def rest(self, line: DeliveryWorker, seconds: float, haste: float = 4.0) -> None:
        """Step for a while."""
        end_s = self.clock.now_s + seconds
        while self.clock.now_s < end_s:
            self.clock.now_s += max(haste * line.step(), 0.01)

    def is_done(self) -> bool:
        standing = self.outbox.standing()
        return standing.pending == 0 and standing.delivered + standing.refused > 0


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(tmp_path, stack)


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_every_case_is_submitted_in_order_once_with_everything_in_it(world: World) -> None:
    recipient, ids = Register(), world.append(1, 2, 3)
    with grpc_register(recipient) as port:
        line = world.line(f"grpc://127.0.0.1:{port}", evidence_target="qyran:50151")
        world.work(line, world.is_done)
    assert recipient.calls == ids
    request = recipient.taken[ids[1]]
    assert request.entry.sequence == 2
    assert request.entry.case.document == make_case(2).document
    assert request.evidence_target == "qyran:50151"
    assert world.outbox.standing().delivered == 3


def test_a_night_of_outage_is_worked_off_in_the_morning_in_order(world: World) -> None:
    recipient, port = Register(), free_port()
    line = world.line(f"grpc://127.0.0.1:{port}")
    ids = world.append(*range(5))
    world.rest(line, 0.2 * HOUR_S, haste=40.0)
    ids += world.append(*range(5, 12), kind="wrong_way")
    world.rest(line, 0.2 * HOUR_S, haste=40.0)
    assert world.outbox.standing().pending == 12
    assert world.metrics.registry.get_sample_value("qyran_delivery_breaker", {"recipient": "city"}) > 0
    with grpc_register(recipient, port):
        world.work(line, world.is_done)
    assert recipient.calls == ids
    assert recipient.duplicates == []
    assert world.metrics.registry.get_sample_value("qyran_delivery_breaker", {"recipient": "city"}) == 0


def test_a_recipient_that_says_not_now_keeps_the_order_too(world: World) -> None:
    words = iter(["take", "UNAVAILABLE", "UNAVAILABLE", "UNAUTHENTICATED", *["take"] * 9])
    recipient, ids = Register(lambda _: next(words)), world.append(1, 2, 3)
    with grpc_register(recipient) as port:
        world.work(world.line(f"grpc://127.0.0.1:{port}"), world.is_done)
    assert recipient.calls == [ids[0], *[ids[1]] * 4, ids[2]]
    assert list(recipient.taken) == ids


@pytest.mark.parametrize("code", ["INVALID_ARGUMENT", "FAILED_PRECONDITION", "OUT_OF_RANGE", "ALREADY_EXISTS"])
def test_what_is_refused_for_good_is_put_aside_with_its_reason_and_goes_again_only_when_told(
    world: World, code: str
) -> None:
    recipient, ids = Register(lambda case_id: code if case_id.endswith("2") else "take"), world.append(1, 2, 3)
    with grpc_register(recipient) as port:
        line = world.line(f"grpc://127.0.0.1:{port}")
        world.work(line, world.is_done)
        world.rest(line, HOUR_S / 4, haste=60.0)
        assert recipient.calls == ids
        (dead,) = world.outbox.refused(10)
        assert (dead.case_id, dead.sequence) == (ids[1], 2)
        assert f"{code}: {code} it is" in dead.detail
        recipient.rule = lambda case_id: "take"
        assert world.outbox.retry_refused() == 1
        world.work(line, world.is_done)
    assert recipient.calls == [*ids, ids[1]]
    assert world.outbox.refused(10) == []


def test_an_answer_after_the_deadline_costs_a_second_call_and_no_second_entry(world: World) -> None:
    words = iter(["late", "take", "take"])
    recipient, ids = Register(lambda _: next(words)), world.append(1, 2)
    with grpc_register(recipient) as port:
        world.work(world.line(f"grpc://127.0.0.1:{port}", deadline_s=0.3), world.is_done)
    assert recipient.calls == [ids[0], ids[0], ids[1]]
    assert recipient.duplicates == [ids[0]]
    assert list(recipient.taken) == ids
    assert world.outbox.standing().delivered == 2


def test_a_case_that_always_fails_lets_the_others_pass_and_is_not_given_up(world: World) -> None:
    recipient, ids = Register(lambda case_id: "INTERNAL" if case_id.endswith("1") else "take"), world.append(1, 2, 3)
    with grpc_register(recipient) as port:
        line = world.line(f"grpc://127.0.0.1:{port}")
        world.work(line, lambda: world.outbox.standing().delivered == 2)
        assert list(recipient.taken) == ids[1:]
        assert recipient.calls[:3] == [ids[0]] * 3
        recipient.rule = lambda case_id: "take"
        world.work(line, world.is_done, haste=20.0)
    assert list(recipient.taken) == [ids[1], ids[2], ids[0]]


def test_a_case_that_cannot_even_be_written_down_lets_the_others_pass(world: World) -> None:
    garbage = replace(make_case(1), document=b"\xff{")
    world.ledger.append([garbage])
    ids, recipient = world.append(2, 3), Register()
    with http_register(recipient) as port:
        line = world.line(f"http://127.0.0.1:{port}")
        world.work(line, lambda: world.outbox.standing().delivered == 2)
    assert recipient.calls == ids
    assert world.outbox.standing().pending == 1


def test_what_breaks_within_a_channel_is_a_failure_of_that_case_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Credentials, "token", lambda self: "ключ")
    world.append(1)
    with http_register(Register()) as port:
        line = world.line(f"http://127.0.0.1:{port}")
        world.rest(line, 5.0)
    assert world.outbox.standing().pending == 1
    assert world.metrics.registry.get_sample_value("qyran_deliveries_total", {"recipient": "city", "result": "failed"})


def test_in_no_hour_more_than_the_agreed_number_goes(world: World) -> None:
    recipient = Register()
    world.append(*range(20))
    with grpc_register(recipient) as port:
        line = world.line(f"grpc://127.0.0.1:{port}", per_hour=5)
        world.rest(line, 0.99 * HOUR_S, haste=120.0)
        first = len(recipient.calls)
        restarted = world.line(f"grpc://127.0.0.1:{port}", per_hour=5)
        world.rest(restarted, 0.99 * HOUR_S, haste=120.0)
    assert first == 5
    assert len(recipient.calls) == 10


def test_kinds_go_in_the_order_that_was_asked_for_but_nothing_waits_for_ever(world: World) -> None:
    recipient = Register()
    old = world.append(1, kind="illegal_stop")
    world.clock.now_s += 2 * HOUR_S
    world.append(2, 3, kind="illegal_stop")
    world.append(4, kind="wrong_way")
    world.append(5, 6, kind="speeding")
    with grpc_register(recipient) as port:
        line = world.line(f"grpc://127.0.0.1:{port}", first=("speeding", "wrong_way"), overdue_s=HOUR_S)
        world.work(line, world.is_done)
    assert recipient.calls == old + [f"gate-{n:06d}" for n in (5, 6, 4, 2, 3)]


def test_a_new_order_counts_for_what_already_waits(world: World) -> None:
    recipient, port = Register(), free_port()
    world.append(1, kind="illegal_stop")
    world.append(2, kind="speeding")
    world.rest(world.line(f"grpc://127.0.0.1:{port}"), 10.0)
    with grpc_register(recipient, port):
        world.work(world.line(f"grpc://127.0.0.1:{port}", first=("speeding",)), world.is_done)
    assert recipient.calls == ["gate-000002", "gate-000001"]


def test_a_recipient_gets_only_what_it_wants(world: World) -> None:
    recipient = Register()
    world.append(1, 2)
    world.append(3, kind="wrong_way")
    world.append(4, 5)
    wanted = {"kinds": ("speeding",), "outcomes": ("fine",), "after_sequence": 1}
    with grpc_register(recipient) as port:
        line = world.line(f"grpc://127.0.0.1:{port}", **wanted)
        world.work(line, world.is_done)
        world.rest(line, 60.0)
    assert recipient.calls == [f"gate-{n:06d}" for n in (2, 4, 5)]


def test_evidence_goes_along_as_far_as_was_agreed_and_never_damaged(world: World) -> None:
    files = {"overview.jpg": b"o" * 100, "clip.mp4": b"c" * 1000}
    whole, damaged = (write_case(world.folder / "evidence", number, files) for number in (1, 2))
    (world.folder / "evidence" / damaged.folder / "overview.jpg").write_bytes(b"x" * 100)
    world.ledger.append([whole, damaged])
    recipient = Register()
    with grpc_register(recipient) as port:
        line = world.line(f"grpc://127.0.0.1:{port}", inline_bytes=500)
        world.work(line, lambda: world.outbox.standing().delivered == 1)
        world.rest(line, 30.0)
    request = recipient.taken[whole.id]
    assert {content.name: content.content for content in request.contents} == {"overview.jpg": files["overview.jpg"]}
    assert {file.name for file in request.entry.case.files} == set(files)
    assert damaged.id not in recipient.calls
    assert world.outbox.standing().pending == 1


def test_evidence_that_is_gone_says_nothing_of_the_recipient(world: World) -> None:
    cases = [write_case(world.folder / "evidence", number, {"overview.jpg": b"o"}) for number in range(9)]
    for case in cases[:8]:
        (world.folder / "evidence" / case.folder / "overview.jpg").unlink()
    world.ledger.append(cases)
    recipient = Register()
    with grpc_register(recipient) as port:
        line, began_s = world.line(f"grpc://127.0.0.1:{port}", inline_bytes=500), world.clock.now_s
        world.work(line, lambda: world.outbox.standing().delivered == 1)
    assert recipient.calls == [cases[8].id]
    assert world.clock.now_s - began_s < 15
    assert world.metrics.registry.get_sample_value("qyran_delivery_breaker", {"recipient": "city"}) == 0


def test_only_one_delivers_at_a_time_and_another_takes_over(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    recipient = Register()
    world.append(1)
    with grpc_register(recipient) as port:
        first = world.line(f"grpc://127.0.0.1:{port}")
        world.work(first, world.is_done)
        monkeypatch.setattr("engine.deliver.worker.own_name", lambda: "elsewhere:1")
        second = world.line(f"grpc://127.0.0.1:{port}")
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


def test_over_http_the_same_holds(world: World) -> None:
    words = iter(["take", "503", "302", "500", "garbage", "take", "422"])
    recipient, ids = Register(lambda _: next(words)), world.append(1, 2, 3)
    with http_register(recipient) as port:
        world.work(world.line(f"http://127.0.0.1:{port}/cases"), world.is_done)
    assert recipient.calls == [ids[0], *[ids[1]] * 5, ids[2]]
    assert list(recipient.taken) == ids[:2]
    assert "422: 422 it is" in world.outbox.refused(1)[0].detail
    body = recipient.taken[ids[1]]
    assert body["document"].encode() == make_case(2).document


@pytest.mark.parametrize("word", ["late", "dribble"])
def test_over_http_an_answer_after_the_deadline_makes_no_second_entry_either(world: World, word: str) -> None:
    words = iter([word, "take", "take"])
    recipient, ids = Register(lambda _: next(words)), world.append(1, 2)
    with http_register(recipient) as port:
        world.work(world.line(f"http://127.0.0.1:{port}/cases", deadline_s=0.4), world.is_done)
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
def test_a_recipient_that_trickles_holds_the_line_for_its_deadline_and_no_longer(
    world: World, scheme: str, beginning: bytes, result: str
) -> None:
    world.append(1)
    with trickling(beginning) as port:
        line = world.line(f"{scheme}://127.0.0.1:{port}/cases", deadline_s=0.5)
        stepped = threading.Thread(target=line.step, daemon=True)
        stepped.start()
        stepped.join(20)
        assert not stepped.is_alive()
    assert world.outbox.standing().pending == 1
    assert world.metrics.registry.get_sample_value("qyran_deliveries_total", {"recipient": "city", "result": result})


@contextmanager
def trickling(beginning: bytes) -> Iterator[int]:
    """Takes any connection and sends it a byte now and then, for ever."""
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


def test_a_case_that_retention_removed_says_nothing_of_the_recipient(world: World) -> None:
    world.append(*range(12))
    line = world.line(f"grpc://127.0.0.1:{free_port()}")
    world.work(line, lambda: breaker(world) == 1)
    keeper = Retention(world.ledger.database, RetentionConfig(days=1), clock=lambda: world.clock() + 2 * 86_400)
    keeper.remove(keeper.due(0, 1))
    world.work(line, lambda: world.outbox.standing().refused == 1)
    assert breaker(world) > 0


def breaker(world: World) -> float | None:
    return world.metrics.registry.get_sample_value("qyran_delivery_breaker", {"recipient": "city"})


def test_of_a_recipients_words_a_page_is_kept(world: World) -> None:
    recipient = Register(lambda case_id: "no " * 100_000)
    (case_id,) = world.append(1)
    with http_register(recipient, erap) as port:
        world.work(world.line(f"http://127.0.0.1:{port}", form="erap"), world.is_done)
    (dead,) = world.outbox.refused(10)
    assert (dead.case_id, len(dead.detail)) == (case_id, 1023)


def test_what_a_recipient_asks_for_with_retry_after_is_kept_to(world: World) -> None:
    words = iter(["429", "take"])
    recipient = Register(lambda _: next(words))
    world.append(1)
    with http_register(recipient) as port:
        line = world.line(f"http://127.0.0.1:{port}/cases")
        world.work(line, lambda: len(recipient.calls) == 1)
        world.rest(line, 6.0, haste=0.5)
        assert len(recipient.calls) == 1
        world.work(line, world.is_done)


def test_the_erap_shaped_form_says_it_in_the_registers_words(world: World) -> None:
    recipient = Register(lambda case_id: "plate is not of this region" if case_id.endswith("2") else "take")
    case = write_case(world.folder / "evidence", 1, {"overview.jpg": b"jpeg"})
    world.ledger.append([case])
    world.append(2)
    with http_register(recipient, erap) as port:
        line = world.line(f"http://127.0.0.1:{port}/offences", form="erap", inline_bytes=1000)
        world.work(line, world.is_done)
    request = recipient.taken[case.id]
    assert (request["offence"]["article"], request["offence"]["part"]) == ("592", "1")
    assert request["offence"]["proposedDecision"] == "FINE"
    assert request["measurement"]["enforcedKmh"] == 88
    assert request["place"] == {"camera": "gate", "direction": "east", "addressKk": "Абай даңғ.", "latitude": 43.25}
    assert request["attachments"][0]["content"] == "anBlZw=="
    assert world.outbox.standing().delivered == 1
    assert world.outbox.refused(1)[0].detail == "plate is not of this region"


def test_the_token_goes_along_and_never_shows(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    (world.folder / "token").write_text("s3cret\n")
    words = iter(["UNAVAILABLE", "take", "401", "take"])
    recipient = Register(lambda _: next(words))
    world.append(1)
    with grpc_register(recipient) as port:
        world.work(world.line(f"grpc://127.0.0.1:{port}", token_file=world.folder / "token"), world.is_done)
    world.append(2)
    with http_register(recipient) as port:
        line = world.line(f"http://127.0.0.1:{port}", token_file=world.folder / "token")
        world.work(line, lambda: world.outbox.standing().delivered == 2)
    assert recipient.tokens == ["Bearer s3cret"] * 4
    assert "s3cret" not in capsys.readouterr().out


def test_what_a_recipient_decides_at_once_is_recorded_as_if_it_had_been_reported(world: World) -> None:
    decided = calls_pb.Disposition(
        report_id="D-1",
        ruling=calls_pb.RULING_REJECTED,
        reason="two plates",
        decided_at=Timestamp(seconds=180_000_000),
    )
    recipient, ids = Register(decide=lambda case_id: decided if case_id.endswith("1") else None), world.append(1, 2)
    with grpc_register(recipient) as port:
        world.work(world.line(f"grpc://127.0.0.1:{port}"), world.is_done)
    decisions = Decisions(world.ledger.database)
    ((told,), _) = decisions.of_case(ids[0])
    assert (told.reporter, told.report_id, told.ruling, told.reason) == ("city", "D-1", Ruling.REJECTED, "two plates")
    assert told.decided_s == 180_000_000.0
    assert decisions.of_case(ids[1])[0] == []


@pytest.mark.parametrize(
    ("form", "respond", "extra"),
    [
        ("qyran", plain, {"disposition": {"report_id": "K-1", "ruling": "exempt_stolen", "decided_at": AT}}),
        ("erap", erap, {"decision": {"number": "K-1", "ruling": "EXEMPT_STOLEN", "decidedAt": AT}}),
    ],
)
def test_over_http_too(world: World, form: str, respond: Respond, extra: dict[str, object]) -> None:
    (case_id,) = world.append(1)
    with http_register(Register(extra=extra), respond) as port:
        world.work(world.line(f"http://127.0.0.1:{port}", form=form), world.is_done)
    ((told,), _) = Decisions(world.ledger.database).of_case(case_id)
    assert (told.report_id, told.ruling) == ("K-1", Ruling.EXEMPT_STOLEN)


def test_a_decision_that_cannot_be_recorded_does_not_keep_the_case_from_being_delivered(world: World) -> None:
    (case_id,) = world.append(1)
    with http_register(Register(extra={"disposition": {"report_id": "", "ruling": "accepted"}})) as port:
        world.work(world.line(f"http://127.0.0.1:{port}"), world.is_done)
    assert world.outbox.standing().delivered == 1
    assert Decisions(world.ledger.database).of_case(case_id)[0] == []


def test_a_decision_of_the_end_of_time_spoils_no_case(world: World) -> None:
    decided = calls_pb.Disposition(
        report_id="D-1", ruling=calls_pb.RULING_ACCEPTED, decided_at=Timestamp(seconds=2**63 - 1)
    )
    (case_id,) = world.append(1)
    with grpc_register(Register(decide=lambda case_id: decided)) as port:
        world.work(world.line(f"grpc://127.0.0.1:{port}"), world.is_done)
    assert world.outbox.standing().delivered == 1
    assert Decisions(world.ledger.database).of_case(case_id)[0] == []


def test_with_certificates_both_sides_know_each_other(world: World, tmp_path: Path) -> None:
    authority, stranger = Authority(tmp_path), Authority(folder(tmp_path / "stranger"))
    (certificate, key), (own, own_key) = authority.issue("register"), authority.issue("qyran")
    ours = {"ca_file": authority.ca, "certificate_file": own, "key_file": own_key}
    recipient, ids = Register(), world.append(1)
    pair = [(key.read_bytes(), certificate.read_bytes())]
    tls = grpc.ssl_server_credentials(pair, authority.ca.read_bytes(), require_client_auth=True)
    with grpc_register(recipient, tls=tls) as port:
        for missing in ({**ours, "ca_file": stranger.ca}, {"ca_file": authority.ca}):
            world.rest(world.line(f"grpcs://127.0.0.1:{port}", **missing), 2.0)
        assert recipient.calls == []
        world.work(world.line(f"grpcs://127.0.0.1:{port}", **ours), world.is_done)
    assert recipient.calls == ids
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.ca)
    context.load_cert_chain(certificate, key)
    context.verify_mode = ssl.CERT_REQUIRED
    ids += world.append(2)
    with http_register(recipient, tls=context) as port:
        world.rest(world.line(f"https://127.0.0.1:{port}", **{**ours, "ca_file": stranger.ca}), 2.0)
        assert recipient.calls == ids[:1]
        line = world.line(f"https://127.0.0.1:{port}", **ours)
        world.work(line, lambda: world.outbox.standing().delivered == 2)
    assert recipient.calls == ids


def folder(path: Path) -> Path:
    path.mkdir()
    return path


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"url": "grpc://register.example:50200"}, "in the clear; use grpcs://"),
        ({"url": "http://192.0.2.1/cases"}, "in the clear; use https://"),
        ({"url": "ftp://127.0.0.1/"}, "is none of grpcs://host"),
        ({"url": "register.example:50200"}, "is none of"),
        ({"url": "https://127.0.0.1/", "ca_file": Path("/nowhere/ca.pem")}, "certificates of a recipient"),
        ({"url": "grpcs://127.0.0.1:1", "ca_file": Path("/nowhere/ca.pem")}, "/nowhere/ca.pem"),
        ({"url": "grpc://127.0.0.1:1", "token_file": Path("/nowhere/token")}, "/nowhere/token"),
    ],
)
def test_what_cannot_be_right_is_refused_before_anything_is_sent(settings: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        open_channel(RecipientConfig(name="city", **settings))


def test_a_token_that_no_header_can_carry_is_named_by_its_file_and_never_printed(tmp_path: Path) -> None:
    file = tmp_path / "token"
    for token in ("s3cret\x01x", "s3cret x", "s3cr\u00e9t"):
        file.write_text(token, encoding="utf-8")
        with pytest.raises(ConfigError, match="token: is no bearer token") as caught:
            open_channel(RecipientConfig(name="city", url="http://127.0.0.1:1", token_file=file))
        assert "s3cr" not in str(caught.value)


@pytest.mark.parametrize("url", ["https://user:s3cret@city:port/", "https://[::1/", "https://city:99999/"])
def test_an_address_that_is_none_is_an_error_of_the_configuration(url: str) -> None:
    with pytest.raises(ConfigError, match="recipient city: url: its host or port is none") as caught:
        open_channel(RecipientConfig(name="city", url=url))
    assert "s3cret" not in str(caught.value)
