"""`qyran watch`: the ledger's entries as JSON lines, each exactly once, across restarts of client and service."""

from __future__ import annotations

import fcntl
import os
import sys
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec
import typer

from engine.app import logs
from engine.errors import ConfigError
from engine.tools.shared import interruptible, raise_interrupt

_TAIL_BYTES = 1 << 16
app = typer.Typer()


@app.command()
def watch(
    target: Annotated[str, typer.Argument(help="Address of the gRPC service.")] = "127.0.0.1:50151",
    from_sequence: Annotated[int, typer.Option("--from", min=0, help="Start after this sequence number.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Append to this file; continue after its last line.")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Only this kind of violation. Repeatable.")] = None,
    camera: Annotated[list[str] | None, typer.Option(help="Only this camera. Repeatable.")] = None,
    token_file: Annotated[Path | None, typer.Option(help="File with the bearer token.")] = None,
    ca: Annotated[Path | None, typer.Option(help="TLS: CA certificate that the service must have (PEM).")] = None,
    certificate: Annotated[Path | None, typer.Option(help="TLS: certificate of this client (PEM).")] = None,
    key: Annotated[Path | None, typer.Option(help="TLS: private key of --certificate (PEM).")] = None,
) -> None:
    """Print the cases as JSON lines: stored ones, then new ones as they are recorded. Reconnects by itself."""
    from engine.client import QyranClient, Tls, to_json

    logs.configure(level="warning")
    tls = Tls(ca, certificate, key) if ca or certificate else None
    with (
        interruptible(raise_interrupt),
        QyranClient(target, token=token_file or "", tls=tls) as client,
        closing(LinesFile(out)) if out else nullcontext() as file,
    ):
        after = max(from_sequence, file.last_sequence if file else 0)
        write = file.write if file else _print_line
        for entry in client.watch(after, kinds=tuple(kind or ()), cameras=tuple(camera or ())):
            write(to_json(entry))


def _print_line(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class LinesFile:
    """A file of JSON lines. It removes a line that a crash cut off; that line is then written again.

    Raises ConfigError if another process writes the file, or if its last line is not an entry.
    """

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o640), "r+b")
        try:
            self._lock(path)
            self.last_sequence = self._recover(path)
        except ConfigError:
            self.close()
            raise

    def close(self) -> None:
        """Close and unlock the file."""
        self._file.close()

    def write(self, line: str) -> None:
        """Append a line and sync it to the disk."""
        self._file.write(line.encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def _lock(self, path: Path) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError(f"{path}: another process is writing this file") from None

    def _recover(self, path: Path) -> int:
        """Cut the file after its last complete line; returns the sequence number of that line, 0 if it has none."""
        end, last_line = self._find_last_line(self._file.seek(0, os.SEEK_END))
        last_sequence = _parse_sequence(last_line, path) if last_line else 0
        self._file.truncate(end)
        self._file.seek(end)
        return last_sequence

    def _find_last_line(self, end: int) -> tuple[int, bytes]:
        """Offset after the last complete line, and that line."""
        reach = _TAIL_BYTES
        while True:
            begin = max(0, end - reach)
            self._file.seek(begin)
            tail = self._file.read(end - begin)
            newline = tail.rfind(b"\n")
            start = tail.rfind(b"\n", 0, max(newline, 0)) + 1
            if begin == 0 or (newline >= 0 and start > 0):
                return begin + newline + 1, tail[start:newline] if newline >= 0 else b""
            reach *= 2


def _parse_sequence(line: bytes, path: Path) -> int:
    try:
        return int(msgspec.json.decode(line)["sequence"])
    except (msgspec.DecodeError, KeyError, TypeError, ValueError):
        raise ConfigError(f"{path}: the last line is not an entry of a ledger") from None
