"""`qyran token` and `qyran audit`."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.access import AuditLog, Role, Scope
from engine.errors import ConfigError, LedgerError
from engine.ledger import SqlLedger, Tokens
from engine.ledger.tokens import split
from engine.tools.cli import app

CONFIG = """
state = "state"
[[cameras]]
name = "gate"
url = "rtsp://${GATE_USER}:${GATE_PASSWORD}@10.0.0.1/"
site = "gate.toml"
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A configuration whose camera secrets are not available."""
    path = tmp_path / "engine.toml"
    path.write_text(CONFIG)
    return path


def qyran(*words: object) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_a_token_is_printed_once_and_listed_without_its_secret_and_revoked(path: Path):
    options = ("--role", "register", "--kind", "speeding", "--area", "medeu", "--days", 30)
    token_id, secret = split(qyran("token", "new", path, "astana", *options).strip()) or ("", "")
    with closing(SqlLedger(path.parent / "state" / "ledger.db")) as ledger:
        (token,) = Tokens(ledger.database).all()
    assert token.fits(secret)
    assert (token.role, token.scope) == (Role.REGISTER, Scope(("speeding",), (), ("medeu",)))
    assert 29 * 86400 < (token.expires_s or 0) - token.created_s <= 30 * 86400 + 1
    listed = qyran("token", "list", path)
    assert all(word in listed for word in (token_id, "astana", "register", "medeu", "valid"))
    assert secret not in listed
    qyran("token", "revoke", path, token_id)
    assert "revoked" in qyran("token", "list", path)


def test_a_certificate_gets_a_role_that_does_not_expire(path: Path):
    token_id = qyran(
        "token", "new", path, "registry.city.kz", "--role", "register", "--certificate", "--days", 0
    ).strip()
    listed = qyran("token", "list", path)
    assert all(word in listed for word in (token_id, "registry.city.kz", "certificate", "never"))


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (("new", "x", "--role", "king"), ConfigError, "king: must be one of viewer, register"),
        (("new", "x" * 64, "--role", "viewer"), ConfigError, "1 to 63 characters"),
        (("revoke", "0123"), LedgerError, "there is no token '0123'"),
    ],
)
def test_invalid_orders_are_an_error(path: Path, words: tuple[str, ...], error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        qyran("token", words[0], path, *words[1:])


def test_audit_check_reports_a_changed_line(path: Path):
    folder = path.parent / "state" / "audit"
    log = AuditLog(folder)
    for subject in ("case 1", "case 2"):
        log.write(who="anna", role="officer", credential="token 1", peer="", call="GetEvidence", subject=subject)
    assert "2 lines, whole" in qyran("audit", "check", path).replace("\n", "")
    (file,) = folder.glob("*.jsonl")
    file.write_text(file.read_text().replace("case 1", "case 9"))
    done = CliRunner().invoke(app, ["audit", "check", str(path)])
    assert done.exit_code == 1
    assert "was changed" in done.output
