"""The client for threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar, Unpack

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
from engine.config import Region
from engine.errors import LedgerError
from engine.types import Entry
from engine.types.decision import Disposition, Finding, Review, Ruling

log = structlog.get_logger()

T = TypeVar("T")

DOWNLOAD_S = 300.0
"""Time-out of one attempt at one file."""
ORDER_S = 60.0
"""Time-out of an order: the service may try the camera first, or wait for its last cases."""


class SilenceTimeout:
    """Cancels a stream at the end of the context, or when the wait for its next message exceeds the heartbeats.

    A blocking gRPC stream has no time-out for a single message: a thread watches the wait.
    """

    def __init__(self, cancel: Callable[[], object], progress: WatchProgress) -> None:
        self._cancel = cancel
        self._progress = progress
        self._waiting_since_s: float | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="silence timeout", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        self._cancel()

    def next(self, stream: Iterator[T]) -> T | None:
        """The next message; None at the end of the stream."""
        self._waiting_since_s = time.monotonic()
        try:
            return next(stream, None)
        finally:
            self._waiting_since_s = None

    def _watch(self) -> None:
        while not self._done.wait(0.5):
            since_s = self._waiting_since_s
            if since_s is not None and time.monotonic() - since_s > self._progress.timeout_s:
                self._cancel()


class QyranClient:
    """One channel to the service. Any number of threads may use it.

    Every call raises CallRefused, a LedgerError, if the service refuses it or cannot be reached in time.
    """

    def __init__(
        self,
        target: str,
        *,
        token: str | Path = "",
        tls: Tls | None = None,
        timeout_s: float = 10.0,
        channel: grpc.Channel | None = None,
    ) -> None:
        """Connects at the first call.

        target     host:port
        token      a bearer token, or its file, which is read for every call
        tls        None: plaintext, to a service on this machine
        timeout_s  deadline of every call that is not a stream
        channel    your own channel; it is closed with the client
        """
        self._settings = ChannelSettings(target, token, tls)
        self._channel = channel or self._settings.open()
        self._stub = pb_grpc.ViolationServiceStub(self._channel)
        self._cameras = camera_grpc.CameraServiceStub(self._channel)
        self._target, self._timeout_s = target, timeout_s
        self._closed = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every call: a running `watch` stops, other calls raise ClientClosed. Any thread may call."""
        self._closed.set()
        self._channel.close()

    # -- progress

    def watch(self, after_sequence: int = 0, *, consumer: str = "", **wanted: Unpack[Wanted]) -> Iterator[Entry]:
        """Yield the entries after a sequence in order, then new ones, each once, until `close`. Blocks for new entries.

        With `consumer` it begins after the entry that the consumer acknowledged last. Reconnects by itself with capped,
        jittered back-off and continues where it was. Raises CallRefused where a reconnect does not help: a wrong
        filter, a cursor of another ledger, a revoked token.
        """
        progress = WatchProgress(after_sequence, consumer, messages.filter_of(wanted))
        while not self._closed.is_set():
            at_least_s = 0.0
            try:
                yield from self._stream(progress)
            except ClientClosed:
                return
            except grpc.RpcError as error:
                raise_unless_passing(self._target, error)
                log.warning("watch broken, reconnecting", target=self._target, after=progress.sequence)
                at_least_s = retry_s(error)
            self._closed.wait(progress.next_wait_s(at_least_s))

    def consume(self, consumer: str, *, every: int = 1, **wanted: Unpack[Wanted]) -> Iterator[Entry]:
        """`watch` for a named consumer: an entry is acknowledged when the next one is requested.

        If the body of the loop raises or the process dies, the entry comes again. `every`: acknowledge every n-th
        entry; after a crash up to n entries come again. `wanted`: the filters of `watch`.
        """
        for number, entry in enumerate(self.watch(consumer=consumer, **wanted), 1):
            yield entry
            if number % every == 0:
                self.acknowledge(consumer, entry.sequence)

    def acknowledge(self, consumer: str, sequence: int) -> int:
        """Record that all entries up to `sequence` are processed. Returns the cursor, which never moves back."""
        request = pb.AcknowledgeRequest(consumer=consumer, sequence=sequence)
        return int(self._call(self._stub.Acknowledge, request).sequence)

    # -- reading

    def get_case(self, case_id: str) -> Entry | None:
        """The entry of a case; None if it does not exist or is out of scope."""
        try:
            response = self._call(self._stub.GetCase, pb.GetCaseRequest(case_id=case_id))
        except CallRefused as refused:
            if refused.code == "NOT_FOUND":
                return None
            raise
        return wire.entry_from_message(response.entry)

    def get_decisions(self, case_id: str) -> tuple[Sequence[Disposition], Sequence[Review]]:
        """The decisions of registers and officers about a case, as recorded in order. Raises for an unknown case."""
        return messages.decisions_of(self._call(self._stub.GetCase, pb.GetCaseRequest(case_id=case_id)))

    def list_cases(self, after_sequence: int = 0, **wanted: Unpack[Wanted]) -> Iterator[Entry]:
        """Yield the present entries after a sequence, read page by page."""
        token, filter_ = str(after_sequence or ""), messages.filter_of(wanted)
        while True:
            page = self._call(self._stub.ListCases, pb.ListCasesRequest(filter=filter_, page_token=token))
            yield from map(wire.entry_from_message, page.entries)
            if not (token := page.next_page_token):
                return

    def download_evidence(self, case_id: str, folder: Path | str) -> Path:
        """Download every file of a case to `folder/<case id>/`, verified. Returns that folder.

        Skips files that are there already; continues a broken download where it stopped. Raises EvidenceError for a
        file that does not match its hash in the entry.
        """
        entry = self.get_case(case_id)
        if entry is None:
            raise LedgerError(f"{self._target}: there is no case {case_id!r}")
        target = Path(folder) / plain(case_id)
        target.mkdir(parents=True, exist_ok=True)
        for file in entry.case.files:
            self._download(case_id, EvidenceDownload(f"{self._target}: case {case_id}", file, target))
        return target

    # -- decisions

    def report(
        self,
        case_id: str,
        ruling: Ruling,
        *,
        report_id: str = "",
        reason: str = "",
        reference: str = "",
        decided_s: float | None = None,
    ) -> Disposition:
        """Report a decision of your register. Returns the record.

        With `report_id`, your own key of the decision, and `decided_s` the call may be repeated after a crash: the
        decision is recorded once. `decided_s`: Unix seconds, default now.
        """
        request = messages.report_of(case_id, ruling, report_id, reason, reference, decided_s)
        response = self._call(self._stub.ReportDisposition, request)
        return wire.disposition_from_message(case_id, response.disposition)

    def review(
        self,
        case_id: str,
        finding: Finding,
        *,
        person: str,
        review_id: str = "",
        reason: str = "",
        supersedes: str = "",
    ) -> Review:
        """Send an officer's decision. Returns the record. Raises unless `supersedes` names the last review."""
        request = messages.review_of(case_id, finding, person, review_id, reason, supersedes)
        return wire.review_from_message(case_id, self._call(self._stub.ReviewCase, request).review)

    # -- cameras

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

    # -- internals

    def _call(self, call: Callable[..., T], request: object, timeout_s: float | None = None) -> T:
        options = {"timeout": timeout_s or self._timeout_s, "metadata": self._settings.metadata()}
        try:
            with self._until_closed():
                return call(request, wait_for_ready=True, **options)
        except grpc.RpcError as error:
            raise error_of(self._target, error) from error

    @contextmanager
    def _until_closed(self) -> Iterator[None]:
        """Raises ClientClosed for a call that `close` ended: gRPC raises RpcError or ValueError there."""
        try:
            yield
        except (grpc.RpcError, ValueError) as error:
            if self._closed.is_set():
                raise ClientClosed(self._target) from error
            raise

    def _stream(self, progress: WatchProgress) -> Iterator[Entry]:
        """One connection of `watch`. Raises grpc.RpcError when it breaks."""
        with self._until_closed():
            call = self._stub.WatchViolations(progress.request(), metadata=self._settings.metadata())
        stream = iter(call)
        with SilenceTimeout(call.cancel, progress) as silence:
            while (response := self._next(silence, stream)) is not None:
                if (entry := progress.receive(response)) is not None:
                    yield entry

    def _next(self, silence: SilenceTimeout, stream: Iterator[T]) -> T | None:
        with self._until_closed():
            return silence.next(stream)

    def _download(self, case_id: str, download: EvidenceDownload) -> None:
        """Download one file and verify it. Raises EvidenceError, CallRefused."""
        while download.is_needed():
            try:
                self._download_rest(case_id, download)
            except grpc.RpcError as error:
                if download.gives_up():
                    raise error_of(self._target, error) from error
                raise_unless_passing(self._target, error)
                self._closed.wait(max(retry_s(error), download.wait_s))

    def _download_rest(self, case_id: str, download: EvidenceDownload) -> None:
        """Request the missing part of a file. Raises grpc.RpcError when the connection breaks."""
        stream, offset = download.open()
        with stream:
            request = pb.GetEvidenceRequest(case_id=case_id, name=download.file.name, offset=offset)
            metadata = self._settings.metadata()
            with self._until_closed():
                call = self._stub.GetEvidence(request, timeout=DOWNLOAD_S, wait_for_ready=True, metadata=metadata)
                for response in call:
                    download.add(stream, response.chunk)
            download.settle(stream)
