"""A network that breaks."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress

LAST_S = 0.1
"""Time for the last bytes to be read before a cut: gRPC drops what it has not handed on when a connection ends."""


class Proxy:
    """A TCP proxy that cuts every connection after some bytes from the service."""

    def __init__(self, address: str, *, cut_after: int) -> None:
        self._target = address.rsplit(":", 1)[0], int(address.rsplit(":", 1)[1])
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.cut_after = cut_after
        self.connections = 0
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._target)
            self._sockets += [near, far]
            self.connections += 1
            threading.Thread(target=self._pump, args=(near, far, None), daemon=True).start()
            threading.Thread(target=self._pump, args=(far, near, self.cut_after), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, budget: int | None) -> None:
        try:
            while data := source.recv(4096):
                if budget is not None and (budget := budget - len(data)) < 0:
                    time.sleep(LAST_S)
                    break
                target.sendall(data)
        except OSError:
            pass
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
