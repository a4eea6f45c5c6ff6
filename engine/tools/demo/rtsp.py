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
_BEGINS = re.compile(r"stream loop start session=(\S+) loop=\d+ source=(\S+)")
"""What the server's package logs each time that it plays a file from its first frame."""


class Playing:
    """When one clip began anew, for the first client that plays it. What the server writes to `teller` is read here."""

    def __init__(self, clip: str) -> None:
        """`clip`: name of its file."""
        self._clip = clip
        self._told, self.teller = multiprocessing.Pipe(duplex=False)
        self._session = ""
        self._began_s: list[float] = []

    def began_s(self, at_s: float) -> float | None:
        """When the playing began that went on at an instant; None before the first."""
        while self._told.poll():
            self._hear(*self._told.recv())
        before = [began_s for began_s in self._began_s if began_s <= at_s]
        return before[-1] if before else None

    def _hear(self, session: str, clip: str, began_s: float) -> None:
        if clip == self._clip and not self._session:
            self._session = session
        if session == self._session:
            self._began_s = [*self._began_s[-1:], began_s]


class _Teller(logging.Handler):
    """Passes on when a file begins to be played: session, file, Unix seconds."""

    def __init__(self, teller: Connection) -> None:
        super().__init__(logging.INFO)
        self._teller = teller

    def emit(self, record: logging.LogRecord) -> None:
        found = _BEGINS.search(record.getMessage())
        if found:
            self._teller.send((found[1], found[2], record.created))


@contextmanager
def serving(folder: Path, playing: Playing | None = None) -> Iterator[str]:
    """Serve the files of `folder`; yields the address that a name is put after.

    `?play_count=0` behind the name loops a file for ever, its clock running on. `playing` is told when its clip begins.

    Raises ConfigError where the server's package is missing, Unreachable where it does not come up.
    """
    port = _free_port()
    teller = playing.teller if playing else None
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(str(folder), port, teller), daemon=True)
    process.start()
    try:
        _wait_for(port, process)
        yield f"rtsp://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.join()
        process.close()


def _serve(folder: str, port: int, teller: Connection | None) -> None:
    from aio_rtsp_toolkit import server

    server.logger = logging.getLogger("rtsp")
    if teller is not None:
        server.logger.setLevel(logging.INFO)
        server.logger.propagate = False
        server.logger.addHandler(_Teller(teller))
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
    raise Unreachable(f"the demo's RTSP server did not come up on port {port}")
