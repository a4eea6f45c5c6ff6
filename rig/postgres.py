"""A private PostgreSQL server: Debian's package, run by an unprivileged user in a private folder, reached by a Unix
socket."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import SkipTest

USER = "postgres"


def programs() -> Path | None:
    """The folder with `initdb` and `pg_ctl` of the newest installed version; None without any."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    return found[-1] if found else None


class Server:
    """One cluster, running until `stop`. It syncs only if durable: tests crash the server, never the machine."""

    def __init__(self, folder: Path, bin_: Path, *, durable: bool = False) -> None:
        self._fsync = "on" if durable else "off"
        self._bin = bin_
        self._data = folder / "data"
        self._socket = folder
        self._run("initdb", "--no-sync", "--auth=trust", f"--username={USER}", "--encoding=UTF8", "-D", str(self._data))
        self.start()

    def start(self) -> None:
        options = f"-c listen_addresses='' -c unix_socket_directories={self._socket} -c max_connections=60"
        options += f" -c fsync={self._fsync}"
        log = self._data / "server.log"
        self._run("pg_ctl", "start", "-w", "-D", str(self._data), "-l", str(log), "-o", options)

    def stop(self, mode: str = "immediate") -> None:
        """`immediate` is a crash: only what was committed is flushed."""
        self._run("pg_ctl", "stop", "-w", "-m", mode, "-D", str(self._data))

    def empty_database(self) -> str:
        """The URL of the only database, emptied: faster than a new one per test, which is thousands of files."""
        wipe = "DROP SCHEMA public CASCADE; CREATE SCHEMA public"
        self._run("psql", "-q", "-h", str(self._socket), "-U", USER, "-c", wipe, USER)
        return f"postgresql://{USER}@/{USER}?host={self._socket}"

    def _run(self, program: str, *arguments: str) -> None:
        who: dict[str, Any] = {"user": USER, "group": USER, "extra_groups": ()} if os.geteuid() == 0 else {}
        done = subprocess.run(
            [self._bin / program, *arguments], cwd=self._socket, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **who
        )
        assert done.returncode == 0, done.stdout.decode(errors="replace")


@contextmanager
def running_server(*, durable: bool = False) -> Iterator[Server]:
    """A server until the context ends. Raises SkipTest if the package is not installed."""
    bin_ = programs()
    if bin_ is None:
        raise SkipTest("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="qyran-pg-", dir="/tmp"))
    if os.geteuid() == 0:
        shutil.chown(folder, USER, USER)
    try:
        server = Server(folder, bin_, durable=durable)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
