"""The permissions: which role may make which call, with the limits of the call.

A call that is not in the table is refused; a test compares the table with every service of `proto/`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine.access import Role

VIEWER, REGISTER, OFFICER, CONTROLLER, ADMIN = Role
READERS = frozenset({VIEWER, REGISTER, OFFICER, ADMIN})
ANYBODY = frozenset(Role)
KB, MB = 1024, 1024 * 1024


@dataclass(frozen=True, slots=True)
class Permission:
    """Permission and limits of a call."""

    roles: frozenset[Role]
    subject: Callable[[Any], str] | None = None
    """The subject of a request, for the audit log; None: the call is not logged there."""
    limit_s: float | None = 30.0
    """The service ends the call after this time, whatever deadline the caller gave; None: no limit."""
    limit_bytes: int = 64 * KB
    """Largest request."""
    public: bool = False
    """True: needs no credential, because it reveals no data."""


_case, _camera = "case {0.case_id}".format, "camera {0.name}".format
_file = "case {0.case_id} file {0.name} from {0.offset}".format
_consumer = "consumer {0.consumer} sequence {0.sequence}".format
_CASES, _CAMERAS = "/qyran.v1.ViolationService/", "/qyran.v1.CameraService/"
_SIGNALS = "/qyran.v1.SignalService/"
_REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/"

PERMISSIONS: dict[str, Permission] = {
    _CASES + "WatchViolations": Permission(READERS, limit_s=None),
    _CASES + "Acknowledge": Permission(frozenset({REGISTER, ADMIN}), _consumer),
    _CASES + "GetCase": Permission(READERS),
    _CASES + "ListCases": Permission(READERS),
    _CASES + "GetEvidence": Permission(READERS, _file, limit_s=600.0),
    _CASES + "ReportDisposition": Permission(frozenset({REGISTER, ADMIN}), _case),
    _CASES + "ReviewCase": Permission(frozenset({OFFICER, ADMIN}), _case),
    _CAMERAS + "ListCameras": Permission(frozenset({VIEWER, OFFICER, ADMIN})),
    _CAMERAS + "GetCamera": Permission(frozenset({VIEWER, OFFICER, ADMIN})),
    _CAMERAS + "AddCamera": Permission(frozenset({ADMIN}), _camera, limit_s=60.0, limit_bytes=4 * MB),
    _CAMERAS + "RemoveCamera": Permission(frozenset({ADMIN}), _camera, limit_s=60.0),
    _CAMERAS + "PauseCamera": Permission(frozenset({ADMIN}), _camera, limit_s=60.0),
    _CAMERAS + "ResumeCamera": Permission(frozenset({ADMIN}), _camera, limit_s=60.0),
    _CAMERAS + "UpdateSite": Permission(frozenset({ADMIN}), _camera, limit_s=60.0, limit_bytes=4 * MB),
    _SIGNALS + "ReportSignalPhases": Permission(frozenset({CONTROLLER, ADMIN}), limit_s=None),
    _SIGNALS + "GetSignalController": Permission(frozenset({CONTROLLER, VIEWER, OFFICER, ADMIN})),
    "/grpc.health.v1.Health/Check": Permission(ANYBODY, public=True),
    "/grpc.health.v1.Health/List": Permission(ANYBODY, public=True),
    "/grpc.health.v1.Health/Watch": Permission(ANYBODY, public=True, limit_s=None),
    _REFLECTION + "ServerReflectionInfo": Permission(ANYBODY, limit_s=None),
}
CALLED_SERVICES = frozenset({"qyran.v1.RegisterService", "qyran.v1.VehicleRegistryService"})
"""Services of other systems, which Qyran calls."""
