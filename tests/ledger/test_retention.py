"""Retention: how long cases are kept, and what remains of a removed case."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from rich.console import Console
from typer.testing import CliRunner

from engine import wire
from engine.app import housekeeping
from engine.app.housekeeping import Housekeeper, keep_house
from engine.config import KeepRule, RetentionConfig
from engine.errors import CaseConflict, EvidenceError, LedgerError, RecordConflict
from engine.evidence import remove_folder
from engine.evidence.folder import Folders
from engine.ledger import Decisions, Filter, Outbox, Retention, Selection, SqlLedger
from engine.ledger.tables import cases
from engine.metrics import Metrics
from engine.tools.cli import app
from engine.tools.verify import verify_evidence
from engine.types import Case
from engine.types.decision import Disposition, Ruling
from rig.evidence_bench import store_example
from rig.examples import make_case
from rig.postgres import Server
from rig.serving import eventually

DAY_S = 86_400.0


class RetentionWorld:
    """A ledger with its evidence, and a clock that the test moves."""

    def __init__(self, where: Path | str, root: Path) -> None:
        self.now_s = 1_790_000_000.0
        self.root = root
        self.ledger = SqlLedger(where, clock=lambda: self.now_s)
        self.folders = Folders(root, "QY-1", None)

    def store(self, number: int, **changes: object) -> str:
        """Append a case with evidence."""
        case = store_example(self.folders, number, **changes)
        self.ledger.append([case])
        return case.id

    def keeper(self, days: int = 0, *rules: KeepRule, recipients: tuple[str, ...] = ()) -> Retention:
        policy = RetentionConfig(days=days, rules=rules)
        return Retention(self.ledger.database, policy, recipients, clock=lambda: self.now_s)

    def remove(self, retention: Retention) -> int:
        return Housekeeper(self.ledger, self.root, retention).remove()

    def kept(self) -> list[str]:
        return [entry.case.id for entry in self.ledger.read(0, 100)]


@pytest.fixture(params=["sqlite", "postgresql"])
def office(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RetentionWorld]:
    sqlite = request.param == "sqlite"
    where = tmp_path / "ledger.db" if sqlite else request.getfixturevalue("postgres").empty_database()
    office = RetentionWorld(where, tmp_path / "evidence")
    with closing(office.ledger):
        yield office


def test_a_due_case_is_removed_and_leaves_its_number_and_its_hashes(office: RetentionWorld) -> None:
    old = office.store(1)
    whole = office.ledger.get(old)
    office.now_s += 31 * DAY_S
    young = office.store(2)
    assert office.remove(office.keeper(days=30)) == 1
    assert office.kept() == [young]
    gone = office.ledger.get(old)
    assert (gone.sequence, gone.removed_s, gone.case.document, gone.case.folder) == (1, office.now_s, b"", "")
    assert gone.case.files == whole.case.files
    assert not (office.root / whole.case.folder).exists()
    assert [entry.sequence for entry in office.ledger.read(0, 10, Filter(removed=True))] == [1, 2]
    with office.ledger.database.reading() as connection:
        assert connection.execute(sa.select(cases.c.summary).order_by(cases.c.sequence)).scalars().first() == b""
    assert office.ledger.check() == []
    assert office.store(3) and office.ledger.last_sequence() == 3


def test_without_a_policy_everything_is_kept_for_ever(office: RetentionWorld) -> None:
    office.store(1)
    office.now_s += 10_000 * DAY_S
    assert office.remove(office.keeper()) == 0
    assert len(office.kept()) == 1


def test_the_first_matching_rule_applies(office: RetentionWorld) -> None:
    rejected, accepted, undecided, warning = (office.store(n) for n in (1, 2, 3, 4))
    turned = office.store(5, kind="wrong_way")
    indicated = office.store(6, outcome="indication")
    decisions = Decisions(office.ledger.database)
    for case_id, rulings in ((rejected, ["accepted", "rejected"]), (accepted, ["rejected", "accepted"])):
        for number, ruling in enumerate(rulings):
            decisions.report(Disposition(f"{case_id}-{number}", case_id, Ruling(ruling), reporter="city"))
    retention = office.keeper(
        1000,
        KeepRule(days=50, outcomes=("indication",)),
        KeepRule(days=400, kinds=("wrong_way",)),
        KeepRule(days=100, dispositions=("rejected", "exempt_stolen")),
    )
    for days, left in (
        (49, {rejected, accepted, undecided, warning, turned, indicated}),
        (51, {rejected, accepted, undecided, warning, turned}),
        (101, {accepted, undecided, warning, turned}),
        (401, {accepted, undecided, warning}),
        (1001, set()),
    ):
        office.now_s = 1_790_000_000.0 + days * DAY_S
        office.remove(retention)
        assert set(office.kept()) == left, days


def test_a_held_case_stays_until_its_release(office: RetentionWorld) -> None:
    held, other = office.store(1), office.store(2)
    office.now_s += 31 * DAY_S
    retention = office.keeper(days=30)
    retention.hold(held, "appeal 17/2027", "saule")
    assert [due.case_id for due in retention.due(0, 10)] == [other]
    assert office.remove(retention) == 1
    assert office.kept() == [held]
    (hold,) = retention.holds()
    assert (hold.case_id, hold.why, hold.placed_by) == (held, "appeal 17/2027", "saule")
    assert retention.release(held, "saule") == 1
    assert retention.holds() == []
    assert office.remove(retention) == 1


def test_a_hold_between_plan_and_removal_is_respected(office: RetentionWorld) -> None:
    held = office.store(1)
    office.now_s += 31 * DAY_S
    retention = office.keeper(days=30)
    planned = retention.due(0, 10)
    retention.hold(held, "appeal", "saule")
    assert retention.remove(planned) == []
    assert office.kept() == [held]


def test_an_unknown_or_removed_case_cannot_be_held(office: RetentionWorld) -> None:
    retention = office.keeper(days=30)
    with pytest.raises(RecordConflict, match="no case 'gate-000009'"):
        retention.hold("gate-000009", "appeal", "saule")
    gone = office.store(1)
    office.now_s += 31 * DAY_S
    office.remove(retention)
    with pytest.raises(RecordConflict, match="was removed"):
        retention.hold(gone, "appeal", "saule")


def test_a_pending_case_of_a_recipient_is_kept(office: RetentionWorld) -> None:
    outbox = Outbox(office.ledger.database, "city", clock=lambda: office.now_s)
    outbox.claim("here:1", 10.0)
    waited_for, taken = office.store(1), office.store(2)
    outbox.enrol(Selection())
    outbox.deliver(2, "R-1")
    office.now_s += 31 * DAY_S
    assert office.remove(office.keeper(days=30, recipients=("city",))) == 1
    assert office.kept() == [waited_for]
    assert taken not in office.kept()
    assert office.remove(office.keeper(days=30)) == 1, "a recipient that is no longer configured waits for nothing"


def test_an_interrupted_removal_is_finished(office: RetentionWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    old = office.store(1)
    folder = office.root / office.ledger.get(old).case.folder
    office.now_s += 31 * DAY_S
    retention = office.keeper(days=30)

    def die(root: Path, name: str) -> None:
        raise EvidenceError("the machine is gone")

    monkeypatch.setattr(housekeeping, "remove_folder", die)
    with pytest.raises(EvidenceError):
        office.remove(retention)
    assert folder.exists() and office.kept() == []
    monkeypatch.undo()
    assert office.remove(retention) == 0
    assert not folder.exists()
    assert office.ledger.get(old).case.folder == ""


def test_a_removed_case_that_is_appended_again_stays_removed(office: RetentionWorld) -> None:
    case: Case = store_example(office.folders, 1)
    office.ledger.append([case])
    office.now_s += 31 * DAY_S
    office.remove(office.keeper(days=30))
    assert office.ledger.append([case]) == ()
    with pytest.raises(CaseConflict):
        office.ledger.append([make_case(1, kind="wrong_way")])


def test_the_wire_says_that_a_case_was_removed(office: RetentionWorld) -> None:
    old = office.store(1)
    office.now_s += 31 * DAY_S
    office.remove(office.keeper(days=30))
    entry = office.ledger.get(old)
    message = wire.entry_to_message(entry)
    assert message.HasField("removed_at")
    assert list(message.case.incomplete) == []
    assert wire.entry_from_message(message) == entry


def test_the_chain_of_seals_accepts_a_removed_case_but_not_a_deleted_one(tmp_path: Path) -> None:
    office = RetentionWorld(tmp_path / "ledger.db", tmp_path / "evidence")
    with closing(office.ledger):
        office.store(1)
        office.now_s += 31 * DAY_S
        stolen = office.ledger.get(office.store(2)).case
        office.store(3)
        office.remove(office.keeper(days=30))
        assert verify_evidence([], office.root, [], tmp_path / "ledger.db", Console(quiet=True))
        remove_folder(office.root, stolen.folder)
        assert not verify_evidence([], office.root, [], tmp_path / "ledger.db", Console(quiet=True))


def test_each_node_of_a_shared_ledger_removes_only_its_own_evidence(postgres: Server, tmp_path: Path) -> None:
    url = postgres.empty_database()
    here, there = RetentionWorld(url, tmp_path / "here"), RetentionWorld(url, tmp_path / "there")
    with closing(here.ledger), closing(there.ledger):
        mine, theirs = here.store(1), there.store(2)
        here.now_s += 31 * DAY_S
        assert here.remove(here.keeper(days=30)) == 1
        assert here.ledger.get(mine).removed_s is not None
        assert here.kept() == [theirs]
        there.now_s = here.now_s
        assert there.remove(there.keeper(days=30)) == 1
        assert there.kept() == []
        assert list((tmp_path / "there").glob("2*/**/case.json")) == []


def test_nothing_outside_the_evidence_is_ever_removed(tmp_path: Path) -> None:
    (tmp_path / "evidence").mkdir()
    (tmp_path / "precious").mkdir()
    for folder in ("../precious", "", ".", "2026/../../precious"):
        with pytest.raises(EvidenceError, match="outside the evidence"):
            remove_folder(tmp_path / "evidence", folder)
    assert (tmp_path / "precious").is_dir()


def test_the_housekeeper_appends_missing_cases_and_continues_after_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = RetentionWorld(tmp_path / "ledger.db", tmp_path / "evidence")
    with closing(office.ledger):
        lost = store_example(office.folders, 1)
        real, failures = office.ledger.append, iter([True])

        def append(cases: object) -> object:
            if next(failures, False):
                raise LedgerError("locked")
            return real(cases)

        monkeypatch.setattr(office.ledger, "append", append)
        with keep_house(Housekeeper(office.ledger, office.root, office.keeper()), every_s=0.05):
            assert eventually(lambda: office.kept() == [lost.id])


def test_a_clock_that_jumps_ahead_removes_nothing_until_an_operator_does(office: RetentionWorld) -> None:
    metrics = Metrics()

    def keeper() -> Housekeeper:
        """As after a restart."""
        return Housekeeper(office.ledger, office.root, office.keeper(days=30), metrics, clock=lambda: office.now_s)

    def paused() -> float | None:
        return metrics.registry.get_sample_value("qyran_retention_paused")

    old = office.store(1)
    keeper().tidy()
    office.now_s += 3650 * DAY_S
    young = office.store(2)
    for _ in range(3):
        keeper().tidy()
    assert (office.kept(), paused()) == ([old, young], 1)
    assert keeper().remove() == 1
    keeper().tidy()
    assert (office.kept(), paused()) == ([young], 0)


def test_before_the_first_removal_the_newest_case_shows_whether_the_clock_jumped(office: RetentionWorld) -> None:
    keeper = Housekeeper(office.ledger, office.root, office.keeper(days=30), clock=lambda: office.now_s)
    old = office.store(1)
    office.now_s += 40 * DAY_S
    keeper.tidy()
    assert office.kept() == [old]
    office.store(2)
    keeper.tidy()
    assert old not in office.kept()


def test_the_operator_sees_the_due_cases_before_a_removal(tmp_path: Path) -> None:
    config = tmp_path / "engine.toml"
    config.write_text(
        'state = "."\n[retention]\ndays = 30\n[[cameras]]\nname = "gate"\nurl = "gate.mp4"\nsite = "gate.toml"\n'
    )
    office = RetentionWorld(tmp_path / "ledger.db", tmp_path / "evidence")
    office.now_s = 1_700_000_000.0
    with closing(office.ledger):
        held, _ = office.store(1), office.store(2)

    def output_of(*arguments: str) -> str:
        done = CliRunner().invoke(app, ["retention", str(config), *arguments], catch_exceptions=False)
        return " ".join(done.output.split())

    assert "2 of speeding: no longer kept by the rule: 30 days 2 case(s) are due: --apply removes them" in output_of()
    assert f"{held}: appeal" in output_of("--hold", held, "--why", "appeal")
    assert "1 case(s) removed" in output_of("--apply")
    assert f"{held}: 1 hold(s) ended" in output_of("--release", held)
    assert "1 case(s) are due" in output_of()
