"""The client for asyncio: the calls of `QyranClient`, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, Unpack

import grpc
import structlog
from qyran.v1 import camera_service_pb2 as camera_pb
from qyran.v1 import camera_service_pb2_grpc as camera_grpc
from qyran.v1 import violation_service_pb2 as pb
from qyran.v1 import violation_service_pb2_grpc as pb_grpc

from engine import wire
from engine.client import messages
from engine.client.channel import ChannelSettings, Tls
from engine.client.errors import CallRefused, ClientClosed, error_of, raise_unless_passing, retry_s
from engine.client.files import EvidenceDownload, plain
from engine.client.messages import CameraStatus, Wanted, WatchProgress
from engine.client.sync import DOWNLOAD_S, ORDER_S
from engine.config import Region
from engine.errors import LedgerError
from engine.types import Entry
from engine.types.decision import Disposition, Finding, Review, Ruling

log = structlog.get_logger()

_END = grpc.aio.EOF  # type: ignore[attr-defined]  # the stubs lack it


class AsyncQyranClient:
    """One channel to the service, for one event loop: `async with AsyncQyranClient(...) as qyran:`."""

    def __init__(self, target: str, *, token: str | Path = "", tls: Tls | None = None, timeout_s: float = 10.0) -> None:
        """See `QyranClient`. Create it while the loop runs."""
        self._settings = ChannelSettings(target, token, tls)
        self._channel = self._settings.open_aio()
        self._stub: Any = pb_grpc.ViolationServiceStub(self._channel)
        self._cameras: Any = camera_grpc.CameraServiceStub(self._channel)
        self._target, self._timeout_s = target, timeout_s
        self._closed = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End every call: a running `watch` stops, other calls raise ClientClosed."""
        self._closed.set()
        await self._channel.close(grace=None)

    # -- progress

    async def watch(
        self, after_sequence: int = 0, *, consumer: str = "", **wanted: Unpack[Wanted]
    ) -> AsyncIterator[Entry]:
        """See `QyranClient.watch`. Ends at `close` and when its task is cancelled."""
        progress = WatchProgress(after_sequence, consumer, messages.filter_of(wanted))
        while not self._closed.is_set():
            at_least_s = 0.0
            try:
                async for entry in self._stream(progress):
                    yield entry
            except ClientClosed:
                return
            except grpc.RpcError as error:
                raise_unless_passing(self._target, error)
                log.warning("watch broken, reconnecting", target=self._target, after=progress.sequence)
                at_least_s = retry_s(error)
            except TimeoutError:
                log.warning("watch silent, reconnecting", target=self._target, after=progress.sequence)
            await self._pause(progress.next_wait_s(at_least_s))

    async def consume(self, consumer: str, *, every: int = 1, **wanted: Unpack[Wanted]) -> AsyncIterator[Entry]:
        """See `QyranClient.consume`."""
        number = 0
        async for entry in self.watch(consumer=consumer, **wanted):
            number += 1
            yield entry
            if number % every == 0:
                await self.acknowledge(consumer, entry.sequence)

    async def acknowledge(self, consumer: str, sequence: int) -> int:
        """See `QyranClient.acknowledge`."""
        request = pb.AcknowledgeRequest(consumer=consumer, sequence=sequence)
        return int((await self._call(self._stub.Acknowledge, request)).sequence)

    # -- reading

    async def get_case(self, case_id: str) -> Entry | None:
        """The entry of a case; None if it does not exist or is out of scope."""
        try:
            response = await self._call(self._stub.GetCase, pb.GetCaseRequest(case_id=case_id))
        except CallRefused as refused:
            if refused.code == "NOT_FOUND":
                return None
            raise
        return wire.entry_from_message(response.entry)

    async def get_decisions(self, case_id: str) -> tuple[Sequence[Disposition], Sequence[Review]]:
        """See `QyranClient.get_decisions`."""
        return messages.decisions_of(await self._call(self._stub.GetCase, pb.GetCaseRequest(case_id=case_id)))

    async def list_cases(self, after_sequence: int = 0, **wanted: Unpack[Wanted]) -> AsyncIterator[Entry]:
        """See `QyranClient.list_cases`."""
        token, filter_ = str(after_sequence or ""), messages.filter_of(wanted)
        while True:
            page = await self._call(self._stub.ListCases, pb.ListCasesRequest(filter=filter_, page_token=token))
            for message in page.entries:
                yield wire.entry_from_message(message)
            if not (token := page.next_page_token):
                return

    async def download_evidence(self, case_id: str, folder: Path | str) -> Path:
        """See `QyranClient.download_evidence`."""
        entry = await self.get_case(case_id)
        if entry is None:
            raise LedgerError(f"{self._target}: there is no case {case_id!r}")
        target = Path(folder) / plain(case_id)
        target.mkdir(parents=True, exist_ok=True)
        for file in entry.case.files:
            await self._download(case_id, EvidenceDownload(f"{self._target}: case {case_id}", file, target))
        return target

    # -- decisions

    async def report(
        self,
        case_id: str,
        ruling: Ruling,
        *,
        report_id: str = "",
        reason: str = "",
        reference: str = "",
        decided_s: float | None = None,
    ) -> Disposition:
        """See `QyranClient.report`."""
        request = messages.report_of(case_id, ruling, report_id, reason, reference, decided_s)
        response = await self._call(self._stub.ReportDisposition, request)
        return wire.disposition_from_message(case_id, response.disposition)

    async def review(
        self,
        case_id: str,
        finding: Finding,
        *,
        person: str,
        review_id: str = "",
        reason: str = "",
        supersedes: str = "",
    ) -> Review:
        """See `QyranClient.review`."""
        request = messages.review_of(case_id, finding, person, review_id, reason, supersedes)
        return wire.review_from_message(case_id, (await self._call(self._stub.ReviewCase, request)).review)

    # -- cameras

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

    # -- internals

    async def _call(self, call: Callable[..., Awaitable[Any]], request: object, timeout_s: float | None = None) -> Any:
        options = {"timeout": timeout_s or self._timeout_s, "metadata": self._settings.metadata()}
        try:
            with self._until_closed():
                return await call(request, wait_for_ready=True, **options)
        except grpc.RpcError as error:
            raise error_of(self._target, error) from error

    async def _stream(self, progress: WatchProgress) -> AsyncIterator[Entry]:
        """One connection of `watch`. Raises grpc.RpcError when it breaks, TimeoutError when it is silent too long."""
        with self._until_closed():
            call = self._stub.WatchViolations(progress.request(), metadata=self._settings.metadata())
        try:
            while (response := await self._next(call, progress.timeout_s)) is not _END:
                if (entry := progress.receive(response)) is not None:
                    yield entry
        finally:
            call.cancel()

    async def _next(self, call: Any, timeout_s: float) -> Any:
        with self._until_closed():
            return await asyncio.wait_for(call.read(), timeout_s)

    @contextmanager
    def _until_closed(self) -> Iterator[None]:
        """Raises ClientClosed for a call that `close` ended: gRPC raises CancelledError, as for a cancelled task."""
        if self._closed.is_set():
            raise ClientClosed(self._target)
        try:
            yield
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._closed.is_set() and task is not None and not task.cancelling():
                raise ClientClosed(self._target) from None
            raise

    async def _pause(self, seconds: float) -> None:
        """Sleep, at most until `close`."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closed.wait(), seconds)

    async def _download(self, case_id: str, download: EvidenceDownload) -> None:
        """See `QyranClient._download`."""
        while await asyncio.to_thread(download.is_needed):
            try:
                await self._download_rest(case_id, download)
            except grpc.RpcError as error:
                if download.gives_up():
                    raise error_of(self._target, error) from error
                raise_unless_passing(self._target, error)
                await self._pause(max(retry_s(error), download.wait_s))

    async def _download_rest(self, case_id: str, download: EvidenceDownload) -> None:
        stream, offset = download.open()
        with stream:
            request = pb.GetEvidenceRequest(case_id=case_id, name=download.file.name, offset=offset)
            metadata = self._settings.metadata()
            with self._until_closed():
                call = self._stub.GetEvidence(request, timeout=DOWNLOAD_S, wait_for_ready=True, metadata=metadata)
                async for response in call:
                    await asyncio.to_thread(download.add, stream, response.chunk)
            await asyncio.to_thread(download.settle, stream)
