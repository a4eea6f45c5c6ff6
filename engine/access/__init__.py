"""Who may do what (`roles`), and who did (`audit`)."""

from engine.access.audit import AuditLog
from engine.access.roles import EVERYTHING, Caller, Role, Scope

__all__ = ["EVERYTHING", "AuditLog", "Caller", "Role", "Scope"]
