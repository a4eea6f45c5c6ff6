"""The calls of the SignalService: reports of traffic-light controllers, checked and put into the signal book."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import structlog
from qyran.v1 import signal_service_pb2 as pb
from qyran.v1 import signal_service_pb2_grpc as pb_grpc

from engine import wire
from engine.access import Caller, Scope
from engine.serve import requests
from engine.serve.interceptor import caller
from engine.serve.status import UnknownResource
from engine.signals import Change, Controller, Report, SignalBook
from engine.types import Phase

log = structlog.get_logger()

AHEAD_S = 2.0
"""Limit of a controller's clock ahead of this host's clock. A clock beyond it is not UTC."""
CHANGES = 512
"""Limit of changes in a report."""


class SignalServicer(pb_grpc.SignalServiceServicer):
    """One method per call; the contracts are in the .proto file, the permissions in `permissions`."""

    def __init__(self, signals: SignalBook, require_valid: Callable[[Caller], None]) -> None:
        """`require_valid` raises when the credential of an admitted caller has ended."""
        self._signals = signals
        self._require_valid = require_valid

    async def ReportSignalPhases(  # noqa: N802 - the protocol's name
        self, request_iterator: AsyncIterator[pb.ReportSignalPhasesRequest], context: Any
    ) -> pb.ReportSignalPhasesResponse:
        """Put the reports of a controller into the signal book."""
        response = pb.ReportSignalPhasesResponse()
        log.info("a controller reports", caller=caller().name)
        async for request in request_iterator:
            self._require_valid(caller())
            controller = self._controller(request.controller)
            if self._signals.report(_report(request)):
                response.accepted += 1
            else:
                response.repeated += 1
            response.last_sequence = controller.last_sequence
        return response

    async def GetSignalController(  # noqa: N802
        self, request: pb.GetSignalControllerRequest, context: Any
    ) -> pb.GetSignalControllerResponse:
        """The last report of a controller."""
        controller = self._controller(request.controller)
        response = pb.GetSignalControllerResponse(last_sequence=controller.last_sequence)
        if math.isfinite(controller.reported_s):
            response.reported_at.CopyFrom(wire.timestamp(controller.reported_s))
        return response

    def _controller(self, name: str) -> Controller:
        controller = self._signals.controllers.get(requests.name(name, "controller"))
        if controller is None or not self._is_within(caller().scope, name):
            raise UnknownResource("controller", f"no site names a controller {name!r}", "controller", name)
        return controller

    def _is_within(self, scope: Scope, name: str) -> bool:
        """True if the scope is not limited to cameras or areas, or includes every camera that uses the controller."""
        if not (scope.cameras or scope.areas):
            return True
        cameras = self._signals.cameras_of(name)
        return bool(cameras) and all(scope.allows_camera(camera, area) for camera, area in cameras)


def _report(request: pb.ReportSignalPhasesRequest) -> Report:
    """The report as a record. Raises BadRequest or SignalError."""
    reported_s = _time(request, "reported_at", "reported_at")
    ahead_s = reported_s - time.time()
    requests.require(ahead_s <= AHEAD_S, "reported_at", f"is {ahead_s:.1f} s ahead of this host's clock")
    requests.require(len(request.changes) <= CHANGES, "changes", f"must be at most {CHANGES}")
    changes = tuple(_change(change, f"changes[{row}]") for row, change in enumerate(request.changes))
    return Report(request.controller, request.sequence, reported_s, changes)


def _change(change: pb.PhaseChange, field: str) -> Change:
    requests.require(change.phase in _PHASES, f"{field}.phase", f"there is no phase {change.phase}")
    group = requests.name(change.group, f"{field}.group")
    return Change(group, Phase(change.phase), _time(change, "began_at", f"{field}.began_at"))


_PHASES = frozenset(map(int, Phase)) - {0}
"""The protocol uses the numbers of `types.Phase`."""


def _time(message: Any, attribute: str, field: str) -> float:
    requests.require(message.HasField(attribute), field, "is required")
    return requests.stamp(getattr(message, attribute), field)
