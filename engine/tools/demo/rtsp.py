"""An RTSP server (RFC 2326, interleaved TCP) on loopback that plays a folder of files, in a process of its own."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from engine.errors import ConfigError, Unreachable

_START_S = 20.0
"""Time limit for the start of the server."""
_BEGINS = re.compile(r"stream loop start session=(\S+) loop=\d+ source=(\S+)")
"""Log line of aio-rtsp-toolkit each time it plays a file from its first frame."""


class ClipClock:
    """Start times of one clip for the first client that plays it. The server sends them to `sender`."""

    def __init__(self, clip: str) -> None:
        """`clip` is the name of the clip's file."""
        self._clip = clip
        self._receiver, self.sender = multiprocessing.Pipe(duplex=False)
        self._session = ""
        self._began_s: list[float] = []

    def began_s(self, at_s: float) -> float | None:
        """The last start of the clip at or before `at_s`; None before the first start."""
        while self._receiver.poll():
            self._receive(*self._receiver.recv())
        before = [began_s for began_s in self._began_s if began_s <= at_s]
        return before[-1] if before else None

    def _receive(self, session: str, clip: str, began_s: float) -> None:
        if clip == self._clip and not self._session:
            self._session = session
        if session == self._session:
            self._began_s = [*self._began_s[-1:], began_s]


class _StartHandler(logging.Handler):
    """Sends a tuple (session, file, Unix time) each time the server starts a file."""

    def __init__(self, sender: Connection) -> None:
        super().__init__(logging.INFO)
        self._sender = sender

    def emit(self, record: logging.LogRecord) -> None:
        found = _BEGINS.search(record.getMessage())
        if found:
            self._sender.send((found[1], found[2], record.created))


@contextmanager
def serve_folder(folder: Path, clip: ClipClock | None = None) -> Iterator[str]:
    """Serve the files of `folder`; yields the base address, to which a client appends a file name.

    `?play_count=0` after the name loops the file without end, with a continuous clock. `clip` receives its start times.

    Raises ConfigError if the server's package is missing, Unreachable if the server does not start.
    """
    port = _free_port()
    sender = clip.sender if clip else None
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(str(folder), port, sender), daemon=True)
    process.start()
    try:
        _wait_for(port, process)
        yield f"rtsp://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.join()
        process.close()


def _serve(folder: str, port: int, sender: Connection | None) -> None:
    from aio_rtsp_toolkit import server

    server.logger = logging.getLogger("rtsp")
    if sender is not None:
        server.logger.setLevel(logging.INFO)
        server.logger.propagate = False
        server.logger.addHandler(_StartHandler(sender))
    asyncio.run(server.serve(folder, host="127.0.0.1", port=port))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, process: multiprocessing.process.BaseProcess) -> None:
    until_s = time.monotonic() + _START_S
    while time.monotonic() < until_s:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.exitcode is not None:
            raise ConfigError("the demo needs the package aio-rtsp-toolkit: pip install 'qyran[demo]'")
        time.sleep(0.1)
    raise Unreachable(f"the demo's RTSP server did not start on port {port}")
