"""Roles and scopes of callers (`roles`), and the log of their calls (`audit`)."""

from engine.access.audit import AuditLog
from engine.access.roles import EVERYTHING, Caller, Role, Scope

__all__ = ["EVERYTHING", "AuditLog", "Caller", "Role", "Scope"]
