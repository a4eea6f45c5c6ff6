"""Controllers report their phases over gRPC: accepted once, in order, at plausible times, and used by a case."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import grpc
import pytest
from qyran.v1 import signal_service_pb2 as pb

import engine.serve.signals
from engine import wire
from engine.access import Role, Scope
from engine.config import CameraConfig
from engine.site import WatchedCamera
from engine.types import Clock, Phase
from rig.serving import World, eventually
from tests.serve.test_access import admitted, bearer
from tests.support.junction import JUNCTION, RED_LIGHT, junction, runner
from tests.support.road import NOON_S, Vehicle, judged

RED, GREEN = pb.SIGNAL_PHASE_RED, pb.SIGNAL_PHASE_GREEN
BAD, NOT_FOUND = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
NOW_S = NOON_S + 60
"""Time of this host's clock."""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(engine.serve.signals, "time", SimpleNamespace(time=lambda: NOW_S))
    world = World(tmp_path, sites={0: JUNCTION})
    yield world
    world.close()


def report(
    sequence: int, at_s: float, *changes: tuple[str, int, float], controller: str = "c"
) -> pb.ReportSignalPhasesRequest:
    return pb.ReportSignalPhasesRequest(
        controller=controller,
        sequence=sequence,
        reported_at=wire.timestamp(at_s),
        changes=[
            pb.PhaseChange(group=group, phase=phase, began_at=wire.timestamp(began_s))  # type: ignore[arg-type]
            for group, phase, began_s in changes
        ],
    )


def refused(world: World, *reports: pb.ReportSignalPhasesRequest) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        world.signal_stub.ReportSignalPhases(iter(reports))
    return caught.value.code(), caught.value.details()


def test_the_response_counts_the_accepted_reports(world: World) -> None:
    first = [report(1, NOON_S, ("main", GREEN, NOON_S - 9)), report(2, NOON_S + 1)]
    response = world.signal_stub.ReportSignalPhases(iter(first))
    assert (response.last_sequence, response.accepted, response.repeated) == (2, 2, 0)
    again = world.signal_stub.ReportSignalPhases(iter([*first, report(3, NOON_S + 2, ("main", RED, NOON_S + 1.5))]))
    assert (again.last_sequence, again.accepted, again.repeated) == (3, 1, 2)
    stands = world.signal_stub.GetSignalController(pb.GetSignalControllerRequest(controller="c"))
    assert (stands.last_sequence, wire.seconds(stands.reported_at)) == (3, NOON_S + 2)
    assert world.metric("qyran_signal_reports_total", controller="c") == 3
    assert world.metric("qyran_signal_reported_timestamp_seconds", controller="c") == NOON_S + 2


def test_a_report_is_known_while_the_stream_goes_on(world: World) -> None:
    goes_on: list[bool] = [True]

    def reports() -> Iterator[pb.ReportSignalPhasesRequest]:
        yield report(1, NOON_S, ("main", RED, NOON_S - 9))
        while goes_on:
            time.sleep(0.01)

    call = world.signal_stub.ReportSignalPhases.future(reports())
    assert eventually(lambda: world.signals.controllers["c"].last_sequence == 1)
    goes_on.clear()
    assert call.result().accepted == 1


def test_a_report_that_is_too_large_ends_the_stream(world: World) -> None:
    changes = [("g" * 200, RED, NOON_S - 9)] * 400
    code, message = refused(world, report(1, NOON_S), report(2, NOON_S, *changes))
    assert (code, "the limit is 65536" in message) == (grpc.StatusCode.RESOURCE_EXHAUSTED, True)
    assert world.signals.controllers["c"].last_sequence == 1


def test_a_revoked_token_ends_the_running_stream_of_a_controller(world: World) -> None:
    token = world.tokens.new("controllers", Role.CONTROLLER, Scope())
    revoked: list[bool] = []

    def reports() -> Iterator[pb.ReportSignalPhasesRequest]:
        for sequence in range(1, 1000):
            yield report(sequence, NOON_S + sequence / 100, controller="c")
            if sequence == 1:
                assert eventually(lambda: world.signals.controllers["c"].last_sequence == 1)
                world.tokens.revoke(token.split("_")[1])
                revoked.append(True)
            time.sleep(0.02)

    assert eventually(lambda: not world.service._directory._open)
    with pytest.raises(grpc.RpcError) as caught:
        world.signal_stub.ReportSignalPhases(reports(), metadata=bearer(token))
    assert revoked and caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert world.signals.controllers["c"].last_sequence < 999


@pytest.mark.parametrize(
    ("reports", "code", "message"),
    [
        ([report(1, NOON_S, controller="x")], NOT_FOUND, "controller: no site names"),
        ([report(0, NOON_S)], BAD, "sequence: must be 1 or more"),
        ([report(1, NOW_S + 3600)], BAD, "reported_at: is 3"),
        ([pb.ReportSignalPhasesRequest(controller="c", sequence=1)], BAD, "reported_at: is required"),
        ([report(1, NOON_S, ("main", 0, NOON_S))], BAD, "changes[0].phase: there is no phase 0"),
        ([report(1, NOON_S, ("main", 77, NOON_S))], BAD, "changes[0].phase: there is no phase 77"),
        ([report(1, NOON_S, ("", RED, NOON_S))], BAD, "changes[0].group: must have"),
        ([report(1, NOON_S, ("main", RED, NOON_S + 1))], BAD, "changes: group 'main' changes after"),
        ([report(1, NOON_S), report(2, NOON_S - 1)], BAD, "reported_at: report 2 is 1.000 s before"),
    ],
    ids=["unknown", "zero", "ahead", "no time", "no phase", "odd phase", "no group", "change ahead", "back in time"],
)
def test_an_implausible_report_ends_the_stream_and_names_the_field(
    world: World, reports: list[pb.ReportSignalPhasesRequest], code: grpc.StatusCode, message: str
) -> None:
    found, words = refused(world, *reports)
    assert found is code
    assert words.startswith(message)
    assert world.signals.controllers["c"].last_sequence == len(reports) - 1


def test_the_phases_of_the_protocol_are_the_engines() -> None:
    assert {name.removeprefix("SIGNAL_PHASE_"): number for name, number in pb.SignalPhase.items()} == {
        "UNSPECIFIED" if phase is Phase.UNKNOWN else phase.name: int(phase) for phase in Phase
    }


@pytest.mark.parametrize(("phase", "kinds"), [(RED, ["red_light"]), (GREEN, [])])
def test_a_reported_phase_makes_a_case(world: World, phase: int, kinds: list[str]) -> None:
    reports = [report(1, NOON_S, ("main", phase, NOON_S - 9)), *(report(n, NOON_S + n) for n in range(2, 12))]
    world.signal_stub.ReportSignalPhases(iter(reports))
    world.signals._cameras[0].clock = Clock.SYNCHRONISED
    vehicle = Vehicle(track=1, path=runner())
    violations = judged(junction(RED_LIGHT), vehicle, signals=world.signals, lasts_s=8.0)
    assert [violation.kind for violation in violations] == kinds


@pytest.mark.parametrize(
    ("scope", "taken"),
    [
        (Scope(cameras=(JUNCTION.name,)), True),
        (Scope(cameras=(JUNCTION.name, "beside")), True),
        (Scope(cameras=("beside",)), False),
        (Scope(areas=("elsewhere",)), False),
    ],
)
def test_a_controller_reports_within_the_scope_of_its_token(world: World, scope: Scope, taken: bool) -> None:
    metadata = admitted(world, Role.CONTROLLER, scope)
    try:
        world.signal_stub.ReportSignalPhases(iter([report(1, NOON_S)]), metadata=metadata)
        world.signal_stub.GetSignalController(pb.GetSignalControllerRequest(controller="c"), metadata=metadata)
    except grpc.RpcError as error:
        assert (error.code(), taken) == (NOT_FOUND, False)
    assert world.signals.controllers["c"].last_sequence == taken


def test_a_controller_used_by_a_camera_out_of_scope_is_out_of_scope(world: World) -> None:
    world.signals.add_camera(1, WatchedCamera(CameraConfig(name="beside", url="", site=Path()), JUNCTION))
    metadata = admitted(world, Role.CONTROLLER, Scope(cameras=(JUNCTION.name,)))
    with pytest.raises(grpc.RpcError, match="no site names a controller 'c'"):
        world.signal_stub.ReportSignalPhases(iter([report(1, NOON_S)]), metadata=metadata)
    world.signals.remove_camera(1)
    assert world.signal_stub.ReportSignalPhases(iter([report(1, NOON_S)]), metadata=metadata).accepted == 1
