"""Every example of docs/client.md runs in order against the real engine, with TLS and a token."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from engine.access import EVERYTHING, Role
from engine.app.engine import build
from engine.config import ServiceConfig, TlsConfig
from engine.ledger import SqlLedger, Tokens
from engine.tools.demo.city import SITES
from rig.examples import write_case
from tests.app.test_cameras import at_work, config
from tests.support.certificates import Authority

PAGE = Path(__file__).parents[2] / "docs" / "client.md"


def examples() -> list[str]:
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_every_public_call_has_an_example() -> None:
    from engine.client import AsyncQyranClient, QyranClient

    calls = {name for name in dir(QyranClient) if not name.startswith("_")}
    assert calls == {name for name in dir(AsyncQyranClient) if not name.startswith("_")}
    text = "".join(examples())
    assert [name for name in calls if f"qyran.{name}(" not in text] == []


def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("server")
    tls = TlsConfig(certificate=certificate, key=key)
    allowed = ("CAMERA_USER", "CAMERA_PASSWORD")
    service = ServiceConfig(listen="127.0.0.1:0", tls=tls, camera_secrets=allowed)
    settings = msgspec.structs.replace(config(tmp_path / "state"), service=service)
    with closing(SqlLedger(settings.ledger_at)) as ledger:
        cases = [write_case(settings.evidence_root, n, {"clip.mp4": b"clip"}) for n in range(1, 6)]
        ledger.append([replace(case, area="medeu") for case in cases])
        (tmp_path / "token").write_text(Tokens(ledger.database).new("docs", Role.ADMIN, EVERYTHING))
    (tmp_path / "abay-14.toml").write_text((SITES / "avenue.toml").read_text())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAMERA_USER", "viewer")
    monkeypatch.setenv("CAMERA_PASSWORD", "secret")
    names: dict[str, object] = {}
    with build(settings) as engine, at_work(engine):
        for example in examples():
            here = example.replace("qyran.example:50151", engine.grpc_address).replace("10.20.0.14", "127.0.0.1:9")
            exec(here, names)  # noqa: S102 - our own page
    assert (tmp_path / "evidence" / "gate-000003" / "clip.mp4").read_bytes() == b"clip"
