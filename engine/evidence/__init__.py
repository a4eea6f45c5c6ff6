"""Evidence: from a violation to a case, a folder of files that proves it."""

from engine.evidence.artifacts import EvidenceTools, crossing_stills
from engine.evidence.audit import audit
from engine.evidence.builder import FileEvidenceBuilder
from engine.evidence.folder import remove_folder, stored_cases
from engine.evidence.keys import PublicKey, SigningKey, load_public_key, load_signing_key, new_key, public_pem
from engine.evidence.manifest import verify_case
from engine.evidence.record import CameraSite, Origin, case_id
from engine.evidence.report import embed_pictures, languages, write_report

__all__ = [
    "CameraSite", "EvidenceTools", "FileEvidenceBuilder", "Origin", "PublicKey", "SigningKey", "audit", "case_id",
    "crossing_stills", "embed_pictures", "languages", "load_public_key", "load_signing_key", "new_key", "public_pem",
    "remove_folder", "stored_cases", "verify_case", "write_report",
]  # fmt: skip
