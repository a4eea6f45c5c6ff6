"""Evidence: from a violation to a case, a folder of files that proves it."""

from engine.evidence.folder import stored_cases, verify_case
from engine.evidence.identity import case_id
from engine.evidence.prosecutor import FileProsecutor, Means, Origin, Scene

__all__ = ["FileProsecutor", "Means", "Origin", "Scene", "case_id", "stored_cases", "verify_case"]
