"""The calls about cameras, for either client."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from qyran.v1 import camera_service_pb2 as camera_pb
from qyran.v1 import camera_service_pb2_grpc as camera_grpc

from engine.client import messages
from engine.client.messages import CameraStatus
from engine.config import Region

T = TypeVar("T")

ORDER_S = 60.0
"""Time-out of an order about a camera, which may have to be tried or settled."""


class CameraServicer:
    """For threads; part of `QyranClient`."""

    def __init__(self, stub: camera_grpc.CameraServiceStub) -> None:
        self._cameras = stub

    def _call(self, call: Callable[..., T], request: object, timeout_s: float | None = None) -> T:
        raise NotImplementedError

    def list_cameras(self) -> Sequence[CameraStatus]:
        """Every camera that is not removed."""
        response = self._call(self._cameras.ListCameras, camera_pb.ListCamerasRequest())
        return [messages.camera_of(camera) for camera in response.cameras]

    def get_site(self, name: str) -> tuple[CameraStatus, str]:
        """A camera and the text of its site file."""
        response = self._call(self._cameras.GetCamera, camera_pb.GetCameraRequest(name=name))
        return messages.camera_of(response.camera), response.site

    def add_camera(
        self,
        name: str,
        url: str,
        site: str,
        *,
        still: bytes = b"",
        detect_fps: float = 8.0,
        regions: Sequence[Region] = (),
        untried: bool = False,
    ) -> tuple[CameraStatus, Sequence[str]]:
        """Watch one more camera; returns it with what is doubtful about it, one sentence each.

        `url` has ${NAME}s for user and password, of those secrets that the engine's configuration allows; `site` is the
        text of a site file.
        """
        request = messages.new_camera(name, url, site, still, detect_fps, regions, untried=untried)
        response = self._call(self._cameras.AddCamera, request, ORDER_S)
        return messages.camera_of(response.camera), list(response.warnings)

    def remove_camera(self, name: str, version: int) -> CameraStatus:
        """Watch a camera no more; `version` is the one that you have seen."""
        request = camera_pb.RemoveCameraRequest(name=name, version=version)
        return messages.camera_of(self._call(self._cameras.RemoveCamera, request, ORDER_S).camera)

    def pause_camera(self, name: str, version: int) -> CameraStatus:
        """Watch a camera no more, for the time being."""
        request = camera_pb.PauseCameraRequest(name=name, version=version)
        return messages.camera_of(self._call(self._cameras.PauseCamera, request, ORDER_S).camera)

    def resume_camera(self, name: str, version: int) -> CameraStatus:
        """Watch a paused camera again."""
        request = camera_pb.ResumeCameraRequest(name=name, version=version)
        return messages.camera_of(self._call(self._cameras.ResumeCamera, request, ORDER_S).camera)

    def update_site(
        self, name: str, version: int, site: str, *, still: bytes = b""
    ) -> tuple[CameraStatus, Sequence[str]]:
        """Judge a camera by another site from now on; returns it with what is doubtful about the site."""
        request = camera_pb.UpdateSiteRequest(name=name, version=version, site=site, still=still)
        response = self._call(self._cameras.UpdateSite, request, ORDER_S)
        return messages.camera_of(response.camera), list(response.warnings)


class AsyncCameraCalls:
    """The same for asyncio; part of `AsyncQyranClient`."""

    def __init__(self, stub: Any) -> None:
        self._cameras = stub

    async def _call(self, call: Callable[..., Awaitable[Any]], request: object, timeout_s: float | None = None) -> Any:
        raise NotImplementedError

    async def list_cameras(self) -> Sequence[CameraStatus]:
        """Every camera that is not removed."""
        response = await self._call(self._cameras.ListCameras, camera_pb.ListCamerasRequest())
        return [messages.camera_of(camera) for camera in response.cameras]

    async def get_site(self, name: str) -> tuple[CameraStatus, str]:
        """A camera and the text of its site file."""
        response = await self._call(self._cameras.GetCamera, camera_pb.GetCameraRequest(name=name))
        return messages.camera_of(response.camera), response.site

    async def add_camera(
        self,
        name: str,
        url: str,
        site: str,
        *,
        still: bytes = b"",
        detect_fps: float = 8.0,
        regions: Sequence[Region] = (),
        untried: bool = False,
    ) -> tuple[CameraStatus, Sequence[str]]:
        """As `QyranClient.add_camera`."""
        request = messages.new_camera(name, url, site, still, detect_fps, regions, untried=untried)
        response = await self._call(self._cameras.AddCamera, request, ORDER_S)
        return messages.camera_of(response.camera), list(response.warnings)

    async def remove_camera(self, name: str, version: int) -> CameraStatus:
        """As `QyranClient.remove_camera`."""
        request = camera_pb.RemoveCameraRequest(name=name, version=version)
        return messages.camera_of((await self._call(self._cameras.RemoveCamera, request, ORDER_S)).camera)

    async def pause_camera(self, name: str, version: int) -> CameraStatus:
        """As `QyranClient.pause_camera`."""
        request = camera_pb.PauseCameraRequest(name=name, version=version)
        return messages.camera_of((await self._call(self._cameras.PauseCamera, request, ORDER_S)).camera)

    async def resume_camera(self, name: str, version: int) -> CameraStatus:
        """As `QyranClient.resume_camera`."""
        request = camera_pb.ResumeCameraRequest(name=name, version=version)
        return messages.camera_of((await self._call(self._cameras.ResumeCamera, request, ORDER_S)).camera)

    async def update_site(
        self, name: str, version: int, site: str, *, still: bytes = b""
    ) -> tuple[CameraStatus, Sequence[str]]:
        """As `QyranClient.update_site`."""
        request = camera_pb.UpdateSiteRequest(name=name, version=version, site=site, still=still)
        response = await self._call(self._cameras.UpdateSite, request, ORDER_S)
        return messages.camera_of(response.camera), list(response.warnings)
