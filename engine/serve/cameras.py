"""The calls of the CameraService: orders about cameras, checked and translated."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext, suppress
from typing import Any, Protocol, TypeVar

import msgspec
from qyran.v1 import camera_service_pb2 as pb
from qyran.v1 import camera_service_pb2_grpc as pb_grpc

from engine import wire
from engine.access import Scope
from engine.config import CameraConfig, tomlfile
from engine.errors import ConfigError, NoCamera
from engine.ledger import CameraChange, CameraRecord, CameraState, CameraVersion
from engine.serve import requests
from engine.serve.interceptor import caller
from engine.serve.status import BadRequest, Forbidden, UnknownResource, Unreadable

T = TypeVar("T")

_URL = re.compile(r"rtsps?://(?:(?:\$\{\w+\}(?::\$\{\w+\})?)@)?[^@\s$]+")
"""User and password are ${NAME}s, and no other part has any; the camera store checks the names."""


class Cameras(Protocol):
    """Carries out the orders (`engine.app.cameras.CameraManager`). Every method blocks; any thread may call.

    An order names the version that it expects; it raises OutOfDate for another one.
    """

    def all(self) -> Sequence[CameraRecord]:
        """The cameras that are not removed and can be read."""

    def get(self, name: str) -> CameraRecord:
        """A camera. Raises NoCamera; ConfigError if its settings or site cannot be read."""

    def history(self, name: str) -> Sequence[CameraChange]:
        """The changes of a camera, ascending."""

    def add(
        self, settings: CameraConfig, site: str, still: bytes | None, by: str, *, probe: bool
    ) -> tuple[CameraRecord, list[str]]:
        """Add a camera; `probe`: connect to it first. Returns it with warnings."""

    def update_site(
        self, name: str, expected: int, by: str, site: str, still: bytes | None
    ) -> tuple[CameraRecord, list[str]]:
        """Give a camera another site. Returns it with warnings."""

    def pause(self, name: str, expected: int, by: str) -> CameraRecord:
        """Stop watching a camera."""

    def resume(self, name: str, expected: int, by: str) -> CameraRecord:
        """Watch a paused camera again."""

    def remove(self, name: str, expected: int, by: str) -> CameraVersion:
        """Remove a camera; its cases stay."""


class CameraServicer(pb_grpc.CameraServiceServicer):
    """One method per call; the contracts are in the .proto file, the permissions in `permissions`."""

    def __init__(self, cameras: Cameras, orders: Executor) -> None:
        self._cameras, self._orders = cameras, orders

    async def ListCameras(self, request: pb.ListCamerasRequest, context: Any) -> pb.ListCamerasResponse:  # noqa: N802
        """The cameras that the caller may see."""
        records, scope = await asyncio.to_thread(self._cameras.all), caller().scope
        return pb.ListCamerasResponse(cameras=[_message(record) for record in records if _is_visible(record, scope)])

    async def GetCamera(self, request: pb.GetCameraRequest, context: Any) -> pb.GetCameraResponse:  # noqa: N802
        """A camera, its site and its changes."""
        name = requests.name(request.name, "name")
        record = await asyncio.to_thread(self._visible, name, caller().scope)
        history = await asyncio.to_thread(self._cameras.history, name)
        return pb.GetCameraResponse(camera=_message(record), site=record.site_text, history=map(_change, history))

    async def AddCamera(self, request: pb.AddCameraRequest, context: Any) -> pb.AddCameraResponse:  # noqa: N802
        """Add a camera."""
        settings, client = _settings(request), caller()

        def add() -> tuple[CameraRecord, list[str]]:
            _require_within(client.scope, request.name, request.site)
            still, probe = request.still or None, not request.untried
            return self._cameras.add(settings, request.site, still, client.name, probe=probe)

        record, warnings = await self._do(add)
        return pb.AddCameraResponse(camera=_message(record), warnings=warnings)

    async def RemoveCamera(  # noqa: N802
        self, request: pb.RemoveCameraRequest, context: Any
    ) -> pb.RemoveCameraResponse:
        """Remove a camera."""
        return pb.RemoveCameraResponse(
            camera=_brief(await self._change(self._cameras.remove, request, or_unreadable=True))
        )

    async def PauseCamera(self, request: pb.PauseCameraRequest, context: Any) -> pb.PauseCameraResponse:  # noqa: N802
        """Stop watching a camera."""
        return pb.PauseCameraResponse(camera=_message(await self._change(self._cameras.pause, request)))

    async def ResumeCamera(  # noqa: N802
        self, request: pb.ResumeCameraRequest, context: Any
    ) -> pb.ResumeCameraResponse:
        """Watch a paused camera again."""
        return pb.ResumeCameraResponse(camera=_message(await self._change(self._cameras.resume, request)))

    async def UpdateSite(self, request: pb.UpdateSiteRequest, context: Any) -> pb.UpdateSiteResponse:  # noqa: N802
        """Give a camera another site."""
        scope, site, still = caller().scope, request.site, request.still or None

        def update(name: str, expected: int, by: str) -> tuple[CameraRecord, list[str]]:
            _require_within(scope, name, site)
            return self._cameras.update_site(name, expected, by, site, still)

        record, warnings = await self._change(update, request, or_unreadable=True)
        return pb.UpdateSiteResponse(camera=_message(record), warnings=warnings)

    async def _change(self, order: Callable[[str, int, str], T], request: Any, *, or_unreadable: bool = False) -> T:
        """Carry out an order about a camera that the caller may see; no other order comes between check and change.

        `or_unreadable`: also carry out the order for a camera that cannot be read any more.
        """
        name, client = requests.name(request.name, "name"), caller()

        def change() -> T:
            with suppress(Unreadable) if or_unreadable else nullcontext():
                self._visible(name, client.scope)
            return order(name, request.version, client.name)

        return await self._do(change)

    def _visible(self, name: str, scope: Scope) -> CameraRecord:
        """A camera within a scope. Raises UnknownResource if it does not exist or is out of scope; Unreadable."""
        try:
            record = self._cameras.get(name)
        except NoCamera:
            raise _unknown_camera(name) from None
        except ConfigError as error:
            if scope.areas or not scope.allows_camera(name, ""):
                raise _unknown_camera(name) from error
            raise Unreadable(f"camera {name!r}: {error}") from error
        if not _is_visible(record, scope):
            raise _unknown_camera(name)
        return record

    async def _do(self, order: Callable[[], T]) -> T:
        """Run on the only thread for orders: they come one after the other, and no other call waits for them."""
        return await asyncio.get_running_loop().run_in_executor(self._orders, order)


def _unknown_camera(name: str) -> UnknownResource:
    return UnknownResource("name", f"there is no camera {name!r}", "camera", name)


def _is_visible(record: CameraRecord, scope: Scope) -> bool:
    return scope.allows_camera(record.version.camera, record.site.place.area)


class _Place(msgspec.Struct, frozen=True):
    area: str = ""


class _Placed(msgspec.Struct, frozen=True):
    """The part of a site file that a scope needs."""

    place: _Place = _Place()


def _require_within(scope: Scope, name: str, site: str) -> None:
    """Raises Forbidden for a site that would put the camera out of the caller's scope; ConfigError."""
    area = tomlfile.parse(site, _Placed, source=f"site of camera {name}").place.area
    if not scope.allows_camera(name, area):
        raise Forbidden(f"camera {name!r} in the area {area!r} is out of the scope of this credential")


def _settings(request: pb.AddCameraRequest) -> CameraConfig:
    """The settings, as a table of the configuration file gives them. Raises BadRequest."""
    hint = "must be rtsp:// or rtsps://, with ${NAME}s for user and password and in no other part"
    requests.require(_URL.fullmatch(request.url) is not None, "url", hint)
    table: dict[str, object] = {"name": request.name, "url": request.url, "site": ""}
    if request.detect_fps:
        table["detect_fps"] = request.detect_fps
    if request.regions:
        table["regions"] = [(region.left, region.top, region.right, region.bottom) for region in request.regions]
    if request.transport == pb.TRANSPORT_UDP:
        table["transport"] = "udp"
    try:
        return msgspec.convert(table, CameraConfig, dec_hook=lambda kind, value: kind(value))
    except (msgspec.ValidationError, ValueError) as error:
        what, _, place = str(error).partition(" - at `$.")
        raise BadRequest(re.sub(r"[`\[].*", "", place) or "camera", what) from error


def _message(record: CameraRecord) -> pb.Camera:
    message = _brief(record.version)
    message.url, message.detect_fps = record.url, record.config.detect_fps
    message.place.CopyFrom(wire.place_to_message(record.site.place, record.site.name))
    return message


def _brief(version: CameraVersion) -> pb.Camera:
    """The message of a camera without its settings and site."""
    message = pb.Camera(
        name=version.camera, version=version.version, state=_state(version.state), changed_by=version.changed_by
    )
    if version.version:
        message.changed_at.CopyFrom(wire.timestamp(version.changed_s))
    return message


def _change(version: CameraChange) -> pb.CameraChange:
    return pb.CameraChange(
        version=version.version,
        change=version.change,
        state=_state(version.state),
        changed_at=wire.timestamp(version.changed_s),
        changed_by=version.changed_by,
    )


def _state(state: CameraState) -> pb.CameraState.ValueType:
    return pb.CameraState.Value(f"CAMERA_STATE_{state.name}")
