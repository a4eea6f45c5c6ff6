"""Who may do what: roles, what of the cases a caller may see, and the caller."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Role(enum.Enum):
    """What a caller is there for. Which calls that allows is one table, `engine.serve.permissions`."""

    VIEWER = "viewer"
    """A control room: looks at cases, evidence and cameras, changes nothing."""
    REGISTER = "register"
    """A system that takes the cases and reports what became of them."""
    OFFICER = "officer"
    """Decides what no machine may decide alone."""
    CONTROLLER = "controller"
    """A traffic-light controller: says when it showed what, and sees nothing."""
    ADMIN = "admin"
    """Runs the system: everything, the cameras too."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which cases and cameras a caller may see. What is empty does not restrict; what is given must all hold."""

    kinds: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()

    def allows(self, kind: str, camera: str, area: str) -> bool:
        return (not self.kinds or kind in self.kinds) and self.allows_camera(camera, area)

    def allows_camera(self, camera: str, area: str) -> bool:
        """May a camera itself be seen, and ordered about? Kinds are of cases."""
        return (not self.cameras or camera in self.cameras) and (not self.areas or area in self.areas)


EVERYTHING = Scope()


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever makes a call, as the credentials say."""

    name: str
    role: Role
    scope: Scope = EVERYTHING
    credential: str = ""
    """Which credential it was: `token 4f2a...`, `certificate ...`, `loopback`."""
    expires_s: float = float("inf")
    """When the credential ends, Unix seconds UTC."""
