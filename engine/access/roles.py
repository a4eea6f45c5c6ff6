"""Roles, scopes and callers."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Role(enum.Enum):
    """The task of a caller. The table `engine.serve.permissions` says which calls it allows."""

    VIEWER = "viewer"
    """A control room: looks at cases, evidence and cameras, changes nothing."""
    REGISTER = "register"
    """A system that takes the cases and reports its decisions."""
    OFFICER = "officer"
    """Reviews the cases that need a person's decision."""
    CONTROLLER = "controller"
    """A traffic-light controller: reports its phases, and sees nothing."""
    ADMIN = "admin"
    """Runs the system: may make every call."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The cases and cameras that a caller may see. An empty field does not restrict; all others must match."""

    kinds: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()

    def allows(self, kind: str, camera: str, area: str) -> bool:
        """True if a case is within the scope."""
        return (not self.kinds or kind in self.kinds) and self.allows_camera(camera, area)

    def allows_camera(self, camera: str, area: str) -> bool:
        """True if a camera is within the scope; `kinds` restricts cases only."""
        return (not self.cameras or camera in self.cameras) and (not self.areas or area in self.areas)


EVERYTHING = Scope()


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller of a call, identified by its credential."""

    name: str
    role: Role
    scope: Scope = EVERYTHING
    credential: str = ""
    """`token 4f2a...`, `certificate ...` or `loopback`."""
    expires_s: float = float("inf")
    """When the credential ends, Unix seconds UTC."""
