"""Messages to callers show no path of the server."""

from __future__ import annotations

import pytest

from engine.errors import AuditError, CalibrationError, CaseConflict, ConfigError, EvidenceError, LedgerError
from engine.serve.status import BadRequest, public_message


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (EvidenceError("/var/lib/qyran/evidence/2026/01/02/c-1/a.jpg: is not what was hashed"),
         "a.jpg: is not what was hashed"),
        (ConfigError("/etc/qyran/sites/gate.toml: place: missing"), "gate.toml: place: missing"),
        (ConfigError("/srv/our city/sites/gate.toml: missing"), "gate.toml: missing"),
        (CalibrationError("cannot identify image file '/srv/our city/stills/s.png'"),
         "cannot identify image file 's.png'"),
        (ConfigError("[Errno 2] No such file: PosixPath('/a/b')"), "[Errno 2] No such file: PosixPath('b')"),
        (LedgerError("/var/lib/ledger.db: cannot read: disk is full"),
         "the ledger cannot be used now; the log of the service says why"),
        (CaseConflict("postgresql://db.city:5432/qyran: case c-1"),
         "the ledger cannot be used now; the log of the service says why"),
        (AuditError("/var/lib/audit: no space"),
         "the audit log cannot be written, so the call is not done; the log of the service says why"),
    ],
)  # fmt: skip
def test_a_message_shows_no_path_of_the_server(error: Exception, words: str):
    assert public_message(error) == words


@pytest.mark.parametrize(
    "words",
    [
        "url: rtsp://10.0.0.1:554/live/main: connection refused",
        "url: rtsp://[::1]/live/main and 25 km/h, and/or 1/2/3",
        "offset: 7 / 2 is not / reached",
        "site of camera gate: Object contains unknown field `a/b/c` - at `$.rules[0]`",
    ],
)
def test_a_message_without_paths_is_unchanged(words: str):
    assert public_message(BadRequest("site", words)) == f"site: {words}"
