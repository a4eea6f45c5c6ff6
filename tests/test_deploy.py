"""The deployment files agree with the program: metric names, options, the example configuration."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from benchmarks.__main__ import names
from engine.config import EngineConfig, load_config, tomlfile
from engine.gpu.share import GpuShare, parse_share
from engine.metrics import Metrics
from engine.rules import load_site

DEPLOY = Path(__file__).parents[1] / "deploy"


def metric_names() -> set[str]:
    """Every name that the endpoint may expose."""
    names = set()
    for family in Metrics().registry.collect():
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
        names |= {family.name + suffix for suffix in suffixes}
    return names


def test_alerts_and_dashboard_use_metrics_that_exist() -> None:
    alerts = (DEPLOY / "prometheus" / "alerts.yml").read_text()
    dashboard = json.loads((DEPLOY / "grafana" / "dashboards" / "qyran.json").read_text())
    panels = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    for text in (alerts, panels):
        used = set(re.findall(r"\bqyran_\w+", text))
        assert used
        assert used <= metric_names()


def test_the_gpu_script_runs_benchmarks_that_exist() -> None:
    script = (DEPLOY.parent / "benchmarks" / "gpu.sh").read_text()
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    run = re.findall(r"measure (\w+)", script)
    assert len(run) == 4
    assert set(run) <= set(names())


def test_the_example_configuration_loads_with_its_sites(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMERA_USER", "viewer")
    monkeypatch.setenv("CAMERA_PASSWORD", "geheim")
    config = load_config(DEPLOY / "example" / "engine.toml")
    for camera in config.cameras:
        assert load_site(camera.site).image_size_px
    assert "geheim" in config.cameras[0].url
    assert "geheim" not in repr(config)


def test_the_commented_options_of_the_example_are_valid() -> None:
    text = (DEPLOY / "example" / "engine.toml").read_text()
    shown = re.sub(r"^# (?=\[|[a-z_]+ = )", "", text, flags=re.MULTILINE)
    config = tomlfile.parse(shown, EngineConfig, source="example")
    assert config.recipients
    assert config.retention.rules
    assert config.ledger.url


def test_the_secured_example_takes_its_secrets_from_files_and_encrypts(tmp_path: Path) -> None:
    (tmp_path / "CAMERA_USER").write_text("viewer\n")
    (tmp_path / "CAMERA_PASSWORD").write_text("geheim\n")
    example = DEPLOY / "example" / "secured.toml"
    here = tmp_path / "secured.toml"
    here.write_text(example.read_text().replace("/run/credentials/qyran.service", str(tmp_path)))
    config = load_config(here, {})
    assert config.cameras[0].url == "rtsps://viewer:geheim@10.20.0.12/stream1"
    assert config.service.tls is not None
    assert config.service.tls.key == tmp_path / "tls" / "server.key"
    assert "geheim" not in repr(config)


def test_the_handbook_lists_every_metric_with_its_meaning_and_every_alert() -> None:
    handbook = (DEPLOY.parent / "docs" / "operations.md").read_text()
    for family in Metrics().registry.collect():
        name = family.name + ("_total" if family.type == "counter" else "")
        assert f"| `{name}` | {family.type} | {family.documentation} |" in handbook
    alerts = re.findall(r"alert: (\w+)", (DEPLOY / "prometheus" / "alerts.yml").read_text())
    assert alerts
    assert all(f"| {alert} |" in handbook for alert in alerts)


def test_the_systemd_unit_of_a_gpu_starts_a_valid_worker() -> None:
    unit = (DEPLOY / "systemd" / "qyran-gpu@.service").read_text()
    [command] = re.findall(r"^ExecStart=(.+)$", unit, re.MULTILINE)
    program, verb, _, option, share = command.replace("%i", "1").replace("${QYRAN_GPUS}", "2").split()
    assert (Path(program).name, verb, option) == ("qyran", "run", "--gpu")
    assert parse_share(share) == GpuShare(1, 2)
    assert "Restart=always" in unit
