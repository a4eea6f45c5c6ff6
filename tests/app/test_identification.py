"""Identification as configured: what fits together, what is refused, what a restart still knows."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import msgspec
import numpy as np
import pytest

from engine.app.identification import IdentificationContext, check_identification, open_identifier, recently_reported
from engine.config import CameraConfig, ClassifierConfig, EngineConfig, PlatesConfig, RegistryConfig
from engine.errors import ConfigError, LedgerError, ModelError
from engine.identify import VehicleIdentifier
from engine.identify.papers import import_csv
from engine.identify.papers.snapshot import HEADER
from engine.ingest import Recordings
from engine.ledger import SqlLedger
from engine.metrics import Metrics
from engine.rules.kinds.average_speed import SectionEndRule
from engine.rules.kinds.no_insurance import NoInsuranceRule
from engine.rules.kinds.phone_use import PhoneUseRule
from engine.site import Line, Site
from engine.types import Findings, document
from rig.examples import make_case, make_document
from tests.support.networks import make_network
from tests.support.road import KZ, project, site

GATE = site(
    SectionEndRule(name="plates", zone="road", line="gate"),
    lines=(Line(name="gate", from_px=project(7, 40), to_px=project(-7, 40)),),
)
SECTIONS = """
[[sections]]
name = "a3"
entry = { camera = "km-12", line = "gate" }
exit = { camera = "km-13", line = "gate" }
length_m = 1000.0
length_sigma_m = 0.5
straight_out_of_town = true
timezone = "Asia/Almaty"
valid_from = 2026-01-01T00:00:00+05:00
clocks = { synchronised = { sigma_s = 0.05 } }
limits = [{ kmh = 90.0 }]
"""


def config(**changes: object) -> EngineConfig:
    cameras = tuple(CameraConfig(name=name, url="a.mp4", site=Path("a.toml")) for name in ("km-12", "km-13"))
    return msgspec.structs.replace(EngineConfig(cameras=cameras, plates=PlatesConfig(reader="off")), **changes)


def with_everything(folder: Path) -> EngineConfig:
    extract = folder / "extract.csv"
    extract.write_text(f"{','.join(HEADER)}\n123ABC02,none,none,none\n")
    import_csv(extract, folder / "registry.db", document.moment(0))
    make_network(folder / "phone.onnx", {"is": np.array([[0.5]], np.float32)})
    (folder / "sections.toml").write_text(SECTIONS)
    (folder / "stolen.txt").write_text("740KRM09\n")
    return config(
        plates=PlatesConfig(reader="off", stolen=folder / "stolen.txt"),
        registry=RegistryConfig(snapshot=folder / "registry.db"),
        classifiers=(ClassifierConfig(kind="phone_use", model=folder / "phone.onnx", size_px=(64, 64)),),
        sections=folder / "sections.toml",
    )


def around(ledger: SqlLedger, sites: Mapping[int, Site]) -> IdentificationContext:
    return IdentificationContext(
        site_of=sites.__getitem__,
        names={0: "km-12", 1: "km-13"},
        recordings=Recordings(10.0, 1),
        fetch_frames=lambda segments, instants_s: [],
        ledger=ledger,
        metrics=Metrics(),
        catalogue=KZ,
        take_stills=lambda crossing: {},
    )


def test_everything_in_the_configuration_is_opened(tmp_path: Path):
    everything = with_everything(tmp_path)
    check_identification(everything, {"km-12": GATE, "km-13": GATE}, KZ)
    with (
        closing(SqlLedger(tmp_path / "ledger.db")) as ledger,
        open_identifier(everything, around(ledger, {0: GATE, 1: GATE})) as identifier,
    ):
        assert isinstance(identifier, VehicleIdentifier)
        assert identifier.identify(Findings()) == []


@pytest.mark.parametrize("sites", [{0: GATE}, {0: GATE, 1: site()}], ids=["paused", "another site"])
def test_a_section_without_one_of_its_ends_does_not_stop_the_start(tmp_path: Path, sites: dict[int, Site]):
    everything = with_everything(tmp_path)
    with (
        closing(SqlLedger(tmp_path / "ledger.db")) as ledger,
        open_identifier(
            everything, replace(around(ledger, sites), names={n: f"km-1{n + 2}" for n in sites})
        ) as identifier,
    ):
        assert identifier.identify(Findings()) == []


def test_a_rule_that_nothing_can_confirm_is_refused():
    for rule, needs in (
        (NoInsuranceRule(name="papers", zone="road"), "registry"),
        (PhoneUseRule(name="cabin", zone="road"), "classifier"),
    ):
        with pytest.raises(ConfigError, match=f"rule {rule.name} .* needs a {needs}"):
            check_identification(config(), {"km-12": site(rule)}, KZ)
    with pytest.raises(ConfigError, match=r"rule plates .* needs a section"):
        check_identification(config(), {"km-12": GATE}, KZ)


@pytest.mark.parametrize(
    ("sites", "says"),
    [
        ({"km-12": GATE, "km-13": site()}, "the site of km-13 has no average_speed rule at line 'gate'"),
        ({"km-12": GATE}, "there is no camera 'km-13'"),
    ],
)
def test_a_section_end_without_a_rule_is_refused(tmp_path: Path, sites: dict[str, Site], says: str):
    with pytest.raises(ConfigError, match=f"sections.toml: section a3: {says}"):
        check_identification(with_everything(tmp_path), sites, KZ)


@pytest.mark.parametrize(
    ("file", "error"),
    [
        ("registry.db", ConfigError),
        ("phone.onnx", ModelError),
        ("sections.toml", ConfigError),
        ("stolen.txt", ConfigError),
    ],
)
def test_an_error_names_the_missing_file(tmp_path: Path, file: str, error: type[Exception]):
    everything = with_everything(tmp_path)
    (tmp_path / file).unlink()
    with pytest.raises(error, match=file):
        check_identification(everything, {"km-12": GATE, "km-13": GATE}, KZ)


def test_recent_cases_about_papers_are_known_after_a_restart(tmp_path: Path):
    plate = document.PlateRecord(
        text="123ABC02",
        country="KZ",
        region="02",
        form="private_2012",
        confidence=0.97,
        frames=2,
        alternatives=(),
        notes=(),
        still=None,
        marks=(),
    )
    now = document.dt.datetime.now(document.dt.UTC)
    time = document.TimeRecord(
        occurred=now, local="2026-06-01T12:00:00+05:00", timezone="", began=now, ended=now, clock="synchronised"
    )
    case = make_case(1, kind="no_insurance")
    record = make_document(1, kind="no_insurance", plate=plate, time=time)
    old = make_case(2, kind="no_insurance")
    recent = replace(case, document=document.encode(record), occurred_s=now.timestamp())
    with closing(SqlLedger(tmp_path / "ledger.db")) as ledger:
        torn = replace(make_case(3, kind="no_insurance"), document=b"torn", occurred_s=now.timestamp())
        ledger.append([torn, recent, replace(old, occurred_s=now.timestamp() - 10 * 86_400)])
        found = recently_reported(ledger)
    assert list(found) == [("123ABC02", "no_insurance", "2026-06-01")]


def test_recent_reports_are_an_error_while_the_ledger_cannot_be_read(tmp_path: Path, monkeypatch):
    with closing(SqlLedger(tmp_path / "ledger.db")) as ledger:
        monkeypatch.setattr(ledger, "read", Mock(side_effect=LedgerError("locked")))
        with pytest.raises(LedgerError):
            recently_reported(ledger)
