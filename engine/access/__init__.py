"""Who may do what (`roles`), and who did (`audit`)."""

from engine.access.audit import Audit
from engine.access.roles import EVERYTHING, Caller, Role, Scope

__all__ = ["EVERYTHING", "Audit", "Caller", "Role", "Scope"]
