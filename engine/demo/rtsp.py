"""An RTSP server (RFC 2326, interleaved TCP) on loopback that plays a folder of files, in a process of its own."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import ConfigError, Unreachable

_START_S = 20.0


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve the files of `folder`; yields the address that a name is put after.

    `?play_count=0` behind the name loops a file for ever, its clock running on.

    Raises ConfigError where the server's package is missing, Unreachable where it does not come up.
    """
    port = _free_port()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(str(folder), port), daemon=True)
    process.start()
    try:
        _wait_for(port, process)
        yield f"rtsp://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.join()
        process.close()


def _serve(folder: str, port: int) -> None:
    from aio_rtsp_toolkit import server

    server.logger = logging.getLogger("rtsp")
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
