"""Who delivers: the name that a process claims a recipient under."""

from __future__ import annotations

import os
import socket


def own_name() -> str:
    """`host:process`."""
    return f"{socket.gethostname()}:{os.getpid()}"


def is_gone(owner: str) -> bool:
    """Is it a process of this host that no longer runs? Of another host nobody can tell from here."""
    host, _, process = owner.rpartition(":")
    if host != socket.gethostname() or not process.isdigit():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
