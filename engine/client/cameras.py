"""The calls about cameras, for both clients."""

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
"""Time-out of an order: the service may try the camera first, or wait for its last cases."""


class CameraCalls:
    """For threads; base of `QyranClient`."""

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
        """Watch one more camera. Returns it with warnings, one sentence each.

        `url` has ${NAME}s for user and password, of the secrets that the engine's configuration allows; `site` is the
        text of a site file, `still` the image that it names; `untried`: do not connect to the camera first.
        """
        request = messages.new_camera(name, url, site, still, detect_fps, regions, untried=untried)
        response = self._call(self._cameras.AddCamera, request, ORDER_S)
        return messages.camera_of(response.camera), list(response.warnings)

    def remove_camera(self, name: str, version: int) -> CameraStatus:
        """Remove a camera; its cases stay. `version` is the newest version that you know."""
        request = camera_pb.RemoveCameraRequest(name=name, version=version)
        return messages.camera_of(self._call(self._cameras.RemoveCamera, request, ORDER_S).camera)

    def pause_camera(self, name: str, version: int) -> CameraStatus:
        """Stop watching a camera until `resume_camera`."""
        request = camera_pb.PauseCameraRequest(name=name, version=version)
        return messages.camera_of(self._call(self._cameras.PauseCamera, request, ORDER_S).camera)

    def resume_camera(self, name: str, version: int) -> CameraStatus:
        """Watch a paused camera again."""
        request = camera_pb.ResumeCameraRequest(name=name, version=version)
        return messages.camera_of(self._call(self._cameras.ResumeCamera, request, ORDER_S).camera)

    def update_site(
        self, name: str, version: int, site: str, *, still: bytes = b""
    ) -> tuple[CameraStatus, Sequence[str]]:
        """Give a camera another site from now on. Returns the camera with warnings about the site."""
        request = camera_pb.UpdateSiteRequest(name=name, version=version, site=site, still=still)
        response = self._call(self._cameras.UpdateSite, request, ORDER_S)
        return messages.camera_of(response.camera), list(response.warnings)


class AsyncCameraCalls:
    """For asyncio; base of `AsyncQyranClient`."""

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
        """See `QyranClient.add_camera`."""
        request = messages.new_camera(name, url, site, still, detect_fps, regions, untried=untried)
        response = await self._call(self._cameras.AddCamera, request, ORDER_S)
        return messages.camera_of(response.camera), list(response.warnings)

    async def remove_camera(self, name: str, version: int) -> CameraStatus:
        """See `QyranClient.remove_camera`."""
        request = camera_pb.RemoveCameraRequest(name=name, version=version)
        return messages.camera_of((await self._call(self._cameras.RemoveCamera, request, ORDER_S)).camera)

    async def pause_camera(self, name: str, version: int) -> CameraStatus:
        """See `QyranClient.pause_camera`."""
        request = camera_pb.PauseCameraRequest(name=name, version=version)
        return messages.camera_of((await self._call(self._cameras.PauseCamera, request, ORDER_S)).camera)

    async def resume_camera(self, name: str, version: int) -> CameraStatus:
        """See `QyranClient.resume_camera`."""
        request = camera_pb.ResumeCameraRequest(name=name, version=version)
        return messages.camera_of((await self._call(self._cameras.ResumeCamera, request, ORDER_S)).camera)

    async def update_site(
        self, name: str, version: int, site: str, *, still: bytes = b""
    ) -> tuple[CameraStatus, Sequence[str]]:
        """See `QyranClient.update_site`."""
        request = camera_pb.UpdateSiteRequest(name=name, version=version, site=site, still=still)
        response = await self._call(self._cameras.UpdateSite, request, ORDER_S)
        return messages.camera_of(response.camera), list(response.warnings)
