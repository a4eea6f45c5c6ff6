from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from zoneinfo import ZoneInfo

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from qyran.v1 import registry_service_pb2 as pb
from qyran.v1 import registry_service_pb2_grpc as rpc
from typer.testing import CliRunner

from engine.errors import ConfigError
from engine.identify.papers import RemoteRegistry, SnapshotRegistry, import_csv
from engine.identify.papers.remote import FAILURES
from engine.identify.papers.snapshot import HEADER
from engine.language import english, load_language
from engine.tools.cli import app
from engine.types import Validity

ALMATY = ZoneInfo("Asia/Almaty")
AS_OF = dt.datetime(2026, 6, 1, 0, 0, tzinfo=dt.UTC)
NOON_S = dt.datetime(2026, 6, 1, 7, 0, tzinfo=dt.UTC).timestamp()
DAY_S = 86_400.0


def csv(folder: Path, *lines: str, header: str = ",".join(HEADER)) -> Path:
    path = folder / "extract.csv"
    path.write_text("\n".join([header, *lines, ""]))
    return path


def snapshot(folder: Path, *lines: str, as_of: dt.datetime = AS_OF) -> SnapshotRegistry:
    import_csv(csv(folder, *lines), folder / "registry.db", as_of)
    return SnapshotRegistry(folder / "registry.db", DAY_S, ALMATY)


def test_a_snapshot_is_found_in_a_folder_with_a_strange_name(tmp_path: Path):
    folder = tmp_path / "lists #2 of 100%25?"
    folder.mkdir()
    answer = snapshot(folder, "123ABC02,2026-05-01,,").ask("123ABC02", "no_inspection", NOON_S)
    assert answer.validity is Validity.EXPIRED


@pytest.mark.parametrize(
    ("until", "validity"),
    [
        ("2026-05-01", Validity.EXPIRED),
        ("2026-05-31", Validity.EXPIRED),
        ("2026-06-01", Validity.VALID),
        ("2027-01-01", Validity.VALID),
        ("none", Validity.EXPIRED),
        ("", Validity.UNKNOWN),
    ],
)
def test_a_paper_is_valid_to_the_end_of_its_last_day_at_the_place(tmp_path: Path, until: str, validity: Validity):
    answer = snapshot(tmp_path, f"123 ABC 02,{until},,").ask("123ABC02", "no_inspection", NOON_S)
    assert answer.validity is validity
    if validity is Validity.EXPIRED:
        assert "the registry's snapshot as of 2026-06-01 00:00 UTC" in english(answer.reason)
        assert "снимок реестра" in load_language("ru").sentence(answer.reason)
        assert "тізілім көшірмесі" in load_language("kk").sentence(answer.reason)


def test_a_paper_that_expired_after_the_extract_is_unknown(tmp_path: Path):
    registry = snapshot(tmp_path, "123ABC02,,2026-06-01,")
    assert registry.ask("123ABC02", "no_insurance", NOON_S + 0.9 * DAY_S - 7 * 3600).validity is Validity.UNKNOWN


def test_a_snapshot_that_is_too_old_answers_unknown(tmp_path: Path):
    registry = snapshot(tmp_path, "123ABC02,none,none,none")
    assert registry.ask("123ABC02", "no_insurance", AS_OF.timestamp() + DAY_S - 1).validity is Validity.EXPIRED
    late = registry.ask("123ABC02", "no_insurance", AS_OF.timestamp() + DAY_S + 1)
    assert late.validity is Validity.UNKNOWN
    assert "too old" in late.detail


def test_another_plate_and_another_kind_are_unknown(tmp_path: Path):
    registry = snapshot(tmp_path, "123ABC02,none,none,none")
    assert registry.ask("740KRM09", "no_insurance", NOON_S).validity is Validity.UNKNOWN
    assert registry.ask("123ABC02", "speeding", NOON_S).validity is Validity.UNKNOWN


def test_a_newer_snapshot_is_read_and_a_missing_one_answers_unknown(tmp_path: Path):
    registry = snapshot(tmp_path, "123ABC02,none,,")
    import_csv(csv(tmp_path, "123ABC02,2027-01-01,,"), tmp_path / "registry.db", AS_OF)
    assert registry.ask("123ABC02", "no_inspection", NOON_S).validity is Validity.VALID
    (tmp_path / "registry.db").unlink()
    assert registry.ask("123ABC02", "no_inspection", NOON_S).validity is Validity.UNKNOWN
    registry.close()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["123ABC02,2026-13-01,,"], "line 2: inspection_until: '2026-13-01' is neither"),
        (["123ABC02,,,", "123 abc 02,,,"], "line 3: plate 123ABC02 appears twice"),
        ([",none,,"], "line 2: expected a plate"),
        (["123ABC02,none"], "line 2: expected a plate and 3 more cells"),
        (["123ABC02,none,,,,"], "line 2: expected"),
    ],
)
def test_a_wrong_line_is_named_and_the_old_snapshot_stays(tmp_path: Path, lines: list[str], message: str):
    registry = snapshot(tmp_path, "123ABC02,none,,")
    with pytest.raises(ConfigError, match=message):
        import_csv(csv(tmp_path, *lines), tmp_path / "registry.db", AS_OF)
    assert registry.ask("123ABC02", "no_inspection", NOON_S).validity is Validity.EXPIRED
    assert [path.name for path in tmp_path.glob("*.new")] == []


def test_other_columns_and_no_snapshot_are_errors(tmp_path: Path):
    with pytest.raises(ConfigError, match="must name the columns plate"):
        import_csv(csv(tmp_path, header="plate,colour"), tmp_path / "registry.db", AS_OF)
    with pytest.raises(ConfigError, match="no snapshot of a registry"):
        SnapshotRegistry(tmp_path / "registry.db", DAY_S, ALMATY)
    (tmp_path / "registry.db").write_bytes(b"no database")
    with pytest.raises(ConfigError, match="no snapshot of a registry"):
        SnapshotRegistry(tmp_path / "registry.db", DAY_S, ALMATY)


def test_the_command_imports_an_extract_as_of_its_last_change(tmp_path: Path):
    path, into = csv(tmp_path, "123ABC02,none,,", "740KRM09,,,"), tmp_path / "registry.db"
    os.utime(path, (AS_OF.timestamp(), AS_OF.timestamp()))
    command = ["registry", "import", str(path), "--into", str(into)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0
    assert "2 vehicles as of 2026-06-01 00:00 UTC" in result.output
    assert isinstance(CliRunner().invoke(app, [*command, "--as-of", "noon"]).exception, ConfigError)


class Service(rpc.VehicleRegistryServiceServicer):
    """Knows one vehicle; `failure` makes it fail."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.failure: grpc.StatusCode | None = None
        self.as_of: dt.datetime | None = AS_OF

    def LookUpVehicle(self, request, context):  # noqa: N802 - protobuf's name
        self.asked.append(request.plate)
        if self.failure:
            context.abort(self.failure, "fails")
        if request.plate != "123ABC02":
            context.abort(grpc.StatusCode.NOT_FOUND, "no such vehicle")
        return pb.LookUpVehicleResponse(
            as_of=Timestamp(seconds=int(self.as_of.timestamp())) if self.as_of else None,
            papers=[pb.Paper(kind="no_insurance"), pb.Paper(kind="no_inspection", valid_until="2027-01-01")],
        )


@pytest.fixture
def service() -> Iterator[tuple[Service, RemoteRegistry]]:
    server, servicer = grpc.server(ThreadPoolExecutor(2)), Service()
    rpc.add_VehicleRegistryServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    registry = RemoteRegistry(grpc.insecure_channel(f"127.0.0.1:{port}"), "KZ", ALMATY, timeout_s=5.0)
    yield servicer, registry
    registry.close()
    server.stop(None).wait()


def test_a_service_is_asked_once_per_vehicle(service: tuple[Service, RemoteRegistry]):
    servicer, registry = service
    assert registry.ask("123ABC02", "no_insurance", NOON_S).validity is Validity.EXPIRED
    assert registry.ask("123ABC02", "no_inspection", NOON_S).validity is Validity.VALID
    assert registry.ask("123ABC02", "permit_expired", NOON_S).validity is Validity.UNKNOWN
    assert registry.ask("123ABC02", "speeding", NOON_S).validity is Validity.UNKNOWN
    assert servicer.asked == ["123ABC02"]


def test_a_vehicle_unknown_to_the_service_is_unknown_and_not_a_failure(service: tuple[Service, RemoteRegistry]):
    servicer, registry = service
    for number in range(2 * FAILURES):
        assert registry.ask(f"{number}", "no_insurance", NOON_S).validity is Validity.UNKNOWN
    assert len(servicer.asked) == 2 * FAILURES


def test_a_service_that_fails_is_not_asked_for_a_while(service: tuple[Service, RemoteRegistry]):
    servicer, registry = service
    servicer.failure = grpc.StatusCode.UNAVAILABLE
    answers = [registry.ask(f"{number}", "no_insurance", NOON_S) for number in range(2 * FAILURES)]
    assert {answer.validity for answer in answers} == {Validity.UNKNOWN}
    assert "UNAVAILABLE" in answers[0].detail
    assert len(servicer.asked) == FAILURES


def test_an_answer_without_a_time_is_unknown(service: tuple[Service, RemoteRegistry]):
    servicer, registry = service
    servicer.as_of = None
    assert registry.ask("123ABC02", "no_insurance", NOON_S).validity is Validity.UNKNOWN


def test_an_unreachable_service_is_unknown():
    registry = RemoteRegistry(grpc.insecure_channel("127.0.0.1:1"), "KZ", ALMATY, timeout_s=0.5)
    assert registry.ask("123ABC02", "no_insurance", NOON_S).validity is Validity.UNKNOWN
    registry.close()
